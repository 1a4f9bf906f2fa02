"""The rules of first layers and the rule that hands reward through, connection by connection."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import LFP, input_relevance, rewards
from lfp_snn.errors import ShapeError
from lfp_snn.rules import Epsilon, Flat, Pass, Rule, WSquare, ZBox


def shares(rule: Rule, x: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return what each connection ``[B, out, in]`` and the bias ``[out]`` contribute."""
    if isinstance(rule, Flat):
        return torch.ones(len(x), *w.shape).double(), torch.zeros_like(b)
    if isinstance(rule, WSquare):
        return (w**2).expand(len(x), *w.shape), b**2
    bound = torch.where(w > 0, torch.as_tensor(rule.low), torch.as_tensor(rule.high))  # type: ignore[attr-defined]
    return w * (x[:, None] - bound), torch.zeros_like(b)


@pytest.mark.parametrize(
    "rule",
    [Flat(1e-9), WSquare(1e-9), ZBox(1e-9, low=-3.0, high=4.0), ZBox(1e-9, torch.tensor(-3.0), torch.tensor(3.5))],
)
def test_shares_and_feedback(rule: Rule) -> None:
    torch.manual_seed(0)
    net, x, reward = nn.Linear(4, 3).double(), torch.randn(5, 4).double().requires_grad_(), torch.randn(5, 3).double()
    with LFP(epsilon=1e-9, rule=rule).context(net):
        (rewards.Given()(net(x), reward) * 5).backward()
    parts, of_bias = shares(rule, x.detach(), net.weight.detach(), net.bias.detach())
    flow = parts / (parts.sum(-1) + of_bias)[..., None] * reward[..., None]
    torch.testing.assert_close(input_relevance(x), flow.sum(1), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(-net.weight.grad, (flow * net.weight.detach().sign()).sum(0), rtol=1e-6, atol=1e-6)
    held = of_bias / (parts.sum(-1) + of_bias) * reward
    torch.testing.assert_close(-net.bias.grad, (held * net.bias.detach().sign()).sum(0), rtol=1e-6, atol=1e-6)


def test_pass_hands_reward_through_any_module() -> None:
    torch.manual_seed(0)
    first, norm, last = nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 3)
    x, reward = torch.randn(5, 4), torch.randn(5, 3)
    hidden: dict[str, Tensor] = {}

    def keep(name: str, y: Tensor) -> None:
        hidden[name] = y
        y.retain_grad()

    net = nn.Sequential(first, nn.Identity(), norm, nn.Identity(), last)
    with LFP(epsilon=0.0, rules={"2": Pass(0.0)}).context(net):
        net[1].register_forward_hook(lambda m, a, y: keep("before", y))
        net[3].register_forward_hook(lambda m, a, y: keep("after", y))
        (rewards.Given()(net(x), reward) * 5).backward()
    relevance = {name: (y * y.grad).detach() for name, y in hidden.items()}
    torch.testing.assert_close(relevance["before"], relevance["after"])
    assert float(norm.weight.grad.abs().sum()) > 0
    assert float(first.weight.grad.abs().sum()) > 0


def test_pass_leaves_the_values_alone() -> None:
    net, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True)), torch.randn(5, 4, requires_grad=True)
    with LFP(rules={nn.ReLU: Pass()}).context(net):
        y = net(x)
    assert torch.equal(y, net(x))


def test_pass_needs_the_shape_to_stay() -> None:
    net = nn.Linear(4, 3)
    with LFP(rules={"": Pass()}).context(net), pytest.raises(ShapeError, match="is to hand its reward through"):
        net(torch.randn(2, 4, requires_grad=True))


def test_a_layer_s_epsilon_holds_where_an_activation_follows() -> None:
    net, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.randn(5, 4, requires_grad=True)
    with LFP(epsilon=0.0, rules={"0": Epsilon(0.5)}).context(net):
        y = net(x)
        (rewards.Given()(y, torch.ones(5, 3)) * 5).backward()
    z = net[0](x).detach()
    density = torch.where(z > 0, 1 / (z + 0.5), 0.0)
    torch.testing.assert_close(input_relevance(x), x.detach() * (density @ net[0].weight.detach()))
