"""How large the message is that arrives at a layer: the reward of LFP, or a gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lfp_snn.diagnosis.steps import StepMean, valid_steps

NO_REWARD = 0.01
"""An example whose message at the output is smaller teaches nothing any more; rewards are of the order of 1."""


@dataclass(frozen=True)
class Message:
    """What came back to the outputs of a layer.

    Attributes
    ----------
    size : float
        Absolute size for one example, summed over units and steps: of the reward under LFP, else of the gradient.
    mean : float
        The same per unit and step.
    per_step : tuple of float
        Size at each step, summed over units, ``[T]``.
    ratio : float or None
        Size as a multiple of that at the network's output; None if nothing arrived there.
    zero : float
        Share of (unit, step, example) places at which exactly nothing arrived.
    unreached : float
        Share of units (in feature maps, channels) at which nothing ever arrived.
    spent : float
        Share of examples for which the size is below 0.01: at the output, those that teach nothing any more.
    """

    size: float
    mean: float
    per_step: tuple[float, ...]
    ratio: float | None
    zero: float
    unreached: float
    spent: float


class MessageMeter:
    """Sums up the messages of a layer over batches.

    Examples
    --------
    >>> meter = MessageMeter()
    >>> meter.add(torch.tensor([[[0.5, 0.0], [0.0, -0.5]]]), None)
    >>> meter.result(output_size=1.0).ratio, meter.result(output_size=1.0).zero
    (0.5, 0.5)
    """

    def __init__(self) -> None:
        self._per_step = StepMean()
        self._reached: Tensor | None = None
        self._total = self._zeros = self._slots = self._spent = 0.0
        self._examples = 0

    @property
    def size(self) -> float:
        """Absolute size for one example."""
        return self._total / max(self._examples, 1)

    def add(self, message: Tensor, lengths: Tensor | None) -> None:
        """Add messages ``[T, B, ...]`` of single examples."""
        steps, batch = message.shape[:2]
        flat = message.abs().reshape(*message.shape[:3], -1)
        valid = valid_steps(steps, batch, lengths, message.device)
        places = flat.flatten(2)
        each = places.sum(-1, dtype=torch.float64)
        self._per_step.add(each, valid)
        self._total += float(each.sum())
        self._spent += float((each.sum(0) < NO_REWARD).sum())
        self._zeros += float(((places == 0) & valid[..., None]).sum())
        self._slots += float(valid.sum()) * places.shape[-1]
        self._examples += batch
        reached = (flat != 0).any(-1).any(0).any(0)
        self._reached = reached if self._reached is None else self._reached | reached

    def result(self, output_size: float) -> Message:
        """Return what was measured, in relation to the size at the network's output."""
        reached = torch.zeros(1) if self._reached is None else self._reached
        return Message(
            size=self.size,
            mean=self._total / max(self._slots, 1),
            per_step=self._per_step.values(),
            ratio=self.size / output_size if output_size > 0 else None,
            zero=self._zeros / max(self._slots, 1),
            unreached=1 - float(reached.double().mean()),
            spent=self._spent / max(self._examples, 1),
        )
