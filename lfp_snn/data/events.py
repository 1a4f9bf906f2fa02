"""Event recordings: the array form, its check, and many recordings in one array.

A recording is a NumPy structured array, one row an event, in ascending time, as `tonic` uses it:

=====  ======  ============================================================
field  dtype   meaning
=====  ======  ============================================================
``x``  int16   column, or channel of a one-dimensional sensor (audio)
``y``  int16   row; 0 on a one-dimensional sensor
``t``  int64   time in microseconds
``p``  bool    polarity: True for ON (brighter), False for OFF (darker)
=====  ======  ============================================================

A sensor's size is ``(W, H, P)``: width, height and the number of polarities. 700 audio channels are ``(700, 1, 1)``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lfp_snn.errors import DataError

EVENT_DTYPE = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.bool_)])
"""The fields of an event, in `tonic.io`'s order."""

MAX_TIME = np.iinfo(np.int64).max // 2
"""Times lie within this many microseconds of 0, so that the difference of two of them is a number of 64 bits, too."""

Events: TypeAlias = NDArray[np.void]
"""A structured array of events [N]."""
EventTransform: TypeAlias = Callable[[Events], Events]
"""Events in, events out, as those of `tonic.transforms`."""

SensorSize: TypeAlias = tuple[int, int, int]
"""Width, height, number of polarities."""


def make_events(x: ArrayLike, y: ArrayLike, t: ArrayLike, p: ArrayLike) -> Events:
    """Build a checked recording from its columns.

    Parameters
    ----------
    x, y, t, p : array_like
        Columns of equal length (or scalars that are repeated); ``t`` in microseconds, ascending.

    Returns
    -------
    ndarray
        Events [N] of `EVENT_DTYPE`.

    Raises
    ------
    DataError
        If the columns do not fit together or hold impossible values.

    Examples
    --------
    >>> make_events([1, 2], 0, [10, 20], [True, False])["t"]
    array([10, 20])
    """
    columns = {"x": x, "y": y, "t": t, "p": p}
    try:
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(c)) for c in columns.values()))
    except ValueError as e:
        raise DataError(f"the columns x, y, t, p have different lengths: {e}") from e
    if arrays[0].ndim != 1:
        raise DataError(f"the columns of a recording are one-dimensional, got shape {arrays[0].shape}")
    raw = np.empty(len(arrays[0]), dtype=[(n, a.dtype) for n, a in zip(columns, arrays, strict=True)])
    for name, column in zip(columns, arrays, strict=True):
        raw[name] = column
    return check_events(raw)


def check_events(
    events: Any, sensor_size: Sequence[int] | None = None, *, allow_empty: bool = True, where: str = "recording"
) -> Events:
    """Check a recording and bring it into `EVENT_DTYPE`.

    Parameters
    ----------
    events : ndarray
        Structured array with the fields ``x``, ``t``, ``p`` and, for a two-dimensional sensor, ``y``.
    sensor_size : (W, H, P), optional
        Coordinates must lie inside it. On a sensor of one polarity ``p`` is not looked at, as in tonic.
    allow_empty : bool
        Whether a recording without events is accepted.
    where : str
        What to call the recording in an error, for example its file name.

    Returns
    -------
    ndarray
        Events [N] of `EVENT_DTYPE`: the same array if it already has that dtype, else a copy.

    Raises
    ------
    DataError
        If fields are missing, times are not finite or not ascending, a coordinate lies outside the sensor, or a
        polarity is neither 0 nor 1.

    Examples
    --------
    >>> check_events(np.zeros(3, EVENT_DTYPE), (34, 34, 2)).shape
    (3,)
    >>> check_events(np.zeros((3, 4)))
    Traceback (most recent call last):
    lfp_snn.errors.DataError: recording: not a structured array of events (fields x, y, t, p), but float64 [3, 4]
    """
    names = getattr(getattr(events, "dtype", None), "names", None)
    if not isinstance(events, np.ndarray) or names is None or events.ndim != 1:
        what = f"{events.dtype} {list(events.shape)}" if isinstance(events, np.ndarray) else type(events).__name__
        raise DataError(f"{where}: not a structured array of events (fields x, y, t, p), but {what}")
    missing = [n for n in ("x", "t", "p") if n not in names]
    if missing:
        raise DataError(f"{where}: no field {', '.join(missing)}; the fields are {', '.join(names)}")
    for name in ("x", "y", "t", "p"):
        if name in names and events[name].dtype.kind not in "biuf":
            raise DataError(f"{where}: field {name} holds {events[name].dtype}, not numbers")
        if name in names and events[name].dtype.kind == "f" and not np.isfinite(events[name]).all():
            raise DataError(f"{where}: field {name} holds NaN or infinity")
    if not len(events):
        if not allow_empty:
            raise DataError(f"{where}: holds no event")
        return np.empty(0, EVENT_DTYPE)
    limit = np.iinfo(np.int16).max + 1
    w, h, polarities = check_sensor_size(sensor_size) if sensor_size is not None else (limit, limit, 2)
    for name, size in (("x", w), ("y", h)):
        if name in names and (low := events[name].min(), high := events[name].max()) and (low < 0 or high >= size):
            bad = low if low < 0 else high
            raise DataError(f"{where}: {name} = {bad} is outside the sensor, which has {name} from 0 to {size - 1}")
    if polarities > 1 and events["p"].dtype.kind != "b" and not np.isin(events["p"], (0, 1)).all():
        raise DataError(
            f"{where}: polarity {events['p'].min()} to {events['p'].max()}, expected 0 (OFF) and 1 (ON); "
            "convert -1/+1 with p > 0"
        )
    t = events["t"]
    if (t[1:] < t[:-1]).any():
        i = int(np.argmax(t[1:] < t[:-1])) + 1
        raise DataError(
            f"{where}: times are not ascending: event {i} at {t[i]} follows {t[i - 1]}; sort with "
            "events[np.argsort(events['t'], kind='stable')]"
        )
    for time in (int(t[0]), int(t[-1])):
        if abs(time) > MAX_TIME:
            raise DataError(f"{where}: time {time} does not fit into microseconds of 64 bits")
    if events.dtype == EVENT_DTYPE:
        return events
    out = np.zeros(len(events), EVENT_DTYPE)
    for name in ("x", "y", "t", "p"):
        if name in names:
            out[name] = events[name]
    return out


def check_sensor_size(sensor_size: Sequence[int]) -> SensorSize:
    """Check a sensor size.

    Parameters
    ----------
    sensor_size : (W, H, P)
        Width, height, number of polarities (1 or 2).

    Returns
    -------
    tuple of int
        The same.

    Raises
    ------
    DataError
        If it is anything else.

    Examples
    --------
    >>> check_sensor_size([700, 1, 1])
    (700, 1, 1)
    """
    try:
        w, h, p = (int(n) for n in sensor_size)
    except (TypeError, ValueError):
        raise DataError(f"a sensor size is (width, height, polarities), got {sensor_size!r}") from None
    if not (0 < w <= 2**15 and 0 < h <= 2**15 and p in (1, 2)):
        raise DataError(f"a sensor size is (width, height, polarities 1 or 2), got {sensor_size!r}")
    return w, h, p


@dataclass(frozen=True, eq=False)
class Recordings(Sequence[Events]):
    """Many recordings in memory, as one array; recording ``i`` is a view, not a copy.

    Parameters
    ----------
    events : ndarray
        All events [M] of `EVENT_DTYPE`, recording after recording.
    offsets : ndarray
        int64 [N + 1]: recording ``i`` is ``events[offsets[i]:offsets[i + 1]]``.

    Examples
    --------
    >>> r = Recordings.join([np.zeros(3, EVENT_DTYPE), np.zeros(5, EVENT_DTYPE)])
    >>> len(r), len(r[1])
    (2, 5)
    """

    events: Events
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check that the two arrays fit."""
        o = self.offsets
        if self.events.dtype != EVENT_DTYPE or self.events.ndim != 1:
            raise DataError(f"events must be a one-dimensional array of {EVENT_DTYPE}, got {self.events.dtype}")
        if o.ndim != 1 or len(o) < 1 or o[0] != 0 or o[-1] != len(self.events) or (np.diff(o) < 0).any():
            raise DataError("offsets must ascend from 0 to the number of events")

    @classmethod
    def join(
        cls, recordings: Iterable[Events], sensor_size: Sequence[int] | None = None, *, where: str = "recording"
    ) -> Recordings:
        """Check recordings and put them into one array.

        Parameters
        ----------
        recordings : iterable of ndarray
            Structured arrays with the fields of an event.
        sensor_size : (W, H, P), optional
            Checked against, see `check_events`.
        where : str
            What to call a recording in an error; its number is added.

        Returns
        -------
        Recordings
            All of them.

        Raises
        ------
        DataError
            If a recording is not valid; the message says which.
        """
        parts = [check_events(r, sensor_size, where=f"{where} {i}") for i, r in enumerate(recordings)]
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        return cls(np.concatenate(parts) if parts else np.empty(0, EVENT_DTYPE), offsets)

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> Events: ...
    @overload
    def __getitem__(self, index: slice) -> Recordings: ...
    def __getitem__(self, index: int | slice) -> Events | Recordings:
        """Return one recording as a view, or a slice of them copied together."""
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        i = range(len(self))[index]  # negative numbers and IndexError as a list has them
        return self.events[self.offsets[i] : self.offsets[i + 1]]

    def cache_key(self) -> str:
        """Hash all events, for `lfp_snn.data.cache.describe`."""
        h = hashlib.blake2b(np.ascontiguousarray(self.events).view(np.uint8).data, digest_size=16)
        h.update(np.ascontiguousarray(self.offsets).data)
        return h.hexdigest()

    def take(self, indices: ArrayLike) -> Recordings:
        """Copy the recordings of these numbers together, in this order."""
        chosen = np.asarray(indices, np.int64).reshape(-1)
        offsets = np.zeros(len(chosen) + 1, np.int64)
        np.cumsum(np.diff(self.offsets)[chosen], out=offsets[1:])
        parts = [self[int(i)] for i in chosen]
        return Recordings(np.concatenate(parts) if parts else self.events[:0], offsets)


@dataclass(frozen=True, eq=False)
class EventSource:
    """Where a data set's events come from, before binning: one part (train, validation or test) of it.

    Parameters
    ----------
    recordings : sequence of ndarray
        `Recordings` (in memory: fastest) or any sequence whose items are recordings, read on access.
    labels : ndarray
        Class of each recording, int64 [N].
    files : tuple of Path
        The files read, for the cache: it is renewed when their size or time of change differs. Recordings that are
        read on access are cached only if it is known from where, and if `lfp_snn.data.cache.describe` understands
        the sequence (any plain object whose attributes say what it reads).
    transforms : tuple of callables
        What was done to the recordings when they were read, events to events.
    """

    recordings: Sequence[Events]
    labels: NDArray[np.int64]
    files: tuple[Path, ...] = field(default=())
    transforms: tuple[EventTransform, ...] = field(default=())

    def __post_init__(self) -> None:
        """Check that there is one label for each recording."""
        if self.labels.ndim != 1 or self.labels.dtype.kind not in "iu" or len(self.labels) != len(self.recordings):
            raise DataError(
                f"labels must be integers, one a recording: got {self.labels.dtype} {list(self.labels.shape)} "
                f"for {len(self.recordings)} recordings"
            )

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.recordings)
