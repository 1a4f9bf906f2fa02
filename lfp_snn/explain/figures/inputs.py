"""Where in the input, and when, a decision was made."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from lfp_snn.errors import ShapeError
from lfp_snn.explain.figures.style import MARKERS, RAMP, STYLES, bar, figure, limits, paper
from lfp_snn.explain.relevance import Explanation


def one(why: Explanation) -> Explanation:
    """Check that an explanation is that of one example.

    Raises
    ------
    ShapeError
        If it is of several.
    """
    if len(why.target) != 1:
        raise ShapeError(f"a figure shows one example, and this explains {len(why.target)}: take why.sample(0)")
    return why


def planes(q: Tensor, temporal: bool) -> NDArray[np.float32]:
    """Return one example's input or relevance as ``[T, rows, columns]``, polarities summed; without time T is 1.

    Inputs without space become one row.
    """
    q = (q[:, 0] if temporal else q).detach().cpu().float()
    if q.dim() == 4:
        q = q.sum(1)
    return np.asarray(q.reshape(len(q), 1, -1) if q.dim() < 3 else q)


def relevance_map(why: Explanation, title: str = "") -> Figure:
    """Draw the input, and the relevance of each pixel; for channels without space, both over channels and time.

    Parameters
    ----------
    why : Explanation
        Of one example.
    title : str
        Of the figure.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn import LIF, Sequential
    >>> from lfp_snn.explain import explain
    >>> net = Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 3), LIF())
    >>> len(relevance_map(explain(net, torch.ones(5, 1, 2, 4, 4))).axes)
    3
    """
    why = one(why)
    x, r = planes(why.x, why.temporal), planes(why.relevance, why.temporal)
    spatial = x.shape[1] > 1
    seen, part = (x.sum(0), r.sum(0)) if spatial else (x[:, 0].T, r[:, 0].T)
    drawn = figure(5.5, 2.6)
    left, right = drawn.subplots(1, 2)
    how: dict[str, Any] = {"aspect": "equal" if spatial else "auto", "interpolation": "nearest", "origin": "upper"}
    left.imshow(seen, cmap="Greys", **how)
    bar(drawn, right.imshow(part, cmap=RAMP, norm=limits(part), **how), right)
    left.set_title("events" if why.temporal else "input")
    right.set_title("relevance")
    for axis in (left, right):
        axis.set_xlabel("x" if spatial else "time step")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_ylabel("y" if spatial else "channel")
    drawn.suptitle(title, fontsize=9)
    return paper(drawn)


def relevance_frames(why: Explanation, moments: int = 6, title: str = "") -> Figure:
    """Draw the relevance of a few stretches of time side by side, where there were events.

    Parameters
    ----------
    why : Explanation
        Of one example with time and space, ``[T, 1, P, H, W]``.
    moments : int
        Stretches of equal length.
    title : str
        Of the figure.

    Raises
    ------
    ShapeError
        If the input has no time or no space.
    """
    why = one(why)
    r = planes(why.relevance, why.temporal)
    if not why.temporal or r.shape[1] == 1:
        raise ShapeError(f"frames need an input [T, B, P, H, W], got {list(why.x.shape)}: draw relevance_map")
    x = planes(why.x, True)
    cuts = np.linspace(0, len(r), min(moments, len(r)) + 1).astype(int)
    parts = [np.where(x[a:b].any(0), r[a:b].sum(0), np.nan) for a, b in pairwise(cuts)]
    drawn = figure(7, 7 / len(parts) + 0.6)
    axes = drawn.subplots(1, len(parts), squeeze=False)[0]
    scale = limits(np.nan_to_num(parts))
    for axis, part, a, b in zip(axes, parts, cuts[:-1], cuts[1:], strict=True):
        image = axis.imshow(part, cmap=RAMP, norm=scale, interpolation="nearest")
        axis.set_title(f"steps {a}-{b - 1}" if b > a + 1 else f"step {a}")
        axis.set_xticks([])
        axis.set_yticks([])
    bar(drawn, image, list(axes))
    drawn.suptitle(title, fontsize=9)
    return paper(drawn)


def time_course(why: Explanation, class_names: Sequence[str] = (), most: int = 4, title: str = "") -> Figure:
    """Draw the relevance of each step, and the evidence for the classes as it grew.

    Parameters
    ----------
    why : Explanation
        Of one example with time.
    class_names : sequence of str
        Default: their numbers.
    most : int
        Classes that are named, the best ones; the others are thin grey lines.
    title : str
        Of the figure.

    Raises
    ------
    ShapeError
        If there is no time.
    """
    why = one(why)
    if not why.temporal:
        raise ShapeError("a network without time has no course over time")
    r = why.relevance[:, 0].flatten(1).cpu()
    evidence = (why.output[:, 0].cumsum(0) / len(why.output)).cpu().numpy()
    drawn = figure(5.5, 3.4)
    top, bottom = drawn.subplots(2, 1, sharex=True)
    steps = np.arange(len(r))
    for part, colour, label in ((r.clamp(min=0), "0.8", "for"), (r.clamp(max=0), "0.25", "against")):
        top.bar(steps, part.sum(1).numpy(), color=colour, edgecolor="black", lw=0.5, label=label)
    top.axhline(0, color="black", lw=0.6)
    top.set_ylabel("relevance of the input")
    top.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    order = np.argsort(-evidence[-1])
    for k, c in enumerate(order):
        name = class_names[c] if class_names else str(c)
        if k < most:
            look = {"marker": MARKERS[k], "markevery": max(1, len(steps) // 8), "markersize": 3.5, "label": name}
            bottom.plot(steps, evidence[:, c], STYLES[k % 4], color="black", lw=1.2, **look)
        else:
            bottom.plot(steps, evidence[:, c], color="0.75", lw=0.6, zorder=0)
    bottom.set_ylabel("evidence of each class")
    bottom.set_xlabel("time step")
    bottom.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    drawn.suptitle(title, fontsize=9)
    return paper(drawn)
