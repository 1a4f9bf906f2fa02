"""Rewards for logits: of a static network, or the mean over time of a membrane (or of spikes).

Each says how far a logit ``z`` should move, its *density* ``R/z``; over time, every valid step gets the same density.
The formulas are those of the reference implementation (arXiv 2308.12053, ``lfprop`` 1.0.0).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lfp_snn.errors import ShapeError
from lfp_snn.rewards.base import Reward, one_hot, scores, valid


class LogitReward(Reward):
    """Base class of rewards given by a density on the logits."""

    def density(self, z: Tensor, target: Tensor) -> Tensor:
        """Return ``R/z`` for logits ``[B, C]``."""
        raise NotImplementedError

    def reward(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return ``z * density``, shared over time in proportion to the output of each step."""
        density = self.density(scores(output, lengths), target)
        return output * (density if output.dim() == 2 else density * valid(output, lengths))


@dataclass(repr=False)
class Softmax(LogitReward):
    """``R = z * (onehot - softmax(z))``, cross-entropy's: for a ReLU network, gradient descent scaled by ``|w|``.

    Parameters
    ----------
    scale : float
        Factor on the logits inside the softmax; useful for spike rates, which lie in [0, 1].

    Examples
    --------
    >>> Softmax().reward(torch.tensor([[2.0, 2.0]]), torch.tensor([1])).tolist()
    [[-1.0, 1.0]]
    """

    scale: float = 1.0

    def density(self, z: Tensor, target: Tensor) -> Tensor:
        """Return ``onehot - softmax(scale*z)``."""
        return one_hot(target, z) - torch.softmax(self.scale * z, -1)

    def loss(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the cross-entropy."""
        return F.cross_entropy(self.scale * scores(output, lengths), target) / self.scale


@dataclass(repr=False)
class Sigmoid(LogitReward):
    """``R = z * (onehot - sigmoid(z))``: every class a yes-or-no question.

    Examples
    --------
    >>> Sigmoid().reward(torch.tensor([[0.0, 0.0]]), torch.tensor([1])).tolist()
    [[-0.0, 0.0]]
    """

    def density(self, z: Tensor, target: Tensor) -> Tensor:
        """Return ``onehot - sigmoid(z)``."""
        return one_hot(target, z) - torch.sigmoid(z)

    def loss(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the binary cross-entropy, summed over classes."""
        z = scores(output, lengths)
        return F.binary_cross_entropy_with_logits(z, one_hot(target, z), reduction="sum") / len(z)


@dataclass(repr=False)
class BinarySigmoid(LogitReward):
    """``R = z * (target - sigmoid(z))`` for targets in [0, 1] of the output's shape (or ``[B]`` for one output).

    Examples
    --------
    >>> BinarySigmoid().reward(torch.tensor([[0.0], [0.0]]), torch.tensor([1.0, 0.0])).tolist()
    [[0.0], [-0.0]]
    """

    def density(self, z: Tensor, target: Tensor) -> Tensor:
        """Return ``target - sigmoid(z)``."""
        return self._fitting(target, z) - torch.sigmoid(z)

    def loss(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the binary cross-entropy, summed over outputs."""
        z = scores(output, lengths)
        return F.binary_cross_entropy_with_logits(z, self._fitting(target, z), reduction="sum") / len(z)

    @staticmethod
    def _fitting(target: Tensor, z: Tensor) -> Tensor:
        if target.shape == z.shape[:1] and z.shape[1] == 1:
            target = target[:, None]
        if target.shape != z.shape:
            raise ShapeError(f"targets must have the shape of the scores {list(z.shape)}, got {list(target.shape)}")
        return target.to(z.dtype)


@dataclass(repr=False)
class BoundedSoftmax(LogitReward):
    """:class:`Softmax` with probabilities below ``low`` taken as 0 and above ``high`` as 1.

    Parameters
    ----------
    low, high : float
        The bounds: no reward is given any more for what is decided well enough.
    sign_only : bool
        Use ``sign(z)`` in place of ``z``.

    Examples
    --------
    >>> BoundedSoftmax(low=0.1, high=0.9).reward(torch.tensor([[9.0, 0.0]]), torch.tensor([0])).tolist()
    [[0.0, 0.0]]
    """

    low: float = 0.0
    high: float = 1.0
    sign_only: bool = False

    def density(self, z: Tensor, target: Tensor) -> Tensor:
        """Return ``onehot - bounded softmax``."""
        p = torch.softmax(z, -1)
        p = p.masked_fill(p > self.high, 1.0).masked_fill(p < self.low, 0.0)
        density = one_hot(target, z) - p
        return density / z.abs().clamp(min=torch.finfo(z.dtype).tiny) if self.sign_only else density

    def loss(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the cross-entropy."""
        return F.cross_entropy(scores(output, lengths), target)


@dataclass(repr=False)
class CorrectClass(LogitReward):
    """``R = sign(z)`` at the true class of samples that are classified right, else 0.

    Examples
    --------
    >>> CorrectClass().reward(torch.tensor([[1.0, 3.0], [1.0, 3.0]]), torch.tensor([1, 0])).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """

    def density(self, z: Tensor, target: Tensor) -> Tensor:
        """Return ``1/|z|`` at true classes that win."""
        truth = one_hot(target, z)
        wins = (z * truth).sum(-1, keepdim=True) == z.amax(-1, keepdim=True)
        return truth * wins / z.abs().clamp(min=torch.finfo(z.dtype).tiny)


@dataclass(repr=False)
class Misclassification(LogitReward):
    """``R = -sign(z)`` at every class that scores above the true one.

    Examples
    --------
    >>> Misclassification().reward(torch.tensor([[1.0, 3.0], [1.0, 3.0]]), torch.tensor([1, 0])).tolist()
    [[-0.0, -0.0], [-0.0, -1.0]]
    """

    def density(self, z: Tensor, target: Tensor) -> Tensor:
        """Return ``-1/|z|`` at the classes above the true one."""
        true_score = (z * one_hot(target, z)).sum(-1, keepdim=True)
        return -(z > true_score).to(z.dtype) / z.abs().clamp(min=torch.finfo(z.dtype).tiny)
