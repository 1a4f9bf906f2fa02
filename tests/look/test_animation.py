"""Films: their frames, their size, and what cannot be made into one."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from matplotlib.animation import FFMpegWriter
from PIL import Image

from lfp_snn.data import make_events
from lfp_snn.data.events import MAX_TIME
from lfp_snn.data.recordings import Recording
from lfp_snn.errors import ConfigError, DataError
from lfp_snn.look import animate

FOUR = Recording(make_events([0, 1, 2, 3], [0, 1, 2, 0], [0, 10, 20, 29], [1, 0, 1, 0]), (4, 3, 2), "npz")


def grey(path: Path) -> list[np.ndarray]:
    """Return the frames of a film without their titles."""
    with Image.open(path) as film:
        pictures = []
        for k in range(film.n_frames):  # type: ignore[attr-defined]
            film.seek(k)
            pictures.append(np.asarray(film.convert("L"))[32:])
        return pictures


def test_on_is_white_and_off_is_black(tmp_path: Path) -> None:
    animate(tmp_path / "four.gif", FOUR, n_frames=3)
    pictures = grey(tmp_path / "four.gif")
    assert [p.shape for p in pictures] == [(480, 640)] * 3
    # The middle of each pixel, 160 dots apart.
    middles = [p[80::160, 80::160].astype(int) for p in pictures]
    expected = np.zeros((3, 3, 4))
    expected[0, 0, 0], expected[1, 1, 1], expected[2, 2, 2], expected[2, 0, 3] = 1, -1, 1, -1
    np.testing.assert_allclose(np.stack(middles), 127.5 * (1 + expected), atol=4)


def test_channels_are_uncovered(tmp_path: Path) -> None:
    animate(tmp_path / "sound.gif", Recording(make_events([0, 1, 0], 0, [0, 5, 9], True), (2, 1, 1), ""), n_frames=2)
    first, second = grey(tmp_path / "sound.gif")
    assert first.shape == second.shape == (640, 640)
    assert [p[160, 160] > 250 for p in (first, second)] == [True, True]
    assert [p[160, 480] > 250 for p in (first, second)] == [False, True]
    assert [p[480, 480] > 250 for p in (first, second)] == [False, True]


def test_a_film_of_time_surfaces(tmp_path: Path) -> None:
    animate(tmp_path / "four.gif", FOUR, n_frames=3, tau_us=20)
    middles = np.stack([p[80::160, 80::160] for p in grey(tmp_path / "four.gif")]) / 127.5 - 1
    expected = np.zeros((3, 3, 4))
    for k, stop in enumerate((10, 20, 30)):
        for x, y, t, p in FOUR.events[FOUR.events["t"] < stop]:
            expected[k, y, x] = (1 if p else -1) * np.exp((t - stop) / 20)
    np.testing.assert_allclose(middles, expected, atol=0.03)


@pytest.mark.parametrize("size", [(2**15, 2**15, 2), (2**15, 2, 2), (2, 2**15, 1)])
def test_huge_sensors_and_times_make_small_films(tmp_path: Path, size: tuple[int, int, int]) -> None:
    far = make_events([0, size[0] - 1], [0, size[1] - 1], [-MAX_TIME, MAX_TIME], True)
    animate(tmp_path / "far.gif", Recording(far, size, ""), n_frames=4)
    pictures = grey(tmp_path / "far.gif")
    assert len(pictures) in (2, 3, 4)  # those that are the same may be one
    assert max(pictures[0].shape) <= 640
    assert (tmp_path / "far.gif").stat().st_size < 200_000


@pytest.mark.skipif(not FFMpegWriter.isAvailable(), reason="needs ffmpeg")
@pytest.mark.parametrize("size", [(4, 3, 2), (17, 13, 2), (9, 1, 1)])
def test_mp4(tmp_path: Path, size: tuple[int, int, int]) -> None:
    events = make_events([0, 1, 2, 3], 0, [0, 10, 20, 29], [1, 0, 1, 0])
    animate(tmp_path / "four.mp4", Recording(events, size, ""), n_frames=3)
    assert (tmp_path / "four.mp4").read_bytes()[4:8] == b"ftyp"


def test_what_makes_no_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = tmp_path / "a.gif"
    for options in ({"n_frames": 0}, {"n_frames": 301}, {"fps": 0}, {"fps": 101}, {"n_frames": 2.5}):
        with pytest.raises(ConfigError, match=r"must be a whole number|a film has at most 300 frames"):
            animate(film, FOUR, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"a film ends in .gif or .mp4"):
        animate(tmp_path / "a.avi", FOUR)
    with pytest.raises(ConfigError, match="a time surface needs a sensor of rows and columns, not 9 channels"):
        animate(film, Recording(make_events([1, 2], 0, [1, 2], True), (9, 1, 1), ""), tau_us=10)
    with pytest.raises(DataError, match="at least one event"):
        animate(film, Recording(FOUR.events[:0], (4, 3, 2), ""))
    with pytest.raises(DataError, match=r"none/a.gif cannot be written: No such file"):
        animate(tmp_path / "none" / "a.gif", FOUR, n_frames=1)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="needs the program ffmpeg, which is not there"):
        animate(tmp_path / "a.mp4", FOUR)
    assert list(tmp_path.iterdir()) == []


def fake_ffmpeg(folder: Path, then: str) -> None:
    """Stand in for ffmpeg: count the bytes of the frames into the last argument, the film."""
    program = folder / "ffmpeg"
    program.write_text(f'#!/bin/sh\nfor last; do :; done\n/usr/bin/wc -c > "$last"\n{then}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_mp4_by_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    fake_ffmpeg(tmp_path, "exit 0")
    animate(tmp_path / "four.mp4", FOUR, n_frames=3)
    assert int((tmp_path / "four.mp4").read_text()) == 3 * 640 * 512 * 4
    fake_ffmpeg(tmp_path, "exit 3")
    with pytest.raises(DataError, match=r"cannot be written: .*exit status 3"):
        animate(tmp_path / "other.mp4", FOUR, n_frames=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ffmpeg", "four.mp4"]
