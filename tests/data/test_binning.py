"""Binning: equal to tonic's, nothing lost, nothing invented."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lfp_snn.data import EVENT_DTYPE, ByCount, ByEvents, ByWindow, Recordings, bin_events, make_events
from lfp_snn.data.augment import Augment, draw
from lfp_snn.data.binning import Binning, bin_recordings, event_shape
from lfp_snn.errors import ConfigError, DataError

W, H = 9, 7


@st.composite
def recordings(draw_: st.DrawFn, least: int = 1) -> np.ndarray:
    """Draw a recording on a sensor of W x H, with ties in time and long pauses."""
    n = draw_(st.integers(least, 60))
    gaps = draw_(hnp.arrays(np.int64, n, elements=st.one_of(st.integers(0, 3), st.integers(0, 5000))))
    events = np.zeros(n, EVENT_DTYPE)
    events["t"] = np.cumsum(gaps) + draw_(st.integers(-1000, 1000))
    events["x"] = draw_(hnp.arrays(np.int16, n, elements=st.integers(0, W - 1)))
    events["y"] = draw_(hnp.arrays(np.int16, n, elements=st.integers(0, H - 1)))
    events["p"] = draw_(hnp.arrays(np.bool_, n))
    return events


def tonic_frames(events: np.ndarray, **how: object) -> torch.Tensor:
    to_frame = pytest.importorskip("tonic.transforms").ToFrame
    return torch.from_numpy(to_frame(sensor_size=(W, H, 2), **how)(events.copy())).float()


@given(recordings(), st.integers(1, 12))
def test_by_count_is_tonics(events: np.ndarray, n: int) -> None:
    ours = bin_events(events, (W, H, 2), ByCount(n))
    assert ours.shape == (n, 2, H, W)
    if events["t"][-1] - events["t"][0] >= n:  # below, tonic's windows are empty
        assert torch.equal(ours, tonic_frames(events, n_time_bins=n))


@given(recordings(), st.integers(1, 4000))
def test_by_window_is_tonics_without_the_last_window(events: np.ndarray, window: int) -> None:
    if (events["t"][-1] - events["t"][0]) // window > 2000:
        window = 1000
    ours = bin_events(events, (W, H, 2), ByWindow(window, incomplete=False))
    assert torch.equal(ours, tonic_frames(events, time_window=window))


@given(recordings(), st.integers(1, 4000))
def test_by_window_is_tonics_with_the_last_window(events: np.ndarray, window: int) -> None:
    duration = int(events["t"][-1] - events["t"][0])
    if duration // window > 2000:
        window = 1000
    ours = bin_events(events, (W, H, 2), ByWindow(window))
    theirs = tonic_frames(events, time_window=window, include_incomplete=True)
    if duration and duration % window == 0:  # tonic ends before the last event; ours has a window for it
        assert len(ours) == len(theirs) + 1
        ours = ours[:-1]
    assert torch.equal(ours, theirs)


@given(recordings(), st.integers(1, 70))
def test_by_events_is_tonics(events: np.ndarray, n: int) -> None:
    ours = bin_events(events, (W, H, 2), ByEvents(n))
    theirs = tonic_frames(events, event_count=n, include_incomplete=True)
    assert torch.equal(ours, theirs)


@given(recordings(least=0), st.integers(1, 4000), st.integers(1, 4))
def test_by_window_loses_nothing(events: np.ndarray, window: int, group: int) -> None:
    if len(events) and (events["t"][-1] - events["t"][0]) // window > 2000:
        window = 1000
    assert bin_events(events, (W, H, 2), ByWindow(window), group=group).sum() == len(events)
    assert bin_events(events, (W, H, 2), ByEvents(window), group=group).sum() == len(events)


@given(recordings(), st.integers(1, 12))
def test_by_count_loses_only_what_comes_after_its_range(events: np.ndarray, n: int) -> None:
    t = events["t"]
    width = max(int(t[-1] - t[0]) // n, 1)
    assert bin_events(events, (W, H, 2), ByCount(n)).sum() == (t < t[0] + n * width).sum()


@given(recordings(), st.sampled_from([ByCount(5), ByWindow(700), ByEvents(4)]))
def test_binary_is_the_clipped_count(events: np.ndarray, binning: Binning) -> None:
    binary = type(binning)(**{**vars(binning), "binary": True})
    counts = bin_events(events, (W, H, 2), binning)
    assert torch.equal(bin_events(events, (W, H, 2), binary), counts.clamp(max=1))


@given(recordings(), st.integers(1, 5), st.integers(-2000, 4000))
def test_steps_are_cut_and_start_moved(events: np.ndarray, steps: int, start: int) -> None:
    x = bin_events(events, (W, H, 2), ByWindow(100, max_steps=steps, start_us=start))
    assert len(x) <= steps
    t = events["t"]
    assert x.sum() == ((t >= start) & (t < start + 100 * len(x))).sum()


@given(st.lists(recordings(least=0), min_size=1, max_size=4), st.sampled_from([ByCount(3), ByWindow(900), ByEvents(7)]))
def test_a_batch_is_its_recordings_padded(many: list[np.ndarray], binning: Binning) -> None:
    joined = Recordings.join(many)
    x, steps = bin_recordings(joined.events, joined.offsets[:-1], joined.offsets[1:], (W, H, 2), binning)
    assert x.shape == (steps.max(), len(many), 2, H, W)
    for b, events in enumerate(many):
        alone = bin_events(events, (W, H, 2), binning)
        assert len(alone) == steps[b]
        assert torch.equal(x[: steps[b], b], alone)
        assert not x[steps[b] :, b].any()


def test_polarity_row_and_column_are_where_they_belong() -> None:
    x = bin_events(make_events([3, 8], [2, 6], [0, 10], [True, False]), (W, H, 2), ByWindow(5))
    assert x.nonzero().tolist() == [[0, 1, 2, 3], [2, 0, 6, 8]]


def test_channels_are_one_axis_and_can_be_grouped() -> None:
    events = make_events([0, 4, 5, 699], 0, [0, 1, 2, 3], True)
    assert bin_events(events, (700, 1, 1), ByWindow(10)).shape == (1, 700)
    grouped = bin_events(events, (700, 1, 1), ByWindow(10), group=5)
    assert grouped.shape == (1, 140)
    assert grouped[0, [0, 1, 139]].tolist() == [2, 1, 1]


def test_groups_of_pixels_at_the_edge_may_be_smaller() -> None:
    assert event_shape((9, 7, 2), 4) == (2, 2, 3)
    x = bin_events(make_events([8, 3], [6, 3], [0, 1], True), (9, 7, 2), ByWindow(10), group=4)
    assert x.nonzero().tolist() == [[0, 1, 0, 0], [0, 1, 1, 2]]


def test_a_sensor_of_one_polarity_adds_both() -> None:
    events = make_events([1, 1], [2, 2], [0, 1], [True, False])
    assert bin_events(events, (W, H, 1), ByWindow(10))[0, 0, 2, 1] == 2


def test_bytes_stop_at_255() -> None:
    events = make_events(np.zeros(300, int), 0, np.arange(300), True)
    x, _ = bin_recordings(events, np.array([0]), np.array([300]), (1, 1, 1), ByWindow(1000), dtype=torch.uint8)
    assert x.tolist() == [[[255]]]


def test_an_empty_recording_gives_empty_steps() -> None:
    empty = np.empty(0, EVENT_DTYPE)
    assert bin_events(empty, (W, H, 2), ByCount(4)).shape == (4, 2, H, W)
    for binning in (ByWindow(10), ByEvents(10)):
        assert bin_events(empty, (W, H, 2), binning).shape == (1, 2, H, W)
    assert not bin_events(empty, (W, H, 2), ByCount(4)).any()


def test_a_single_event_is_counted() -> None:
    assert bin_events(make_events(1, 1, 5, True), (W, H, 2), ByCount(4)).sum() == 1


def test_a_wrong_time_stamp_does_not_fill_the_memory() -> None:
    with pytest.raises(DataError, match="set max_steps"):
        bin_events(make_events([0, 1], 0, [0, 10**15], True), (W, H, 2), ByWindow(1))


def test_events_outside_the_sensor_are_an_error() -> None:
    with pytest.raises(DataError, match="outside the sensor"):
        bin_events(make_events(W, 0, 0, True), (W, H, 2), ByCount(1))


@pytest.mark.parametrize("bad", [0, -1, 1.5, "3", True])
@pytest.mark.parametrize("kind", [ByCount, ByWindow, ByEvents])
def test_bad_numbers(kind: type, bad: object) -> None:
    with pytest.raises(ConfigError, match="must be a whole number of at least 1"):
        kind(bad)


@pytest.mark.parametrize("kind", [ByCount, ByWindow, ByEvents])
def test_bad_flag(kind: type) -> None:
    with pytest.raises(ConfigError, match="binary must be true or false"):
        kind(5, binary="yes")


def test_augmenting_by_nothing_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    events = np.zeros(500, EVENT_DTYPE)
    events["x"], events["y"] = rng.integers(0, W, 500), rng.integers(0, H, 500)
    events["t"], events["p"] = np.sort(rng.integers(0, 10_000, 500)), rng.integers(0, 2, 500)
    drawn = draw(Augment(), (W, H, 2), 0, 0, [0])
    for binning in (ByCount(7), ByWindow(333), ByEvents(33)):
        plain, _ = bin_recordings(events, np.array([0]), np.array([500]), (W, H, 2), binning)
        same, _ = bin_recordings(events, np.array([0]), np.array([500]), (W, H, 2), binning, drawn=drawn)
        if isinstance(binning, ByCount):
            assert plain.sum() < 500  # the last event is beyond the last step in both
        assert torch.equal(plain, same)
