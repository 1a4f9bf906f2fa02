"""The layer rules against a slow loop over every connection, and against zennit where it is installed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import LFP, input_relevance, rewards
from lfp_snn.rules import RULES, SHARINGS, AlphaBeta, Epsilon, Gamma, Rule, Zero, ZPlus

E = 1e-3


def stable(z: float) -> float:
    return z + (E if z >= 0 else -E)


def share(rule: Rule, x: float, w: float, b: bool, z: float) -> dict[str, float]:
    """Return the numerators of one connection (or bias, x = 1) for the parts of a rule, written out by hand."""
    up, down = (lambda v: v + rule.gamma * max(v, 0)), (lambda v: v + rule.gamma * min(v, 0))  # type: ignore[attr-defined]
    if isinstance(rule, Gamma):
        if z > 0:
            return {"all": x * (up(w) if x > 0 else down(w))}
        return {"all": x * (down(w) if x > 0 else up(w))}
    if isinstance(rule, AlphaBeta):
        return {"plus": max(x * w, 0), "minus": min(x * w, 0)}
    return {"all": x * w}


def by_hand(rule: Rule, x: Tensor, weight: Tensor, bias: Tensor, reward: Tensor) -> tuple[Tensor, Tensor]:
    """Return input relevance and weight feedback of a linear layer, connection by connection."""
    R, feedback = torch.zeros_like(x), torch.zeros_like(weight)
    for s in range(len(x)):
        for j in range(len(weight)):
            w, b, z = weight[j].tolist(), float(bias[j]), float(weight[j] @ x[s] + bias[j])
            numerators = [share(rule, v, u, False, z) for v, u in zip(x[s].tolist(), w, strict=True)]
            of_bias = share(rule, 1.0, b, True, z)
            for part in of_bias:
                total = sum(n[part] for n in numerators) + of_bias[part]
                c = {"plus": getattr(rule, "alpha", 1.0), "minus": -getattr(rule, "beta", 0.0)}.get(part, 1.0)
                # For rules with parts the division of the reward by z, at the output, has a stabiliser of its own.
                held = float(reward[s, j]) * (1.0 if type(rule) is Epsilon else c * z / stable(z))
                for i, n in enumerate(numerators):
                    flow = n[part] / stable(total) * held
                    R[s, i] += flow
                    feedback[j, i] += flow * (1 if w[i] >= 0 else -1)
    return R, feedback


@pytest.mark.parametrize(
    "rule", [Epsilon(E), Gamma(E, 0.4), AlphaBeta(E, 2.0, 1.0), ZPlus(E)], ids=lambda r: type(r).__name__
)
def test_against_the_slow_loop(rule: Rule) -> None:
    net = nn.Linear(6, 4).double()
    x, reward = torch.randn(3, 6).double().requires_grad_(), torch.randn(3, 4).double()
    with LFP(epsilon=E, rule=rule).context(net):
        (rewards.Given()(net(x), reward) * 3).backward()
    R, feedback = by_hand(rule, x.detach(), net.weight.detach(), net.bias.detach(), reward)
    torch.testing.assert_close(input_relevance(x), R)
    torch.testing.assert_close(-net.weight.grad, feedback)


@pytest.mark.parametrize("rule", [Epsilon(0.0), Zero(), Gamma(1e-12, 0.4)], ids=lambda r: type(r).__name__)
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(6, 4, bias=False), (6,)),
        (nn.Conv1d(2, 3, 3, bias=False), (2, 8)),
        (nn.Conv2d(2, 3, 3, stride=2, bias=False), (2, 7, 7)),
        (nn.ConvTranspose2d(2, 3, 3, bias=False), (2, 4, 4)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_rules_conserve_without_bias_and_stabiliser(rule: Rule, layer: nn.Module, shape: tuple[int, ...]) -> None:
    net = nn.Sequential(layer, nn.Flatten()).double()
    x = torch.randn(3, *shape).double().requires_grad_()
    with LFP(epsilon=1e-12, rule=rule).context(net):
        out = net(x)
        reward = torch.randn_like(out)
        (rewards.Given()(out, reward) * 3).backward()
    torch.testing.assert_close(input_relevance(x).sum(), reward.sum(), rtol=1e-6, atol=1e-6)


def test_zero_rule_passes_nothing_through_a_zero() -> None:
    net = nn.Linear(2, 1, bias=False)
    nn.init.ones_(net.weight)
    x = torch.tensor([[1.0, -1.0]], requires_grad=True)
    with LFP(epsilon=0.0, rule=Zero()).context(net):
        rewards.Given()(net(x), torch.ones(1, 1)).backward()
    assert input_relevance(x).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (-1.0, -2.0), (2.0, 0.5)])
def test_alpha_minus_beta_is_one(alpha: float, beta: float) -> None:
    with pytest.raises(ValueError, match="alpha - beta = 1"):
        AlphaBeta(alpha=alpha, beta=beta)


def test_names() -> None:
    assert all(issubclass(r, Rule) for r in RULES.values())
    assert {"reference", "contribution", "conserving"} == set(SHARINGS)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Epsilon(1e-6), lambda r: r.Epsilon(epsilon=1e-6)),
        (Gamma(1e-6, 0.25), lambda r: r.Gamma(gamma=0.25, stabilizer=1e-6)),
        (ZPlus(1e-6), lambda r: r.ZPlus(stabilizer=1e-6)),
        (AlphaBeta(1e-6, 2.0, 1.0), lambda r: r.AlphaBeta(alpha=2, beta=1, stabilizer=1e-6)),
    ],
    ids=["epsilon", "gamma", "z-plus", "alpha-beta"],
)
def test_relevance_is_zennit_s(ours: Rule, theirs: Any) -> None:
    zennit_rules = pytest.importorskip("zennit.rules")
    from zennit.attribution import Gradient
    from zennit.composites import LayerMapComposite
    from zennit.rules import Pass

    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)).double()
    x, seed = torch.randn(3, 2, 6, 6).double(), torch.randn(3, 5).double()
    composite = LayerMapComposite([(nn.ReLU, Pass()), ((nn.Conv2d, nn.Linear), theirs(zennit_rules))])
    with Gradient(net, composite) as attributor:
        _, expected = attributor(x, seed)
    z = x.clone().requires_grad_()
    with LFP(epsilon=1e-12, rule=ours).context(net):
        (rewards.Given()(net(z), seed) * 3).backward()
    assert (input_relevance(z) - expected).norm() / expected.norm() < 1e-5
