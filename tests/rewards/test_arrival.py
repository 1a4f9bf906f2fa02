"""Rewards that would not be shared out as rewards are told so, and only they."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import LFP, LI, LIF, Sequential, rewards
from lfp_snn.errors import RewardWarning, ShapeError
from lfp_snn.rewards import Reward

Y = torch.tensor([0, 2])


def network(readout: nn.Module) -> Sequential:
    torch.manual_seed(0)
    return Sequential(nn.Linear(4, 8), LIF(threshold=0.1), nn.Linear(8, 3), readout)


READOUTS = {"spikes": lambda: LIF(threshold=0.1), "membrane": lambda: LI()}


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize(
    "moved",
    [lambda y: y, lambda y: y[2:], lambda y: y.flip(0), lambda y: y.double(), lambda y: y.amax(0), lambda y: y[-1]],
    ids=["itself", "last steps", "reversed", "cast", "largest", "last step"],
)
def test_an_output_of_which_elements_are_chosen_is_fine(readout: str, moved: Callable[[Tensor], Tensor]) -> None:
    net = network(READOUTS[readout]())
    with LFP().context(net), warnings.catch_warnings():
        warnings.simplefilter("error")
        rewards.Softmax()(moved(net(torch.rand(5, 2, 4))), Y).backward()
    assert net[2].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize(
    "computed",
    [lambda y: y.mean(0), lambda y: y.softmax(-1), lambda y: 2 * y, lambda y: rewards.scores(y)],
    ids=["mean", "softmax", "scaled", "scores"],
)
def test_something_computed_from_the_output_is_warned_of(readout: str, computed: Callable[[Tensor], Tensor]) -> None:
    net = network(READOUTS[readout]())
    with LFP().context(net):
        y = net(torch.rand(5, 2, 4))
        with pytest.warns(
            RewardWarning, match="Softmax is given something that was computed from the network's output"
        ):
            rewards.Softmax()(computed(y), Y)


@pytest.mark.parametrize("readout", READOUTS)
def test_a_network_without_lfp_is_warned_of(readout: str) -> None:
    net = network(READOUTS[readout]())
    y = net(torch.rand(5, 2, 4))
    with LFP().context(net), pytest.warns(RewardWarning, match="did not run under LFP"):
        rewards.RateCoded()(y, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rewards.RateCoded().loss(y, Y).backward()
        with torch.no_grad():
            rewards.RateCoded()(net(torch.rand(5, 2, 4)), Y)


def test_in_pieces_of_time() -> None:
    net = network(LIF(threshold=0.1))
    net.checkpoint_steps = 2
    with LFP().context(net), warnings.catch_warnings():
        warnings.simplefilter("error")
        rewards.RateCoded()(net(torch.rand(5, 2, 4)), Y).backward()


class Short(Reward):
    def reward(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        return output.sum(-1)


def test_rewards_that_are_not_written_right() -> None:
    with pytest.raises(ShapeError, match=r"Short.reward returned shape \[5, 2\], and not a reward for each output"):
        Short()(torch.rand(5, 2, 3), Y)
    with pytest.raises(NotImplementedError, match="Reward must define reward"):
        Reward()(torch.rand(5, 2, 3), Y)
