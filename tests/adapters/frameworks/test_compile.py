"""``torch.compile``: the forward pass in one graph, and LFP of the compiled network the same as of the eager one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import ALIF, LFP, LI, LIF, CubaLIF, Sequential, rewards
from lfp_snn.neurons import FastSigmoid, Surrogate
from lfp_snn.rules import Gamma

BACKEND = "aot_eager"  # everything but the code generator

NETS = {
    "lif": lambda: Sequential(nn.Linear(6, 12), LIF(surrogate=FastSigmoid(5.0)), nn.Linear(12, 4), LIF()),
    "recurrent": lambda: Sequential(
        nn.Linear(6, 12),
        LIF(recurrent=12, learn_beta=True, learn_threshold=True),
        nn.Linear(12, 4),
        LI(learn_beta=True),
    ),
    "alif": lambda: Sequential(nn.Linear(6, 12), ALIF(reset="zero"), nn.Linear(12, 4), CubaLIF(learn_alpha=True)),
    "recurrent-cuba": lambda: Sequential(nn.Linear(6, 12), CubaLIF(recurrent=12), nn.Linear(12, 4), LI()),
    "conv": lambda: Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2), LIF(reset_delay=False), nn.Flatten(), nn.Linear(8, 4), LI()
    ),
}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def events() -> tuple[Tensor, Tensor]:
    return 2 * torch.rand(7, 3, 6), torch.arange(3)


def gradients(net: nn.Module, loss: Tensor) -> list[Tensor]:
    net.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in net.parameters()]


@pytest.mark.parametrize("name", NETS)
def test_one_graph_with_the_same_spikes_and_surrogate_gradient(name: str) -> None:
    net, (x, _) = NETS[name](), events()
    explained = torch._dynamo.explain(net)(x)
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)

    compiled = torch.compile(net, backend=BACKEND, fullgraph=True)
    assert torch.equal(compiled(x), net(x))
    expected = gradients(net, net(x).square().sum())
    assert any(g.norm() > 0 for g in expected)
    for g, h in zip(gradients(net, compiled(x).square().sum()), expected, strict=True):
        torch.testing.assert_close(g, h, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        assert torch.equal(compiled(x[:5]), net(x[:5]))
    static = torch.compile(lambda x: net(x, steps=4), backend=BACKEND, fullgraph=True)
    assert torch.equal(static(x[0]), net(x[0], steps=4))


@pytest.mark.parametrize("name", NETS)
def test_lfp_of_the_compiled_network_is_that_of_the_eager_one(name: str) -> None:
    net, (x, y) = NETS[name](), events()
    reward = rewards.RateSoftmax() if isinstance(net[-1], LIF | CubaLIF) else rewards.Softmax()
    with LFP().context(net):
        expected = gradients(net, reward(net(x), y))
    assert any(g.norm() > 0 for g in expected)

    compiled = torch.compile(net, backend=BACKEND, fullgraph=True)
    for _ in range(2):  # not compiled yet, and compiled
        with LFP().context(compiled):
            given = gradients(net, reward(compiled(x), y))
        assert all(torch.equal(g, h) for g, h in zip(given, expected, strict=True))
        assert torch.equal(compiled(x), net(x))


def test_rules_by_name_and_compiling_in_place() -> None:
    net, (x, y) = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 4)), events()
    lfp, reward = LFP(rules={"0": Gamma(0.5)}), rewards.Softmax()
    with lfp.context(net):
        expected = gradients(net, reward(net(x[0]), y))
    compiled = torch.compile(net, backend=BACKEND)
    with lfp.context(compiled):
        given = gradients(net, reward(compiled(x[0]), y))
    assert all(torch.equal(g, h) for g, h in zip(given, expected, strict=True))

    net.compile(backend=BACKEND)
    call = net._compiled_call_impl
    with lfp.context(net):
        given = gradients(net, reward(net(x[0]), y))
    assert all(torch.equal(g, h) for g, h in zip(given, expected, strict=True))
    assert call is not None
    assert net._compiled_call_impl is call


def test_a_compiled_part_of_a_network() -> None:
    net, (x, y) = NETS["lif"](), events()
    with LFP().context(net):
        expected = gradients(net, rewards.RateSoftmax()(net(x), y))
    part = Sequential(torch.compile(net[0], backend=BACKEND), *net[1:])
    assert torch.equal(part(x), net(x))
    with LFP().context(part):
        given = gradients(net, rewards.RateSoftmax()(part(x), y))
    assert all(torch.equal(g, h) for g, h in zip(given, expected, strict=True))


@pytest.mark.filterwarnings("ignore:module forward hook:UserWarning")
def test_compiling_the_training_step_itself_is_an_error() -> None:
    net, (x, y) = NETS["lif"](), events()

    def step() -> Tensor:
        with LFP().context(net):
            return rewards.RateCoded()(net(x), y)

    with pytest.raises(AssertionError, match="set_stance"):
        torch.compile(step, backend=BACKEND)()


def test_a_surrogate_that_was_written_anew() -> None:
    """As in a notebook, where a cell is run again: two classes have one name."""

    def network(height: float) -> Sequential:
        class Mine(Surrogate):
            derivative = staticmethod(lambda x, slope: height + 0 * x)

        torch.manual_seed(0)
        return Sequential(nn.Linear(6, 4), LIF(surrogate=Mine()))

    x, _ = events()
    for net in [network(1.0), network(7.0)]:
        eager = gradients(net, net(x).square().sum())
        compiled = torch.compile(net, backend=BACKEND)
        torch.testing.assert_close(gradients(net, compiled(x).square().sum()), eager)
