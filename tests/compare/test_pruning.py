"""Pruning: exactly the smallest weights of all layers together, and nothing else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lfp_snn import LIF, Sequential
from lfp_snn.compare.pruning import prune_weights


def network() -> Sequential:
    return Sequential(
        nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), LIF(), nn.Flatten(), nn.Linear(12, 5), LIF(recurrent=5, learn_beta=True)
    )


WEIGHTS = ("0.weight", "4.weight", "5.recurrent")


@given(st.floats(0, 1))
def test_the_smallest_share_of_all_weights(amount: float) -> None:
    torch.manual_seed(3)
    net = network()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    prune_weights(net, amount)
    after = dict(net.named_parameters())
    assert after.keys() == before.keys()
    old = torch.cat([before[name].flatten() for name in WEIGHTS])
    new = torch.cat([after[name].detach().flatten() for name in WEIGHTS])
    gone = new == 0
    assert int(gone.sum()) == round(amount * len(old))
    assert torch.equal(new[~gone], old[~gone])
    if gone.any() and not gone.all():
        assert old[gone].abs().max() <= old[~gone].abs().min()
    for name in before.keys() - set(WEIGHTS):
        assert torch.equal(after[name], before[name])


def test_what_is_left_runs_and_saves_like_any_network() -> None:
    net, x = network(), torch.rand(4, 2, 1, 3, 3)
    keys = net.state_dict().keys()
    prune_weights(net, 0.5)
    assert net.state_dict().keys() == keys
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in net.parameters())
    net(x).sum().backward()
    assert net[4].weight.grad is not None


def test_no_weights_no_pruning() -> None:
    prune_weights(nn.ReLU(), 0.5)


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan")])
def test_refuses_what_is_no_share(amount: float) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        prune_weights(network(), amount)
