"""Rewards from outside: from any differentiable loss, from a person, from a score that nobody can differentiate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.rewards.base import Reward, scores, valid


@dataclass(repr=False)
class FromLoss(Reward):
    """The reward ``R = -z * dL/dz`` that stands for a differentiable loss ``L(output, target)`` (mean over the batch).

    Parameters
    ----------
    criterion : callable
        ``criterion(output, target)``, with the class scores ``[B, C]``: of an output over time, its mean over the valid
        steps.
    every_step : bool
        Whether the criterion takes the output of every step, ``[T, B, C]``. It knows nothing of padding then.

    Examples
    --------
    >>> reward = FromLoss(F.cross_entropy)
    >>> reward.reward(torch.tensor([[2.0, 2.0]]), torch.tensor([1])).tolist()
    [[-1.0, 1.0]]
    """

    criterion: Callable[[Tensor, Tensor], Tensor]
    every_step: bool = False

    def reward(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return minus the output times the derivative of the loss, per sample."""
        with torch.enable_grad():
            z = output.detach().requires_grad_()
            (g,) = torch.autograd.grad(self.loss(z, target, lengths), z)
        return -output * g * output.shape[-2]

    def loss(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the loss of the output, or of its mean over the valid steps."""
        if not self.every_step:
            return self.criterion(scores(output, lengths), target)
        if lengths is not None:
            raise ConfigError("a criterion of every step knows nothing of padding: leave lengths out, or every_step")
        return self.criterion(output, target)


@dataclass(repr=False)
class Given(Reward):
    """The reward itself is the target: a tensor of the output's shape.

    Examples
    --------
    >>> Given()(torch.ones(1, 2), torch.tensor([[0.5, -1.0]])).item()
    0.5
    """

    def reward(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the target, without the padding."""
        if target.shape != output.shape:
            raise ShapeError(f"the reward's shape {list(target.shape)} must be the output's {list(output.shape)}")
        target = target.to(output.dtype)
        return target if lengths is None else target * (valid(output, lengths) > 0)


@dataclass(repr=False)
class Judged(Reward):
    """One number a sample, a person's yes (+1) or no (-1) or a black-box score, for the decision the network made.

    Parameters
    ----------
    baseline : float
        Subtracted from the score, so that what is merely usual is not rewarded.

    Examples
    --------
    >>> Judged().reward(torch.tensor([[1.0, 3.0]]), torch.tensor([-1.0])).tolist()
    [[-0.0, -1.0]]
    """

    baseline: float = 0.0

    def reward(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the score at the class that won; over time, at its active steps."""
        batch, classes = output.shape[-2:]
        if target.shape != (batch,):
            raise ShapeError(f"one score a sample is needed, shape [{batch}], got {list(target.shape)}")
        z = scores(output, lengths)
        decision = (
            F.one_hot(z.argmax(-1), classes).to(output.dtype) * (target.to(output.dtype) - self.baseline)[:, None]
        )
        share = output.sign() if output.dim() == 2 else output.sign() * valid(output, lengths)
        return decision * share
