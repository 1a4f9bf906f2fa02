"""SpikingJelly networks under LFP, as they are."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("spikingjelly")

from spikingjelly.activation_based import functional, neuron

from lfp_snn import LFP, LIF, Sequential, rewards
from lfp_snn.adapters.spikingjelly import from_spikingjelly
from lfp_snn.errors import ConfigError, UnknownLayerError
from lfp_snn.rules.sharing import Conserving, Contribution
from tests.adapters.spikingjelly.networks import AS_THEY_ARE, BATCH, CONVERTIBLE, T, inputs, mlp, plif, run

LABELS = torch.tensor([0, 2, 3])
FORM = {"threshold": 1 - 1e-12, "reset": "zero", "reset_delay": False}


def feedback(net: nn.Module, output: Tensor) -> dict[int, Tensor]:
    """Send a reward back and return what comes to each parameter."""
    net.zero_grad()
    rewards.RateCoded()(output, LABELS).backward()
    return {id(p): p.grad.clone() for p in net.parameters() if p.grad is not None}


@pytest.mark.parametrize("name", [*CONVERTIBLE, *AS_THEY_ARE])
@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_spikes_and_membranes_are_spikingjellys_own(name: str, mode: str, dtype: torch.dtype) -> None:
    net, x = {**CONVERTIBLE, **AS_THEY_ARE}[name]().to(dtype), inputs(name, dtype)

    def membranes() -> list[Tensor]:
        return [m.v for m in net.modules() if isinstance(m, neuron.BaseNode)]

    want = run(net, x, mode)
    v = membranes()
    with LFP().context(net):
        got = run(net, x, mode)
    assert torch.equal(got, want)
    assert got.dtype == want.dtype
    assert want.any()
    assert all(torch.equal(a, b) for a, b in zip(membranes(), v, strict=True))
    assert all(isinstance(p, nn.Parameter) for p in net.parameters())


@pytest.mark.parametrize("name", CONVERTIBLE)
@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("sharing", [None, Contribution(1e-9), Conserving(1e-9)])
def test_feedback_is_that_of_the_converted_network(name: str, mode: str, sharing: Any) -> None:
    net, x = CONVERTIBLE[name]().double(), inputs(name, torch.float64)
    ours, lfp = from_spikingjelly(net).double(), LFP(sharing=sharing, epsilon=1e-9)
    with lfp.context(net):
        output = run(net, x, mode)
        live = feedback(net, output)
    with lfp.context(ours):
        want = feedback(ours, ours(x))
        assert torch.equal(ours(x), output)
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


@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("v_reset", [0.0, -0.5, None])
def test_a_learnt_time_constant_against_a_plain_loop(decay_input: bool, v_reset: float | None) -> None:
    """The reward of membrane and input current reaches ``w`` through the share that each has of them."""
    node = neuron.ParametricLIFNode(init_tau=3.0, decay_input=decay_input, v_reset=v_reset).double()
    x = 2.5 * torch.rand(T, BATCH, 5, dtype=torch.float64)
    message = torch.rand(T, BATCH, 5, dtype=torch.float64)
    with LFP(epsilon=0.0).context(node):
        spikes = run(nn.Sequential(node), x)
        spikes.backward(message)
    q = float(node.w.detach().sigmoid())
    size, zero = (q if decay_input else 1.0), v_reset or 0.0
    v, past = torch.zeros_like(x[0]), []
    for x_t in x:  # v is the membrane away from rest
        w, v = v, (1 - q) * v + size * x_t
        s = (v >= 1 - zero).double()
        past.append((w, v, s))
        v = v - s if v_reset is None else (1 - s) * v
    assert torch.equal(torch.stack([s for *_, s in past]), spikes)
    assert 0 < spikes.mean() < 1
    back, want = torch.zeros_like(v), 0.0
    for t in reversed(range(T)):
        w, v, s = past[t]
        left = v - s if v_reset is None else (1 - s) * v
        d = w.abs() + (size * x[t] - q * w).abs()
        n = torch.where(d > 0, (message[t] + left * back) / d, 0.0)
        want += float((n * (x[t] * decay_input - w)).sum()) * q * (1 - q)
        back = (1 - q) * n
    torch.testing.assert_close(node.w.grad, want * node.w.detach().abs())


@pytest.mark.parametrize("mode", ["s", "m"])
def test_a_hidden_recurrent_container(mode: str) -> None:
    """It is a linear layer of the input and the last spikes: the same as recurrent weights of ours."""
    net, x = AS_THEY_ARE["recurrent"]().double(), inputs("", torch.float64)
    first, container, last, _ = net
    joint = container.rc.weight.detach()
    inputs_of, hidden, output = nn.Linear(8, 8).double(), LIF(1.0, **FORM, recurrent=8).double(), LIF(1.0, **FORM)
    with torch.no_grad():
        inputs_of.weight.copy_(joint[:, :8])
        inputs_of.bias.copy_(container.rc.bias)
        hidden.recurrent.copy_(joint[:, 8:])
    ours, lfp = Sequential(first, inputs_of, hidden, last, output.double()), LFP(epsilon=1e-9)
    with lfp.context(net):
        spikes = run(net, x, mode)
        live = feedback(net, spikes)
    with lfp.context(ours):
        assert torch.equal(ours(x), spikes)
        want = feedback(ours, ours(x))
    recurrent = torch.cat([want[id(inputs_of.weight)], want[id(hidden.recurrent)]], 1)
    for got, value in (
        (live[id(container.rc.weight)], recurrent),
        *((live[id(p)], want[id(p)]) for p in last.parameters()),
    ):
        assert value.any()
        assert float((got - value).norm() / value.norm()) < 1e-5
    assert live[id(container.rc.weight)][:, 8:].any()


def test_a_network_learns() -> None:
    torch.manual_seed(0)
    net, lfp = mlp(lambda: neuron.LIFNode(decay_input=False), hidden=32), LFP()
    y = torch.arange(64) % 4
    x = (torch.rand(T, 64, 6) < torch.where(torch.rand(4, 6) < 0.5, 0.1, 0.9)[y]).float()
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        with lfp.context(net):
            rewards.RateSoftmax()(run(net, x), y).backward()
        optimizer.step()
    assert float((run(net, x).sum(0).argmax(1) == y).float().mean()) > 0.8


@pytest.mark.parametrize("mode", ["s", "m"])
def test_recorded_membranes_are_the_same(mode: str) -> None:
    node = neuron.LIFNode(store_v_seq=True, step_mode=mode)
    net, x = nn.Sequential(node), inputs("") * 2
    run(net, x, mode)
    want = node.v_seq
    with LFP().context(net):
        run(net, x.requires_grad_(), mode)
    assert node.v_seq.requires_grad
    assert torch.equal(node.v_seq, want)


class Louder(neuron.IFNode):
    """Has an update of its own."""

    def single_step_functional_forward(self, inputs: Any, states: Any, **kwargs: Any) -> Any:
        return super().single_step_functional_forward((2 * inputs[0],), states, **kwargs)


class Named(neuron.IFNode):
    """Has the update of its base."""


@pytest.mark.parametrize("node", [neuron.ILIFNode(), neuron.SimpleIFNode(), neuron.DSRIFNode(), Louder()])
def test_a_neuron_without_a_rule_is_an_error(node: nn.Module) -> None:
    net = nn.Sequential(nn.Linear(3, 3), node)
    x = torch.rand(2, 3) if node.step_mode == "s" else torch.rand(T, 2, 3)
    with LFP().context(net), pytest.raises(UnknownLayerError, match=rf"{type(node).__name__}.*IFNode"):
        net(x)
    assert not {"single_step_functional_forward", "multi_step_forward"} & set(vars(node))


def test_a_subclass_with_the_update_of_its_base_is_known() -> None:
    net, x = nn.Sequential(nn.Linear(6, 4), Named()), inputs("")
    with LFP().context(net):
        assert feedback(net, run(net, x))


def test_what_is_no_spike_is_refused() -> None:
    net, x = mlp(plif()), inputs("")
    for m in net.modules():
        if isinstance(m, neuron.BaseNode):
            m.surrogate_function = copy.deepcopy(m.surrogate_function)  # the default is shared by all neurons
            m.surrogate_function.set_spiking_mode(False)
    with LFP().context(net), pytest.raises(ConfigError, match="set_spiking_mode"):
        run(net, x)


def test_what_needs_all_steps_is_refused() -> None:
    net = mlp(neuron.IFNode)
    with LFP(record=True).context(net), pytest.raises(ConfigError, match="convert"):
        run(net, inputs(""))


def test_the_surrogate_gradient_is_left_alone_outside() -> None:
    net, x = mlp(neuron.IFNode), inputs("")
    run(net, x).sum().backward()
    want = net[0].weight.grad.clone()
    with LFP().context(net):
        run(net, x)
    net.zero_grad()
    functional.reset_net(net)
    run(net, x).sum().backward()
    assert torch.equal(net[0].weight.grad, want)
