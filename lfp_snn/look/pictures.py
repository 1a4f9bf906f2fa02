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
from lfp_snn.errors import ConfigError

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
        [H, W], at most `LARGEST_FRAME` each: 1 where ON events are more, -1 where OFF events are, 0 elsewhere; or a
        time surface at the end of the frame. Of a one-dimensional sensor [channels, n]: all frames so far, side by
        side.
    """

    start_us: int
    on: int
    off: int
    picture: NDArray[np.float32]


def surface(recording: Recording, tau_us: float) -> NDArray[np.float32]:
    """Return the time surface at the end of a recording: how recently each pixel fired (Lagorce et al. 2017, HOTS).

    Parameters
    ----------
    recording : Recording
        Of a two-dimensional sensor, with at least one event.
    tau_us : float
        Time constant with which an event fades, in microseconds.

    Returns
    -------
    ndarray
        [H, W], at most `LARGEST` each: 1 for an ON event at the last moment, -1 for an OFF event, nearer to 0 the
        longer ago it was.

    Raises
    ------
    ConfigError
        If the time constant is not positive, or the sensor has one dimension.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> recording = Recording(make_events([0, 1], [1, 1], [0, 100], [1, 0]), (2, 2, 2), "npz")
    >>> surface(recording, tau_us=100).round(2)
    array([[ 0.  ,  0.  ],
           [ 0.37, -1.  ]], dtype=float32)
    """
    fading = _Surface(recording, tau_us, LARGEST)
    fading.add(recording.events)
    return fading.at(int(recording.events["t"][-1]))


def frames(recording: Recording, n: int = 100, tau_us: float | None = None) -> Iterator[Frame]:
    """Cut a recording into pictures of equal duration.

    Parameters
    ----------
    recording : Recording
        What to show.
    n : int
        Number of frames. A recording of fewer microseconds has one a microsecond.
    tau_us : float, optional
        Show time surfaces (`surface`) that fade with this time constant, in place of each frame's events.

    Returns
    -------
    iterator of Frame
        Made one by one; none for an empty recording.

    Raises
    ------
    ConfigError
        If ``n`` is not a positive number, or as `surface`.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> recording = Recording(make_events([0, 2, 2], [1, 1, 1], [0, 5, 9], [1, 0, 0]), (3, 2, 2), "npz")
    >>> [frame.picture[1].tolist() for frame in frames(recording, 2)]
    [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]
    """
    check_whole("number of frames", n)
    return _frames(recording, n, None if tau_us is None else _Surface(recording, tau_us, LARGEST_FRAME))


class _Surface:
    """The last event at each pixel, or at each block of pixels."""

    def __init__(self, recording: Recording, tau_us: float, largest: int) -> None:
        if not tau_us > 0:
            raise ConfigError(f"the time constant of a time surface must be positive, got {tau_us:g} us")
        self.width, self.height, self.polarities = recording.sensor_size
        if self.height == 1:
            raise ConfigError(f"a time surface needs a sensor of rows and columns, not {self.width} channels")
        self.tau_us, self.step = tau_us, -(-max(self.width, self.height) // largest)
        columns, rows = -(-self.width // self.step), -(-self.height // self.step)
        self.last, self.sign = np.full((rows, columns), -np.inf), np.zeros((rows, columns), np.float32)

    def add(self, events: Events) -> None:
        """Take events that come after all before; of several at one place the last one stays."""
        place = events["y"] // self.step, events["x"] // self.step
        self.last[place] = events["t"]
        self.sign[place] = np.where(events["p"], 1, -1) if self.polarities == 2 else 1

    def at(self, t_us: int) -> NDArray[np.float32]:
        """Return how recent they are at a time."""
        return (self.sign * np.exp((self.last - t_us) / self.tau_us)).astype(np.float32)


def _frames(recording: Recording, n: int, fading: _Surface | None) -> Iterator[Frame]:
    width, height, polarities = recording.sensor_size
    seen: NDArray[np.float32] | None = None
    t = recording.events["t"]
    duration = int(t[-1]) - int(t[0]) + 1 if len(t) else 0
    n = min(n, duration)
    for k in range(n):
        start, stop = k * duration // n, (k + 1) * duration // n
        events = slice_time(recording, start, stop).events
        on = events["p"] if polarities == 2 else np.ones(len(events), np.bool_)
        if fading is not None:
            fading.add(events)
            picture = fading.at(int(t[0]) + stop)
        else:
            picture = np.sign(_count(events, width, height, np.where(on, 1.0, -1.0), LARGEST_FRAME))
            if height == 1:
                seen = np.zeros((picture.shape[1], n), np.float32) if seen is None else seen.copy()
                seen[:, k] = picture[0]
                picture = seen
        yield Frame(start, int(on.sum()), int((~on).sum()), picture)


def _count(events: Events, width: int, height: int, weights: NDArray[np.float64], largest: int) -> NDArray[np.float32]:
    """Sum the weights of the events at each pixel, or at each block of pixels."""
    step = -(-max(width, height) // largest)
    columns, rows = -(-width // step), -(-height // step)
    place = (events["y"] // step).astype(np.int64) * columns + events["x"] // step
    return np.bincount(place, weights, rows * columns).reshape(rows, columns).astype(np.float32)
