"""How faithful explanations are, and what a network takes for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from lfp_snn.explain.faithfulness import Faithfulness
from lfp_snn.explain.figures.style import MARKERS, STYLES, figure, paper


def curves(results: Mapping[str, Faithfulness], title: str = "") -> Figure:
    """Draw deletion and insertion curves.

    Parameters
    ----------
    results : mapping
        Name of the order -> its curves.
    title : str
        Of the figure.

    Examples
    --------
    >>> drawn = curves({"LFP": Faithfulness((0.0, 0.5, 1.0), (1.0, 0.2, 0.1), (0.1, 0.9, 1.0), 50)})
    >>> [axis.get_title() for axis in drawn.axes]
    ['deletion: the most relevant are removed', 'insertion: the most relevant are added']
    """
    drawn = figure(7, 2.7 + 0.15 * -(-len(results) // 3))
    axes = drawn.subplots(1, 2, sharey=True)
    for k, (name, found) in enumerate(results.items()):
        for axis, values in zip(axes, (found.deletion, found.insertion), strict=True):
            shares, accuracy = 100 * np.array(found.shares), 100 * np.array(values)
            look = {"marker": MARKERS[k % len(MARKERS)], "markersize": 4, "color": str(0.2 * (k % 4))}
            axis.plot(
                shares, accuracy, STYLES[k % len(STYLES)], lw=1.2, label=f"{name} (area {found.area():.2f})", **look
            )
    axes[0].set_title("deletion: the most relevant are removed")
    axes[1].set_title("insertion: the most relevant are added")
    axes[0].set_ylabel("accuracy / %")
    for axis in axes:
        axis.set_xlabel("share of the events / %")
        axis.grid(color="0.88", lw=0.6)
        axis.set_axisbelow(True)
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7)
    drawn.suptitle(title, fontsize=9)
    return paper(drawn)


def confusion(matrix: ArrayLike, class_names: Sequence[str] = (), title: str = "") -> Figure:
    """Draw a confusion matrix, each row in percent of its class.

    Parameters
    ----------
    matrix : array_like
        Counts, [target][decision].
    class_names : sequence of str
        Default: their numbers.
    title : str
        Of the figure.

    Examples
    --------
    >>> confusion([[9, 1], [0, 5]]).axes[0].get_xlabel()
    'decision'
    """
    counts = np.asarray(matrix, np.float64)
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = list(class_names) or [str(k) for k in range(len(counts))]
    size = max(2.6, 0.34 * len(counts) + 1.2)
    drawn = figure(size + 0.5, size)
    axis = drawn.subplots()
    image = axis.imshow(shares, cmap="Greys", vmin=0, vmax=100)
    if len(counts) <= 20:
        for (i, j), n in np.ndenumerate(counts):
            if n:
                axis.text(
                    j,
                    i,
                    f"{n:.0f}",
                    ha="center",
                    va="center",
                    fontsize=6,
                    color="white" if shares[i, j] > 50 else "black",
                )
    turned = 45 if max(map(len, names)) > 3 else 0
    axis.set_xticks(range(len(names)), names, rotation=turned, ha="right" if turned else "center")
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("decision")
    axis.set_ylabel("class")
    drawn.colorbar(image, ax=axis, shrink=0.8).set_label("% of the class", fontsize=7)
    drawn.suptitle(title, fontsize=9)
    return paper(drawn)
