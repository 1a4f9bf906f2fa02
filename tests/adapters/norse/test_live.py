"""Norse networks under LFP, as they are."""

from __future__ import annotations

from typing import Any

import norse.torch as norse
import pytest
import torch
from torch import Tensor, nn

from lfp_snn import LFP, rewards
from lfp_snn.adapters.norse import from_norse
from lfp_snn.errors import UnknownLayerError
from lfp_snn.rules.sharing import Conserving, Contribution
from tests.adapters.norse.networks import AS_THEY_ARE, BATCH, CONVERTIBLE, T, inputs, run

LABELS = torch.tensor([0, 2, 3])


def feedback(net: nn.Module, output: Tensor) -> dict[int, Tensor]:
    """Send a reward back and return what comes to each parameter."""
    net.zero_grad()
    rewards.RateCoded()(output, LABELS).backward()
    return {id(p): p.grad.clone() for p in net.parameters() if p.grad is not None}


@pytest.mark.parametrize("name", [*CONVERTIBLE, *AS_THEY_ARE])
def test_the_output_is_norses_own(name: str) -> None:
    net, x = {**CONVERTIBLE, **AS_THEY_ARE}[name](), inputs(name)
    want = run(net, x)
    with LFP().context(net):
        got = run(net, x)
    assert torch.equal(got, want)
    assert want.any()
    assert all(isinstance(p, nn.Parameter) for p in net.parameters())


@pytest.mark.parametrize("name", CONVERTIBLE)
@pytest.mark.parametrize("sharing", [None, Contribution(1e-9), Conserving(1e-9)])
def test_feedback_is_that_of_the_converted_network(name: str, sharing: Any) -> None:
    net, x = CONVERTIBLE[name]().double(), inputs(name, torch.float64)
    ours, lfp = from_norse(net).double(), LFP(sharing=sharing, epsilon=1e-9)
    with lfp.context(net):
        live = feedback(net, run(net, x))
    with lfp.context(ours):
        output = ours(x)
        want = feedback(ours, output)
    torch.testing.assert_close(output, run(net, x))
    assert set(live) == set(want) == {id(p) for p in net.parameters()}
    for key, value in want.items():
        assert value.any()
        assert float((live[key] - value).norm() / value.norm()) < 1e-5


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_every_parameter_learns_where_there_is_no_conversion(name: str) -> None:
    net, x = AS_THEY_ARE[name](), inputs(name)
    with LFP().context(net):
        messages = feedback(net, run(net, x))
    for parameter_name, p in net.named_parameters():
        assert torch.isfinite(messages[id(p)]).all(), parameter_name
        assert messages[id(p)].any(), parameter_name


def test_an_adapting_threshold_hands_reward_back_to_the_spike_that_raised_it() -> None:
    """LSNN against a plain loop over the terms of its update."""
    p, dt = norse.LSNNParameters(tau_adapt_inv=torch.tensor(50.0)), 0.001
    cell = norse.LSNNCell(p, dt=dt)
    x = (6 * torch.rand(T, BATCH, 5)).requires_grad_()
    message = torch.rand(T, BATCH, 5)
    with LFP(epsilon=1e-12).context(cell):
        spikes = run(cell, x)
        spikes.backward(message)
    g, a, r, kappa = dt * 100.0, 1 - dt * 200.0, 1 - dt * 50.0, 1.8
    v, i, c = (torch.zeros(BATCH, 5) for _ in range(3))
    past = []
    for t in range(T):  # forwards: membrane v, current i, adaptation c of the threshold 1 + c
        w, v, i, c = v, (1 - g) * v + g * i, a * i + x[t].detach(), r * c
        s = (v > 1 + c).float()
        past.append((w, v, c, s))
        v, c = (1 - s) * v, c + kappa * s
    assert torch.equal(torch.stack([s for *_, s in past]), spikes)
    assert spikes.any()
    g_v, g_i, g_c, want = *(torch.zeros(BATCH, 5) for _ in range(3)), []
    for t in reversed(range(T)):
        w, v, c, s = past[t]
        want.append(g_i)
        reward = message[t] + s * kappa * g_c + v * (1 - s) * g_v  # the output's reward, adaptation, membrane
        current = v - (1 - g) * w
        d = w.abs() + (current - w + (1 - g) * w).abs() + c.abs()
        n = torch.where(d > 0, reward / d, 0.0)
        g_v, g_i, g_c = (1 - g) * n, a * g_i + g * n, r * (g_c - n)
    torch.testing.assert_close(x.grad, torch.stack(want[::-1]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("neuron", [norse.LIF(), norse.Lift(norse.LIFCell())])
def test_modules_over_time(neuron: nn.Module) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.neuron = nn.Conv2d(1, 3, 3), neuron

        def forward(self, x: Tensor) -> Any:
            return self.neuron(norse.Lift(self.conv)(x))

    net, x = Net().double(), 20 * torch.rand(T, BATCH, 1, 6, 6, dtype=torch.float64)
    ours, lfp = from_norse(nn.Sequential(norse.Lift(net.conv), neuron)).double(), LFP(epsilon=1e-9)
    grads = []
    for network in (net, ours):
        net.zero_grad()
        with lfp.context(network):
            out = network(x)
            spikes = out[0] if network is net else out
            spikes.mean().backward()
        grads.append(net.conv.weight.grad.clone())
        assert spikes.any()
    torch.testing.assert_close(*grads, rtol=1e-5, atol=1e-9)


def test_a_neuron_without_a_rule_is_an_error() -> None:
    net = norse.SequentialState(nn.Linear(3, 3), norse.LIFExCell())
    with LFP().context(net), pytest.raises(UnknownLayerError, match=r"LIFExCell.*lif_feed_forward_step"):
        net(torch.rand(2, 3))
