"""Firing rates and silent units, watched through forward hooks that cost nothing while nobody looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from lfp_snn.neurons import SpikingNeuron
from lfp_snn.training.fabric import total

SILENT = "fired no spike: it gets no reward and cannot learn. Raise model.start_rate, or set rule.homeostasis"
SATURATED = "fires at almost every step and carries no information. Lower model.start_rate, or set rule.homeostasis"
MANY_DEAD = "units never fired and get no reward; rule.homeostasis would wake them"


@dataclass
class LayerCount:
    """Spikes of one layer so far."""

    spikes: Tensor
    """Number of spikes, float64."""
    slots: Tensor
    """Number of (step, example, unit) places where one could have been, float64."""
    fired: Tensor
    """Whether a unit fired at all, bool, the shape of the layer."""


class SpikeMonitor:
    """Count the spikes of every spiking layer of a network.

    Parameters
    ----------
    network : nn.Module
        Layers are found by type (`SpikingNeuron`) and reported by their names in the network.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from lfp_snn import LIF, Sequential
    >>> net = Sequential(nn.Linear(3, 4), LIF(beta=0.9))
    >>> monitor = SpikeMonitor(net)
    >>> with monitor.watch():
    ...     _ = net(torch.zeros(5, 2, 3))
    >>> list(monitor.rates()), monitor.units()
    (['1'], {'1': 4})
    """

    def __init__(self, network: nn.Module) -> None:
        self.counts: dict[str, LayerCount] = {}
        self._watching = False
        self._lengths: Tensor | None = None
        layers = {name: m for name, m in network.named_modules() if isinstance(m, SpikingNeuron)}
        self._handles = [m.register_forward_hook(self._hook(name)) for name, m in layers.items()]

    def _hook(self, name: str) -> Any:
        """Make the forward hook of a layer."""

        def hook(module: nn.Module, inputs: Any, output: tuple[Tensor, Any]) -> None:
            if self._watching:
                self._count(name, output[0].detach())

        return hook

    @contextmanager
    def watch(self, lengths: Tensor | None = None) -> Iterator[None]:
        """Count the spikes of the forward passes made inside.

        Parameters
        ----------
        lengths : Tensor, optional
            Valid steps of each example, int64 [B]; spikes at padded steps do not count.
        """
        self._watching, self._lengths = True, lengths
        try:
            yield
        finally:
            self._watching, self._lengths = False, None

    def _count(self, name: str, y: Tensor) -> None:
        """Add the spikes of one layer, [T, B, ...]."""
        steps, batch = y.shape[:2]
        units = y[0, 0].numel()
        if self._lengths is None:
            slots = torch.tensor(float(steps * batch * units), dtype=torch.float64, device=y.device)
        else:
            valid = torch.arange(steps, device=y.device)[:, None] < self._lengths
            y = y * valid.reshape(steps, batch, *[1] * (y.dim() - 2))
            slots = valid.sum(dtype=torch.float64) * units
        total = y.flatten(0, 1).sum(0, dtype=torch.float64)
        fired = total > 0
        old = self.counts.get(name)
        if old is not None:
            slots, fired = old.slots + slots, old.fired | fired
        self.counts[name] = LayerCount(total.sum() + (old.spikes if old else 0.0), slots, fired)

    def reduce(self, fabric: Fabric) -> None:
        """Sum the counts over all processes."""
        for name, c in self.counts.items():
            fired = total(fabric, c.fired.to(torch.int64)) > 0
            self.counts[name] = LayerCount(total(fabric, c.spikes), total(fabric, c.slots), fired)

    def reset(self) -> None:
        """Forget what was counted."""
        self.counts.clear()

    def rates(self) -> dict[str, float]:
        """Return the spikes per unit and step of each layer."""
        return {name: (c.spikes / c.slots.clamp(min=1)).item() for name, c in self.counts.items()}

    def dead_units(self) -> dict[str, int]:
        """Return the number of units of each layer that never fired."""
        return {name: int((~c.fired).sum()) for name, c in self.counts.items()}

    def units(self) -> dict[str, int]:
        """Return the number of units of each layer."""
        return {name: c.fired.numel() for name, c in self.counts.items()}

    def warnings(self) -> list[str]:
        """Return what is wrong with the rates, in words."""
        found = []
        units, dead = self.units(), self.dead_units()
        for name, rate in self.rates().items():
            if dead[name] == units[name]:
                found.append(f"layer {name} {SILENT}")
            elif rate > 0.9:
                found.append(f"layer {name} {SATURATED}")
            elif dead[name] > units[name] / 2:
                found.append(f"layer {name}: {dead[name]} of {units[name]} {MANY_DEAD}")
        return found

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()
