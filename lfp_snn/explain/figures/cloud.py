"""Events as a cloud in space and time, with their relevance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lfp_snn.data.events import check_sensor_size
from lfp_snn.errors import DataError
from lfp_snn.explain.figures.style import RAMP, bar, figure, limits, paper, sizes

MOST = 20_000
"""Events that are drawn at most."""


def fewer(events: NDArray[np.void], most: int = MOST, seed: int = 0) -> NDArray[np.void]:
    """Choose events to draw: half of them the most relevant, the others at random, in the order of time.

    Parameters
    ----------
    events : ndarray
        With or without the field ``relevance``.
    most : int
        How many.
    seed : int
        Of the random choice.

    Examples
    --------
    >>> events = np.zeros(100, [("t", "i8"), ("relevance", "f4")])
    >>> events["relevance"][7] = -1
    >>> chosen = fewer(events, 10)
    >>> len(chosen), float(chosen["relevance"].min())
    (10, -1.0)
    """
    if len(events) <= most:
        return events
    keep = np.zeros(len(events), bool)
    if "relevance" in (events.dtype.names or ()):
        keep[np.argpartition(-np.abs(events["relevance"]), most // 2)[: most // 2]] = True
    others = np.flatnonzero(~keep)
    keep[np.random.default_rng(seed).choice(others, most - int(keep.sum()), replace=False)] = True
    return events[keep]


def event_cloud(events: NDArray[np.void], sensor_size: Sequence[int], most: int = MOST, title: str = "") -> Figure:
    """Draw events in space and time, bright for the class, dark against it; without relevance ON and OFF.

    Parameters
    ----------
    events : ndarray
        Of :data:`~lfp_snn.explain.events.RELEVANT_DTYPE`, or plain events.
    sensor_size : (W, H, P)
        Of the recording.
    most : int
        Events drawn (`fewer`).
    title : str
        Of the figure.

    Raises
    ------
    DataError
        If there is no event.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> drawn = event_cloud(make_events([1, 2], [3, 4], [0, 5000], [1, 0]), (8, 8, 2))
    """
    if not len(events):
        raise DataError("there is no event to draw")
    width, height, _ = check_sensor_size(sensor_size)
    shown = fewer(events, most)
    drawn = figure(4.5, 3.6 if height > 1 else 2.6)
    axis: Any = drawn.add_subplot(projection="3d") if height > 1 else drawn.add_subplot()
    place = [(shown["t"] - events["t"][0]) / 1000, shown["x"], shown["y"]][: 3 if height > 1 else 2]
    look: dict[str, Any] = {"lw": 0, "depthshade": False} if height > 1 else {"lw": 0}
    if "relevance" in (shown.dtype.names or ()):
        r = shown["relevance"]
        scale = limits(r)
        order = np.argsort(np.abs(r), kind="stable")  # what matters is drawn last
        how: dict[str, Any] = {"c": r[order], "s": sizes(r, scale, 0.5, 14)[order], "cmap": RAMP, "norm": scale}
        bar(drawn, axis.scatter(*(q[order] for q in place), **how, **look), axis)
    else:
        for on, colour, label in ((True, "0.65", "ON"), (False, "0.0", "OFF")):
            chosen = shown["p"] == on
            axis.scatter(*(q[chosen] for q in place), s=1.5, c=colour, label=label, **look)
        axis.legend(loc="upper left")
    axis.set_xlabel("time / ms")
    axis.set_ylabel("x" if height > 1 else "channel")
    axis.set_ylim(0, width - 1 or 1)
    if height > 1:
        axis.text2D(0.95, 0.78, "y", transform=axis.transAxes, fontsize=8)  # its own place is under the colour bar
        for direction in (axis.xaxis, axis.yaxis, axis.zaxis):
            direction.set_major_locator(MaxNLocator(4, integer=True))
        axis.set_zlim(height - 1, 0)
        axis.set_box_aspect((1.6, 1, 1))
        axis.view_init(elev=18, azim=-62)
    drawn.suptitle(
        title if len(shown) == len(events) else f"{title} ({len(shown):,} of {len(events):,} events)", fontsize=9
    )
    return paper(drawn)
