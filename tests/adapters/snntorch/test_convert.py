"""snnTorch networks converted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import snntorch as snn
import torch
from torch import nn

from lfp_snn import LIF, Sequential
from lfp_snn.adapters.snntorch import from_snntorch
from lfp_snn.errors import ConfigError
from tests.adapters.snntorch.networks import AS_THEY_ARE, CONVERTIBLE, inputs, mlp, run


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_the_spikes_are_the_same_in_single_precision(name: str) -> None:
    net, x = CONVERTIBLE[name](), inputs(name).float()
    want, ours = run(net, x), from_snntorch(net)
    got = ours(x)
    assert torch.equal(got, want)
    assert want.any()
    if name != "convolutional":  # (its input is not static as far as its first layer)
        assert torch.equal(ours(x[0], steps=6), run(net, x[0].expand(6, *x[0].shape)))


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_the_parameters_are_shared(name: str) -> None:
    net = CONVERTIBLE[name]()
    assert {id(p) for p in from_snntorch(net).parameters()} == {id(p) for p in net.parameters()}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("alpha", "no conversion for Alpha"),
        ("rleaky-zero", "drops the input"),
        ("lapicque-zero", "drops the input"),
        ("one-to-one", "one to one"),
        ("quantised", "state_quant"),
        ("learnt-size", "learn_graded_spikes_factor"),
    ],
)
def test_what_would_spike_otherwise_is_refused_by_name(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=rf"network\.1 .*{why}.*LFP\(\)\.context"):
        from_snntorch(AS_THEY_ARE[name]())


def _conv_recurrent(n: int) -> nn.Module:
    return snn.RLeaky(0.8, conv2d_channels=n, kernel_size=3, init_hidden=True)


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: mlp(_conv_recurrent), "convolution"),
    (lambda: mlp(lambda n: snn.Lapicque(beta=0.5, learn_beta=True, init_hidden=True)), "learn_beta"),
]


@pytest.mark.parametrize(("make", "why"), REFUSED)
def test_more_that_is_refused(make: Callable[[], nn.Module], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        from_snntorch(make())


def test_a_time_loop_of_ones_own_is_refused_with_advice() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif = snn.Leaky(0.9)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.lif(x)[0]  # type: ignore[no-any-return]

    with pytest.raises(ConfigError, match=r"network\.1 \(Own\).*sequence of modules"):
        from_snntorch(nn.Sequential(nn.Linear(2, 2), Own()))


def test_a_sequence_that_runs_its_children_otherwise_is_refused() -> None:
    class Backwards(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for module in reversed(self):
                x = module(x)
            return x

    with pytest.raises(ConfigError, match=r"network \(Backwards\)"):
        from_snntorch(Backwards(snn.Leaky(0.5, init_hidden=True), nn.Linear(2, 2)))


def test_a_single_neuron() -> None:
    ours = from_snntorch(snn.Leaky(0.3, threshold=0.7, reset_mechanism="none"))
    assert isinstance(ours, Sequential)
    (neuron,) = ours
    assert isinstance(neuron, LIF)
    assert float(neuron.beta) == pytest.approx(0.3)
    assert float(neuron.threshold) == pytest.approx(0.7)
    assert neuron.reset == "none"
