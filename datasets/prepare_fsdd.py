#!/usr/bin/env python3
"""Turn the recordings of the Free Spoken Digit Dataset into spikes, in HDF5 files of SHD's layout.

    pip install lauscher lfp-snn
    git clone https://github.com/Jakobovski/free-spoken-digit-dataset
    python prepare_fsdd.py free-spoken-digit-dataset/recordings DATA_ROOT

Writes DATA_ROOT/FSDD/fsdd_train.h5 and fsdd_test.h5. Recordings 0 to 4 of each speaker and digit are the test part, as
the data set's authors split it. Takes some seconds a recording and core.

The chain is that of SHD (Cramer et al. 2020): basilar membrane (Sieroka et al. 2006, computed by lauscher), inner hair
cells (Meddis 1986, 1988), bushy cells (leaky integrate-and-fire neurons on 40 hair-cell fibres each), 700 channels.
Two things differ. These words are cut tightly, so both ends are faded over 30 ms, where SHD fades the whole track with
one long window. And hair and bushy cells are compiled here; lauscher's loops are the same model in plain Python.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numba
import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile
from scipy.signal import resample_poly

RATE = 48_000
CHANNELS = 700
FADE = 0.030
"""Seconds."""
LOUDNESS = 0.3
"""Root mean square of a recording before the membrane."""
LENGTHS = RATE // 10
"""Recordings are filled up with silence to a multiple of this, so that few membrane responses are to be computed."""
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Take(NamedTuple):
    """One recording."""

    path: Path
    digit: int
    speaker: str
    number: int


@numba.njit(cache=True)
def hair_cell(velocity: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Follow the probability of a spike per sample, of one fibre (Meddis 1986, with the parameters of Meddis 1988).

    Transmitter is in the cell (q), the cleft (c) or being reprocessed (w). The membrane lets it out at a rate k.
    """
    a, b, g, y, lost, taken, x, h, m = 5.0, 300.0, 2000.0, 5.05, 2500.0, 6580.0, 66.3, 50000.0, 1.0
    k = g * a / (a + b)
    c = m * y * k / (lost * k + y * (lost + taken))
    q = c * (lost + taken) / k
    w = c * taken / x
    out = np.empty(len(velocity))
    for i in range(len(velocity)):
        s = velocity[i] + a
        k = g * s / (s + b) / rate if s > 0 else 0.0
        made = y * (m - q) / rate if q < m else 0.0
        eject, back, again = k * q, taken * c / rate, x * w / rate
        q = max(q + made - eject + again, 0.0)
        c = max(c + eject - (lost + taken) * c / rate, 0.0)
        w = max(w + back - again, 0.0)
        out[i] = h / rate * c
    return out


@numba.njit(cache=True)
def fibres(probability: NDArray[np.float64], rate: float, seed: int, n: int = 40) -> NDArray[np.int64]:
    """Count the spikes per sample of ``n`` fibres that fire at random, each at most once a millisecond."""
    np.random.seed(seed)  # noqa: NPY002 - this is numba's generator
    refractory = 1e-3 * rate
    last = np.full(n, -refractory)
    out = np.zeros(len(probability), np.int64)
    for i in range(len(probability)):
        for k in range(n):
            if np.random.random() < probability[i] and i - last[k] >= refractory:  # noqa: NPY002
                last[k] = i
                out[i] += 1
    return out


@numba.njit(cache=True)
def bushy_cell(arriving: NDArray[np.int64], rate: float, n: int = 40) -> NDArray[np.int64]:
    """Find when a bushy cell fires: membrane 1 ms, synapse 0.5 ms, refractory period 1 ms, threshold 1."""
    weight = 13e3 / n / rate
    leak, decay = np.exp(-1 / (rate * 1e-3)), np.exp(-1 / (rate * 5e-4))
    current = v = rest = 0.0
    out = []
    for i in range(len(arriving)):
        if i > 0:
            if rest <= 0:
                if v < 1.0:
                    v *= leak
                else:
                    rest = 1e-3 * rate
                    v = 0.0
                    out.append(i - 1)
            else:
                v = 0.0
            current *= decay
        current += arriving[i]
        if rest <= 0:
            v = min(v + current * weight, 1.0)
        rest -= 1.0
    return np.array(out, np.int64)


def prepare(wave: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Bring a wave to 48 kHz, one loudness, faded ends, and a length of which there are few."""
    wave = resample_poly(wave, RATE, rate)
    wave = wave * (LOUDNESS / np.sqrt(np.mean(wave**2)))
    ramp = np.hanning(2 * int(FADE * RATE))[: int(FADE * RATE)]
    wave[: len(ramp)] *= ramp
    wave[-len(ramp) :] *= ramp[::-1]
    return np.pad(wave, (0, -len(wave) % LENGTHS))


_responses: dict[int, NDArray[np.complex128]] = {}  # of the last length, in each process


def membrane(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the velocity of the basilar membrane at 700 places, [700, T] at 24 kHz."""
    from lauscher.transformations import BasilarMembrane

    n = len(wave) // 2 + 1
    if n not in _responses:
        _responses.clear()
        model = BasilarMembrane(CHANNELS)
        omega = 2 * np.pi * np.linspace(1, RATE // 2, n)
        _responses[n] = np.stack([model._v(omega, place) for place in model.ch])
    return np.real(np.fft.ifft(_responses[n] * np.fft.fft(wave)[:n], axis=1))


def convert(take: Take) -> tuple[NDArray[np.float16], NDArray[np.uint16], float]:
    """Return a recording's spike times, units, and its length in seconds."""
    rate, raw = wavfile.read(take.path)
    wave = prepare(raw.astype(np.float64) / 32768, rate)
    half = RATE // 2
    seed = zlib.crc32(take.path.name.encode())
    times, units = [], []
    for unit, velocity in enumerate(membrane(wave)):
        fired = bushy_cell(fibres(hair_cell(velocity, half), half, (seed + unit) % 2**32), half)
        times.append(fired / half)
        units.append(np.full(len(fired), unit))
    t, u = np.concatenate(times), np.concatenate(units)
    length = len(raw) / rate
    order = np.argsort(t, kind="stable")
    order = order[t[order] < length]  # not from the silence that was added
    return t[order].astype(np.float16), u[order].astype(np.uint16), length


def find(folder: Path, speakers: Sequence[str], last: int) -> Iterator[Take]:
    """Find the recordings, ordered by number, digit, speaker."""
    found = []
    for path in folder.glob("*.wav"):
        if match := re.fullmatch(r"(\d)_([a-z]+)_(\d+)\.wav", path.name):
            take = Take(path, int(match[1]), match[2], int(match[3]))
            if take.number <= last and (not speakers or take.speaker in speakers):
                found.append(take)
    if not found:
        raise SystemExit(f"no recordings <digit>_<speaker>_<number>.wav in {folder}")
    return iter(sorted(found, key=lambda t: (t.number, t.digit, t.speaker)))


def write(path: Path, takes: Sequence[Take], speakers: Sequence[str], pool: Any) -> None:
    """Convert recordings and write them."""
    order = sorted(range(len(takes)), key=lambda i: takes[i].path.stat().st_size)  # one length after the other
    results: list[Any] = [None] * len(takes)
    for done, (i, result) in enumerate(zip(order, pool.imap(convert, [takes[i] for i in order], 8), strict=True), 1):
        results[i] = result
        print(f"\r{path.name}: {done} of {len(takes)}", end="", flush=True)
    print()
    with h5py.File(path, "w") as file:
        for name, column, dtype in (("spikes/times", 0, np.float16), ("spikes/units", 1, np.uint16)):
            data = file.create_dataset(name, (len(takes),), h5py.vlen_dtype(dtype), compression="gzip")
            for i, result in enumerate(results):
                data[i] = result[column]
        file["labels"] = np.array([t.digit for t in takes], np.uint16)
        file["extra/speaker"] = np.array([speakers.index(t.speaker) for t in takes], np.uint16)
        file["extra/keys"] = np.array(NAMES, "S")
        file["extra/meta_info/name"] = np.array(speakers, "S")
        file["extra/wav"] = np.array([t.path.name for t in takes], "S")
        file["extra/duration"] = np.array([r[2] for r in results], np.float32)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, help="folder of the .wav files")
    parser.add_argument("data_root", type=Path, help="FSDD/fsdd_train.h5 and FSDD/fsdd_test.h5 are written into it")
    parser.add_argument("--speakers", nargs="*", default=[], help="only these (default: all)")
    parser.add_argument(
        "--last", type=int, default=49, help="highest number of a recording (default: 49, which is all)"
    )
    parser.add_argument("--jobs", type=int, default=None, help="processes (default: one a core)")
    arguments = parser.parse_args()
    takes = list(find(arguments.recordings, arguments.speakers, arguments.last))
    speakers = sorted({t.speaker for t in takes})
    try:
        import lauscher  # noqa: F401
    except ImportError:
        raise SystemExit("the membrane is computed by lauscher: pip install lauscher") from None
    folder = arguments.data_root / "FSDD"
    folder.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        write(folder / "fsdd_test.h5", [t for t in takes if t.number < 5], speakers, pool)
        write(folder / "fsdd_train.h5", [t for t in takes if t.number >= 5], speakers, pool)


if __name__ == "__main__":
    main()
