"""Pictures of recordings, of bounded size: what a file says of its sensor and its times does not decide the memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lfp_snn.data.events import Events
from lfp_snn.data.filters import slice_time
from lfp_snn.data.guard import check_whole
from lfp_snn.data.recordings import Recording

LARGEST = 2048
"""Most columns or rows of a picture; of a larger sensor neighbouring pixels are summed."""

LARGEST_FRAME = 640
"""The same for one picture of many."""


def whole(recording: Recording) -> NDArray[np.float32]:
    """Count all events at each pixel.

    Parameters
    ----------
    recording : Recording
        With at least one event.

    Returns
    -------
    ndarray
        [H, W], at most `LARGEST` each; for a one-dimensional sensor [channels, 64], channels over time. Counts above
        the 95 % quantile of those that are not 0 are cut to it: a few hot pixels would leave the rest dark.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> whole(Recording(make_events([0, 2], [1, 1], [0, 5], True), (3, 2, 2), "npz"))
    array([[0., 0., 0.],
           [1., 0., 1.]], dtype=float32)
    """
    width, height, _ = recording.sensor_size
    events = recording.events
    if height > 1:
        picture = _count(events, width, height, np.ones(len(events)), LARGEST)
    else:
        t = (events["t"] - events["t"][0]).astype(np.float64)
        bins = np.minimum(t * (64 / (t[-1] + 1)), 63).astype(np.int64)
        step = -(-width // LARGEST)
        place = events["x"] // step * np.int64(64) + bins
        picture = np.bincount(place, minlength=-(-width // step) * 64).reshape(-1, 64).astype(np.float32)
    return np.minimum(picture, np.quantile(picture[picture > 0], 0.95))


class Frame(NamedTuple):
    """One picture of many.

    Attributes
    ----------
    start_us : int
        Where it begins, in microseconds after the first event.
    on, off : int
        Numbers of its events. On a sensor of one polarity all are ON.
    picture : ndarray
        [H, W], at most `LARGEST_FRAME` each: 1 where ON events are more, -1 where OFF events are, 0 elsewhere.
    """

    start_us: int
    on: int
    off: int
    picture: NDArray[np.float32]


def frames(recording: Recording, n: int = 100) -> Iterator[Frame]:
    """Cut a recording into pictures of equal duration.

    Parameters
    ----------
    recording : Recording
        Of a two-dimensional sensor.
    n : int
        Number of frames. A recording of fewer microseconds has one a microsecond.

    Returns
    -------
    iterator of Frame
        Made one by one; none for an empty recording.

    Raises
    ------
    ConfigError
        If ``n`` is not a positive number.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> recording = Recording(make_events([0, 2, 2], [1, 1, 1], [0, 5, 9], [1, 0, 0]), (3, 2, 2), "npz")
    >>> [frame.picture[1].tolist() for frame in frames(recording, 2)]
    [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]
    """
    check_whole("number of frames", n)
    return _frames(recording, n)


def _frames(recording: Recording, n: int) -> Iterator[Frame]:
    width, height, polarities = recording.sensor_size
    t = recording.events["t"]
    duration = int(t[-1]) - int(t[0]) + 1 if len(t) else 0
    n = min(n, duration)
    for k in range(n):
        start, stop = k * duration // n, (k + 1) * duration // n
        events = slice_time(recording, start, stop).events
        on = events["p"] if polarities == 2 else np.ones(len(events), np.bool_)
        picture = np.sign(_count(events, width, height, np.where(on, 1.0, -1.0), LARGEST_FRAME))
        yield Frame(start, int(on.sum()), int((~on).sum()), picture)


def _count(events: Events, width: int, height: int, weights: NDArray[np.float64], largest: int) -> NDArray[np.float32]:
    """Sum the weights of the events at each pixel, or at each block of pixels."""
    step = -(-max(width, height) // largest)
    columns, rows = -(-width // step), -(-height // step)
    place = (events["y"] // step).astype(np.int64) * columns + events["x"] // step
    return np.bincount(place, weights, rows * columns).reshape(rows, columns).astype(np.float32)
