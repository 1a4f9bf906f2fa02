"""From events to tensors: which event goes to which time step.

Three ways, each a small frozen object: `ByCount` (a fixed number of steps), `ByWindow` (steps of a fixed duration) and
`ByEvents` (steps of a fixed number of events). They agree with ``tonic.transforms.ToFrame(n_time_bins=, time_window=,
event_count=)``; the differences at the very end of a recording are said in each docstring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lfp_snn.data.augment import GOLDEN, Drawn, gauss_pair, mix_one, uniform_one
from lfp_snn.data.events import Events, SensorSize, check_events, check_sensor_size
from lfp_snn.data.guard import check_whole
from lfp_snn.errors import ConfigError, DataError

MAX_CELLS = 2**33
"""A batch larger than this (32 GiB of float32) is taken for an error in the time stamps."""


def _flag(name: str, value: bool) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be true or false, got {value!r}")


def _positive(name: str, value: int | None) -> None:
    if value is not None:
        check_whole(name, value)


@dataclass(frozen=True)
class ByCount:
    """A fixed number of steps: the recording, from its first event on, in ``n_bins`` windows of equal length.

    With ``w = (t_last - t_first) // n_bins`` microseconds (at least 1) step ``k`` holds the events with
    ``t_first + k*w <= t < t_first + (k+1)*w``. As in tonic, events at or after ``t_first + n_bins*w`` (fewer than
    ``n_bins`` microseconds, and the very last event) belong to no step.

    Parameters
    ----------
    n_bins : int
        Number of steps T.
    binary : bool
        Clip counts to 1.

    Examples
    --------
    >>> ByCount(20)
    ByCount(n_bins=20, binary=False)
    """

    n_bins: int
    binary: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        _positive("n_bins", self.n_bins)
        _flag("binary", self.binary)


@dataclass(frozen=True)
class ByWindow:
    """Steps of a fixed duration: recordings get different numbers of steps.

    Step ``k`` holds the events with ``start + k*w <= t < start + (k+1)*w``; every event from ``start`` on belongs to a
    step unless ``max_steps`` cuts it off.

    Parameters
    ----------
    window_us : int
        Duration w of a step in microseconds.
    max_steps : int, optional
        Later steps are cut off.
    binary : bool
        Clip counts to 1.
    start_us : int, optional
        Time of the start; by default that of the recording's first event. Earlier events are left out.
    incomplete : bool
        Keep the last window, which the recording does not fill (tonic leaves it out unless asked).

    Examples
    --------
    >>> ByWindow(10_000, max_steps=100).window_us
    10000
    """

    window_us: int
    max_steps: int | None = None
    binary: bool = False
    start_us: int | None = None
    incomplete: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        _positive("window_us", self.window_us)
        _positive("max_steps", self.max_steps)
        _flag("binary", self.binary)


@dataclass(frozen=True)
class ByEvents:
    """Steps of a fixed number of events: the busier the recording, the shorter a step.

    Parameters
    ----------
    n_events : int
        Events in a step; an incomplete last step is kept.
    max_steps : int, optional
        Later steps are cut off.
    binary : bool
        Clip counts to 1.

    Examples
    --------
    >>> ByEvents(200).n_events
    200
    """

    n_events: int
    max_steps: int | None = None
    binary: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        _positive("n_events", self.n_events)
        _positive("max_steps", self.max_steps)
        _flag("binary", self.binary)


Binning: TypeAlias = ByCount | ByWindow | ByEvents


def event_shape(sensor_size: Sequence[int], group: int = 1) -> tuple[int, ...]:
    """Shape of one time step: ``(P, H, W)``, or ``(W,)`` for a one-dimensional sensor of one polarity.

    Parameters
    ----------
    sensor_size : (W, H, P)
        Of the sensor.
    group : int
        Neighbouring channels (or ``group`` x ``group`` pixels) that are summed into one.

    Returns
    -------
    tuple of int
        The shape.

    Examples
    --------
    >>> event_shape((34, 34, 2)), event_shape((700, 1, 1), group=5)
    ((2, 34, 34), (140,))
    """
    w, h, p = sensor_size
    columns, rows = -(-w // group), -(-h // group)
    return (columns,) if h == 1 and p == 1 else (p, rows, columns)


class Plan(NamedTuple):
    """Which part of one array of events each of B recordings is, and how its steps are cut.

    Attributes
    ----------
    start, stop : ndarray
        int64 [B], first event and one past the last.
    origin : ndarray
        int64 [B], where step 0 begins: a time in microseconds, or with `ByEvents` the number of an event.
    width : ndarray
        int64 [B], width of a step in the same unit.
    steps : ndarray
        int64 [B], number of steps.
    """

    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    origin: NDArray[np.int64]
    width: NDArray[np.int64]
    steps: NDArray[np.int64]


def plan(
    binning: Binning, events: Events, start: NDArray[np.int64], stop: NDArray[np.int64], stretch: Any = 1.0
) -> Plan:
    """Cut recordings into steps.

    Parameters
    ----------
    binning : Binning
        How.
    events : ndarray
        All events.
    start, stop : ndarray
        int64 [B], the part of ``events`` that is recording b.
    stretch : float or ndarray
        Factor by which time will be stretched, [B].

    Returns
    -------
    Plan
        Of each recording; an empty one gets one step (`ByCount`: all its steps) without events.
    """
    empty = stop <= start
    if isinstance(binning, ByEvents):
        steps = np.maximum(-(-(stop - start) // binning.n_events), 1)
        return Plan(start, stop, start, np.full_like(start, binning.n_events), _cut(steps, binning.max_steps))
    if len(events):
        first = np.where(empty, 0, events["t"][np.minimum(start, len(events) - 1)])
        last = np.where(empty, 0, events["t"][np.maximum(stop - 1, 0)])
    else:
        first = last = np.zeros_like(start)
    if isinstance(binning, ByCount):
        width = np.maximum((last - first) // binning.n_bins, 1)
        return Plan(start, stop, first, width, np.full_like(start, binning.n_bins))
    if binning.start_us is not None:
        first = np.full_like(first, binning.start_us)
    duration = np.maximum(np.floor((last - first) * stretch).astype(np.int64), 0)
    steps = np.maximum(duration // binning.window_us + int(binning.incomplete), 1)
    return Plan(start, stop, first, np.full_like(start, binning.window_us), _cut(steps, binning.max_steps))


def _cut(steps: NDArray[np.int64], max_steps: int | None) -> NDArray[np.int64]:
    return steps if max_steps is None else np.minimum(steps, max_steps)


def bin_recordings(
    events: Events,
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    sensor_size: SensorSize,
    binning: Binning,
    *,
    group: int = 1,
    drawn: Drawn | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, NDArray[np.int64]]:
    """Bin some recordings of one array into a padded batch. Coordinates must be inside the sensor: it is not checked.

    Parameters
    ----------
    events : ndarray
        All events, of `EVENT_DTYPE`.
    start, stop : ndarray
        int64 [B], the part of ``events`` that is recording b.
    sensor_size : (W, H, P)
        Of the recordings.
    binning : Binning
        How steps are cut.
    group : int
        Neighbouring channels (pixels) that are summed, see `event_shape`.
    drawn : Drawn, optional
        Augmentation, see `lfp_snn.data.augment.draw`.
    dtype : torch.dtype
        float32 or uint8 (counts stop at 255).

    Returns
    -------
    Tensor
        Counts [T, B, P, H, W] (or [T, B, W]), T the longest recording's number of steps.
    ndarray
        int64 [B], the steps of each recording; later ones are zero.

    Raises
    ------
    DataError
        If the batch would be absurdly large, as when one time stamp is wrong.
    """
    cuts = plan(binning, events, start, stop, 1.0 if drawn is None else drawn.stretch)
    shape = event_shape(sensor_size, group)
    n_steps, batch, cells = int(cuts.steps.max(initial=1)), len(start), int(np.prod(shape))
    if n_steps * batch * cells > MAX_CELLS:
        raise DataError(
            f"{n_steps:,} steps of {batch} recordings of {cells:,} cells do not fit into memory: "
            "set max_steps, choose longer steps, or look for wrong time stamps"
        )
    # NumPy asks the kernel for huge pages, torch does not: filling a new array of 24 MB takes a quarter of the time.
    array = np.empty((n_steps, batch, cells), np.uint8 if dtype == torch.uint8 else np.float32)
    columns = np.arange(sensor_size[0], dtype=np.int64) // group
    rows = np.arange(sensor_size[1], dtype=np.int64) // group * (columns[-1] + 1)
    polarity = cells // 2 if sensor_size[2] == 2 else 0
    limit = 1 if binning.binary else 255 if dtype == torch.uint8 else 2**24
    if drawn is None:
        _count(events, cuts, isinstance(binning, ByEvents), columns, rows, polarity, limit, array)
    else:
        _count_augmented(events, cuts, drawn, isinstance(binning, ByEvents), columns, rows, polarity, limit, array)
    return torch.from_numpy(array).view(n_steps, batch, *shape), cuts.steps


def bin_events(events: Events, sensor_size: Sequence[int], binning: Binning, *, group: int = 1) -> Tensor:
    """Bin one recording.

    Parameters
    ----------
    events : ndarray
        Events [N], checked by `check_events`.
    sensor_size : (W, H, P)
        Of the recording.
    binning : Binning
        How steps are cut.
    group : int
        Neighbouring channels (pixels) that are summed, see `event_shape`.

    Returns
    -------
    Tensor
        float32 counts [T, P, H, W] (or [T, W] for a one-dimensional sensor).

    Raises
    ------
    DataError
        If the events are not valid.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> events = make_events([3, 3, 5], [0, 0, 1], [0, 40, 99], [1, 1, 0])
    >>> frames = bin_events(events, (8, 4, 2), ByWindow(50))
    >>> frames.shape, int(frames[0, 1, 0, 3])
    (torch.Size([2, 2, 4, 8]), 2)
    """
    size = check_sensor_size(sensor_size)
    checked = check_events(events, size)
    x, _ = bin_recordings(checked, np.array([0]), np.array([len(checked)]), size, binning, group=group)
    return x[:, 0]


@numba.njit(cache=True, nogil=True)
def _count(
    events: Any, cuts: Any, by_events: bool, columns: Any, rows: Any, polarity: int, limit: int, out: Any
) -> None:
    """Write counts to out [T, B, cells]; a step's cells are cleared just before they are filled, while in the cache."""
    for b in range(out.shape[1]):
        i, stop, end = cuts.start[b], cuts.stop[b], cuts.origin[b]
        while i < stop and not by_events and events[i].t < end:
            i += 1
        for k in range(out.shape[0]):
            cells = out[k, b]
            cells[:] = 0
            end += cuts.width[b]
            while k < cuts.steps[b] and i < stop and (i if by_events else events[i].t) < end:
                e = events[i]
                c = columns[e.x] + rows[e.y] + (polarity if e.p else 0)
                if cells[c] < limit:
                    cells[c] += 1
                i += 1


@numba.njit(cache=True, nogil=True)
def _count_augmented(
    events: Any, cuts: Any, drawn: Any, by_events: bool, columns: Any, rows: Any, polarity: int, limit: int, out: Any
) -> None:
    """As `_count`, with each event moved, delayed or lost as was drawn; what leaves the sensor or the time is lost."""
    for b in range(out.shape[1]):
        for k in range(out.shape[0]):
            out[k, b, :] = 0
        m, start, origin, width = drawn.matrix[b], cuts.start[b], cuts.origin[b], cuts.width[b]
        for i in range(start, cuts.stop[b]):
            e = events[i]
            bits = mix_one(drawn.key[b] + np.uint64(i - start) * GOLDEN)
            if uniform_one(bits) < drawn.drop[b]:
                continue
            x, y = m[0] * e.x + m[1] * e.y + m[2] + 0.5, m[3] * e.x + m[4] * e.y + m[5] + 0.5
            if drawn.jitter > 0:
                dx, dy = gauss_pair(bits)
                x += drawn.jitter * dx
                if rows.size > 1:
                    y += drawn.jitter * dy
            column, row = int(np.floor(x)), int(np.floor(y))
            if column < 0 or row < 0 or column >= columns.size or row >= rows.size:
                continue
            passed = float(i - start) if by_events else drawn.stretch[b] * (e.t - origin)
            if drawn.time_jitter_us > 0:
                passed += drawn.time_jitter_us * gauss_pair(bits + np.uint64(2))[0]
            k = int(np.floor(passed / width))
            if k < 0 or k >= cuts.steps[b]:
                continue
            c = columns[column] + rows[row] + (polarity if e.p else 0)
            if out[k, b, c] < limit:
                out[k, b, c] += 1
