"""Noise of event cameras: events that nothing around them supports, pixels that never stop, pixels that repeat."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from lfp_snn.data.events import check_events
from lfp_snn.data.guard import check_whole
from lfp_snn.data.recordings import Recording
from lfp_snn.errors import DataError, ShapeError

MAX_PIXELS = 2**24
"""Filters that keep a time for each pixel stop with an error beyond this many (128 MiB): crop such a recording."""


def denoise(recording: Recording, window_us: int) -> Recording:
    """Drop background activity: keep an event if a neighbouring pixel had one shortly before.

    "Shortly" is less than ``window_us`` earlier, or at the same time and earlier in the file. The 8 pixels around
    count, whatever their polarity; the pixel itself does not. Dropped events support others, too (Delbruck 2008,
    "Frame-free dynamic digital vision").

    `tonic.transforms.Denoise` is the same but for three things: it looks at 4 neighbours; until ``filter_time`` it
    keeps every event next to a pixel that has had none; and it does not know the sensor's size.

    Parameters
    ----------
    recording : Recording
        On a one-dimensional sensor a channel has 2 neighbours.
    window_us : int
        In microseconds; often 1,000 to 10,000. The shorter, the more is dropped.

    Returns
    -------
    Recording
        Its first events are gone, as nothing comes before them.

    Raises
    ------
    ConfigError
        If ``window_us`` is not a positive number.
    DataError
        If the recording is not valid, or its sensor has more than `MAX_PIXELS`.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> noisy = Recording(make_events([3, 4, 9, 3], [3, 4, 9, 3], [0, 50, 60, 900], True), (10, 10, 2), "npz")
    >>> denoise(noisy, 100).events["t"]
    array([50])
    """
    check_whole("window_us", window_us)
    return _keep(recording, _supported, window_us)


def refractory(recording: Recording, period_us: int) -> Recording:
    """Drop events that follow the pixel's last kept one within a period.

    The period counts from the last event that was kept, so that a pixel that never stops has one event a period.
    `tonic.transforms.RefractoryPeriod` counts from the last event, kept or not: there it has one event in all.

    Parameters
    ----------
    recording : Recording
        What to filter; polarity is not looked at.
    period_us : int
        In microseconds. An event ``period_us`` after the last kept one is dropped, a later one kept.

    Returns
    -------
    Recording
        The events that are left.

    Raises
    ------
    ConfigError
        If ``period_us`` is not a positive number.
    DataError
        If the recording is not valid, or its sensor has more than `MAX_PIXELS`.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> fast = Recording(make_events(3, 3, [0, 60, 120, 180], True), (10, 10, 2), "npz")
    >>> refractory(fast, 100).events["t"]
    array([  0, 120])
    """
    check_whole("period_us", period_us)
    return _keep(recording, _rested, period_us)


class PixelActivity(NamedTuple):
    """The K pixels that sent an event, by row and column.

    Attributes
    ----------
    x, y : ndarray
        int64 [K], their columns and rows.
    events : ndarray
        int64 [K], their numbers of events.
    hot : ndarray
        bool [K], whether they are hot, see `activity`.
    """

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    events: NDArray[np.int64]
    hot: NDArray[np.bool_]


def activity(recording: Recording, k: float = 10.0) -> PixelActivity:
    """Count the events of each pixel that has any, and find hot ones, which send far more than the rest.

    With m the median of the counts of active pixels, a pixel is hot if its count exceeds ``m + k * s``. The spread s is
    the median absolute deviation, times 1.4826, or the square root of m where that is larger: what counting at random
    would give.

    Parameters
    ----------
    recording : Recording
        Where to look.
    k : float
        How far from the median, in spreads. With 10 the hot pixels of real recordings stand alone: those next to them
        are quiet.

    Returns
    -------
    PixelActivity
        As many entries as pixels with events.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> activity(Recording(make_events([1, 5, 1], [0, 2, 0], [0, 1, 2], True), (10, 10, 2), "npz")).events
    array([2, 1])
    """
    width = recording.sensor_size[0]
    place = recording.events["y"].astype(np.int64) * width + recording.events["x"]
    pixels, counts = np.unique(place, return_counts=True)
    m = np.median(counts) if len(counts) else 0.0
    spread = max(1.4826 * np.median(np.abs(counts - m)), np.sqrt(m)) if len(counts) else 0.0
    return PixelActivity(pixels % width, pixels // width, counts, counts > m + k * spread)


def hot_pixels(recording: Recording, k: float = 10.0) -> NDArray[np.bool_]:
    """Find the pixels that send far more than the rest.

    Parameters
    ----------
    recording : Recording
        Where to look.
    k : float
        See `activity`.

    Returns
    -------
    ndarray
        bool [H, W].

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> x = [0, 1, 2, 3] + 40 * [7]
    >>> mask = hot_pixels(Recording(make_events(x, 0, range(44), True), (10, 5, 2), "npz"))
    >>> mask.shape, np.argwhere(mask).tolist()
    ((5, 10), [[0, 7]])
    """
    width, height, _ = recording.sensor_size
    found = activity(recording, k)
    mask = np.zeros((height, width), np.bool_)
    mask[found.y[found.hot], found.x[found.hot]] = True
    return mask


def drop_pixels(recording: Recording, mask: NDArray[np.bool_]) -> Recording:
    """Drop all events of some pixels.

    Parameters
    ----------
    recording : Recording
        What to filter.
    mask : ndarray
        bool [H, W]: True where events are dropped.

    Returns
    -------
    Recording
        The events that are left.

    Raises
    ------
    ShapeError
        If the mask is not of the sensor's shape, or not boolean.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> recording = Recording(make_events([0, 7, 8], 0, [1, 2, 3], True), (10, 5, 2), "npz")
    >>> mask = np.zeros((5, 10), bool)
    >>> mask[0, 7] = True
    >>> drop_pixels(recording, mask).events["x"]
    array([0, 8], dtype=int16)
    """
    width, height, _ = recording.sensor_size
    if mask.shape != (height, width) or mask.dtype != np.bool_:
        raise ShapeError(f"the mask must be bool [{height}, {width}], got {mask.dtype} {list(mask.shape)}")
    events = recording.events
    return dataclasses.replace(recording, events=events[~mask[events["y"], events["x"]]])


def _keep(recording: Recording, rule: Any, limit: int) -> Recording:
    """Keep the events for which a compiled rule sets a flag; the rule has a time for each pixel, with a margin of 1."""
    width, height, _ = recording.sensor_size
    if width * height > MAX_PIXELS:
        raise DataError(f"a time for each of {width} x {height} pixels does not fit into memory: crop the recording")
    events = check_events(recording.events, recording.sensor_size)
    kept = np.empty(len(events), np.bool_)
    if len(events):
        rule(events, min(limit, np.iinfo(np.int64).max), np.zeros((height + 2, width + 2), np.int64), kept)
    return dataclasses.replace(recording, events=events[kept])


@numba.njit(cache=True, nogil=True)
def _supported(events: Any, window: int, last: Any, kept: Any) -> None:
    """Keep what a neighbour supports; times in ``last`` count from the first event, plus 1: 0 is a pixel without."""
    for i in range(len(events)):
        e = events[i]
        now = e.t - events[0].t + 1
        kept[i] = False
        for y in range(e.y, e.y + 3):
            for x in range(e.x, e.x + 3):
                if (y != e.y + 1 or x != e.x + 1) and last[y, x] > 0 and now - last[y, x] < window:
                    kept[i] = True
        last[e.y + 1, e.x + 1] = now


@numba.njit(cache=True, nogil=True)
def _rested(events: Any, period: int, last: Any, kept: Any) -> None:
    """As `_supported`, with the times of kept events."""
    for i in range(len(events)):
        e = events[i]
        now = e.t - events[0].t + 1
        before = last[e.y + 1, e.x + 1]
        kept[i] = before == 0 or now - before > period
        if kept[i]:
            last[e.y + 1, e.x + 1] = now
