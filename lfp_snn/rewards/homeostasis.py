"""Homeostasis: a reward for hidden neurons that fire neither too much nor too little."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Homeostasis:
    r"""Keeps the mean firing rate of hidden neurons (of channels, in feature maps) between two bounds.

    A neuron (or channel) below ``low`` receives positive reward density on its current at every step, so that even a
    silent neuron, which the spikes' reward never reaches, is woken; one above ``high`` receives negative reward:

    .. math:: h = \lambda\, \Big(\frac{[\rho < low]\,(low - \rho)}{low} - [\rho > high]\,(\rho - high)\Big)

    The rate :math:`\rho` is that of the batch. Give it to :class:`lfp_snn.LFP` as ``homeostasis``.

    Parameters
    ----------
    low, high : float
        Bounds of the rate, in spikes a step.
    strength : float
        :math:`\lambda`, against a task reward of the order of 1 a sample.

    Raises
    ------
    ValueError
        If not ``0 <= low <= high <= 1``.

    Examples
    --------
    >>> import torch
    >>> Homeostasis(low=0.1, high=0.2, strength=1.0).density(torch.tensor([0.0, 0.15, 0.7])).tolist()
    [1.0, 0.0, -0.5]
    """

    low: float = 0.01
    high: float = 0.2
    strength: float = 1.0

    def __post_init__(self) -> None:
        """Check the bounds."""
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"homeostasis needs 0 <= low <= high <= 1, got low={self.low}, high={self.high}")

    def density(self, rate: Tensor) -> Tensor:
        """Return the reward density ``[N]`` of neurons with mean rate ``[N]``."""
        more = (self.low - rate).clamp(min=0) / max(self.low, 1e-12)
        return self.strength * (more - (rate - self.high).clamp(min=0))
