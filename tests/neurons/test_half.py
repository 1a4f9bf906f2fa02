"""Membranes kept in 16 bits: every spike where it was, the same outputs, relevance within thousandths."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lfp_snn import ALIF, LFP, LIF, CubaLIF, Sequential, keep_membranes, kernels
from lfp_snn.neurons.half import round_membrane
from tests.learning import learned


@settings(max_examples=50)
@given(threshold=st.floats(-2, 2, width=32), seed=st.integers(0, 2**16), scale=st.sampled_from([1e-6, 1e-3, 1.0]))
def test_no_spike_is_lost_or_made(threshold: float, seed: int, scale: float) -> None:
    v = threshold + scale * torch.randn(3, 4, 50, generator=torch.Generator().manual_seed(seed))
    v[0, 0, 0] = threshold  # no spike
    for theta in (torch.tensor([threshold]), torch.full((50,), threshold), torch.full((3, 4, 50), threshold)):
        rounded = round_membrane(v, (v > theta).float(), theta)
        assert rounded.dtype == torch.bfloat16
        assert torch.equal(rounded.float() > theta, v > theta)
        torch.testing.assert_close(rounded.float(), v, rtol=2**-7, atol=1e-38)
        with kernels.use(kernels.reference):
            assert torch.equal(round_membrane(v, (v > theta).float(), theta), rounded)


def test_next_to_zero_and_to_every_exponent() -> None:
    theta = torch.tensor([0.0])
    v = torch.tensor([0.0, -0.0, 1e-45, -1e-45, 2.0**-126, -(2.0**-126), 3e38, -3e38])[None, None]
    rounded = round_membrane(v, (v > 0).float(), theta)
    assert torch.equal(rounded > 0, v > 0)
    with kernels.use(kernels.reference):
        assert torch.equal(round_membrane(v, (v > 0).float(), theta), rounded)


NEURONS = {
    "lif": lambda **own: LIF(**own),
    "lif, reset to zero": lambda **own: LIF(reset="zero", reset_delay=False, **own),
    "alif": lambda **own: ALIF(**own),
    "cuba": lambda **own: CubaLIF(**own),
}


@pytest.mark.parametrize("recurrent", [None, 30], ids=["feed-forward", "recurrent"])
@pytest.mark.parametrize("lfp", [True, False], ids=["lfp", "surrogate"])
@pytest.mark.parametrize("neuron", NEURONS)
def test_feedback_is_that_of_whole_membranes(neuron: str, lfp: bool, recurrent: int | None) -> None:
    torch.manual_seed(0)
    net = Sequential(nn.Linear(20, 30), NEURONS[neuron](recurrent=recurrent), nn.Linear(30, 5), LIF())
    x, y = 3 * (torch.rand(20, 8, 20) < 0.3).float(), torch.arange(8) % 5
    found = []
    for kept in ("full", "bfloat16"):
        keep_membranes(net, kept)  # type: ignore[arg-type]
        found.append(learned(net, x, y, lfp))
    (out, *whole), (again, *rounded) = found
    assert torch.equal(out, again)
    assert out.mean() > 0.01
    for p, a, b in zip(net.parameters(), whole, rounded, strict=True):
        if p.dim() != 2:
            continue
        assert a is not None
        assert b is not None
        assert a.norm() > 0
        assert 0 < (a - b).norm() < 0.02 * a.norm()


def test_half_of_the_memory_is_kept() -> None:
    saved: list[torch.Tensor] = []
    net, x = Sequential(nn.Linear(20, 30), LIF()), torch.rand(50, 8, 20)
    for kept, size in (("full", 4), ("bfloat16", 2)):
        saved.clear()
        keep_membranes(net, kept)  # type: ignore[arg-type]
        with (
            LFP().context(net),
            torch.autograd.graph.saved_tensors_hooks(lambda s: (saved.append(s), s)[1], lambda s: s),
        ):
            net(x)
        of_all_steps = [s for s in saved if s.shape == (50, 8, 30)]
        assert [s.element_size() for s in of_all_steps] == [size]


def test_what_cannot_be_kept_is_said() -> None:
    with pytest.raises(ValueError, match=r"way to keep membranes 'float16'.*bfloat16"):
        keep_membranes(Sequential(nn.Linear(2, 2), LIF()), "float16")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Linear has no spiking neurons"):
        keep_membranes(nn.Linear(2, 2))
