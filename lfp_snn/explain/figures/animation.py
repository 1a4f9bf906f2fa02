"""A decision as it is made: events with their relevance lighting up, and the evidence of the classes beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.figure import Figure

from lfp_snn.atomic import whole_file
from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.explain.figures.inputs import one, planes
from lfp_snn.explain.figures.style import RAMP, bar, figure, limits, paper
from lfp_snn.explain.relevance import Explanation

MOST_FRAMES = 200
"""Longer recordings are shown in so many stretches."""
AFTERGLOW = 0.7
"""What is left of an event's light one frame later."""


def animate(
    why: Explanation, path: str | Path, class_names: Sequence[str] = (), *, fps: int = 8, title: str = ""
) -> Path:
    """Write an animation of one decision.

    Parameters
    ----------
    why : Explanation
        Of one example with time.
    path : path
        ``.gif``, or ``.mp4`` where ffmpeg is installed; replaced if it is there.
    class_names : sequence of str
        Default: their numbers.
    fps : int
        Frames a second.
    title : str
        Over the picture.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigError
        For another kind of file, or ``.mp4`` without ffmpeg.
    ShapeError
        If there is no time.
    """
    path, why = _checked(path), one(why)
    if not why.temporal:
        raise ShapeError("a network without time makes its decision at once: there is nothing to animate")
    x, r = planes(why.x, True), planes(why.relevance, True)
    cuts = np.unique(np.linspace(0, len(x), min(len(x), MOST_FRAMES) + 1).astype(int))[1:]
    evidence = (why.output[:, 0].cumsum(0) / len(why.output)).cpu().numpy()
    names = list(class_names) or [str(c) for c in range(evidence.shape[1])]
    drawn = figure(6.0, 3.0)
    left, right = drawn.subplots(1, 2, width_ratios=(1.3, 1))
    scale = limits(r)
    if x.shape[1] > 1:  # pictures
        image = left.imshow(np.full(r.shape[1:], np.nan), cmap=RAMP, norm=scale, interpolation="nearest")
        left.set_xticks([])
        left.set_yticks([])
    else:  # channels over time, uncovered step by step
        image = left.imshow(
            np.full((r.shape[2], len(r)), np.nan), cmap=RAMP, norm=scale, interpolation="nearest", aspect="auto"
        )
        left.set_xlabel("time step")
        left.set_ylabel("channel")
    left.set_facecolor("white")
    bar(drawn, image, left)
    bars = right.barh(range(len(names)), np.zeros(len(names)), color="0.7", edgecolor="black", lw=0.5)
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    low, high = min(0.0, float(evidence.min())), max(float(evidence.max()), 1e-9)
    right.set_xlim(1.05 * low, 1.05 * high)
    right.set_xlabel("evidence")
    paper(drawn)
    heading = drawn.suptitle(title, fontsize=9)

    def draw(k: int) -> None:
        end = int(cuts[k])
        if x.shape[1] > 1:
            glow = AFTERGLOW ** (end - 1 - np.arange(max(0, end - 12), end))[:, None, None]
            recent = slice(max(0, end - 12), end)
            image.set_data(np.where(x[recent].any(0), (glow * r[recent]).sum(0), np.nan))
        else:
            shown = np.where(x[:, 0].T != 0, r[:, 0].T, np.nan)
            shown[:, end:] = np.nan
            image.set_data(shown)
        front = int(evidence[end - 1].argmax())
        for c, block in enumerate(bars):
            block.set_width(float(evidence[end - 1, c]))
            block.set_facecolor("black" if c == front else "0.75")
        heading.set_text(f"{title + ': ' if title else ''}step {end} of {len(x)}, in front: {names[front]}")

    return _write(drawn, draw, len(cuts), path, fps)


def _checked(path: str | Path) -> Path:
    """Check that an animation of this name can be written."""
    path = Path(path)
    if path.suffix.lower() not in (".gif", ".mp4"):
        raise ConfigError(f"an animation ends in .gif or .mp4, not {path.suffix!r}")
    if path.suffix.lower() == ".mp4" and not FFMpegWriter.isAvailable():
        raise ConfigError(f"{path}: .mp4 needs ffmpeg, which is not installed; write a .gif, or install ffmpeg")
    return path


def _write(drawn: Figure, draw: Callable[[int], None], frames: int, path: Path, fps: int) -> Path:
    """Write an animation in one atomic step."""
    movie = FuncAnimation(drawn, draw, frames=frames, init_func=lambda: None)
    writer = PillowWriter(fps=fps) if path.suffix.lower() == ".gif" else FFMpegWriter(fps=fps)
    with whole_file(path) as temporary:
        movie.save(temporary, writer=writer, dpi=110)
    return path
