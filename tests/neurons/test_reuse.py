"""Memory that is used twice: membranes over currents, answers over membranes; and nobody who looks on is misled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import ALIF, LFP, LIF, CubaLIF, Sequential, kernels, rewards
from lfp_snn.neurons import reuse
from lfp_snn.rules import AlphaBeta, Gamma, Rule, ZPlus
from tests.learning import learned

SHAPE = (12, 6, 20)

NEURONS: dict[str, Callable[[], nn.Module]] = {
    "lif": lambda: LIF(),
    "lif, reset to zero": lambda: LIF(reset="zero", reset_delay=False),
    "alif": lambda: ALIF(),
    "cuba": lambda: CubaLIF(),
    "recurrent": lambda: LIF(recurrent=30),
    "recurrent cuba": lambda: CubaLIF(recurrent=30),
}


def network(neuron: str = "lif") -> Sequential:
    torch.manual_seed(0)
    return Sequential(nn.Linear(20, 30), NEURONS[neuron](), nn.Linear(30, 5), LIF())


def currents(net: Sequential, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Run a network and tell for each neuron whether it was offered its current."""
    seen: list[bool] = []
    offered = reuse.is_spare

    def spy(x: Tensor) -> bool:
        seen.append(offered(x))
        return seen[-1]

    monkeypatch.setattr("lfp_snn.neurons.scan.is_spare", spy)
    monkeypatch.setattr("lfp_snn.neurons.recurrent.is_spare", spy)
    net(torch.rand(SHAPE))
    return seen


@pytest.mark.parametrize("lfp", [True, False], ids=["lfp", "surrogate"])
@pytest.mark.parametrize("neuron", NEURONS)
def test_results_are_those_of_memory_used_once(neuron: str, lfp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    net, x, y, found = network(neuron), 3 * torch.rand(SHAPE), torch.arange(6) % 5, []
    for once in (False, True):
        if once:
            monkeypatch.setattr("lfp_snn.neurons.scan.is_spare", lambda x: False)
            monkeypatch.setattr("lfp_snn.neurons.recurrent.is_spare", lambda x: False)
            monkeypatch.setattr("lfp_snn.neurons.scan.graph_is_kept", lambda: True)
            monkeypatch.setattr("lfp_snn.neurons.recurrent.graph_is_kept", lambda: True)
        found.append(learned(net, x, y, lfp))
    assert found[0][0].mean() > 0.01
    for twice, once_only in zip(*found, strict=True):
        assert torch.equal(twice, once_only)


def test_lfp_looks_on_without_being_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    with LFP().context(net):
        assert currents(net, monkeypatch) == [True, True]  # also in the first pass


def test_the_membrane_takes_the_place_of_the_current() -> None:
    net, places = network(), []
    x = torch.rand(SHAPE)
    current = net[0](x)
    reuse.offer(current, net[0], net[1])
    with torch.autograd.graph.saved_tensors_hooks(lambda s: (places.append(s.data_ptr()), s)[1], lambda s: s):
        net[1](current)
    assert current.data_ptr() in places


def _watch(module: nn.Module) -> Any:
    return module.register_forward_hook(lambda *_: None)


@pytest.mark.parametrize(
    "watch",
    [
        lambda net: _watch(net[0]),
        lambda net: _watch(net[1]),
        lambda net: net[1].register_forward_pre_hook(lambda *_: None),
        lambda net: net[0].register_full_backward_hook(lambda *_: None),
        lambda net: nn.modules.module.register_module_forward_hook(lambda *_: None),
    ],
    ids=["layer", "neuron", "before the neuron", "backwards", "everywhere"],
)
def test_a_current_that_somebody_sees_stays_what_it_is(watch, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    assert currents(net, monkeypatch) == [True, True]
    handle = watch(net)
    assert currents(net, monkeypatch)[0] is False
    handle.remove()
    assert currents(net, monkeypatch) == [True, True]


def test_layers_that_may_keep_their_output_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Keeping(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            self.last = super().forward(x)
            return self.last

    net = Sequential(Keeping(20, 30), LIF(), nn.Linear(30, 30), nn.ReLU(), LIF())
    assert currents(net, monkeypatch) == [False, False]
    x = torch.rand(SHAPE)
    net(x)
    assert torch.equal(net[0].last, nn.functional.linear(x, net[0].weight, net[0].bias))


def test_a_forward_that_was_replaced_may_keep_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    net[0].forward = lambda x: nn.functional.linear(x, net[0].weight)
    assert currents(net, monkeypatch) == [False, True]


def test_two_neurons_may_share_a_current_outside_a_chain() -> None:
    layer, first, second = nn.Linear(20, 30), LIF(), LIF(beta=0.5)
    trunk, x = Sequential(layer), torch.rand(SHAPE)
    current = trunk(x)
    first(current)
    assert torch.equal(second(current)[0], second(layer(x))[0])


@pytest.mark.parametrize("neuron", NEURONS)
def test_a_graph_that_is_kept_can_be_asked_again(neuron: str) -> None:
    net, x, y = network(neuron), torch.rand(SHAPE), torch.arange(6) % 5
    with LFP().context(net):
        loss = rewards.RateCoded()(net(3 * x), y)
    first = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)
    again = torch.autograd.grad(loss, list(net.parameters()))
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("neuron", NEURONS)
def test_a_state_does_not_hold_all_steps(neuron: str) -> None:
    _, state = network(neuron)[1](torch.rand(50, 6, 30))
    for part in state:
        assert part.untyped_storage().nbytes() == 6 * 30 * 4


def test_spikes_that_are_overwritten_do_not_change_the_state() -> None:
    spikes, state = LIF()(2 * torch.ones(1, 2, 3))
    spikes.zero_()
    assert torch.equal(state.s, torch.ones(2, 3))


def test_other_kernels_leave_the_current_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = network(), torch.rand(SHAPE)
    with kernels.use(kernels.reference):
        want = net(x)
    assert torch.equal(net(x), want)


@pytest.mark.parametrize("rule", [ZPlus(), Gamma(), AlphaBeta()], ids=lambda r: type(r).__name__)
def test_a_rule_that_looks_at_the_output_of_a_layer_finds_it(rule: Rule) -> None:
    net, x, y, found = network(), (torch.rand(SHAPE) < 0.4).float(), torch.arange(6) % 5, []
    for watched in (False, True):
        if watched:
            for module in net:
                _watch(module)
        net.zero_grad()
        with LFP(rule=rule).context(net):
            rewards.RateCoded()(net(x), y).backward()
        found.append([p.grad for p in net.parameters()])
    for shared, alone in zip(*found, strict=True):
        assert torch.equal(shared, alone)


def test_a_neuron_of_ones_own_may_look_at_its_current() -> None:
    class Looking(LIF):
        def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
            given = x.clone()
            out = super().forward(x, *args, **kwargs)
            assert torch.equal(x, given)
            return out

    Sequential(nn.Linear(20, 30), Looking())(torch.rand(SHAPE))
