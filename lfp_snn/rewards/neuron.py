"""Rewards that move one output neuron up or down, whatever the sample: to visualise features, for control tasks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lfp_snn.errors import ShapeError
from lfp_snn.rewards.classification import LogitReward


@dataclass(repr=False)
class Maximise(LogitReward):
    """``R = sign(z) * (1 - sigmoid(z))``: pushes outputs up (arXiv 2308.12053, ``MaximizeSingleNeuron``).

    Parameters
    ----------
    neuron : int, optional
        Which output; all of them by default.

    Examples
    --------
    >>> Maximise(neuron=1).reward(torch.zeros(1, 2) + 1e-9, torch.zeros(1)).tolist()
    [[0.0, 0.5]]
    """

    neuron: int | None = None

    def density(self, z: Tensor, target: Tensor) -> Tensor:
        """Return ``(1 - sigmoid(z)) / |z|`` at the neuron."""
        density = (1 - torch.sigmoid(z)) / z.abs().clamp(min=torch.finfo(z.dtype).tiny)
        if self.neuron is None:
            return density
        if not 0 <= self.neuron < z.shape[-1]:
            raise ShapeError(f"there is no output neuron {self.neuron}: the network has {z.shape[-1]}")
        only = torch.zeros_like(density)
        only[:, self.neuron] = density[:, self.neuron]
        return only


@dataclass(repr=False)
class Minimise(Maximise):
    """``R = -sign(z) * (1 - sigmoid(z))``: pushes outputs down.

    Examples
    --------
    >>> Minimise().reward(torch.zeros(1, 1) + 1e-9, torch.zeros(1)).tolist()
    [[-0.5]]
    """

    def density(self, z: Tensor, target: Tensor) -> Tensor:
        """Return minus the density of :class:`Maximise`."""
        return -super().density(z, target)
