"""The figures of a run, legible in grey: accuracy, firing rates, a raster of one example, the reward at the input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from matplotlib.figure import Figure
from torch import Tensor, nn

from lfp_snn.data import Batch
from lfp_snn.forward import mode
from lfp_snn.neurons import SpikingNeuron
from lfp_snn.propagation import input_relevance
from lfp_snn.rewards import scores
from lfp_snn.training.build import Task
from lfp_snn.training.run_folder import RunFolder

_STYLES = ("-", "--", ":", "-.")
_MARKERS = ("o", "s", "^", "D", "v")


def draw_figures(folder: RunFolder, task: Task, fabric: Fabric) -> list[Path]:
    """Draw all figures of a finished run into its folder.

    Parameters
    ----------
    folder : RunFolder
        With its metrics.
    task : Task
        Data, and the trained network; the first test example is shown.
    fabric : Fabric
        Where to compute.

    Returns
    -------
    list of Path
        The files.
    """
    rows = folder.metrics()
    batch = Batch(*fabric.to_device(tuple(task.splits.test.__getitems__([0]))))
    batch = batch._replace(x=fabric.strategy.precision.convert_input(task.encode(batch.x)))
    with fabric.autocast():
        spikes, relevance, decision = explain(task, batch)
    names = task.splits.class_names
    what = f"test example 0: {names[int(batch.target)]}, decided: {names[decision]}"
    figures = {"reward_at_input": reward_at_input(relevance, what)}
    if rows:
        figures["accuracy"] = accuracy(rows)
    if rows and spikes:
        figures["firing_rates"] = firing_rates(rows)
    if spikes:
        figures["raster"] = raster({"input": batch.x[:, 0], **spikes} if task.temporal else spikes, what)
    files = []
    for name, figure in figures.items():
        files.append(folder.figures / f"{name}.png")
        figure.savefig(files[-1], dpi=150)
    return files


def explain(task: Task, batch: Batch) -> tuple[dict[str, Tensor], Tensor, int]:
    """Run one example and send its reward back to the input.

    Parameters
    ----------
    task : Task
        The network and its propagator.
    batch : Batch
        Of one example, encoded.

    Returns
    -------
    spikes : dict
        Spikes of each spiking layer, [T, ...].
    relevance : Tensor
        The reward of each input, the shape of the example without its batch axis.
    decision : int
        The class that was chosen.
    """
    spikes: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: tuple[Tensor, Any]) -> None:
            spikes[name] = output[0][:, 0].detach().cpu()

        return hook

    layers = [(name, m) for name, m in task.network.named_modules() if isinstance(m, SpikingNeuron)]
    handles = [m.register_forward_hook(keep(f"layer {name}")) for name, m in layers]
    x = batch.x.detach().requires_grad_()
    try:
        with mode(task.network, training=False), task.lfp.context(task.network):
            output = task.run(x)
            loss = task.reward(output, batch.target, batch.lengths)
            (x.grad,) = torch.autograd.grad(loss, x)
    finally:
        for handle in handles:
            handle.remove()
    relevance = input_relevance(x).detach().cpu()
    decision = int(scores(output, batch.lengths).argmax(-1))
    return spikes, relevance.select(1 if task.temporal else 0, 0), decision


def accuracy(rows: list[dict[str, Any]]) -> Figure:
    """Draw accuracy and loss over the epochs."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    epochs = [row["epoch"] for row in rows]
    for key, style, marker in (("train_accuracy", "--", "s"), ("val_accuracy", "-", "o")):
        values = [100 * row[key] for row in rows]
        top.plot(epochs, values, style, marker=marker, color="black", markersize=4, label=key.replace("_accuracy", ""))
    top.set_ylabel("accuracy / %")
    top.legend()
    bottom.plot(epochs, [row["train_loss"] for row in rows], "--", marker="s", color="black", markersize=4)
    bottom.set_ylabel("training loss (minus reward)")
    bottom.set_xlabel("epoch")
    bottom.xaxis.get_major_locator().set_params(integer=True)
    return _gridded(figure)


def firing_rates(rows: list[dict[str, Any]]) -> Figure:
    """Draw the firing rate and the silent units of each layer over the epochs (validation split)."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    epochs = [row["epoch"] for row in rows]
    for k, layer in enumerate(rows[-1]["spike_rate"]):
        look: dict[str, Any] = {
            "linestyle": _STYLES[k % len(_STYLES)],
            "marker": _MARKERS[k % len(_MARKERS)],
            "color": str(0.6 * (k % 3) / 3),
            "markersize": 4,
            "label": f"layer {layer}",
        }
        top.plot(epochs, [100 * row["spike_rate"][layer] for row in rows], **look)
        bottom.plot(epochs, [row["dead_units"][layer] for row in rows], **look)
    top.set_ylabel("spikes per unit and step / %")
    top.set_ylim(bottom=0)
    top.legend()
    bottom.set_ylabel("units that never fired")
    bottom.set_ylim(bottom=0)
    bottom.set_xlabel("epoch")
    bottom.xaxis.get_major_locator().set_params(integer=True)
    return _gridded(figure)


def raster(layers: dict[str, Tensor], title: str = "") -> Figure:
    """Draw the spikes of one example, a panel a layer.

    Parameters
    ----------
    layers : dict
        Name -> spikes (or other values, of which the non-zero ones are drawn), [T, ...].
    title : str
        Of the figure.
    """
    figure = Figure(figsize=(7, 1.2 + 1.6 * len(layers)), layout="constrained")
    axes = figure.subplots(len(layers), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, y) in zip(axes, layers.items(), strict=True):
        flat = y.detach().flatten(1).cpu() if y.dim() > 1 else y.detach().cpu()[:, None]
        t, unit = flat.nonzero(as_tuple=True)
        size = min(12.0, max(0.3, 600.0 / flat.shape[1]))
        axis.scatter(t.numpy(), unit.numpy(), s=size, c="black", marker="|" if flat.shape[1] <= 64 else ".", lw=0.8)
        axis.set_ylim(-0.5, flat.shape[1] - 0.5)
        axis.set_ylabel(f"{name}\nunit")
        rate = 100 * float((flat != 0).float().mean())
        axis.set_title(f"{len(t)} spikes, {rate:.1f} % of {flat.shape[1]} units x {flat.shape[0]} steps", fontsize=8)
    axes[-1].set_xlabel("time step")
    axes[-1].set_xlim(-0.5, max(y.shape[0] for y in layers.values()) - 0.5)
    figure.suptitle(title)
    return figure


def reward_at_input(relevance: Tensor, title: str = "") -> Figure:
    """Draw where (and, over time, when) the input earned its reward.

    Parameters
    ----------
    relevance : Tensor
        Reward of each input: [T, C, H, W] or [T, N] over time, [C, H, W] or [N] without.
    title : str
        Of the figure.
    """
    temporal = relevance.dim() in (2, 4)
    spatial = relevance.dim() >= 3
    figure = Figure(figsize=(8 if temporal else 5, 4), layout="constrained")
    axes = figure.subplots(1, 2 if temporal else 1, squeeze=False)[0]
    axis = axes[0]
    if spatial:
        picture = relevance.sum((0, 1)) if temporal else relevance.sum(0)
        axis.set_title("over space")
        axis.set_xlabel("x")
        axis.set_ylabel("y")
    else:
        picture = relevance.T if temporal else relevance[:, None]
        axis.set_title("over channels and time" if temporal else "over channels")
        axis.set_xlabel("time step" if temporal else "")
        axis.set_ylabel("channel")
    # One ramp from black to white, not two colours: it means the same in grey.
    limit = float(picture.abs().max()) or 1.0
    image = axis.imshow(picture.float(), cmap="gray", vmin=-limit, vmax=limit, aspect="equal" if spatial else "auto")
    figure.colorbar(image, ax=axis, label="reward (white: for, black: against)")
    if temporal:
        per_step = relevance.flatten(1).float()
        t = range(len(per_step))
        axes[1].bar(t, per_step.clamp(min=0).sum(1), color="0.75", edgecolor="black", label="for")
        axes[1].bar(t, per_step.clamp(max=0).sum(1), color="0.25", edgecolor="black", label="against")
        axes[1].axhline(0, color="black", lw=0.8)
        axes[1].set_xlabel("time step")
        axes[1].set_ylabel("reward, summed over the input")
        axes[1].legend()
    figure.suptitle(title)
    return figure


def _gridded(figure: Figure) -> Figure:
    """Put a light grid behind the curves."""
    for axis in figure.axes:
        axis.grid(color="0.85", lw=0.6)
        axis.set_axisbelow(True)
    return figure
