"""Norse networks converted."""

from __future__ import annotations

import norse.torch as norse
import pytest
import torch
from norse.torch.functional.reset import reset_subtract
from torch import nn

from lfp_snn.adapters.norse import from_norse
from lfp_snn.errors import ConfigError
from tests.adapters.norse.networks import AS_THEY_ARE, CONVERTIBLE, inputs, run


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_the_output_is_the_same_and_the_parameters_are_shared(name: str) -> None:
    net, x = CONVERTIBLE[name](), inputs(name)
    ours = from_norse(net)
    torch.testing.assert_close(ours(x), run(net, x), rtol=1e-4, atol=1e-6)
    assert {id(p) for p in ours.parameters()} == {id(p) for p in net.parameters()}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("lsnn", r"network\.1 \(LSNNCell\).*no neuron of ours"),
        ("lsnn-recurrent", r"network\.0 \(LSNNRecurrentCell\)"),
        ("reset-value", "v_reset = -0.3"),
        ("leak", "v_leak = 0.2"),
    ],
)
def test_what_would_spike_otherwise_is_refused(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        from_norse(AS_THEY_ARE[name]())


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (norse.LIFBoxCell(norse.LIFBoxParameters(v_leak=torch.tensor(0.1), reset_method=reset_subtract)), "subtracts"),
        (norse.IAFCell(norse.IAFParameters(v_reset=torch.tensor(0.1))), "rests at 0"),
        (norse.LICell(norse.LIParameters(v_leak=torch.tensor(0.1))), "integrator"),
        (norse.LIFCell(norse.LIFParameters(v_th=nn.Parameter(torch.tensor(0.5)))), "learns v_th"),
        (norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=lambda z, v, reset, th: v)), "reset_method"),
    ],
)
def test_what_no_neuron_of_ours_does_is_refused(cell: nn.Module, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        from_norse(cell)


def test_a_forward_pass_of_ones_own_is_refused_with_advice() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = norse.LIFCell()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.cell(x)[0]  # type: ignore[no-any-return]

    with pytest.raises(ConfigError, match=r"network\.1 \(Own\).*sequence of modules"):
        from_norse(nn.Sequential(nn.Linear(2, 2), Own()))
