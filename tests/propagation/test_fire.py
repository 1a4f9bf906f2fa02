"""A neuron written with ``fire`` against the package's own."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import LFP, LI, LIF, Sequential, fire, register_neuron, rewards
from lfp_snn.methods import METHODS


class Leaky(nn.Module):
    """The LIF with a delayed reset by subtraction, step by step."""

    def forward(self, x: Tensor) -> Tensor:
        u = s = torch.zeros_like(x[0])
        out = []
        for x_t in x:
            w, reset = u, s.detach()
            u, s = fire(0.9 * u + x_t - reset, 1.0, w=w, beta=0.9, reset=reset)
            out.append(s)
        return torch.stack(out)


register_neuron(Leaky, lambda neuron: nullcontext())


class Own(nn.Module):
    def __init__(self, net: Sequential) -> None:
        super().__init__()
        self.first, self.hidden, self.last, self.readout = net[0], Leaky(), net[2], net[3]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.readout(self.last(self.hidden(self.first(x))))[0]
        return y


@pytest.mark.parametrize("sharing", ["reference", "contribution", "conserving", None])
def test_as_the_packages_own(sharing: str | None) -> None:
    torch.manual_seed(0)
    ours = Sequential(nn.Linear(6, 12), LIF(), nn.Linear(12, 3), LI()).double()
    x, y, found = 4 * torch.rand(9, 5, 6).double(), torch.arange(5) % 3, []
    for net in (ours, Own(ours)):
        net.zero_grad()
        if sharing is None:
            rewards.Softmax().loss(net(x), y).backward()
        else:
            with LFP(sharing=sharing).context(net):
                rewards.Softmax()(net(x), y).backward()
        found.append([p.grad.clone() for p in ours.parameters()])
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)
    assert found[0][0].any()


def test_another_surrogate_is_asked_for_by_a_method() -> None:
    torch.manual_seed(0)
    net = Own(Sequential(nn.Linear(6, 12), LIF(), nn.Linear(12, 3), LI()))
    x, y, grads = 4 * torch.rand(9, 5, 6), torch.arange(5) % 3, []
    for surrogate in ("atan", "triangle"):
        net.zero_grad()
        with METHODS["surrogate"](surrogate=surrogate).attach(net) as learner:
            learner.learn(x, y, criterion=rewards.Softmax().loss)
        grads.append(net.first.weight.grad.clone())
    assert not torch.allclose(*grads)
