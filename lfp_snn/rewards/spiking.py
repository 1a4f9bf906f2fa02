"""Rewards for spikes: given to every step of an output neuron, whether it fired or not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lfp_snn.errors import ShapeError
from lfp_snn.rewards.base import Reward, one_hot, scores, valid


class SpikeReward(Reward):
    """Base class: the true class is told to fire at every step, the others not to fire where they did."""

    def size(self, rate: Tensor, truth: Tensor, steps: Tensor) -> Tensor:
        """Return the size of the reward, positive, ``[B, C]``; ``rate`` is in [0, 1], ``steps`` is ``[B, 1]``."""
        raise NotImplementedError

    def reward(self, spikes: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return ``+size`` at all valid steps of the true class, ``-size`` at the spikes of the others, per step."""
        if spikes.dim() != 3:
            raise ShapeError(f"{type(self).__name__} takes spikes [T, B, C], got shape {list(spikes.shape)}")
        weight, truth = valid(spikes, lengths), one_hot(target, spikes)
        steps = (weight > 0).sum(0)
        size = self.size((spikes * weight).sum(0), truth, steps)
        return torch.where(truth.bool(), size * weight, -spikes * size * weight)


@dataclass(repr=False)
class RateCoded(SpikeReward):
    """The reference's reward for rate-coded spikes, per step: fades as a neuron fires often (or seldom) enough.

    ``1 - sigmoid(n - T//2)`` for the true class, ``1 - sigmoid((T - n) - T//2)`` for the others, with ``n`` spikes in
    ``T`` steps (``SnnCorrectClassRewardSpikesRateCoded`` of ``lfprop`` 1.0.0, divided by T).

    Examples
    --------
    >>> RateCoded().reward(torch.ones(2, 1, 2), torch.tensor([1])).squeeze(1).mul(100).round().tolist()
    [[-37.0, 13.0], [-37.0, 13.0]]
    """

    def size(self, rate: Tensor, truth: Tensor, steps: Tensor) -> Tensor:
        """Return the fading of each neuron."""
        fired, half = rate * steps, steps // 2
        wanted = torch.where(truth.bool(), fired, steps - fired)
        return 1 - torch.sigmoid(wanted - half)

    def loss(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the cross-entropy of the spike counts (snntorch's ``ce_count_loss``)."""
        steps = output.shape[0] if lengths is None else lengths[:, None].to(output.device)
        return F.cross_entropy(scores(output, lengths) * steps, target)


@dataclass(repr=False)
class RateSoftmax(SpikeReward):
    """Classes compete: the size is ``|onehot - softmax(scale * rate)|``, so it fades with the margin, not the count.

    Parameters
    ----------
    scale : float
        Factor on the firing rates inside the softmax: how large a difference of rates is a certain decision.

    Examples
    --------
    >>> RateSoftmax().reward(torch.ones(2, 1, 2), torch.tensor([1])).squeeze(1).tolist()
    [[-0.25, 0.25], [-0.25, 0.25]]
    """

    scale: float = 10.0

    def size(self, rate: Tensor, truth: Tensor, steps: Tensor) -> Tensor:
        """Return the distance of the softmax from the truth."""
        return (truth - torch.softmax(self.scale * rate, -1)).abs()

    def loss(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the cross-entropy of the scaled rates, its gradient of the same size."""
        return F.cross_entropy(self.scale * scores(output, lengths), target) / self.scale
