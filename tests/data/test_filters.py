"""Parts of recordings, against the plain way of writing each."""

from __future__ import annotations

import numpy as np
import pytest

from lfp_snn.data import EVENT_DTYPE, make_events
from lfp_snn.data.events import MAX_TIME
from lfp_snn.data.filters import (
    MAX_WINDOWS,
    crop,
    rates,
    slice_count,
    slice_time,
    windows_by_count,
    windows_by_time,
)
from lfp_snn.data.recordings import Recording
from lfp_snn.errors import ConfigError, DataError

EMPTY = Recording(np.empty(0, EVENT_DTYPE), (8, 6, 2), "npz")


def random_recording(n: int = 500, start: int = 1000) -> Recording:
    rng = np.random.default_rng(0)
    t = start + np.sort(rng.integers(0, 10_000, n))
    return Recording(make_events(rng.integers(0, 8, n), rng.integers(0, 6, n), t, rng.random(n) < 0.3), (8, 6, 2), "es")


def channels() -> Recording:
    return Recording(make_events([0, 5, 6, 9], 0, [0, 10, 20, 30], True), (10, 1, 1), "hdf5")


def test_crop() -> None:
    whole = random_recording()
    before = whole.events.copy()
    part = crop(whole, 2, 1, 4, 3)
    expected = [tuple(e) for e in whole.events.tolist() if 2 <= e[0] < 6 and 1 <= e[1] < 4]
    assert [(x + 2, y + 1, t, p) for x, y, t, p in part.events.tolist()] == expected
    assert (part.sensor_size, part.format) == ((4, 3, 2), "es")
    np.testing.assert_array_equal(whole.events, before)
    np.testing.assert_array_equal(crop(whole, 0, 0, 8, 6).events, before)


def test_crop_of_channels() -> None:
    part = crop(channels(), 5, 0, 3, 1)
    assert part.events["x"].tolist() == [0, 1]
    assert part.sensor_size == (3, 1, 1)


@pytest.mark.parametrize(
    "region", [(5, 0, 4, 6), (0, 1, 8, 6), (-1, 0, 2, 2), (0, 0, 0, 2), (8, 0, 1, 1), (0, 0, 2**70, 1), (0.5, 0, 2, 2)]
)
def test_crop_outside_of_the_sensor(region: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError, match=r"do not lie inside a sensor of 8 x 6|must be a whole number"):
        crop(random_recording(), *region)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, None), (0, 5000), (2000, 2001), (9999, None), (3000, 2**80), (2**70, None)]
)
def test_slice_time(start: int, stop: int | None) -> None:
    whole = random_recording()
    since = whole.events["t"] - whole.events["t"][0]
    inside = (since >= min(start, 2**60)) & (since < min(stop or 2**60, 2**60))
    np.testing.assert_array_equal(slice_time(whole, start, stop).events, whole.events[inside])


@pytest.mark.parametrize(("start", "stop"), [(5, 5), (6, 5), (-1, 5), (0, 0), (1.0, 5)])
def test_spans_without_time(start: int, stop: int) -> None:
    with pytest.raises(ConfigError, match=r"the end must come after the start|must be a whole number"):
        slice_time(random_recording(), start, stop)


def test_slice_count() -> None:
    whole = random_recording()
    assert slice_count(whole, 3, 7).events.tolist() == whole.events.tolist()[3:7]
    assert slice_count(whole, -3).events.tolist() == whole.events.tolist()[-3:]
    assert len(slice_count(whole, 600).events) == 0


@pytest.mark.parametrize("width", [1, 7, 300, 9_998, 20_000, 2**80])
def test_windows_by_time(width: int) -> None:
    whole = random_recording()
    windows = [w.events for w in windows_by_time(whole, width)]
    number = [(int(t) - int(whole.events["t"][0])) // width for t in whole.events["t"]]
    assert len(windows) == number[-1] + 1
    assert [len(w) for w in windows] == [number.count(k) for k in range(number[-1] + 1)]
    np.testing.assert_array_equal(np.concatenate(windows), whole.events)


def test_windows_by_count() -> None:
    whole = random_recording(10)
    assert [w.events.tolist() for w in windows_by_count(whole, 4)] == [
        whole.events[a:b].tolist() for a, b in ((0, 4), (4, 8), (8, 10))
    ]


def test_rates() -> None:
    whole = random_recording()
    found = rates(whole, 1500)
    assert found.start_us.tolist() == [1500 * k for k in range(len(found.on))]
    for window, on, off in zip(windows_by_time(whole, 1500), found.on, found.off, strict=True):
        np.testing.assert_allclose(
            [on, off], np.array([window.events["p"].sum(), (~window.events["p"]).sum()]) / 1.5e-3
        )
    one = rates(Recording(make_events(0, 0, [5, 6], False), (10, 1, 1), "hdf5"), 2**80)
    assert one.start_us.tolist() == [0]
    assert one.on[0] > 0  # the polarity of a sensor of one polarity is not looked at
    assert one.off[0] == 0


def test_nothing_in_nothing_out() -> None:
    assert len(slice_time(EMPTY, 5, 10).events) == 0
    assert len(crop(EMPTY, 0, 0, 2, 2).events) == 0
    assert list(windows_by_time(EMPTY, 10)) == []
    assert list(windows_by_count(EMPTY, 10)) == []
    assert [len(column) for column in rates(EMPTY, 10)] == [0, 0, 0]


def test_a_wrong_time_stamp_is_no_endless_loop() -> None:
    late = Recording(make_events(0, 0, [-MAX_TIME, MAX_TIME], True), (8, 6, 2), "npz")
    for function in (windows_by_time, rates):
        with pytest.raises(DataError, match=r"9\.22337e\+12 s are .* windows of 1000 us: choose longer ones"):
            function(late, 1000)
    assert [len(w.events) for w in windows_by_time(late, 2 * MAX_TIME)] == [1, 1]
    assert [len(w.events) for w in windows_by_time(late, 2 * MAX_TIME + 1)] == [2]
    assert slice_time(late, 2 * MAX_TIME).events["t"].tolist() == [MAX_TIME]
    assert len(slice_time(late, 2 * MAX_TIME + 1).events) == 0
    most = Recording(make_events(0, 0, [0, MAX_WINDOWS - 1], True), (8, 6, 2), "npz")
    assert len(rates(most, 1).on) == MAX_WINDOWS


@pytest.mark.parametrize("width", [0, -5, 1.5, True])
def test_bad_widths(width: int) -> None:
    for function in (windows_by_time, windows_by_count, rates):
        with pytest.raises(ConfigError, match="must be a whole number of at least 1"):
            function(random_recording(), width)
