"""An explanation to turn and to scrub through: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lfp_snn.atomic import write_text
from lfp_snn.errors import DataError, ShapeError, require
from lfp_snn.explain.figures.cloud import MOST, fewer
from lfp_snn.explain.figures.inputs import one
from lfp_snn.explain.figures.style import RAMP, limits
from lfp_snn.explain.relevance import Explanation

MOST_FRAMES = 60
"""Positions of the slider at most."""


def write_html(
    why: Explanation,
    events: NDArray[np.void],
    path: str | Path,
    class_names: Sequence[str] = (),
    *,
    title: str = "",
    most: int = MOST,
) -> Path:
    """Write an interactive view: the events in space and time by their relevance, and the evidence of each class.

    The slider moves through time: it shows the events so far, and what the network had decided by then.

    Parameters
    ----------
    why : Explanation
        Of one example with time.
    events : ndarray
        Its events with their relevance (:func:`~lfp_snn.explain.events.relevance_of_events`).
    path : path
        The file; replaced if it is there.
    class_names : sequence of str
        Default: their numbers.
    title : str
        Above the view.
    most : int
        Events that are shown, half of them the most relevant.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    DataError
        If there is no event, or events have no relevance.
    ShapeError
        If the explanation is not of one example with time.
    """
    if not one(why).temporal:
        raise ShapeError("a view that is scrubbed through time needs a network with time")
    if not len(events) or "relevance" not in (events.dtype.names or ()):
        raise DataError("events with a field relevance are needed: see lfp_snn.explain.events.relevance_of_events")
    page: str = _figure(why, fewer(events, most), class_names, title).to_html(
        include_plotlyjs=True, full_html=True, auto_play=False, div_id="explanation", config={"displaylogo": False}
    )
    path = Path(path)
    write_text(path, page)
    return path


def _figure(why: Explanation, events: NDArray[np.void], class_names: Sequence[str], title: str) -> Any:
    """Return the plotly figure: a trace of events, one of bars, and a frame of both for each position of the slider."""
    go, subplots = require("plotly.graph_objects", "explain"), require("plotly.subplots", "explain")
    evidence = (why.output[:, 0].cumsum(0) / len(why.output)).cpu().numpy()
    names = list(class_names) or [str(c) for c in range(evidence.shape[1])]
    ends = np.unique(np.linspace(0, len(evidence), min(len(evidence), MOST_FRAMES) + 1).astype(int))[1:]
    spatial = bool(events["y"].any())
    t = ((events["t"] - events["t"].min()) / 1000).astype(np.float32)
    space = {"y": events["x"], "z": events["y"]} if spatial else {"y": events["x"]}
    cloud = go.Scatter3d if spatial else go.Scatter

    def points(step: int, **look: Any) -> Any:
        """Return the events so far: later ones have no place."""
        so_far = t <= t.max() * step / len(evidence)
        return cloud(x=np.where(so_far, t, np.nan).astype(np.float32), **look)

    def bars(step: int) -> Any:
        now = evidence[step - 1]
        colours = ["black" if c == now.argmax() else "lightgrey" for c in range(len(names))]
        return go.Bar(x=now, y=names, orientation="h", marker={"color": colours})

    drawn = subplots.make_subplots(
        rows=1, cols=2, column_widths=[0.68, 0.32], horizontal_spacing=0.2,
        specs=[[{"type": "scene" if spatial else "xy"}, {"type": "xy"}]],
        subplot_titles=("events, bright: for, dark: against", "evidence"),
    )  # fmt: skip
    drawn.add_trace(points(len(evidence), **space, mode="markers", marker=_marker(events["relevance"], spatial)), 1, 1)
    drawn.add_trace(bars(len(evidence)), 1, 2)
    drawn.frames = [go.Frame(data=[points(k), bars(k)], traces=[0, 1], name=str(k)) for k in ends.tolist()]
    at_once = {"frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    moves = {"mode": "immediate", **at_once}
    steps = [{"label": f.name, "method": "animate", "args": [[f.name], moves]} for f in drawn.frames]
    run = {"fromcurrent": True, "frame": {"duration": 120, "redraw": True}, "transition": {"duration": 0}}
    play = {"label": "play", "method": "animate", "args": [None, run]}
    low, high = min(0.0, float(evidence.min())), max(float(evidence.max()), 1e-9)
    time_axis = {"title": {"text": "time / ms"}, "range": [0, float(t.max())]}
    drawn.update_layout(
        title=title, template="plotly_white", showlegend=False, height=640,
        sliders=[{"active": len(ends) - 1, "currentvalue": {"prefix": "step "}, "pad": {"t": 40}, "steps": steps}],
        updatemenus=[{"type": "buttons", "x": 0.6, "y": 1.16, "showactive": False, "buttons": [play]}],
    )  # fmt: skip
    drawn.update_xaxes(range=[1.05 * low, 1.05 * high], row=1, col=2)
    drawn.update_yaxes(autorange="reversed", row=1, col=2)
    if spatial:
        shape = {"aspectmode": "manual", "aspectratio": {"x": 1.6, "y": 1, "z": 1}}
        down = {"title": {"text": "y"}, "autorange": "reversed"}
        drawn.update_scenes(xaxis=time_axis, yaxis_title="x", zaxis=down, **shape)
    else:
        drawn.update_xaxes(**time_axis, row=1, col=1)
        drawn.update_yaxes(title="channel", row=1, col=1)
    return drawn


def _marker(relevance: NDArray[np.float32], spatial: bool) -> dict[str, Any]:
    """Return how events look: the ramp of all figures, larger where they mattered more."""
    scale = limits(relevance)
    strength = np.abs(np.asarray(scale(relevance)) - 0.5) * 2
    return {
        "color": relevance, "colorscale": RAMP.capitalize(), "cmin": scale.vmin, "cmax": scale.vmax,
        "size": ((2 if spatial else 4) + 4 * strength).astype(np.float32), "line": {"width": 0},
        "colorbar": {"title": "relevance", "x": 0.56, "len": 0.8},
    }  # fmt: skip
