"""From events to tensors: which event goes to which time step.

Three ways, each a small frozen object: `ByCount` (a fixed number of steps), `ByWindow` (steps of a fixed duration) and
`ByEvents` (steps of a fixed number of events). They agree with ``tonic.transforms.ToFrame(n_time_bins=, time_window=,
event_count=)``; the differences at the very end of a recording are said in each docstring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lfp_snn.errors import ConfigError


def _positive(name: str, value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f"{name} must be a whole number of at least 1, got {value!r}")


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
