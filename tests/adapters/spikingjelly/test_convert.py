"""SpikingJelly networks converted."""

from __future__ import annotations

import pytest
import torch
from torch import nn

pytest.importorskip("spikingjelly")

from spikingjelly.activation_based import layer, neuron

from lfp_snn.adapters.spikingjelly import from_spikingjelly
from lfp_snn.errors import ConfigError
from tests.adapters.spikingjelly.networks import CONVERTIBLE, inputs, run


@pytest.mark.parametrize("name", CONVERTIBLE)
@pytest.mark.parametrize("mode", ["s", "m"])
def test_the_spikes_are_the_same_and_the_parameters_are_shared(name: str, mode: str) -> None:
    net, x = CONVERTIBLE[name](), inputs(name)
    want, ours = run(net, x, mode), from_spikingjelly(net)
    assert torch.equal(ours(x), want)
    assert {id(p) for p in ours.parameters()} == {id(p) for p in net.parameters()}
    assert {id(b) for m in ours.modules() if isinstance(m, nn.BatchNorm2d) for b in m.buffers()} == {
        id(b) for m in net.modules() if isinstance(m, nn.BatchNorm2d) for b in m.buffers()
    }


@pytest.mark.parametrize("reset", [0.0, None])
def test_both_fire_at_the_threshold(reset: float | None) -> None:
    node = neuron.IFNode(v_reset=reset, step_mode="m")
    x = torch.full((32, 1, 1), 0.25)
    want = node(x)
    assert want.sum() == 8
    assert torch.equal(from_spikingjelly(node)(x), want)


@pytest.mark.parametrize("node", [neuron.NonSpikingIFNode(), neuron.NonSpikingLIFNode(tau=4.0)])
def test_integrators(node: nn.Module) -> None:
    x = torch.randn(9, 2, 5)
    torch.testing.assert_close(from_spikingjelly(node)(x), torch.stack(node(x)))


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (neuron.HalfThresholdIFNode(), r"network\.0 \(HalfThresholdIFNode\).*no conversion"),
        (neuron.ILIFNode(), "ILIFNode"),
        (neuron.PSN(4), "PSN"),
        (neuron.NonSpikingLIFNode(decode="mean-mem"), "mean-mem"),
        (layer.Dropout(), "Dropout.*state"),
        (layer.LinearRecurrentContainer(neuron.IFNode(), 3, 3), "LinearRecurrentContainer"),
        (layer.TLastSeqToANNContainer(nn.Linear(3, 3)), "TLastSeqToANNContainer.*time in another place"),
        (layer.SpikingSelfAttention(8, 2), "SpikingSelfAttention.*its own"),
    ],
)
def test_what_would_spike_otherwise_is_refused(module: nn.Module, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        from_spikingjelly(nn.Sequential(module))


def test_a_forward_pass_of_ones_own_is_refused_with_advice() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.node = neuron.IFNode()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.node(x)  # type: ignore[no-any-return]

    with pytest.raises(ConfigError, match=r"network\.0 \(Own\).*sequence"):
        from_spikingjelly(nn.Sequential(Own()))
