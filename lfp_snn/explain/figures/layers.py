"""What the layers did for a decision: spikes by their relevance, membranes, receptive fields."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, nn

from lfp_snn.errors import ConfigError, ShapeError, suggest
from lfp_snn.explain.figures.inputs import one
from lfp_snn.explain.figures.style import RAMP, bar, figure, limits, paper, sizes
from lfp_snn.explain.relevance import Explanation, Layer


def _most_relevant(layer: Layer, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the numbers of the most relevant neurons, ascending, their output and relevance ``[T, N]``."""
    y, r = (q[:, 0].detach().flatten(1).cpu() for q in (layer.output, layer.relevance))
    chosen = r.abs().sum(0).topk(min(most, r.shape[1])).indices.sort().values
    return chosen, y[:, chosen], r[:, chosen]


def raster(why: Explanation, most: int = 60, title: str = "") -> Figure:
    """Draw the spikes of every layer, bright for the class, dark against it, the larger the more they mattered.

    Parameters
    ----------
    why : Explanation
        Of one example with time.
    most : int
        Neurons of a layer, the most relevant ones.
    title : str
        Of the figure.

    Raises
    ------
    ShapeError
        If there is no spiking layer.
    """
    spiking = {name: layer for name, layer in one(why).layers.items() if layer.membrane is not None}
    if not spiking or not why.temporal:
        raise ShapeError("a raster needs layers of spiking neurons, and there is none")
    drawn = figure(5.5, 0.6 + 1.5 * len(spiking))
    axes = drawn.subplots(len(spiking), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, layer) in zip(axes, spiking.items(), strict=True):
        chosen, y, r = _most_relevant(layer, most)
        scale = limits(r)
        t, unit = y.nonzero(as_tuple=True)
        of = r[t, unit].numpy()
        points = axis.scatter(
            t, unit, c=of, s=sizes(of, scale, 4, 30), cmap=RAMP, norm=scale, edgecolors="0.5", linewidths=0.3
        )
        axis.set_ylim(-1, len(chosen))
        axis.set_ylabel("neuron")
        everything = layer.output[:, 0].flatten(1).shape[1]
        which = (
            f"{len(chosen)} most relevant of {everything} neurons"
            if everything > len(chosen)
            else f"{everything} neurons"
        )
        axis.set_title(f"layer {name}: {which}")
        axis.set_xlim(-0.5, len(y) - 0.5)
        bar(drawn, points, axis)
    axes[-1].set_xlabel("time step")
    drawn.suptitle(title, fontsize=9)
    return paper(drawn)


def membranes(why: Explanation, layer: str, neurons: int | Sequence[int] = 4, title: str = "") -> Figure:
    """Draw membranes of a layer with their threshold and spikes, and what a step owes to the membrane it found.

    Parameters
    ----------
    why : Explanation
        Of one example.
    layer : str
        Name of a layer of spiking neurons.
    neurons : int or sequence of int
        So many of the most relevant, or these (numbered through).
    title : str
        Of the figure.

    Raises
    ------
    ConfigError
        If there is no such layer or neuron.
    """
    spiking = {name: q for name, q in one(why).layers.items() if q.membrane is not None}
    if layer not in spiking:
        raise ConfigError(suggest(layer, spiking, "spiking layer"))
    it = spiking[layer]
    kept = it.membrane, it.threshold, it.carried, it.output, it.relevance
    v, theta, carried, s, r = (q[:, 0].detach().flatten(1).cpu() for q in kept if q is not None)
    chosen = _most_relevant(it, neurons)[0].tolist() if isinstance(neurons, int) else list(neurons)
    if bad := [n for n in chosen if not 0 <= n < v.shape[1]]:
        raise ConfigError(f"layer {layer} has neurons 0 to {v.shape[1] - 1}, not {bad[0]}")
    drawn = figure(5.5, 0.5 + 1.1 * len(chosen))
    axes = drawn.subplots(len(chosen), 1, sharex=True, squeeze=False)[:, 0]
    scale, steps = limits(r[:, chosen]), np.arange(len(v))
    for axis, n in zip(axes, chosen, strict=True):
        axis.plot(steps, v[:, n], color="black", lw=1.0, label="membrane")
        axis.plot(steps, theta[:, n], "--", color="0.5", lw=0.8, label="threshold")
        fired = s[:, n].nonzero()[:, 0]
        of = r[fired, n].numpy()
        points = axis.scatter(
            fired, v[fired, n], c=of, s=sizes(of, scale, 8, 45), cmap=RAMP, norm=scale, edgecolors="black",
            linewidths=0.5, zorder=3, label="spike, its relevance",
        )  # fmt: skip
        share = axis.twinx()
        share.bar(steps, carried[:, n], width=0.8, color="0.8", zorder=0, label="owed to the step before")
        top = max(float(carried[:, chosen].abs().max()), 1e-12)
        share.set_ylim(-3 * top, 3 * top)
        share.set_yticks([])
        axis.set_zorder(share.get_zorder() + 1)
        axis.patch.set_visible(False)
        axis.set_title(f"layer {layer}, neuron {n}")
        axis.set_ylabel("membrane")
    lines, names = axes[0].get_legend_handles_labels()
    bars, more = share.get_legend_handles_labels()
    drawn.legend(lines + bars, names + more, loc="outside lower center", ncols=4, fontsize=7)
    axes[-1].set_xlabel("time step")
    bar(drawn, points, list(axes))
    drawn.suptitle(title, fontsize=9)
    return paper(drawn)


def receptive_fields(layer: nn.Module, shape: Sequence[int] | None = None, most: int = 16, title: str = "") -> Figure:
    """Draw the weights of neurons as pictures, the largest first, ON minus OFF where there are two polarities.

    Parameters
    ----------
    layer : nn.Linear or nn.Conv2d
        Of which the weights are drawn.
    shape : sequence of int, optional
        ``(P, H, W)`` of the input of a linear layer.
    most : int
        Neurons (channels), those with the largest weights.
    title : str
        Of the figure.

    Raises
    ------
    ShapeError
        If the weights are not those of pictures.
    """
    if not isinstance(layer, nn.Linear | nn.Conv2d):
        raise ShapeError(f"receptive fields are those of nn.Linear or nn.Conv2d, not {type(layer).__name__}")
    w = layer.weight.detach().cpu().float()
    if isinstance(layer, nn.Linear):
        if shape is None or len(shape) != 3 or int(np.prod(shape)) != layer.in_features:
            raise ShapeError(f"give the shape (P, H, W) of the layer's {layer.in_features} inputs, got {shape}")
        w = w.reshape(-1, *shape)
    fields = w[:, 1] - w[:, 0] if w.shape[1] == 2 else w.sum(1)
    chosen = w.flatten(1).norm(dim=1).topk(min(most, len(w))).indices
    columns = min(8, len(chosen))
    rows = -(-len(chosen) // columns)
    drawn = figure(0.8 * columns + 1.0, 0.85 * rows + 0.4)
    axes = drawn.subplots(rows, columns, squeeze=False)
    scale = limits(fields[chosen])
    for axis in axes.ravel():
        axis.set_axis_off()
    for axis, n in zip(axes.ravel(), chosen.tolist(), strict=False):
        image = axis.imshow(fields[n], cmap=RAMP, norm=scale, interpolation="nearest")
        axis.set_title(str(n))
    drawn.colorbar(image, ax=axes, shrink=0.8).set_label("weight", fontsize=7)
    drawn.suptitle(title, fontsize=9)
    return paper(drawn)
