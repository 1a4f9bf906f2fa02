"""The baselines against their formulas, written out slowly."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lfp_snn import LI, LIF, Sequential, rewards
from lfp_snn.methods import DirectFeedback, Feedback, FeedbackAlignment, OnlineFeedback, OnlineGradient
from lfp_snn.methods.alignment import random_like
from lfp_snn.methods.stdp import RewardModulatedSTDP
from lfp_snn.neurons import ATan

TARGET = torch.tensor([0, 2, 1])
STEPS = 6


def network() -> Sequential:
    torch.manual_seed(1)
    return Sequential(nn.Linear(5, 8), LIF(beta=0.8), nn.Linear(8, 3), LI(beta=0.9))


def events() -> Tensor:
    return (torch.rand(STEPS, 3, 5, generator=torch.Generator().manual_seed(0)) < 0.5).float() * 2


def test_feedback_alignment_against_its_formula() -> None:
    net, x = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)), torch.rand(3, 5)
    with FeedbackAlignment(seed=4).attach(net) as learner:
        output, _ = learner.learn(x, TARGET, criterion=rewards.Softmax().loss)
    error = (torch.softmax(output.detach(), -1) - F.one_hot(TARGET, 3)) / 3
    B = random_like(net[2].weight, 4, 1) / 6**0.5
    hidden = net[0](x).detach()
    torch.testing.assert_close(net[0].weight.grad, ((error @ B) * (hidden > 0)).t() @ x)
    torch.testing.assert_close(net[2].weight.grad, error.t() @ hidden.relu())


def test_direct_feedback_is_the_gradient_of_spikes_times_the_projected_error() -> None:
    net, x, loss = network(), events(), rewards.Softmax().loss
    with DirectFeedback(seed=4).attach(net) as learner:
        learner.learn(x, TARGET, criterion=loss)
    twin = network()
    spikes = Sequential(twin[0], twin[1])(x)
    output = Sequential(twin[2], twin[3])(spikes.detach())
    (error,) = torch.autograd.grad(loss(output, TARGET), output)
    B = random_like(torch.empty(3, 8), 4, 0) / 3**0.5
    (expected,) = torch.autograd.grad((spikes * (error @ B)).sum(), twin[0].weight)
    torch.testing.assert_close(net[0].weight.grad, expected)


def test_ottt_against_its_formula() -> None:
    net, x, trace = network(), events(), 0.7
    with OnlineGradient(trace=trace).attach(net) as learner:
        output, _ = learner.learn(x, TARGET, criterion=rewards.Softmax().loss)
    W1, b1, W2 = net[0].weight.detach(), net[0].bias.detach(), net[2].weight.detach()
    v, s = torch.zeros(3, 8), torch.zeros(3, 8)
    seen, fired = torch.zeros(3, 5), torch.zeros(3, 8)
    g1, g2 = torch.zeros_like(W1), torch.zeros_like(W2)
    for t in range(STEPS):
        v = 0.8 * v + F.linear(x[t], W1, b1) - s
        s = (v > 1).float()
        seen, fired = x[t] + trace * seen, s + trace * fired
        error = (torch.softmax(output[t], -1) - F.one_hot(TARGET, 3)) / 3 / STEPS
        g2 += error.t() @ fired
        g1 += ((error @ W2) * ATan.derivative(v - 1, 2.0)).t() @ seen
    torch.testing.assert_close(net[2].weight.grad, g2)
    torch.testing.assert_close(net[0].weight.grad, g1)


def test_online_feedback_with_a_window_of_all_steps_is_lfp() -> None:
    for lengths in (None, torch.tensor([6, 3, 5])):
        grads = []
        for method in (Feedback(), OnlineFeedback(window=STEPS)):
            net = network()
            with method.attach(net) as learner:
                learner.learn(events(), TARGET, lengths, criterion=rewards.Softmax())
            grads.append([p.grad for p in net.parameters()])
        for a, b in zip(*grads, strict=True):
            torch.testing.assert_close(a, b)


def test_online_feedback_runs_and_rewards_window_after_window() -> None:
    """With a window of 2, it is LFP on stretches of 2 steps from the state before, weighted by their valid time."""
    lengths = torch.tensor([6, 3, 5])
    net, twin, x = network(), network(), events()
    seen: list[int] = []
    net[1].register_forward_hook(lambda m, i, y: seen.append(len(y[0])))
    with OnlineFeedback(window=2).attach(net) as learner:
        learner.learn(x, TARGET, lengths, criterion=rewards.Softmax())
    assert seen == [2, 2, 2]

    class Stretch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = twin

        def forward(self, x: Tensor, state: object) -> object:
            return self.net.run(x, state)

    stretch, state = Stretch(), None
    with Feedback().lfp.context(stretch):
        for first in range(0, STEPS, 2):
            y, state = stretch(x[first : first + 2], state)
            inside = (lengths - first).clamp(0, 2)
            live = inside > 0
            part = rewards.Softmax()(y[:, live], TARGET[live], inside[live])
            (part * inside.sum() / lengths.sum()).backward()
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


@pytest.mark.parametrize("kind", ["linear", "conv", "static"])
def test_stdp_against_a_loop_over_pairs_of_spikes(kind: str) -> None:
    torch.manual_seed(0)
    decay, depression = 0.6, 0.5
    layer: nn.Module = nn.Conv2d(1, 2, 2) if kind == "conv" else nn.Linear(5, 8)
    net = Sequential(layer, LIF(beta=0.8), nn.Flatten(), nn.Linear(8, 3), LI())
    x = (
        torch.rand(3, 5) * 2
        if kind == "static"
        else (torch.rand(STEPS, 3, *([1, 3, 3] if kind == "conv" else [5])) < 0.5) * 2.0
    )
    steps = STEPS if kind == "static" else None
    with RewardModulatedSTDP(decay, depression).attach(net) as learner:
        output, _ = learner.learn(x, TARGET, criterion=rewards.Softmax().loss, steps=steps)
    before = x.expand(STEPS, *x.shape) if kind == "static" else x
    with torch.no_grad():
        after = net[1](torch.stack([layer(step) for step in before]))[0]
    right = (output.mean(0).argmax(-1) == TARGET).float()
    m = right * (1 - right.mean()) - (1 - right) * right.mean()
    expected = torch.zeros_like(layer.weight)
    for t in range(STEPS):
        for u in range(STEPS):
            size = decay ** abs(t - u)
            for b in range(3):
                pair = _outer(layer, before[u, b], after[t, b])
                expected += m[b] * size * pair * ((u <= t) - depression * (t <= u))
    torch.testing.assert_close(layer.weight.grad, -expected / (STEPS * 3))
    assert layer.bias.grad is None
    assert bool(net[3].weight.grad.any())


def _outer(layer: nn.Module, pre: Tensor, post: Tensor) -> Tensor:
    """Return which synapse connects what: pre times post, for each weight."""
    if isinstance(layer, nn.Linear):
        return post[:, None] * pre
    patches = F.unfold(pre[None], 2)[0]  # [C*k*k, positions]
    return (post.flatten(1) @ patches.t()).reshape(layer.weight.shape)


def test_only_the_winners_output_synapses_learn() -> None:
    torch.manual_seed(0)
    net = Sequential(nn.Linear(5, 3), LIF(beta=0.8))
    with RewardModulatedSTDP().attach(net) as learner:
        output, _ = learner.learn(events()[:, :1], torch.tensor([0]), criterion=rewards.RateSoftmax().loss)
        twice, _ = learner.learn(events(), TARGET, criterion=rewards.RateSoftmax().loss)
    assert net[0].weight.grad is not None
    winners = set(twice.mean(0).argmax(-1).tolist()) | set(output.mean(0).argmax(-1).tolist())
    losers = [k for k in range(3) if k not in winners]
    assert not net[0].weight.grad[losers].any()


def test_methods_do_not_change_the_weights_themselves() -> None:
    net = network()
    before = copy.deepcopy(net.state_dict())
    for method in (DirectFeedback(), OnlineGradient(), RewardModulatedSTDP()):
        with method.attach(net) as learner:
            learner.learn(events(), TARGET, criterion=rewards.Softmax().loss)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
