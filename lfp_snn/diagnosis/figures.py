"""Figures of a diagnosis, legible in grey: rates, messages, and the size of the steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lfp_snn.diagnosis.diagnose import Diagnosis, Layer
from lfp_snn.diagnosis.update import EDGES, Update

_LOOKS = (("-", "o", "0.0"), ("--", "s", "0.35"), (":", "^", "0.0"), ("-.", "D", "0.5"), ("-", "v", "0.65"))
FAINT = 1e-6
"""Messages are drawn down to this multiple of the largest."""


def draw(diagnosis: Diagnosis, folder: Path) -> list[Path]:
    """Draw all figures into a folder and return the files.

    Parameters
    ----------
    diagnosis : Diagnosis
        What was seen.
    folder : path
        Where to; it must exist.
    """
    what = "reward" if diagnosis.rewarded else "gradient"
    figures = {"update": update(diagnosis.parameters)}
    if any(layer.activity is not None for layer in diagnosis.layers):
        figures["rate"] = rate(diagnosis.layers)
    if any(layer.message is not None for layer in diagnosis.layers):
        figures["message"] = message(diagnosis.layers, what)
    files = []
    for name, figure in figures.items():
        files.append(folder / f"{name}.png")
        figure.savefig(files[-1], dpi=150)
    return files


def rate(layers: Sequence[Layer]) -> Figure:
    """Draw the activity of each layer over the steps."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for layer, (line, marker, grey) in zip(layers, cycle(_LOOKS), strict=False):
        if layer.activity is not None:
            values = 100 * np.asarray(layer.activity.per_step)
            label = f"layer {layer.name} ({layer.kind})"
            axis.plot(range(len(values)), values, line, marker=marker, color=grey, markersize=4, label=label)
    axis.set_xlabel("time step")
    axis.set_ylabel("active units / %")
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(color="0.85", lw=0.6)
    axis.legend()
    return figure


def message(layers: Sequence[Layer], what: str) -> Figure:
    """Draw the size of what arrives at each layer at each step, dark where it is large, on a logarithmic scale."""
    shown = [layer for layer in reversed(layers) if layer.message is not None]
    sizes = [np.asarray(layer.message.per_step) for layer in shown if layer.message is not None]
    picture = np.full((len(sizes), max(map(len, sizes))), np.nan)
    for row, values in zip(picture, sizes, strict=True):
        row[: len(values)] = values
    largest = float(np.nanmax(picture)) or 1.0
    figure = Figure(figsize=(7, 1.6 + 0.6 * len(sizes)), layout="constrained")
    axis = figure.subplots()
    relative = np.log10(np.maximum(picture / largest, FAINT))
    image = axis.imshow(relative, cmap="Greys", vmin=np.log10(FAINT), vmax=0, aspect="auto")
    axis.set_yticks(range(len(shown)), [f"{layer.name} ({layer.kind})" for layer in shown])
    axis.set_ylabel("layer")
    axis.set_xlabel("time step")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    # Edges between the cells, so that a white one (nothing arrived) is seen to be there.
    axis.set_yticks(np.arange(0.5, len(shown) - 1), minor=True)
    axis.grid(which="minor", axis="y", color="0.5", lw=0.6)
    figure.colorbar(image, ax=axis, label=f"log10 of {what} against the\nlargest ({largest:.2g} an example)")
    return figure


def update(parameters: Sequence[Update]) -> Figure:
    """Draw how far the weights of each parameter moved, against their size; zeros and what stayed are left out."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    middles = [(low + high) / 2 for low, high in pairwise(EDGES)]
    for parameter, (line, _, grey) in zip(parameters, cycle(_LOOKS), strict=False):
        if total := sum(parameter.histogram):
            shares = [100 * count / total for count in parameter.histogram]
            axis.step(middles, shares, where="mid", linestyle=line, color=grey, label=parameter.name)
    axis.axvline(0, color="0.5", lw=0.8)  # right of it, a weight changed by more than itself
    axis.set_xlabel("log10(|change| / |weight|) after all steps")
    axis.set_ylabel("share of weights / %")
    axis.grid(color="0.85", lw=0.6)
    axis.legend(fontsize=7)
    return figure
