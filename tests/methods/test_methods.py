"""What holds for every method, and what ties them to each other."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import LFP, LI, LIF, Sequential, Step, rewards
from lfp_snn.errors import ConfigError
from lfp_snn.methods import (
    METHODS,
    Feedback,
    FeedbackAlignment,
    Gradient,
    Method,
    OnlineFeedback,
    OnlineGradient,
    RewardModulatedSTDP,
    ScaledGradient,
    StepGradient,
    SurrogateGradient,
    UnscaledFeedback,
    agreement,
)
from lfp_snn.neurons import SURROGATES

TARGET = torch.tensor([0, 2, 1])


def spiking(readout: nn.Module | None = None, surrogate: Any = None) -> Sequential:
    torch.manual_seed(3)
    hidden = LIF(beta=0.8, surrogate=surrogate)
    return Sequential(nn.Linear(5, 8), hidden, nn.Linear(8, 3), readout or LI(beta=0.9))


def events() -> Tensor:
    return (torch.rand(7, 3, 5, generator=torch.Generator().manual_seed(0)) < 0.5).float() * 2


def updates(method: Method, network: nn.Module, x: Tensor, reward: rewards.Reward, **more: Any) -> dict[str, Tensor]:
    twin = copy.deepcopy(network)
    with method.attach(twin) as learner:
        learner.learn(x, TARGET, criterion=reward if method.takes_reward else reward.loss, **more)
    return {name: p.grad for name, p in twin.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("static", [False, True])
def test_every_method_runs_the_network_as_it_is_and_leaves_no_trace(name: str, static: bool) -> None:
    network, method = spiking(), METHODS[name]()
    x, steps = (events()[0], 7) if static else (events(), None)
    expected = network(x, steps=steps)
    with method.attach(network) as learner:
        criterion = rewards.Softmax() if method.takes_reward else rewards.Softmax().loss
        output, loss = learner.learn(x, TARGET, criterion=criterion, steps=steps)
    torch.testing.assert_close(output, expected)
    assert loss.shape == ()
    assert network[2].weight.grad is not None
    assert bool(network[2].weight.grad.any())
    hooks = [m._forward_hooks or m._forward_pre_hooks for m in network.modules()]
    assert not any(hooks)
    assert not any(p._backward_hooks for p in network.parameters())


def test_feedback_is_the_propagator() -> None:
    network, reward = spiking(LIF(beta=0.9)), rewards.RateCoded()
    got = updates(Feedback(), network, events(), reward)
    with LFP().context(network):
        reward(network(events()), TARGET).backward()
    for name, p in network.named_parameters():
        assert torch.equal(got[name], p.grad), name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scaled", "unscaled"), [(Feedback, UnscaledFeedback), (ScaledGradient, SurrogateGradient)], ids=["lfp", "gradient"]
)
def test_the_controls_differ_by_the_weights_only(scaled: type[Method], unscaled: type[Method]) -> None:
    network = spiking()
    with_w = updates(scaled(), network, events(), rewards.Softmax())
    without = updates(unscaled(), network, events(), rewards.Softmax())
    for name, p in network.named_parameters():
        torch.testing.assert_close(with_w[name], p.detach().abs() * without[name], msg=name)


def test_the_scale_floor_counts_for_the_control_too() -> None:
    network = spiking()
    network[0].bias.data.zero_()
    stuck = updates(ScaledGradient(), network, events(), rewards.Softmax())
    moved = updates(ScaledGradient(lfp=LFP(scale_floor=0.01)), network, events(), rewards.Softmax())
    assert not stuck["0.bias"].any()
    assert bool(moved["0.bias"].any())


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize("attach_reset", [False, True])
def test_the_surrogate_of_the_method_is_that_of_the_neurons(name: str, attach_reset: bool) -> None:
    own = spiking(surrogate=SURROGATES[name](slope=1.5, attach_reset=attach_reset))
    expected = updates(Gradient(), own, events(), rewards.Softmax())
    got = updates(SurrogateGradient(name, 1.5, attach_reset), spiking(), events(), rewards.Softmax())
    for key, value in expected.items():
        torch.testing.assert_close(got[key], value, msg=key)


def test_a_step_lets_no_gradient_through() -> None:
    behind_spikes = updates(StepGradient(), spiking(), events(), rewards.Softmax())
    assert not behind_spikes["0.weight"].any()
    assert bool(behind_spikes["2.weight"].any())
    all_spikes = updates(StepGradient(), spiking(LIF(beta=0.9)), events(), rewards.RateSoftmax())
    assert not any(bool(g.any()) for g in all_spikes.values())


def test_static_networks_learn_by_gradient_scaled_gradient_and_alignment() -> None:
    network = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))
    x, reward = torch.rand(3, 5), rewards.Softmax()
    plain = updates(Gradient(), network, x, reward)
    scaled = updates(ScaledGradient(), network, x, reward)
    aligned = updates(FeedbackAlignment(), network, x, reward)
    torch.testing.assert_close(scaled["0.weight"], network[0].weight.detach().abs() * plain["0.weight"])
    torch.testing.assert_close(aligned["2.weight"], plain["2.weight"])
    assert not torch.allclose(aligned["0.weight"], plain["0.weight"])


def test_a_step_network_without_time_learns_by_feedback_and_not_by_gradient() -> None:
    network = nn.Sequential(nn.Linear(5, 6), Step(), nn.Linear(6, 3))
    x, reward = torch.rand(3, 5), rewards.Softmax()
    assert "0.weight" not in updates(Gradient(), network, x, reward)
    assert bool(updates(Feedback(), network, x, reward)["0.weight"].any())


def test_agreement_is_one_with_itself_and_grows_with_the_window() -> None:
    torch.manual_seed(0)
    network = Sequential(nn.Linear(20, 30), LIF(beta=0.95), nn.Linear(30, 3), LI(beta=0.95))
    x = (torch.rand(24, 8, 20) < 0.3).float() * 2
    target = torch.arange(8) % 3
    found = [
        agreement(Feedback(), OnlineFeedback(window=w), network, x, target, rewards.Softmax())["0.weight"]
        for w in (1, 4, 24)
    ]
    assert found[0] < found[1] < found[2] == pytest.approx(1.0)


WRONG = {
    "unknown surrogate": (lambda: SurrogateGradient("atam"), "unknown surrogate 'atam': did you mean 'atan'"),
    "slope": (lambda: SurrogateGradient(slope=-1.0), "slope of a surrogate must be positive"),
    "window": (lambda: OnlineFeedback(window=0), "window must be at least one step"),
    "trace of feedback": (lambda: OnlineFeedback(window=2, trace=0.5), "the window is 2"),
    "trace out of range": (lambda: OnlineFeedback(window=1, trace=1.0), r"must lie in \[0, 1\)"),
    "trace": (lambda: OnlineGradient(trace=1.5), r"must lie in \[0, 1\)"),
    "decay": (lambda: RewardModulatedSTDP(decay=float("nan")), r"must lie in \[0, 1\)"),
    "online without steps": (lambda: OnlineGradient().attach(nn.Linear(2, 2)), "needs a lfp_snn.Sequential"),
    "stdp without spikes": (lambda: RewardModulatedSTDP().attach(nn.Linear(2, 2)), "for spiking networks"),
    "dfa without spikes": (lambda: METHODS["dfa"]().attach(Sequential(nn.Linear(2, 2), LIF())), "hidden spiking"),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors(case: str) -> None:
    make, message = WRONG[case]
    with pytest.raises(ConfigError, match=message):
        make()
