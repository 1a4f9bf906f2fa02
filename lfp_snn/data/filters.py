"""Parts of a recording: a region of the sensor, a span of time, windows one after the other, and their rates.

Every function takes a `lfp_snn.data.recordings.Recording` and leaves it as it is. Noise is in `lfp_snn.data.noise`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lfp_snn.data.guard import check_whole
from lfp_snn.data.recordings import Recording
from lfp_snn.errors import ConfigError, DataError

MAX_WINDOWS = 2**22
"""More windows than this in a recording are taken for an error in its time stamps."""


def crop(recording: Recording, x0: int, y0: int, width: int, height: int) -> Recording:
    """Cut out a region of the sensor.

    Parameters
    ----------
    recording : Recording
        On a one-dimensional sensor ``y0`` is 0 and ``height`` is 1.
    x0, y0 : int
        Its first column and row.
    width, height : int
        Its size; it lies inside the sensor.

    Returns
    -------
    Recording
        Columns and rows count from the region's corner, and the sensor has the region's size.

    Raises
    ------
    ConfigError
        If the region does not lie inside the sensor.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> part = crop(Recording(make_events([3, 8], [2, 2], [0, 5], True), (10, 10, 2), "npz"), 2, 2, 4, 3)
    >>> part.sensor_size, part.events["x"], part.events["y"]
    ((4, 3, 2), array([1], dtype=int16), array([0], dtype=int16))
    """
    for name, value, least in (("x0", x0, 0), ("y0", y0, 0), ("width", width, 1), ("height", height, 1)):
        check_whole(name, value, least)
    w, h, polarities = recording.sensor_size
    if x0 + width > w or y0 + height > h:
        raise ConfigError(f"{width} x {height} pixels from ({x0}, {y0}) on do not lie inside a sensor of {w} x {h}")
    x, y = recording.events["x"], recording.events["y"]
    events = recording.events[(x >= x0) & (x < x0 + width) & (y >= y0) & (y < y0 + height)]
    events["x"] -= x0
    events["y"] -= y0
    return dataclasses.replace(recording, events=events, sensor_size=(width, height, polarities))


def slice_time(recording: Recording, start_us: int = 0, stop_us: int | None = None) -> Recording:
    """Cut out a span of time, counted from the first event.

    Parameters
    ----------
    recording : Recording
        What to cut.
    start_us : int
        Where it begins, in microseconds after the first event.
    stop_us : int, optional
        Where it ends; events at this time are not in it. Default: after the last event.

    Returns
    -------
    Recording
        Its events are a view of the recording's, and keep their times.

    Raises
    ------
    ConfigError
        If the span is empty or begins before 0.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> whole = Recording(make_events(0, 0, [100, 110, 120], True), (10, 10, 2), "npz")
    >>> slice_time(whole, 10, 20).events["t"]
    array([110])
    """
    check_whole("start_us", start_us, 0)
    t = recording.events["t"]
    first = int(t[0]) if len(t) else 0
    # Times beyond the last are the last plus one, so that none leaves 64 bits.
    end = int(t[-1]) + 1 if len(t) else 0
    stop = len(t)
    if stop_us is not None:
        check_whole("stop_us", stop_us)
        if stop_us <= start_us:
            raise ConfigError(f"nothing lies between {start_us} us and {stop_us} us: the end must come after the start")
        stop = int(np.searchsorted(t, min(first + stop_us, end)))
    return slice_count(recording, int(np.searchsorted(t, min(first + start_us, end))), stop)


def slice_count(recording: Recording, start: int, stop: int | None = None) -> Recording:
    """Cut out events by their number, as a Python slice does.

    Parameters
    ----------
    recording : Recording
        What to cut.
    start, stop : int
        Number of the first event, and one past the last; negative ones count from the end.

    Returns
    -------
    Recording
        Its events are a view of the recording's.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> whole = Recording(make_events(0, 0, [100, 110, 120], True), (10, 10, 2), "npz")
    >>> slice_count(whole, -2).events["t"]
    array([110, 120])
    """
    return dataclasses.replace(recording, events=recording.events[start:stop])


def windows_by_time(recording: Recording, width_us: int) -> Iterator[Recording]:
    """Go through a recording in windows of a fixed duration.

    Parameters
    ----------
    recording : Recording
        What to go through.
    width_us : int
        Duration in microseconds. Window k holds ``k * width_us <= t - t_first < (k + 1) * width_us``.

    Returns
    -------
    iterator of Recording
        Views; a window may be without events, and the last is not full. An empty recording has none.

    Raises
    ------
    ConfigError
        If ``width_us`` is not a positive number.
    DataError
        If there would be more than `MAX_WINDOWS`, as when one time stamp is wrong.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> whole = Recording(make_events(0, 0, [100, 110, 130], True), (10, 10, 2), "npz")
    >>> [len(window.events) for window in windows_by_time(whole, 15)]
    [2, 0, 1]
    """
    return (slice_count(recording, int(a), int(b)) for a, b in pairwise(_cuts(recording, width_us)))


def windows_by_count(recording: Recording, n: int) -> Iterator[Recording]:
    """Go through a recording in windows of a fixed number of events.

    Parameters
    ----------
    recording : Recording
        What to go through.
    n : int
        Events in a window; the last may have fewer.

    Returns
    -------
    iterator of Recording
        Views.

    Raises
    ------
    ConfigError
        If ``n`` is not a positive number.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> whole = Recording(make_events(0, 0, [100, 110, 130], True), (10, 10, 2), "npz")
    >>> [len(window.events) for window in windows_by_count(whole, 2)]
    [2, 1]
    """
    check_whole("n", n)
    return (slice_count(recording, k, k + n) for k in range(0, len(recording.events), n))


class Rates(NamedTuple):
    """Events per second in each of K windows.

    Attributes
    ----------
    start_us : ndarray
        int64 [K], where each window begins, in microseconds after the first event.
    on, off : ndarray
        float64 [K], ON and OFF events per second. On a sensor of one polarity all events are ON.
    """

    start_us: NDArray[np.int64]
    on: NDArray[np.float64]
    off: NDArray[np.float64]


def rates(recording: Recording, window_us: int) -> Rates:
    """Count ON and OFF events per second in windows of a fixed duration.

    Parameters
    ----------
    recording : Recording
        What to count.
    window_us : int
        Duration of a window, see `windows_by_time`. The last is counted as a whole one, though the recording may end
        in it.

    Returns
    -------
    Rates
        One number a window and polarity.

    Raises
    ------
    ConfigError, DataError
        As `windows_by_time`.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> rates(Recording(make_events(0, 0, [0, 400, 600], [1, 1, 0]), (10, 10, 2), "npz"), 500)
    Rates(start_us=array([  0, 500]), on=array([4000.,    0.]), off=array([   0., 2000.]))
    """
    cuts = _cuts(recording, window_us)
    p = recording.events["p"] if recording.sensor_size[2] == 2 else np.ones(len(recording.events), np.bool_)
    on = np.diff(np.concatenate(([0], np.cumsum(p)))[cuts])
    start = window_us * np.arange(len(on)) if len(on) > 1 else np.zeros(len(on), np.int64)
    return Rates(start, on * (1e6 / window_us), (np.diff(cuts) - on) * (1e6 / window_us))


def _cuts(recording: Recording, width_us: int) -> NDArray[np.int64]:
    """Return [K + 1] numbers of events: window k holds those from cut k to cut k + 1."""
    check_whole("width of a window in microseconds", width_us)
    t = recording.events["t"]
    if not len(t):
        return np.zeros(1, np.int64)
    first, last = int(t[0]), int(t[-1])
    count = (last - first) // width_us + 1
    if count > MAX_WINDOWS:
        raise DataError(
            f"{(last - first) / 1e6:g} s are {count:,} windows of {width_us} us: choose longer ones, or look for wrong "
            "time stamps"
        )
    # The step is not used, and may be too large for 64 bits, where there is one window only.
    starts = first + (width_us * np.arange(count) if count > 1 else np.zeros(1, np.int64))
    return np.append(np.searchsorted(t, starts), len(t))
