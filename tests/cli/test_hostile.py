"""Files that are broken, or made to harm: one line that says what is wrong, no traceback, little memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from lfp_snn.cli import main
from lfp_snn.data import EVENT_DTYPE, make_events
from lfp_snn.data.recordings import Recording, write_recording

KINDS = (".aedat4", ".es", ".raw", ".dat", ".bin", ".h5", ".npz", ".npy")
SIZED = ["--sensor", "32", "24"]
Out = pytest.CaptureFixture[str]


def good(kind: str, folder: Path) -> bytes:
    """Return a file of 300 events."""
    rng = np.random.default_rng(0)
    path = folder / f"good{kind}"
    t = np.sort(rng.integers(0, 9000, 300))
    if kind == ".bin":
        rows = [(x, 3, int(time) >> 16, int(time) >> 8 & 255, int(time) & 255) for x, time in enumerate(t[:30])]
        return b"".join(map(bytes, rows))
    if kind == ".h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("spikes/times", (1,), h5py.vlen_dtype(np.float32))[0] = t / 1e6
            file.create_dataset("spikes/units", (1,), h5py.vlen_dtype(np.uint16))[0] = rng.integers(0, 700, 300)
            file.create_dataset("labels", data=np.zeros(1, np.uint16))
    else:
        events = make_events(rng.integers(0, 32, 300), rng.integers(0, 24, 300), t, rng.random(300) < 0.5)
        write_recording(path, Recording(events, (32, 24, 2), ""))
    return path.read_bytes()


def far(kind: str, folder: Path) -> bytes:
    """Return a file whose times do not fit, or b"" where the format has no such times."""
    raw = np.zeros(2, [("x", "i2"), ("y", "i2"), ("t", "u8"), ("p", "?")])
    raw["t"] = 2**63 + 5
    out = io.BytesIO()
    if kind == ".npy":
        np.save(out, raw)
    elif kind == ".npz":
        np.savez(out, events=raw, sensor_size=np.array([32, 24, 2]))
    elif kind == ".h5":
        return _far_spikes(folder / "far.h5")
    return out.getvalue()


def _far_spikes(path: Path) -> bytes:
    with h5py.File(path, "w") as file:
        file.create_dataset("spikes/times", (1,), h5py.vlen_dtype(np.float64))[0] = np.array([0.0, 1e306])
        file.create_dataset("spikes/units", (1,), h5py.vlen_dtype(np.uint16))[0] = np.array([1, 2])
        file.create_dataset("labels", data=np.zeros(1, np.uint16))
    return path.read_bytes()


def bomb() -> bytes:
    """Return a small archive of 60 million events: 800 MB of zeros."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": np.lib.format.dtype_to_descr(EVENT_DTYPE), "fortran_order": False, "shape": (60_000_000,)}
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("events.npy", "w") as member:
        member.write(head.getvalue())
        for _ in range(60):
            member.write(bytes(13_000_000))
    return out.getvalue()


def random_bytes(seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(4096)


def broken(kind: str, folder: Path) -> dict[str, bytes]:
    whole = good(kind, folder)
    other = good(".es" if kind != ".es" else ".dat", folder)
    files = {
        "empty": b"",
        # Behind the events AEDAT 4 has an index, which may be missing.
        "cut": whole[: len(whole) // 2] if kind == ".aedat4" else whole[:-11],
        "a few bytes": whole[:7],
        "another format": other[: len(other) // 5 * 5 + 1],
        "random": random_bytes(1),
        "random, again": random_bytes(2),
        "far": far(kind, folder),
    }
    return {name: data for name, data in files.items() if data or name == "empty"}


@pytest.mark.parametrize("kind", KINDS)
def test_broken_files(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.chdir(tmp_path)
    for name, data in broken(kind, tmp_path).items():
        path = Path(f"bad{kind}")
        path.write_bytes(data)
        sized = SIZED if kind in (".raw", ".dat", ".npy") else []
        for command in (
            ["show", str(path), "--out", "a.png"],
            ["convert", str(path), "a.npz"],
            ["data", "show", str(path)],
        ):
            assert main([*command, *(sized if command[0] != "data" else [])]) == 2, name
            printed = capsys.readouterr()
            assert printed.out == "", name
            assert printed.err.startswith(f"error: bad{kind}"), (name, printed.err)
            assert printed.err.count("\n") == 1, (name, printed.err)
    assert not Path("a.png").exists()
    assert not Path("a.npz").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_files_whole(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    """What the broken ones were made of is read."""
    monkeypatch.chdir(tmp_path)
    Path(f"bad{kind}").write_bytes(good(kind, tmp_path))
    sized = SIZED if kind in (".raw", ".dat", ".npy") else []
    assert main(["show", f"bad{kind}", *sized]) == 0
    assert "events" in capsys.readouterr().out
    assert main(["convert", f"bad{kind}", "a.npz", *sized]) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    """A few wrong bytes are found, or make another recording that is shown like any."""
    monkeypatch.chdir(tmp_path)
    whole = np.frombuffer(good(kind, tmp_path), np.uint8)
    sized = SIZED if kind == ".npy" else []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        damaged = whole.copy()
        at = rng.integers(0, min(len(whole), 400 if seed % 2 else len(whole)), 4)
        damaged[at] = rng.choice([0, 1, 127, 128, 255], 4)
        Path(f"bad{kind}").write_bytes(damaged.tobytes())
        code = main(["show", f"bad{kind}", *sized])
        printed = capsys.readouterr()
        assert (code, printed.err[:9], printed.err.count("\n")) in [(0, "", 0), (2, "error: ba", 1)], (
            seed,
            printed.err,
        )


_RUN = """
import json, resource, sys
from lfp_snn.cli import main
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (600 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print("\\n" + json.dumps([main(arguments) for arguments in json.loads(sys.argv[1])]))
"""


def test_little_memory(tmp_path: Path) -> None:
    """With 600 MB of address space more than the program itself takes, nothing runs out of memory."""
    (tmp_path / "bomb.npz").write_bytes(bomb())
    far_apart = make_events([0, 2**15 - 1], [0, 2**15 - 1], [0, 2**62 - 1], [True, False])
    write_recording(tmp_path / "huge.npz", Recording(far_apart, (2**15, 2**15, 2), ""))
    write_recording(tmp_path / "line.npz", Recording(far_apart[:1], (2**15, 2**15, 2), ""))
    runs = {
        ("show", "bomb.npz"): 2,
        ("convert", "bomb.npz", "a.npz"): 2,
        ("show", "huge.npz", "--out", "a.png"): 0,
        ("show", "huge.npz", "--out", "a.gif"): 0,
        ("show", "huge.npz", "--denoise", "1"): 2,
        ("convert", "huge.npz", "a.es"): 2,
        ("convert", "huge.npz", "a.raw"): 2,
        ("convert", "huge.npz", "b.npz"): 0,
        ("show", "line.npz", "--out", "b.gif"): 0,
    }
    done = subprocess.run(
        [sys.executable, "-c", _RUN, json.dumps(list(runs))], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert dict(zip(runs, json.loads(done.stdout.splitlines()[-1]), strict=True)) == runs
    assert "bomb.npz, events: unpacks to more than 256 times" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 5
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.gif",
        "a.png",
        "b.gif",
        "b.npz",
        "bomb.npz",
        "huge.npz",
        "line.npz",
    ]
