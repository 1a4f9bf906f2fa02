"""The figures of a comparison, 7 inches wide, for print: curves differ by colour, grey value, line style and marker.

Curves are means over seeds, bands reach from the worst to the best of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from lfp_snn.compare.results import Against, Histogram, NetworkResults, Run

# Hues of Tol's "muted" scheme (https://personal.sron.nl/~pault/, safe for the colour-blind), from dark to light; a
# place on the scale is a lightness, so evenly spaced places are evenly spaced greys.
_HUES = ("#000000", "#332288", "#882255", "#117733", "#CC6677", "#44AA99", "#6BB5D8")
_PLACES = (0.0, 0.31, 0.46, 0.63, 0.8, 0.91, 1.0)
_SCALE = LinearSegmentedColormap.from_list("methods", list(zip(_PLACES, _HUES, strict=True)))
_LINES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")
_WIDTH = 7.0
_LABELS: dict[Against, str] = {
    "epoch": "epoch",
    "seconds": "training time / s",
    "synops": "synaptic operations of training",
}
# Where the axis of accuracies may have labels, the most wanted first.
_ACCURACIES = (90, 99, 50, 0, 100, 80, 95, 98, 99.5, 70, 97, 20, 60, 85, 93, 96, 99.8, 40, 75, 10, 30, 65, 55)
_FLOOR = 0.2  # % of error at which the logarithm stops, so that 100 % has a place


@dataclass(frozen=True)
class Look:
    """How the curves of a method look, in every figure."""

    color: str
    linestyle: str
    marker: str


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """Give each method a look of its own.

    Parameters
    ----------
    methods : sequence of str
        The first one is drawn in black.

    Examples
    --------
    >>> looks(["lfp", "surrogate"])["lfp"]
    Look(color='#000000', linestyle='-', marker='o')
    """
    places = np.linspace(0, 1, max(2, len(methods)))
    marks = zip(methods, places, cycle(_LINES), cycle(_MARKERS), strict=False)
    return {method: Look(to_hex(_SCALE(place)), line, marker) for method, place, line, marker in marks}


@contextmanager
def _paper() -> Iterator[None]:
    """Set the sizes of text and lines."""
    small = ("font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
    sizes: Any = {"axes.titlesize": 9, "lines.linewidth": 1.3, "lines.markersize": 3.5, "axes.linewidth": 0.6}
    with mpl.rc_context(dict.fromkeys(small, 8) | sizes):
        yield


@_paper()
def accuracy_over_networks(networks: Sequence[NetworkResults], look: Mapping[str, Look]) -> Figure:
    """Draw the validation accuracy over the epochs, a panel a network."""
    figure, axes = _panels([network.label for network in networks])
    for axis, network in zip(axes, networks, strict=False):
        _accuracy(axis, network, "epoch", look)
    return _finished(figure, axes, "validation accuracy / %")


@_paper()
def accuracy_of_network(network: NetworkResults, look: Mapping[str, Look]) -> Figure:
    """Draw the validation accuracy on a network against epochs, training time and synaptic operations."""
    runs = [run for found in network.finished.values() for run in found]
    kinds: list[Against] = [k for k in _LABELS if all(run.cost(k) is not None for run in runs)]
    figure, axes = _panels(["" for _ in kinds], share_y=True)
    for axis, kind in zip(axes, kinds, strict=False):
        _accuracy(axis, network, kind, look)
    return _finished(figure, axes, "validation accuracy / %")


@_paper()
def firing_rates(network: NetworkResults, look: Mapping[str, Look]) -> Figure:
    """Draw the firing rate of the hidden layers over the epochs, and of each spiking layer after training."""
    figure, axes = _panels(["hidden layers, validation split", "each layer, test set"])
    every = [run for runs in network.finished.values() for run in runs]
    layers = list(dict.fromkeys(layer for run in every for layer in run.layer_rates))
    for method, runs in network.finished.items():
        curves = [[100 * rate for row in run.metrics if (rate := run.hidden_rate(row)) is not None] for run in runs]
        _curve(axes[0], [run.cost("epoch") or [] for run in runs], curves, look[method], method)
        rates = [[100 * run.layer_rates.get(layer, np.nan) for layer in layers] for run in runs]
        _curve(axes[1], [range(len(layers))] * len(runs), rates, look[method], method)
    axes[0].set_xlabel("epoch")
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[1].set_xticks(range(len(layers)), layers)
    axes[1].set_xlabel("layer")
    for axis in axes:
        axis.set_ylim(bottom=0)
    return _finished(figure, axes, "spikes per unit and step / %")


@_paper()
def pruning(networks: Sequence[NetworkResults], look: Mapping[str, Look]) -> Figure:
    """Draw the accuracy against the share of weights that is kept, a panel a network."""
    figure, axes = _panels([network.label for network in networks], share_y=True)
    kept: set[float] = set()
    for axis, network in zip(axes, networks, strict=False):
        for method, runs in network.finished.items():
            points = [{100 * (1 - share): 100 * a for share, a in run.pruning.items() if share < 1} for run in runs]
            points = [p for p in points if p]
            kept |= {x for p in points for x in p}
            _curve(axis, [list(p) for p in points], [list(p.values()) for p in points], look[method], method)
        axis.set_xscale("log")
        axis.set_xlabel("weights kept / %")
    for axis in axes:
        axis.xaxis.set_major_locator(FixedLocator(_apart(sorted(kept))))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.3g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlim(120, 0.8 * min(kept))
    return _finished(figure, axes, "test accuracy / %")


@_paper()
def learning_rates(networks: Sequence[NetworkResults], look: Mapping[str, Look]) -> Figure:
    """Draw the validation accuracy of each trial against its learning rate, a panel a network; the chosen is ringed."""
    figure, axes = _panels([network.label for network in networks])
    for axis, network in zip(axes, networks, strict=False):
        for method, results in network.methods.items():
            if results.tuning is None:
                continue
            trials = sorted((t.lr, 100 * t.val_accuracy) for t in results.tuning.trials if t.val_accuracy is not None)
            xs, ys = [lr for lr, _ in trials], [accuracy for _, accuracy in trials]
            _curve(axis, [xs], [ys], look[method], method)
            best = np.isclose(xs, results.tuning.lr)
            axis.plot(np.array(xs)[best], np.array(ys)[best], "o", mfc="none", mec=look[method].color, ms=8)
        axis.set_xscale("log")
        axis.set_xlabel("learning rate")
        _scale_accuracy(axis)
    return _finished(figure, axes, "validation accuracy / %")


@_paper()
def weights(network: NetworkResults, look: Mapping[str, Look]) -> Figure:
    """Draw the distribution of each weight matrix after training, mean over seeds."""
    found = {method: [run.weights for run in runs] for method, runs in network.finished.items()}
    names = list(dict.fromkeys(name for seeds in found.values() for weights in seeds for name in weights))
    figure, axes = _panels(names)
    for axis, name in zip(axes, names, strict=False):
        for method, seeds in found.items():
            histograms = [weights[name] for weights in seeds if name in weights]
            if histograms:
                edges, density = mean_density(histograms)
                style: Any = {"color": look[method].color, "linestyle": look[method].linestyle}
                axis.stairs(np.where(density > 0, density, np.nan), edges, label=method, baseline=None, lw=1.1, **style)
        axis.set_yscale("log")
        axis.set_xlabel("weight")
    return _finished(figure, axes, "density")


def mean_density(histograms: Sequence[Histogram]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average densities given by histograms with edges of their own.

    Parameters
    ----------
    histograms : sequence of Histogram
        At least one.

    Returns
    -------
    edges : array
        As many bins as the finest of them has, over the range of all.
    density : array
        Mean density in each bin; the integral is 1.

    Examples
    --------
    >>> edges, density = mean_density([Histogram((0, 1, 2), (3, 1)), Histogram((1, 2, 3), (2, 2))])
    >>> [float(edge) for edge in edges], [round(float(d), 4) for d in density]
    ([0.0, 1.5, 3.0], [0.375, 0.2917])
    """
    low, high = min(h.edges[0] for h in histograms), max(h.edges[-1] for h in histograms)
    edges = np.linspace(low, high, max(len(h.counts) for h in histograms) + 1)
    shares = []
    for h in histograms:
        cumulative = np.concatenate([[0.0], np.cumsum(h.counts)]) / (sum(h.counts) or 1.0)
        shares.append(np.diff(np.interp(edges, h.edges, cumulative)))
    return edges, np.mean(shares, axis=0) / np.diff(edges)


def _panels(titles: Sequence[str], share_y: bool = False) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels, as many in a row as stay legible."""
    columns = max(1, min(3, len(titles)) if len(titles) != 4 else 2)
    rows = max(1, -(-len(titles) // columns))
    height = 2.6 if columns < 3 else 2.2
    figure = Figure(figsize=(_WIDTH, 0.5 + height * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False, sharey=share_y).flat)
    for axis in axes[len(titles) :]:
        axis.remove()
    for axis, title in zip(axes, titles, strict=False):
        axis.set_title(title)
        axis.tick_params(which="both", labelsize=8)
    return figure, axes[: len(titles)]


def _finished(figure: Figure, axes: Sequence[Axes], ylabel: str) -> Figure:
    """Add the label of the y axis, a grid behind the curves, and one legend for all panels."""
    figure.supylabel(ylabel, fontsize=8)
    entries: dict[str, Artist] = {}
    for axis in axes:
        axis.grid(color="0.88", lw=0.5)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        handles, labels = axis.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    if entries:
        columns = -(-len(entries) // -(-len(entries) // 5))  # rows of (nearly) equal length
        figure.legend(
            entries.values(), entries, loc="outside lower center", ncols=columns, frameon=False, handlelength=3
        )
    return figure


def _curve(axis: Axes, xs: Sequence[Sequence[float]], ys: Sequence[Sequence[float]], look: Look, label: str) -> None:
    """Draw the mean of several curves (in x too: seeds take different times), as far as all go, and their range."""
    length = min((len(y) for y in ys), default=0)
    if not length:
        return
    x = np.mean([row[:length] for row in xs], axis=0)
    y = np.array([row[:length] for row in ys])
    step = max(1, -(-length // 10))
    style: Any = {"color": look.color, "linestyle": look.linestyle, "marker": look.marker}
    axis.plot(x, y.mean(0), label=label, markevery=step, **style)
    if len(y) > 1:
        axis.fill_between(x, y.min(0), y.max(0), color=look.color, alpha=0.15, lw=0)


def _accuracy(axis: Axes, network: NetworkResults, against: Against, look: Mapping[str, Look]) -> None:
    """Draw the validation accuracy of every method."""
    for method, runs in network.finished.items():
        costs = [cost for run in runs if (cost := run.cost(against)) is not None]
        _curve(axis, costs, [_accuracies(run) for run in runs], look[method], method)
    axis.set_xlabel(_LABELS[against])
    if against == "epoch":
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    elif against == "synops":
        axis.xaxis.set_major_formatter(EngFormatter(sep=" "))
    _scale_accuracy(axis)


def _accuracies(run: Run) -> list[float]:
    """Return the validation accuracy of each epoch, in %."""
    return [100 * float(row["val_accuracy"]) for row in run.metrics]


def _scale_accuracy(axis: Axes) -> None:
    """Make the axis logarithmic in the error: from 80 to 90 % is as far as from 98 to 99 %."""
    low, high = axis.dataLim.intervaly
    if not np.isfinite([low, high]).all():
        return
    low, high = max(0.0, low - 0.05 * (100 - low) - 0.1), min(100.0, high + 0.1 * (100 - high) + 0.1)
    axis.set_yscale("function", functions=(_to_height, _to_accuracy))
    axis.set_ylim(low, high)
    bottom, top = _to_height(np.array([low, high]))
    ticks: list[float] = []
    for value in _ACCURACIES:
        height = _to_height(np.array([value, *ticks]))
        if low <= value <= high and (np.abs(height[1:] - height[0]) > 0.08 * (top - bottom)).all():
            ticks.append(value)
    axis.yaxis.set_major_locator(FixedLocator(ticks))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _to_height(accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where an accuracy, in %, lies on its axis."""
    return -np.log(np.maximum(100 + _FLOOR - accuracy, 1e-9))


def _to_accuracy(height: NDArray[np.float64]) -> NDArray[np.float64]:
    """Undo `_to_height`."""
    return 100 + _FLOOR - np.exp(-height)


def _apart(values: Sequence[float]) -> list[float]:
    """Leave out values whose labels would touch those of their neighbours on a logarithmic axis."""
    kept: list[float] = []
    for value in values:
        if not kept or value > 1.4 * kept[-1]:
            kept.append(value)
    return kept
