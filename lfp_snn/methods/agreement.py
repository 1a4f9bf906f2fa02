"""How near the message of one method is to that of another."""

from __future__ import annotations

import copy

import torch.nn.functional as F
from torch import Tensor, nn

from lfp_snn.methods.base import Method
from lfp_snn.rewards import Reward


def agreement(
    method: Method,
    other: Method,
    network: nn.Module,
    x: Tensor,
    target: Tensor,
    reward: Reward,
    *,
    lengths: Tensor | None = None,
    steps: int | None = None,
) -> dict[str, float]:
    """Return the cosine between the updates that two methods give each parameter, on the same network and batch.

    1 is the same direction, 0 a right angle; NaN where one of them gives a parameter nothing.

    Parameters
    ----------
    method, other : Method
        What to compare.
    network : nn.Module
        Copies of it are used.
    x, target, lengths, steps
        The batch, as :meth:`lfp_snn.methods.base.Learner.learn` takes it.
    reward : Reward
        Methods that descend on a gradient take its ``loss``.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn import LI, LIF, Sequential, methods, rewards
    >>> _, y = torch.manual_seed(0), torch.tensor([0, 2])
    >>> net, x = Sequential(nn.Linear(4, 8), LIF(), nn.Linear(8, 3), LI()), 4 * torch.rand(6, 2, 4)
    >>> whole, parts = methods.Feedback(), methods.OnlineFeedback(window=6)
    >>> {k: round(v, 4) for k, v in agreement(whole, parts, net, x, y, rewards.Softmax()).items()}
    {'0.weight': 1.0, '0.bias': 1.0, '2.weight': 1.0, '2.bias': 1.0}
    """
    updates = []
    for each in (method, other):
        twin = copy.deepcopy(network)
        twin.zero_grad()
        with each.attach(twin) as learner:
            criterion = reward if each.takes_reward else reward.loss
            learner.learn(x, target, lengths, criterion=criterion, steps=steps)
        updates.append({name: p.grad for name, p in twin.named_parameters() if p.requires_grad})
    return {name: _cosine(g, updates[1][name]) for name, g in updates[0].items()}


def _cosine(a: Tensor | None, b: Tensor | None) -> float:
    if a is None or b is None or not bool(a.any()) or not bool(b.any()):
        return float("nan")
    return float(F.cosine_similarity(a.double().flatten(), b.double().flatten(), dim=0))
