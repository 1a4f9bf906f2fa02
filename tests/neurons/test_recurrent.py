"""A layer with recurrent weights run in one compiled loop against the same layer run step by step."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lfp_snn import ALIF, LFP, LIF, CubaLIF, rewards
from lfp_snn.neurons import SpikingNeuron
from lfp_snn.neurons import recurrent as module
from lfp_snn.rules import Conserving, Contribution, Reference
from lfp_snn.synapses import use

NEURONS: dict[str, Any] = {
    "lif": lambda n: LIF(recurrent=n),
    "lif-learnt": lambda n: LIF(recurrent=n, beta=torch.full((n,), 0.8), learn_beta=True, learn_threshold=True),
    "lif-zero": lambda n: LIF(recurrent=n, reset="zero"),
    "lif-immediate": lambda n: LIF(recurrent=n, reset_delay=False),
    "alif": lambda n: ALIF(recurrent=n),
    "alif-none": lambda n: ALIF(recurrent=n, reset="none"),
    "cuba-lif": lambda n: CubaLIF(recurrent=n),
    "cuba-lif-learnt": lambda n: CubaLIF(recurrent=n, learn_alpha=True),
}


def run(net: SpikingNeuron, x: Tensor, steps: int | None, state: Any, lfp: LFP | None, way: Any) -> list[Tensor]:
    """Return spikes, last state and all messages."""
    net.zero_grad()
    x = x.clone().requires_grad_()
    with use(way):
        if lfp is None:
            spikes, last = net(x, state, steps=steps)
            rewards.RateCoded().loss(spikes, torch.zeros(spikes.shape[1], dtype=torch.long)).backward()
        else:
            with lfp.context(net):
                spikes, last = net(x, state, steps=steps)
                rewards.RateCoded()(spikes, torch.zeros(spikes.shape[1], dtype=torch.long)).backward()
    return [spikes.detach(), *last, x.grad, *(p.grad for p in net.parameters())]  # type: ignore[list-item]


# Each combination compiles kernels of its own; these cover every neuron, every rule and the gradient.
CASES = [
    *zip(NEURONS, itertools.cycle([Reference, Contribution, Conserving]), strict=False),
    *((kind, None) for kind in ("lif", "alif", "cuba-lif")),
]


@pytest.mark.parametrize(("kind", "sharing"), CASES, ids=lambda c: getattr(c, "__name__", c))
@settings(max_examples=8)
@given(
    steps=st.integers(1, 8), batch=st.integers(1, 4), features=st.integers(1, 8), seed=st.integers(0, 2**16),
    static=st.booleans(), goes_on=st.booleans(),
)  # fmt: skip
def test_one_loop_is_step_by_step(kind, sharing, steps, batch, features, seed, static, goes_on) -> None:
    torch.manual_seed(seed)
    net = NEURONS[kind](features).double()
    x = 2 * torch.rand(batch, features) if static else 2 * torch.rand(steps, batch, features)
    x, steps = x.double(), steps if static else None
    state = net(torch.rand(3, batch, features).double())[1] if goes_on else None
    lfp = None if sharing is None else LFP(sharing=sharing(1e-6))
    dense, fused = (run(net, x, steps, state, lfp, way) for way in ("dense", "events"))
    for a, b in zip(fused, dense, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("kind", ["lif", "cuba-lif"])
@pytest.mark.parametrize("features", [128, 130, 300])
def test_layers_of_several_blocks_of_weights(kind: str, features: int) -> None:
    torch.manual_seed(0)
    net, x = NEURONS[kind](features).double(), 2 * torch.rand(5, 3, features).double()
    dense, fused = (run(net, x, None, None, LFP(), way) for way in ("dense", "events"))
    assert dense[0].mean() > 0.01
    for a, b in zip(fused, dense, strict=True):
        torch.testing.assert_close(a, b)


def test_hidden_layer_and_recording() -> None:
    """Behind another layer the message is a density, not the reward; what each spike received is recorded."""
    from lfp_snn.models import recurrent_snn

    torch.manual_seed(0)
    net, x = recurrent_snn((20,), 5, hidden=(30, 30)).double(), 3 * torch.rand(12, 5, 20).double()
    results = []
    for way in ("dense", "events"):
        net.zero_grad()
        with use(way), LFP(record=True).context(net):  # type: ignore[arg-type]
            rewards.Softmax()(net(x), torch.arange(5)).backward()
        hidden = [m for m in net if isinstance(m, SpikingNeuron)]
        results.append([p.grad for p in net.parameters()] + [m.relevance for m in hidden])
        assert all(m.relevance is not None and m.relevance.abs().sum() > 0 for m in hidden)
    torch.testing.assert_close(*results)


def test_layers_too_large_for_the_cache_run_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    forward = module._forward
    monkeypatch.setattr(module, "_forward", lambda *a: (calls.append(len(a)), forward(*a))[1])
    monkeypatch.setattr(module, "MOST_NEURONS", 8)
    LIF(recurrent=8)(torch.rand(2, 1, 8))
    assert not calls
    LIF(recurrent=9)(torch.rand(2, 1, 9))
    assert calls


@pytest.mark.parametrize("way", ["events", "dense"])
@pytest.mark.parametrize("kind", ["lif", "alif", "cuba-lif"])
def test_types_that_differ_and_autocast(kind: str, way: Any) -> None:
    """Parameters are cast to the type of the input; a membrane is not rounded."""
    torch.manual_seed(0)
    net, x = NEURONS[kind](32), 3 * torch.rand(9, 4, 32)
    with use(way):
        spikes = net(x)[0]
        assert spikes.sum() > 0
        wide = net(x.double())[0]
        assert wide.dtype == torch.float64
        assert (wide != spikes).double().mean() < 0.02
        assert torch.equal(net.double()(x)[0], spikes)
        net.float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = net(x)[0]
            rewards.RateCoded().loss(rounded, torch.arange(4)).backward()
        assert torch.equal(rounded, spikes)
        assert torch.equal(net.bfloat16()(x.bfloat16())[0], net.float()(x.bfloat16().float())[0])
