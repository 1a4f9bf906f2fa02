"""Filters for noise: against plain Python, against tonic, and on recordings whose noise is known."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lfp_snn.data import EVENT_DTYPE, make_events, read_recording
from lfp_snn.data.events import MAX_TIME
from lfp_snn.data.noise import activity, denoise, drop_pixels, hot_pixels, refractory
from lfp_snn.data.recordings import Recording
from lfp_snn.errors import ConfigError, DataError, ShapeError

EMPTY = Recording(np.empty(0, EVENT_DTYPE), (8, 6, 2), "npz")


def random_recording(n: int = 400, rows: int = 6, seed: int = 0, start: int = 5000) -> Recording:
    rng = np.random.default_rng(seed)
    t = start + np.sort(rng.integers(0, 5000, n))
    events = make_events(rng.integers(0, 8, n), rng.integers(0, rows, n), t, rng.random(n) < 0.3)
    return Recording(events, (8, rows, 2), "npz")


def plain_denoise(recording: Recording, window: int) -> list[bool]:
    last: dict[tuple[int, int], int] = {}
    kept = []
    for x, y, t, _ in recording.events.tolist():
        around = [(x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
        kept.append(any(t - last[n] < window for n in around if n in last))
        last[x, y] = t
    return kept


@pytest.mark.parametrize("rows", [1, 6])
@pytest.mark.parametrize("window", [1, 30, 200, 10_000])
def test_denoise(rows: int, window: int) -> None:
    recording = random_recording(rows=rows)
    kept = plain_denoise(recording, window)
    np.testing.assert_array_equal(denoise(recording, window).events, recording.events[kept])
    assert not kept[0]


def test_denoise_and_tonic() -> None:
    """On one row the 4 and the 8 neighbours are the same; else ours keeps all that tonic's does, and more."""
    tonic = importlib.import_module("tonic.transforms").Denoise(filter_time=100)
    row = random_recording(rows=1)
    np.testing.assert_array_equal(denoise(row, 100).events, tonic(row.events))
    plane = random_recording()
    ours, theirs = set(denoise(plane, 100).events.tolist()), set(tonic(plane.events).tolist())
    assert theirs < ours
    # Before filter_time tonic keeps what nothing supports, if there are pixels next to it at all.
    early = Recording(make_events([0, 4], 0, [10, 20], True), (8, 1, 2), "npz")
    assert len(tonic(early.events)) == 2
    assert len(denoise(early, 100).events) == 0


def test_refractory() -> None:
    recording = random_recording()
    last: dict[tuple[int, int], int] = {}
    kept = []
    for x, y, t, _ in recording.events.tolist():
        kept.append((x, y) not in last or t - last[x, y] > 300)
        if kept[-1]:
            last[x, y] = t
    assert 0.1 < np.mean(kept) < 0.9
    np.testing.assert_array_equal(refractory(recording, 300).events, recording.events[kept])


def test_refractory_and_tonic() -> None:
    tonic = importlib.import_module("tonic.transforms").RefractoryPeriod(delta=300)
    # Pixels with two events at most: there, counting from the last kept event and from the last one is the same.
    recording = random_recording(40)
    seen: dict[tuple[int, int], int] = {}
    twice = []
    for x, y, _, _ in recording.events.tolist():
        seen[x, y] = seen.get((x, y), 0) + 1
        twice.append(seen[x, y] <= 2)
    pairs = Recording(recording.events[twice], recording.sensor_size, "npz")
    ours = refractory(pairs, 300).events
    assert len(ours) < len(pairs.events)
    np.testing.assert_array_equal(ours, tonic(pairs.events))


def noisy_plane(rate: float, hot: list[tuple[int, int]]) -> Recording:
    """Random counts at every pixel, and 40 times as many at some."""
    rng = np.random.default_rng(1)
    counts = rng.poisson(rate, (24, 32))
    for x, y in hot:
        counts[y, x] = 40 * max(rate, 1)
    y, x = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    order = rng.permutation(len(x))
    return Recording(make_events(x[order], y[order], np.arange(len(x)), True), (32, 24, 2), "npz")


@pytest.mark.parametrize("rate", [0.05, 1.0, 5.0, 200.0])
@pytest.mark.parametrize("hot", [[], [(0, 0)], [(31, 23), (5, 6), (6, 6)]])
def test_hot_pixels(rate: float, hot: list[tuple[int, int]]) -> None:
    recording = noisy_plane(rate, hot)
    mask = hot_pixels(recording)
    assert mask.shape == (24, 32)
    assert {(int(x), int(y)) for y, x in np.argwhere(mask)} == set(hot)
    left = drop_pixels(recording, mask)
    assert len(left.events) == len(recording.events) - len(hot) * int(40 * max(rate, 1))
    assert not mask[left.events["y"], left.events["x"]].any()
    assert left.sensor_size == (32, 24, 2)


def test_activity() -> None:
    recording = noisy_plane(0.5, [(3, 4)])
    counts = np.zeros((24, 32), int)
    np.add.at(counts, (recording.events["y"], recording.events["x"]), 1)
    found = activity(recording)
    assert len(found.x) == (counts > 0).sum()
    np.testing.assert_array_equal(counts[found.y, found.x], found.events)
    assert [(int(x), int(y)) for x, y in zip(found.x[found.hot], found.y[found.hot], strict=True)] == [(3, 4)]


@pytest.mark.parametrize(
    ("name", "most"), [("evt2.raw", 0.001), ("evt3_sample.raw", 0.001), ("sample.aedat4", 0.003), ("dvs.es", 0)]
)
def test_hot_pixels_of_cameras_stand_alone(data_root: Path, name: str, most: float) -> None:
    recording = read_recording(data_root / "recordings" / name)
    mask = hot_pixels(recording)
    assert mask.sum() <= most * len(activity(recording).x)
    assert mask.any() == (most > 0)
    counts = np.zeros(np.add(mask.shape, 2), int)
    np.add.at(counts, (recording.events["y"] + 1, recording.events["x"] + 1), 1)
    around = [np.roll(counts, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    ratio = counts[1:-1, 1:-1][mask] / np.maximum(np.median(around, 0)[1:-1, 1:-1][mask], 1)
    assert (ratio > 3).all()


def test_nothing_in_nothing_out() -> None:
    assert len(denoise(EMPTY, 5).events) == 0
    assert len(refractory(EMPTY, 5).events) == 0
    assert not hot_pixels(EMPTY).any()
    assert len(activity(EMPTY).x) == 0


def test_times_as_far_apart_as_they_can_be() -> None:
    far = Recording(make_events([1, 2, 2], 0, [-MAX_TIME, MAX_TIME, MAX_TIME], True), (8, 6, 2), "npz")
    assert len(denoise(far, 2 * MAX_TIME).events) == 0
    assert len(denoise(far, 2 * MAX_TIME + 1).events) == 2
    assert len(denoise(far, 2**80).events) == 2
    assert len(refractory(far, 1).events) == 2


@pytest.mark.parametrize("function", [denoise, refractory])
def test_bad_input(function: Callable[[Recording, int], Recording]) -> None:
    for window in (0, -1, 2.5, True):
        with pytest.raises(ConfigError, match="must be a whole number of at least 1"):
            function(random_recording(), window)  # type: ignore[arg-type]
    outside = Recording(make_events(9, 0, [1, 2], True), (8, 6, 2), "npz")
    with pytest.raises(DataError, match="x = 9 is outside the sensor"):
        function(outside, 5)
    huge = Recording(make_events(9, 0, [1, 2], True), (2**15, 2**15, 2), "npz")
    with pytest.raises(DataError, match="32768 x 32768 pixels does not fit into memory: crop"):
        function(huge, 5)


def test_bad_masks() -> None:
    for mask in (np.zeros((8, 6), bool), np.zeros((6, 8)), np.zeros(8, bool)):
        with pytest.raises(ShapeError, match=r"the mask must be bool \[6, 8\]"):
            drop_pixels(random_recording(), mask)
