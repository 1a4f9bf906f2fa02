"""Pictures of recordings: what is where, and no more memory than was promised."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lfp_snn.data import make_events
from lfp_snn.data.events import MAX_TIME
from lfp_snn.data.recordings import Recording
from lfp_snn.errors import ConfigError
from lfp_snn.look.pictures import LARGEST, LARGEST_FRAME, frames, surface, whole


def test_whole() -> None:
    events = make_events([0, 0, 3, 3, 3], [0, 0, 1, 1, 1], range(5), True)
    picture = whole(Recording(events, (4, 2, 2), ""))
    np.testing.assert_allclose(picture, [[2, 0, 0, 0], [0, 0, 0, 2.95]])


def test_hot_pixels_do_not_darken_the_rest() -> None:
    x = np.concatenate([np.arange(99), np.full(1000, 99)])
    picture = whole(Recording(make_events(x, 0, 0, True), (100, 2, 2), ""))
    assert picture.max() == 1


def test_channels_over_time() -> None:
    events = make_events([0, 1, 1, 2], 0, [100, 100, 131, 163], True)
    picture = whole(Recording(events, (3, 1, 1), ""))
    assert picture.shape == (3, 64)
    assert np.argwhere(picture).tolist() == [[0, 0], [1, 0], [1, 31], [2, 63]]


def test_frames() -> None:
    events = make_events([0, 1, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1], [50, 51, 52, 53, 60, 69], [1, 0, 0, 1, 1, 0])
    first, second, third, fourth = frames(Recording(events, (3, 2, 2), ""), 4)
    assert [(f.start_us, f.on, f.off) for f in (first, second, third, fourth)] == [
        (0, 2, 2), (5, 0, 0), (10, 1, 0), (15, 0, 1),
    ]  # fmt: skip
    assert first.picture.tolist() == [[1, -1, 0], [0, 0, 0]]
    assert third.picture.tolist() == [[0, 0, 0], [0, 0, 1]]
    assert fourth.picture.tolist() == [[0, 0, 0], [0, 0, -1]]
    single = frames(Recording(events, (3, 2, 1), ""), 1)
    assert [(f.on, f.off, f.picture[0].tolist()) for f in single] == [(6, 0, [1, 1, 0])]


def test_frames_of_channels_stay() -> None:
    events = make_events([0, 2, 2, 1], 0, [0, 1, 5, 9], True)
    first, second = (frame.picture for frame in frames(Recording(events, (3, 1, 1), ""), 2))
    assert first.tolist() == [[1, 0], [0, 0], [1, 0]]
    assert second.tolist() == [[1, 0], [0, 1], [1, 1]]


def test_time_surfaces_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    events = make_events(rng.integers(0, 5, 40), rng.integers(0, 4, 40), np.sort(rng.integers(0, 100, 40)), 1)
    events["p"] = rng.random(40) < 0.5
    recording = Recording(events, (5, 4, 2), "")

    def want(at: int) -> np.ndarray:
        picture = np.zeros((4, 5))
        for x, y, t, p in events[events["t"] <= at]:
            picture[y, x] = (1 if p else -1) * np.exp((t - at) / 30)
        return picture

    end = int(events["t"][-1])
    np.testing.assert_allclose(surface(recording, 30), want(end), atol=1e-6)
    shown = list(frames(recording, 3, 30))
    stops = [int(events["t"][0]) + (k + 1) * (end + 1 - int(events["t"][0])) // 3 for k in range(3)]
    for frame, stop in zip(shown, stops, strict=True):
        before = want(stop - 1) * np.exp(-1 / 30)  # an event at the last moment of a frame has faded by one microsecond
        np.testing.assert_allclose(frame.picture, before, atol=1e-6)
    assert [frame.on for frame in shown] == [frame.on for frame in frames(recording, 3)]


@pytest.mark.parametrize("size", [(2**15, 2**15, 2), (2**15, 2, 2)])
def test_time_surfaces_of_huge_sensors_are_small(size: tuple[int, int, int]) -> None:
    far = make_events([0, size[0] - 1], [0, size[1] - 1], [0, MAX_TIME], True)
    picture = surface(Recording(far, size, ""), 1e-3)
    assert max(picture.shape) <= LARGEST
    assert (picture.max(), picture.min(), np.count_nonzero(picture)) == (1, 0, 1)


def test_what_has_no_time_surface() -> None:
    flat = Recording(make_events([0, 1], 0, [0, 1], True), (9, 1, 1), "")
    with pytest.raises(ConfigError, match="a time surface needs a sensor of rows and columns, not 9 channels"):
        surface(flat, 10)
    for tau_us in (0, -1, float("nan")):
        with pytest.raises(ConfigError, match="time constant of a time surface must be positive"):
            surface(Recording(flat.events, (9, 2, 1), ""), tau_us)


def test_every_event_is_in_one_frame() -> None:
    rng = np.random.default_rng(0)
    recording = Recording(make_events(1, 1, np.sort(rng.integers(0, 1000, 300)), rng.random(300) < 0.5), (3, 2, 2), "")
    for n in (1, 7, 300, 5000):
        made = list(frames(recording, n))
        assert len(made) == min(n, int(recording.events["t"][-1] - recording.events["t"][0]) + 1)
        assert sum(f.on + f.off for f in made) == 300
    assert list(frames(Recording(recording.events[:0], (3, 2, 2), ""), 5)) == []
    with pytest.raises(ConfigError, match="number of frames"):
        frames(recording, 0)


@pytest.mark.parametrize("size", [(2**15, 2**15, 2), (2**15, 2, 2), (2**15, 1, 1)])
def test_huge_sensors_and_times(size: tuple[int, int, int]) -> None:
    far = make_events([0, size[0] - 1], [0, size[1] - 1], [-MAX_TIME, MAX_TIME], True)
    recording = Recording(far, size, "")
    tracemalloc.start()
    try:
        picture = whole(recording)
        shapes = [f.picture.shape for f in frames(recording, 3)] if size[1] > 1 else [picture.shape]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert picture.sum() == 2
    assert max(picture.shape) <= LARGEST
    assert size[1] == 1 or max(max(s) for s in shapes) <= LARGEST_FRAME
    assert peak < 200e6
