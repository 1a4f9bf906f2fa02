"""Layer-wise Feedback Propagation, and its message without the scaling of the parameters."""

from __future__ import annotations

import copy

from torch import nn

from lfp_snn.methods.base import Learner, Method
from lfp_snn.propagation import LFP


class Feedback(Method):
    """Layer-wise Feedback Propagation: ``|w|`` times the reward that arrives (arXiv 2308.12053).

    Parameters
    ----------
    lfp : LFP, optional
        The propagator with its rules.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn import LIF, Sequential, rewards
    >>> net, x, target = Sequential(nn.Linear(4, 3), LIF()), torch.rand(2, 4), torch.tensor([0, 2])
    >>> with Feedback().attach(net) as learner:
    ...     spikes, loss = learner.learn(x, target, criterion=rewards.RateCoded(), steps=5)
    >>> net[0].weight.grad.shape
    torch.Size([3, 4])
    """

    takes_reward = True
    pieces = True

    def __init__(self, lfp: LFP | None = None) -> None:
        self.lfp = lfp if lfp is not None else LFP(keep_feedback=False)

    def attach(self, network: nn.Module) -> Learner:
        """Attach the propagator."""
        return Learner(network, self.lfp.attach(network).remove)


class UnscaledFeedback(Feedback):
    """LFP's message without ``|w|``: one half of the control that tells message and scaling apart.

    Examples
    --------
    >>> UnscaledFeedback().lfp.scale_floor is None
    True
    """

    def __init__(self, lfp: LFP | None = None) -> None:
        super().__init__(lfp)
        self.lfp = copy.copy(self.lfp)
        self.lfp.scale_floor = None
