"""``lfprop.rewards.reward_functions``: rewards that are made for a device and return the reward itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lfp_snn import rewards


class RewardFunction:
    """Base class: called with ``(logits, labels)``, ``[B, C]`` and ``[B]``, it returns the reward of every logit.

    Parameters
    ----------
    device : device
        Not needed: the reward is where the logits are.
    **options
        Of the reward.
    """

    kind: type[rewards.Reward] = rewards.Given

    def __init__(self, device: Any = None, **options: Any) -> None:
        self.device = device
        self.criterion = self.kind(**options)

    @torch.no_grad()
    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the reward, ``[B, C]``."""
        return self.criterion.reward(logits.detach(), labels)


class MaximizeSingleNeuron(RewardFunction):
    """:class:`lfp_snn.rewards.Maximise`."""

    kind = rewards.Maximise


class MinimizeSingleNeuron(RewardFunction):
    """:class:`lfp_snn.rewards.Minimise`."""

    kind = rewards.Minimise


class BinarySigmoidLossReward(RewardFunction):
    """:class:`lfp_snn.rewards.BinarySigmoid`."""

    kind = rewards.BinarySigmoid


class SigmoidLossReward(RewardFunction):
    """:class:`lfp_snn.rewards.Sigmoid`."""

    kind = rewards.Sigmoid


class SoftmaxLossReward(RewardFunction):
    """:class:`lfp_snn.rewards.Softmax`.

    Examples
    --------
    >>> SoftmaxLossReward("cpu")(torch.tensor([[2.0, 2.0]]), torch.tensor([1])).tolist()
    [[-1.0, 1.0]]
    """

    kind = rewards.Softmax


class CorrectclassificationReward(RewardFunction):
    """:class:`lfp_snn.rewards.CorrectClass`."""

    kind = rewards.CorrectClass


class MisclassificationReward(RewardFunction):
    """:class:`lfp_snn.rewards.Misclassification`."""

    kind = rewards.Misclassification


class BoundedSoftmaxReward(RewardFunction):
    """:class:`lfp_snn.rewards.BoundedSoftmax`.

    Parameters
    ----------
    device : device
        Not needed.
    lower_bound, higher_bound, logit_sign_only
        Its ``low``, ``high`` and ``sign_only``.
    """

    kind = rewards.BoundedSoftmax

    def __init__(
        self, device: Any = None, lower_bound: float = 0.0, higher_bound: float = 1.0, logit_sign_only: bool = False
    ) -> None:
        super().__init__(device, low=lower_bound, high=higher_bound, sign_only=logit_sign_only)


class SnnCorrectClassRewardSpikesRateCoded(RewardFunction):
    """:class:`lfp_snn.rewards.RateCoded` for spikes ``[T, B, C]``, not divided by ``T``.

    Examples
    --------
    >>> reward = SnnCorrectClassRewardSpikesRateCoded("cpu")
    >>> reward(torch.ones(2, 1, 2), torch.tensor([1])).squeeze(1).mul(100).round().tolist()
    [[-73.0, 27.0], [-73.0, 27.0]]
    """

    kind = rewards.RateCoded

    def __call__(self, spikes: Tensor, labels: Tensor) -> Tensor:
        """Return the reward, ``[T, B, C]``."""
        return super().__call__(spikes, labels) * len(spikes)

    def get_predictions(self, spikes: Tensor) -> Tensor:
        """Return the class that fired most, ``[B]``."""
        return spikes.sum(0).argmax(-1)
