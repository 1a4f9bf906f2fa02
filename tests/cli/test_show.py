from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lfp_snn.cli.app import main
from lfp_snn.data import Recording, data_root, make_events, write_recording

RECORDINGS = ("dvs.es", "evt2.raw", "evt3_sample.raw", "sample.aedat4")


def recorded(tmp_path: Path, size: tuple[int, int, int] = (20, 10, 2)) -> Path:
    """Write a recording of one ON and then one OFF event in each of ten pixels."""
    k = np.arange(10)
    events = make_events(
        np.tile(k, 2), 0 if size[1] == 1 else np.tile(k, 2) % size[1], np.arange(20) * 100, np.arange(20) < 10
    )
    write_recording(tmp_path / "small.npz", Recording(events, size, ""))
    return tmp_path / "small.npz"


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings_of_cameras(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(data_root(None) / "recordings" / name)]) == 0
    said = capsys.readouterr().out
    for part in ("format", "sensor", "events", "duration", "rate", "polarity", "active"):
        assert f"\n{part} " in f"\n{said}"


def test_a_recording_in_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(recorded(tmp_path))]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "sensor 20 x 10, 2 polarities events 20 duration 0.0019 s rate 10,526 events/s" in said
    assert "polarity 50.0 % ON, 50.0 % OFF active 10 of 200 pixels" in said


def test_data_show_shows_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(recorded(tmp_path))
    assert main(["show", file]) == 0
    first = capsys.readouterr().out
    assert main(["data", "show", file]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("size", [(20, 10, 2), (20, 1, 1), (1280, 720, 2)])
def test_an_animation(tmp_path: Path, size: tuple[int, int, int]) -> None:
    assert main(["show", str(recorded(tmp_path, size)), "--out", str(tmp_path / "a.gif")]) == 0
    with Image.open(tmp_path / "a.gif") as movie:
        assert 40 <= movie.n_frames <= 60  # pictures that do not change are one
        frames = []
        for k in (0, movie.n_frames - 1):
            movie.seek(k)
            frames.append(np.asarray(movie.convert("L"), float))
    assert (frames[0] != frames[1]).any()


def test_a_picture(tmp_path: Path) -> None:
    assert main(["show", str(recorded(tmp_path)), "--out", str(tmp_path / "a.png")]) == 0
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] > 300


@pytest.mark.parametrize("suffix", [".aedat4", ".es", ".raw", ".dat", ".bin", ".h5", ".npy", ".npz", ".txt"])
@pytest.mark.parametrize("content", ["empty", "random", "cut"])
def test_hostile_files(tmp_path: Path, suffix: str, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A clear error in a line, not a traceback, whatever a file holds."""
    bad = tmp_path / f"bad{suffix}"
    if content == "cut":
        source = {".es": "dvs.es", ".raw": "evt2.raw", ".aedat4": "sample.aedat4"}.get(suffix)
        whole = (recorded(tmp_path) if source is None else data_root(None) / "recordings" / source).read_bytes()
        bad.write_bytes(whole[: 18 if source is not None else len(whole) // 2])  # in the header
    else:
        bad.write_bytes(b"" if content == "empty" else np.random.default_rng(1).bytes(777))
    assert main(["show", str(bad)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1


def test_a_wrong_time_stamp_does_not_fill_the_memory(tmp_path: Path) -> None:
    """An hour of nothing, then an event: as many frames as ever."""
    events = make_events([1, 2], 0, [0, 2**60], True)
    write_recording(tmp_path / "late.npz", Recording(events, (2**15, 2**15, 2), ""))
    assert main(["show", str(tmp_path / "late.npz"), "--out", str(tmp_path / "a.gif")]) == 0
    with Image.open(tmp_path / "a.gif") as movie:
        assert movie.n_frames <= 60
