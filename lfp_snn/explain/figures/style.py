"""How relevance looks: one ramp of lightness, dark for "against", grey for "nothing", bright for "for".

It means the same in print, in grey and to the colour-blind (matplotlib's cividis).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

RAMP = "cividis"
"""Name of the colour map of relevance."""
STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_FONTS = {"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7}


def figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, with a layout that keeps labels apart."""
    return Figure(figsize=(width, height), layout="constrained")


def paper(drawn: Figure) -> Figure:
    """Bring all text of a figure to sizes for paper, and return it."""
    for axis in drawn.axes:
        if axis.get_xlabel() == "time step":
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.title.set_fontsize(_FONTS["axes.titlesize"])
        labels = [axis.xaxis.label, axis.yaxis.label, *([axis.zaxis.label] if hasattr(axis, "zaxis") else [])]
        for label in labels:
            label.set_fontsize(_FONTS["axes.labelsize"])
        axis.tick_params(labelsize=_FONTS["xtick.labelsize"])
        legend = axis.get_legend()
        for text in legend.get_texts() if legend is not None else ():
            text.set_fontsize(_FONTS["xtick.labelsize"])
    return drawn


def limits(relevance: ArrayLike, share: float = 0.995) -> Normalize:
    """Return the scale of relevance: symmetric, so that 0 is in the middle; the few largest values are cut off.

    Parameters
    ----------
    relevance : array_like
        What will be drawn.
    share : float
        Of the values that are not 0 and lie inside.

    Examples
    --------
    >>> scale = limits([-1.0, 0.0, 3.0], share=1.0)
    >>> float(scale.vmin), float(scale.vmax), float(scale(0.0))
    (-3.0, 3.0, 0.5)
    """
    sizes = np.abs(np.asarray(relevance, np.float64)).ravel()
    sizes = sizes[sizes > 0]
    top = float(np.quantile(sizes, share)) if len(sizes) else 1.0
    return Normalize(-top, top, clip=True)


def bar(drawn: Figure, image: Any, axis: Any) -> None:
    """Draw the scale of relevance beside an axis."""
    scale = drawn.colorbar(image, ax=axis, shrink=0.8, pad=0.02)
    scale.set_label("against ← relevance → for", fontsize=_FONTS["xtick.labelsize"])
    scale.ax.tick_params(labelsize=_FONTS["xtick.labelsize"])


def sizes(relevance: NDArray[Any], scale: Normalize, least: float, most: float) -> NDArray[np.float64]:
    """Return sizes of points that grow with the size of their relevance."""
    return np.asarray(least + (most - least) * np.abs(np.asarray(scale(relevance)) - 0.5) * 2)
