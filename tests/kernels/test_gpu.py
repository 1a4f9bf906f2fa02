"""The kernels for a GPU against the reference kernel: on a GPU where there is one, else run by Triton's interpreter."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lfp_snn import ALIF, LFP, LI, LIF, Sequential, kernels, rewards
from lfp_snn.kernels import Dynamics, Parameters, Start, reference
from lfp_snn.neurons import ATan, FastSigmoid, Rectangle, StraightThrough, Surrogate, Triangle
from lfp_snn.neurons.surrogate import SigmoidDerivative
from lfp_snn.rules import Conserving, Contribution, Reference, Sharing

triton = pytest.importorskip("triton", reason="Triton comes with torch for CUDA, on Linux")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODULES = ("gpu", "formula", "triton_scans")
FORMS = [
    Dynamics(reset, delayed, adaptive)
    for reset, delayed, adaptive in itertools.product(("subtract", "zero", "none"), (True, False), (False, True))
    if delayed or reset == "subtract"
]
sizes = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 90))
few = settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
seeds, flags = st.integers(0, 2**16), st.booleans()
forms = pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f.reset}-{f.delayed}-{f.adaptive}")


@pytest.fixture(scope="module")
def gpu() -> Iterator[ModuleType]:
    """Return the kernels, such that they run here."""
    with pytest.MonkeyPatch.context() as patch:
        for name in MODULES:
            patch.delitem(sys.modules, f"lfp_snn.kernels.{name}", raising=False)
            patch.delattr(kernels, name, raising=False)
        patch.setattr(triton.knobs.runtime, "interpret", DEVICE == "cpu")
        yield importlib.import_module("lfp_snn.kernels.gpu")
        for name in MODULES:
            del sys.modules[f"lfp_snn.kernels.{name}"]


def case(size: tuple[int, int, int], form: Dynamics, seed: int, scalar: bool, dtype: torch.dtype, static: bool = False):
    """Draw a current, parameters, a start, a message and what comes from later steps."""
    (steps, batch, features), g = size, torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=torch.float64).to(dtype).to(DEVICE)

    n = 1 if scalar else features
    p = Parameters(rand(n), rand(n) + 0.3, *((rand(n), rand(n)) if form.adaptive else (None, None)))
    a = rand(batch, features) if form.adaptive else None
    start = Start(rand(batch, features) * 2 - 1, (rand(batch, features) > 0.5).to(dtype), a)
    current = rand(1 if static else steps, batch, features) * 4 - 2
    carry = rand(batch, features), rand(batch, features) if form.adaptive else None
    return current, p, start, rand(steps, batch, features) - 0.5, carry


def assert_same(ours: Any, theirs: Any, tolerance: float = 1e-6) -> None:
    if isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b, tolerance)
    elif theirs is None:
        assert ours is None
    else:
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        assert (ours - theirs).norm() <= tolerance * theirs.norm() + 1e-12


@forms
@few
@given(size=sizes, seed=seeds, scalar=flags, keep=flags, static=flags, double=flags)
def test_forward(
    gpu: ModuleType,
    form: Dynamics,
    size: tuple[int, int, int],
    seed: int,
    scalar: bool,
    keep: bool,
    static: bool,
    double: bool,
) -> None:
    current, p, start, *_ = case(size, form, seed, scalar, torch.float64 if double else torch.float32, static)
    ours = gpu.forward(current, p, start, size[0], form, keep)
    theirs = reference.forward(current, p, start, size[0], form, keep)
    assert torch.equal(ours[0], theirs[0])
    assert_same(ours, theirs)


@forms
@pytest.mark.parametrize(
    "rule", [Reference(1e-4), Contribution(1e-4), Conserving(1e-2)], ids=lambda r: type(r).__name__
)
@few
@given(size=sizes, seed=seeds, scalar=flags, readout=flags, static=flags)
def test_backward_lfp(
    gpu: ModuleType,
    form: Dynamics,
    rule: Sharing,
    size: tuple[int, int, int],
    seed: int,
    scalar: bool,
    readout: bool,
    static: bool,
) -> None:
    # In double precision: near d = 0 a float32 rounding of the membrane may flip the sign of the stabiliser.
    current, p, start, message, carry = case(size, form, seed, scalar, torch.float64)
    _, v, _ = reference.forward(current, p, start, size[0], form, True)
    how = (message, v, p, start, carry, form, rule.denominator, rule.epsilon, readout, static)
    assert_same(gpu.backward_lfp(*how), reference.backward_lfp(*how))


@forms
@few
@given(size=sizes, seed=seeds, scalar=flags, attach=flags, static=flags)
def test_backward_surrogate(
    gpu: ModuleType,
    form: Dynamics,
    size: tuple[int, int, int],
    seed: int,
    scalar: bool,
    attach: bool,
    static: bool,
) -> None:
    current, p, start, message, carry = case(size, form, seed, scalar, torch.float64)
    _, v, _ = reference.forward(current, p, start, size[0], form, True)
    how = (message, v, p, start, carry, form, ATan.derivative, 2.0, attach, static)
    assert_same(gpu.backward_surrogate(*how), reference.backward_surrogate(*how))


@pytest.mark.parametrize(
    "surrogate",
    [ATan(), FastSigmoid(), SigmoidDerivative(), Triangle(), Rectangle(), StraightThrough()],
    ids=lambda s: type(s).__name__,
)
def test_every_surrogate(gpu: ModuleType, surrogate: Surrogate) -> None:
    form = Dynamics()
    current, p, start, message, carry = case((7, 3, 40), form, 5, True, torch.float32)
    _, v, _ = reference.forward(current, p, start, 7, form, True)
    how = (message, v, p, start, carry, form, surrogate.derivative, surrogate.slope, False, False)
    assert_same(gpu.backward_surrogate(*how), reference.backward_surrogate(*how), 1e-5)


@few
@given(size=sizes, seed=seeds, scalar=flags, static=flags)
def test_filter(gpu: ModuleType, size: tuple[int, int, int], seed: int, scalar: bool, static: bool) -> None:
    x, p, start, g, _ = case(size, Dynamics(), seed, scalar, torch.float32, static)
    assert_same(gpu.filter_forward(x, p.beta, start.u, size[0]), reference.filter_forward(x, p.beta, start.u, size[0]))
    for carry in (None, start.u):
        assert_same(gpu.filter_backward(g, p.beta, static, carry), reference.filter_backward(g, p.beta, static, carry))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("adaptive", [False, True])
def test_tensors_of_16_bits_are_calculated_in_32(gpu: ModuleType, dtype: torch.dtype, adaptive: bool) -> None:
    form = Dynamics(adaptive=adaptive)
    current, p, start, message, carry = case((6, 3, 40), form, 1, False, dtype)
    spikes, v, _ = gpu.forward(current, p, start, 6, form, True)
    assert spikes.dtype == v.dtype == dtype
    # The spikes are those of the membrane as it was kept: the backward pass finds them again.
    wide = [x.float() for x in (*p,) if x is not None]
    history = reference._replay(v.float(), Parameters(*wide), Start(*(None if q is None else q.float() for q in start)))
    assert torch.equal(torch.stack([s for s, _ in history[1:]]), spikes.float())
    how = (form, Reference.denominator, 1e-2, False, False)
    ours = gpu.backward_lfp(message, v, p, start, carry, *how)
    started = Start(*(None if q is None else q.float() for q in start))
    coming = tuple(None if q is None else q.float() for q in carry)
    theirs = reference.backward_lfp(message.float(), v.float(), Parameters(*wide), started, coming, *how)
    assert ours[0].dtype == dtype
    assert_same(ours[0].float(), theirs[0], 0.02)


def test_what_is_not_contiguous(gpu: ModuleType) -> None:
    form = Dynamics()
    current, p, start, message, carry = case((4, 3, 10), form, 2, False, torch.float64)
    turned = current.transpose(1, 2).contiguous().transpose(1, 2)
    assert_same(gpu.forward(turned, p, start, 4, form, True), reference.forward(current, p, start, 4, form, True))
    _, v, _ = reference.forward(current, p, start, 4, form, True)
    how = (v, p, start, carry, form, Conserving.denominator, 1e-2, False, False)
    summed = message[:1].expand(4, -1, -1)  # as of a sum over time
    assert_same(gpu.backward_lfp(summed, *how), reference.backward_lfp(summed, *how))


@pytest.mark.parametrize("lfp", [True, False])
def test_a_network(gpu: ModuleType, lfp: bool) -> None:
    """Recurrent, adaptive and leaky layers train by these kernels as by the reference."""

    def messages(chosen: ModuleType) -> list[Tensor]:
        torch.manual_seed(0)
        made = (
            torch.nn.Linear(8, 12),
            ALIF(0.8),
            torch.nn.Linear(12, 6),
            LIF(recurrent=6),
            torch.nn.Linear(6, 3),
            LI(),
        )
        net = Sequential(*made).to(DEVICE, torch.float64)
        x, y = 3 * torch.rand(5, 4, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
        with kernels.use(chosen):
            if lfp:
                LFP(sharing=Conserving(1e-2)).attach(net)
                rewards.Softmax()(net(x.to(DEVICE)), y.to(DEVICE)).backward()
            else:
                nn.functional.cross_entropy(net(x.to(DEVICE)).mean(0), y.to(DEVICE)).backward()
        return [p.grad for p in net.parameters() if p.grad is not None]

    ours, theirs = messages(gpu), messages(reference)
    assert len(ours) >= 6
    assert any(g.abs().max() > 0 for g in theirs)
    assert_same(tuple(ours), tuple(theirs))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_they_are_chosen_on_a_gpu(gpu: ModuleType) -> None:
    assert kernels.select(torch.zeros(1, device="cuda")).__name__ == gpu.__name__
