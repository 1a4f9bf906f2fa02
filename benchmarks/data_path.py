"""Does training wait for its data? Binning, loading and the share of time spent waiting.

    python benchmarks/data_path.py [--data nmnist] [--epochs 2]

Needs the data set in ``LFP_SNN_DATA`` (``event-digits`` needs none). Three things are measured: binning recordings that
are in memory, against ``tonic.transforms.ToFrame`` on the same events (after checking that the frames are the same) and
against filling memory of the frames' size with zeros; a whole epoch of batches, binned on access and from the cache on
disk, packed or not; and the share of time that training by the data set's preset waits for batches.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lfp_snn import data, keep_memory
from lfp_snn.data import ByCount, EventDataset, Recordings
from lfp_snn.data.binning import bin_recordings
from lfp_snn.training import Config, presets, train
from lfp_snn.training.config import apply
from lfp_snn.training.progress import Display

STEPS, BATCH = 20, 32


def median_of(rounds: int, *calls: Callable[[], Any]) -> list[float]:
    """Return the median seconds of each call, taken in turn."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, each in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            each.append(time.perf_counter() - start)
    return [statistics.median(each) for each in seconds]


def binning(some: EventDataset, rounds: int) -> None:
    """Compare binning with tonic's, recording by recording as tonic does it, and with filling memory."""
    from tonic.transforms import ToFrame

    recordings = [some.events(k) for k in range(min(256, len(some)))]
    joined, size = Recordings.join(recordings), some.sensor_size
    frame, how = ToFrame(sensor_size=size, n_time_bins=STEPS), ByCount(STEPS)
    start, stop = joined.offsets[:-1], joined.offsets[1:]

    def ours() -> torch.Tensor:
        batches = range(0, len(recordings), BATCH)
        return torch.cat(
            [bin_recordings(joined.events, start[k : k + BATCH], stop[k : k + BATCH], size, how)[0] for k in batches], 1
        )

    def theirs() -> np.ndarray[Any, Any]:
        return np.stack([frame(r) for r in recordings], 1).astype(np.float32)

    x = ours()
    if not np.array_equal(x.numpy().reshape(theirs().shape), theirs()):
        raise RuntimeError("the frames are not tonic's")
    a, b, fill = median_of(rounds, ours, theirs, lambda: np.zeros(x.shape, np.float32).fill(0))
    events = len(joined.events)
    print(f"binning {len(recordings)} recordings of {events / len(recordings):,.0f} events, {STEPS} steps:")
    print(f"  here {events / a / 1e6:.1f} million events a second; tonic takes {b / a:.1f} times as long")
    print(f"  {x.numel() * 4 / a / 1e9:.1f} GB/s of frames are written; zeros alone take {fill / a:.2f} of the time")


def batches(some: EventDataset, rounds: int) -> None:
    """Time an epoch of batches on access, from the cache, and from the packed cache."""
    found: dict[str, Any] = {}
    recordings = Recordings.join(some.events(k) for k in range(len(some)))
    with tempfile.TemporaryDirectory() as folder:
        for binary in (False, True):
            each = EventDataset(recordings, some.labels, some.sensor_size, ByCount(STEPS, binary=binary))
            found[f"on access{', binary' * binary}"] = each
            cached = each.frames({}, name=f"frames-{binary}", folder=folder)
            found["from the cache, packed" if binary else "from the cache"] = cached
        sizes = {file.name: file.stat().st_size / 2**20 for file in Path(folder).iterdir()}

        def epoch(dataset: Any) -> Callable[[], None]:
            return lambda: [None for _ in data.loader(dataset, BATCH, shuffle=True)] and None

        times = median_of(rounds, *(epoch(dataset) for dataset in found.values()))
    print(f"an epoch of {len(some)} recordings in batches of {BATCH}, one process:")
    for name, seconds in zip(found, times, strict=True):
        print(f"  {name}: {len(some) / seconds:,.0f} recordings a second")
    print("  on disk: " + ", ".join(f"{size:.1f} MB" for _, size in sorted(sizes.items())))


def waiting(preset: str, epochs: int) -> None:
    """Train by a preset and tell the share of time in which training waited for batches."""
    with tempfile.TemporaryDirectory() as folder:
        config = apply(Config(), presets.read(preset))
        config = apply(config, {"training": {"epochs": epochs, "figures": False}})
        summary = train(config, Path(folder) / "run", display=Display(on=False))
    print(f"training by preset {preset}: {summary['data_wait_share']:.1%} of the time waited for batches")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="nmnist", choices=("nmnist", "event-digits"))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    keep_memory()
    some = data.load(args.data, cache=False).train
    binning(some, args.rounds)
    batches(some, args.rounds)
    for preset in {"nmnist": ("nmnist-mlp", "nmnist-cnn"), "event-digits": ("event-digits",)}[args.data]:
        waiting(preset, args.epochs)


if __name__ == "__main__":
    main()
