"""How much the units of a layer fire (without time: how often they are active)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lfp_snn.diagnosis.steps import StepMean, valid_steps

SATURATED = 0.95
"""A unit that fires at this share of steps or more says the same all the time."""
BAND = (0.01, 0.5)
"""Rates at which a unit carries information: not silent in most recordings, not a clock."""


@dataclass(frozen=True)
class Activity:
    """What was measured of a layer; a unit is a neuron, in feature maps a channel, whose neurons share their weights.

    Attributes
    ----------
    units : int
        Number of units.
    rate : float
        Spikes per unit and step; without time, share of outputs that are not 0.
    per_step : tuple of float
        The same for each step, ``[T]``.
    dead : float
        Share of units that were never active.
    saturated : float or None
        Share of units that fired at 95 % of the steps or more; None without spikes.
    healthy : float or None
        Share of units that fired at 1 % to 50 % of the steps; None without spikes.
    """

    units: int
    rate: float
    per_step: tuple[float, ...]
    dead: float
    saturated: float | None
    healthy: float | None


class ActivityMeter:
    """Sums up the activity of a layer over batches.

    Parameters
    ----------
    spiking : bool
        Whether the outputs are spikes.

    Examples
    --------
    >>> meter = ActivityMeter(spiking=True)
    >>> meter.add(torch.tensor([1.0, 0.0, 0.0, 1.0]).reshape(2, 1, 2), None)
    >>> meter.result().rate, meter.result().dead
    (0.5, 0.0)
    """

    def __init__(self, spiking: bool) -> None:
        self.spiking = spiking
        self._per_step = StepMean()
        self._active: Tensor | float = 0.0
        self._slots = 0.0

    def add(self, output: Tensor, lengths: Tensor | None) -> None:
        """Add an output ``[T, B, N]`` or, of feature maps, ``[T, B, C, ...]``."""
        steps, batch = output.shape[:2]
        active = (output != 0).to(torch.float32).reshape(*output.shape[:3], -1).mean(-1)
        valid = valid_steps(steps, batch, lengths, output.device)
        self._per_step.add(active.mean(-1), valid)
        self._active = self._active + (active * valid[..., None]).sum((0, 1), dtype=torch.float64)
        self._slots += float(valid.sum())

    def result(self) -> Activity:
        """Return what was measured."""
        rates = torch.as_tensor(self._active) / max(self._slots, 1)
        low, high = BAND

        def share(which: Tensor) -> float:
            return float(which.double().mean())

        return Activity(
            units=rates.numel(),
            rate=float(rates.mean()),
            per_step=self._per_step.values(),
            dead=share(rates == 0),
            saturated=share(rates >= SATURATED) if self.spiking else None,
            healthy=share((rates >= low) & (rates <= high)) if self.spiking else None,
        )
