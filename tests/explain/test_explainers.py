from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import LFP, LI, LIF, Sequential
from lfp_snn.errors import ConfigError
from lfp_snn.explain import GradientTimesInput, Occlusion, Random, Relevance, explain
from lfp_snn.neurons.surrogate import Heaviside
from lfp_snn.rewards import scores


def linear(*shape: int) -> Sequential:
    """A network whose output is linear in its input, so that all explanations are known."""
    torch.manual_seed(0)
    return Sequential(nn.Flatten(), nn.Linear(int(torch.tensor(shape).prod()), 3, bias=False), LI(beta=0.5))


def contributions(net: Sequential, x: Tensor, target: Tensor) -> Tensor:
    """What each input adds to the class's mean membrane."""
    steps = len(x)
    weight = net[1].weight[target].reshape(x.shape[1:])
    reach = torch.tensor([sum(0.5**k for k in range(steps - t)) / steps for t in range(steps)])
    return x * weight * reach.reshape(-1, *[1] * (x.dim() - 1))


def test_on_a_linear_network_gradient_and_relevance_are_the_contributions() -> None:
    net, x, target = linear(2, 4, 4), torch.rand(6, 3, 2, 4, 4), torch.tensor([0, 1, 2])
    want = contributions(net, x, target).detach()
    torch.testing.assert_close(GradientTimesInput(net)(x, target), want, rtol=1e-4, atol=1e-6)
    relevance = Relevance(net, LFP(1e-9), against=None)(x, target)
    torch.testing.assert_close(relevance, want, rtol=1e-3, atol=1e-6)


def test_on_a_linear_network_occlusion_shares_the_contributions_of_a_block() -> None:
    net, x, target = linear(2, 4, 4), torch.randint(0, 3, (6, 3, 2, 4, 4)).float(), torch.tensor([0, 1, 2])
    found = Occlusion(net, (3, 2, 2))(x, target)
    want = contributions(net, x, target).detach()

    def blocks(r: Tensor) -> Tensor:
        return r.reshape(2, 3, 3, 2, 2, 2, 2, 2).sum((1, 3, 5, 7))

    torch.testing.assert_close(blocks(found), blocks(want), rtol=1e-3, atol=1e-5)
    assert (found[x == 0] == 0).all()
    assert torch.equal(Occlusion(net, (6, 4, 4))(x, target)[:, 0].sum() > 0, want[:, 0].sum() > 0)


def test_occlusion_of_channels() -> None:
    net, x, target = linear(5), (torch.rand(4, 2, 5) > 0.5).float(), torch.tensor([0, 1])
    found = Occlusion(net, (1, 1))(x, target)  # each bin alone: exact
    torch.testing.assert_close(found, contributions(net, x, target).detach(), rtol=1e-3, atol=1e-6)
    with pytest.raises(ConfigError, match="a block of 2 positive sizes"):
        Occlusion(net, (1, 1, 1))(x, target)
    with pytest.raises(ConfigError, match="positive sizes"):
        Occlusion(net, (0, 1))(x, target)


def test_the_gradient_depends_on_the_surrogate() -> None:
    torch.manual_seed(0)
    net, x = Sequential(nn.Linear(5, 6), LIF(), nn.Linear(6, 3), LIF()), torch.rand(7, 2, 5)
    target = torch.tensor([0, 1])
    assert GradientTimesInput(net)(x, target).abs().sum() > 0
    assert GradientTimesInput(net, Heaviside())(x, target).abs().sum() == 0  # the step has no gradient
    assert all(p.grad is None for p in net.parameters())


def test_the_gradient_is_that_of_the_mean_over_valid_steps() -> None:
    net, x, target, lengths = linear(5), torch.rand(6, 2, 5), torch.tensor([0, 1]), torch.tensor([6, 2])
    found = GradientTimesInput(net)(x, target, lengths)
    assert found[2:, 1].abs().sum() == 0
    torch.testing.assert_close(found.sum((0, 2)), scores(net(x), lengths).gather(1, target[:, None])[:, 0].detach())


@pytest.mark.parametrize("against", [None, 0, "next", "rest"])
def test_what_is_subtracted(against: Any) -> None:
    torch.manual_seed(0)
    net, x = Sequential(nn.Linear(5, 6), LIF(), nn.Linear(6, 3), LI()), 3 * torch.rand(7, 2, 5)
    why = explain(net, x, against=against)
    assert torch.equal(Relevance(net, against=against)(x, why.target), why.relevance)
    line, x, target = linear(5), torch.rand(4, 2, 5), torch.tensor([1, 2])
    each = [contributions(line, x, torch.full((2,), c)).detach() for c in range(3)]
    z = torch.stack([e.sum((0, 2)) for e in each], 1)
    z.scatter_(1, target[:, None], -torch.inf)
    other = {None: lambda b: 0, 0: lambda b: each[0][:, b], "next": lambda b: each[z[b].argmax()][:, b]}
    other["rest"] = lambda b: sum(each[c][:, b] for c in range(3) if c != target[b]) / 2
    want = torch.stack([each[target[b]][:, b] - other[against](b) for b in range(2)], 1)
    torch.testing.assert_close(GradientTimesInput(line, against=against)(x, target), want, rtol=1e-4, atol=1e-6)


def test_chance_is_repeatable() -> None:
    x, target = torch.ones(3, 2, 4), torch.tensor([0, 1])
    assert torch.equal(Random(1)(x, target), Random(1)(x, target))
    assert not torch.equal(Random(1)(x, target), Random(2)(x, target))
