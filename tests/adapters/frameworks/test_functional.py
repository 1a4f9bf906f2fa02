"""``torch.func.functional_call``: parameters from outside the module get the feedback that its own would."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state

from lfp_snn import LFP, LI, LIF, Sequential, rewards
from lfp_snn.rules import Gamma


class Shifted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)
        self.scale, self.shift = nn.Parameter(torch.randn(8)), nn.Parameter(torch.randn(8))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.first(x)) * self.scale + self.shift))


NETS = {
    "plain": Shifted,
    "spiking": lambda: Sequential(
        nn.Linear(6, 8), LIF(recurrent=8, learn_beta=True, learn_threshold=True), nn.Linear(8, 4), LI(learn_beta=True)
    ),
}


def loss(net: nn.Module, parameters: dict[str, Tensor] | None, x: Tensor, y: Tensor, lfp: LFP) -> Tensor:
    steps = {"steps": 5} if isinstance(net, Sequential) else {}
    reward = rewards.Softmax()
    with lfp.context(net):
        z = net(x, **steps) if parameters is None else functional_call(net, parameters, (x,), steps)
    return reward(z, y)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("make", [nn.Parameter, Tensor.requires_grad_], ids=["parameters", "tensors"])
@pytest.mark.parametrize("lfp", [LFP(), LFP(rule=Gamma(0.5))], ids=["epsilon", "gamma"])
def test_feedback_is_that_of_the_module(name: str, make: type, lfp: LFP) -> None:
    net, other, x, y = NETS[name](), NETS[name](), 2 * torch.rand(4, 6), torch.arange(4)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.1 * torch.rand_like(p)
    parameters = {name: make(p.detach().clone()) for name, p in net.named_parameters()}
    loss(net, None, x, y, lfp).backward()
    given = torch.autograd.grad(loss(other, parameters, x, y, lfp), list(parameters.values()))
    for (name, p), g in zip(net.named_parameters(), given, strict=True):
        assert torch.equal(g, p.grad), name
    assert all(p.grad is None for p in other.parameters())
    assert any(g.norm() > 0 for g in given)


def test_an_ensemble_by_stacked_parameters() -> None:
    nets, x, y = [NETS["spiking"]() for _ in range(3)], 2 * torch.rand(4, 6), torch.arange(4)
    stacked, _ = stack_module_state(nets)
    sum(loss(nets[0], {name: p[k] for name, p in stacked.items()}, x, y, LFP()) for k in range(len(nets))).backward()  # type: ignore[union-attr]
    for k, net in enumerate(nets):
        loss(net, None, x, y, LFP()).backward()
        for name, p in net.named_parameters():
            torch.testing.assert_close(stacked[name].grad[k], p.grad)


def test_transforms_of_functions_are_refused_by_torch() -> None:
    net, x, y = NETS["plain"]().eval(), torch.rand(4, 6), torch.arange(4)
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    with pytest.raises(RuntimeError, match="setup_context"):
        grad(lambda p: loss(net, p, x, y, LFP()))(parameters)
