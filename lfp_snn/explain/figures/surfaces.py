"""Time surfaces: how recently each pixel fired, with the relevance of the events on top."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lfp_snn.data.events import check_events, check_sensor_size
from lfp_snn.errors import ConfigError, DataError, ShapeError
from lfp_snn.explain.figures.cloud import MOST, fewer
from lfp_snn.explain.figures.style import RAMP, bar, figure, limits, paper, sizes


def surfaces(
    events: NDArray[np.void],
    sensor_size: Sequence[int],
    moments: int = 4,
    tau_us: float | None = None,
    title: str = "",
) -> Figure:
    """Draw time surfaces at a few moments, with the relevance of the events since the one before on top.

    Parameters
    ----------
    events : ndarray
        Of :data:`~lfp_snn.explain.events.RELEVANT_DTYPE`, or plain events.
    sensor_size : (W, H, P)
        Of the recording.
    moments : int
        At equal distances; the last is the end.
    tau_us : float, optional
        Time constant (`time_surface`); by default the time between two moments.
    title : str
        Of the figure.

    Raises
    ------
    DataError
        If there is no event.
    ShapeError
        If the sensor has one dimension.
    ConfigError
        If the number of moments or the time constant is not positive.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> len(surfaces(make_events([1, 2], [3, 4], [0, 5000], [1, 0]), (8, 8, 2), moments=2).axes)
    2
    """
    width, height, _ = check_sensor_size(sensor_size)
    if height == 1:
        raise ShapeError(f"a time surface needs a sensor of rows and columns, not {width} channels: draw event_cloud")
    if not len(events):
        raise DataError("there is no event to draw")
    if moments < 1:
        raise ConfigError(f"moments must be at least 1, got {moments}")
    first, last = int(events["t"][0]), int(events["t"][-1])
    cuts = np.linspace(first, last, moments + 1).astype(np.int64)
    fade = tau_us if tau_us is not None else max(1.0, (last - first) / moments)
    relevant = "relevance" in (events.dtype.names or ())
    plain = events[["x", "y", "t", "p"]]
    drawn = figure(7, min(6.0, 6.2 / moments * height / width) + 0.55)
    axes = drawn.subplots(1, moments, squeeze=False)[0]
    dots: Any = None
    scale = limits(events["relevance"]) if relevant else None
    for k, (axis, (start, stop)) in enumerate(zip(axes, pairwise(cuts), strict=True)):
        recent = time_surface(plain, sensor_size, int(stop), fade).max(0)
        axis.imshow(recent, cmap="Greys", vmin=0, vmax=2.5 if relevant else 1, interpolation="nearest")
        if scale is not None:
            shown = fewer(events[(events["t"] > start - (k == 0)) & (events["t"] <= stop)], MOST // moments)
            shown = shown[np.argsort(np.abs(shown["relevance"]), kind="stable")]  # what matters is drawn last
            size = sizes(shown["relevance"], scale, 0.2, 8)
            dots = axis.scatter(shown["x"], shown["y"], s=size, c=shown["relevance"], cmap=RAMP, norm=scale, lw=0)
        axis.set_title(f"{(stop - first) / 1000:.4g} ms")
        axis.set_xticks([])
        axis.set_yticks([])
    if dots is not None:
        bar(drawn, dots, list(axes))
    drawn.suptitle(title, fontsize=9)
    return paper(drawn)


def time_surface(
    events: NDArray[np.void], sensor_size: Sequence[int], at_us: int, tau_us: float = 30_000.0
) -> NDArray[np.float32]:
    r"""Return how recently each pixel fired, :math:`e^{-(at - t) / \tau}` (Lagorce et al. 2017, HOTS).

    Parameters
    ----------
    events : ndarray
        In order of time.
    sensor_size : (W, H, P)
        Of the recording.
    at_us : int
        When, microseconds; later events are not looked at.
    tau_us : float
        Time constant.

    Returns
    -------
    ndarray
        float32 [P, H, W], 0 for what never fired.

    Raises
    ------
    DataError
        If the events are not valid.
    ConfigError
        If the time constant is not positive.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> time_surface(make_events([0, 1], 0, [0, 100], 1), (2, 1, 1), at_us=100, tau_us=100.0).round(2)
    array([[[0.37, 1.  ]]], dtype=float32)
    """
    if not tau_us > 0:
        raise ConfigError(f"tau_us must be positive, got {tau_us}")
    width, height, polarities = check_sensor_size(sensor_size)
    events = check_events(events, sensor_size)
    past = events[: np.searchsorted(events["t"], at_us, side="right")]
    last = np.full((polarities, height, width), -np.inf)
    last[past["p"] * (polarities - 1), past["y"], past["x"]] = past["t"]  # of equal places the last one stays
    return np.exp((last - at_us) / tau_us).astype(np.float32)
