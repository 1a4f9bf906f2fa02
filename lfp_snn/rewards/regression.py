"""A reward for values instead of classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from lfp_snn.errors import ShapeError
from lfp_snn.rewards.base import Reward, scores, valid


@dataclass(repr=False)
class Regression(Reward):
    """``R = z * (target - z)``: minus the output times the derivative of half the squared error.

    The target has the output's shape, or ``[B, C]`` for an output over time ``[T, B, C]``: then it is for the mean over
    the valid steps.

    Examples
    --------
    >>> import torch
    >>> Regression().reward(torch.tensor([[2.0]]), torch.tensor([[3.0]])).tolist()
    [[2.0]]
    """

    def reward(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the output times its distance from the target."""
        value, target = self._compared(output, target, lengths)
        if output.dim() == 2:
            return output * (target - value)
        return output * (target - value) * valid(output, lengths)

    def loss(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return half the squared error, summed over outputs, of a sample (the mean over valid steps)."""
        value, target = self._compared(output, target, lengths)
        error = F.mse_loss(value, target, reduction="none") / 2
        return (error * valid(output, lengths) if error.dim() == 3 else error).sum() / output.shape[-2]

    @staticmethod
    def _compared(output: Tensor, target: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        target = target.to(output.dtype)
        if target.dim() == output.dim() - 1 and output.shape[-1] == 1:
            target = target[..., None]
        if target.shape == output.shape:
            return output, target
        if target.shape == output.shape[1:]:
            return scores(output, lengths), target
        raise ShapeError(f"the target's shape {list(target.shape)} does not fit the output's {list(output.shape)}")
