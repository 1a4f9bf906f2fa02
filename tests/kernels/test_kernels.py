"""The fused kernels against the reference kernel: every reset, adaptation, rule and float type, over random sizes."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lfp_snn.kernels import Dynamics, Parameters, Start, cpu, reference, select, use
from lfp_snn.neurons import ATan, FastSigmoid, Rectangle, StraightThrough, Surrogate, Triangle
from lfp_snn.rules import Conserving, Contribution, Reference, Sharing

FORMS = [
    Dynamics(reset, delayed, adaptive)
    for reset, delayed, adaptive in itertools.product(("subtract", "zero", "none"), (True, False), (False, True))
    if delayed or reset == "subtract"  # the delay makes no difference to the others
]
sizes = st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 40))
seeds = st.integers(0, 2**16)
few = settings(max_examples=15)


def name(form: Dynamics) -> str:
    return f"{form.reset}-{'delayed' if form.delayed else 'immediate'}{'-adaptive' if form.adaptive else ''}"


def with_flags(*rules: object) -> list[object]:
    """Combine every form with every rule and one of the sets of flags in turn (each combination compiles a kernel)."""
    flags = itertools.cycle(itertools.product((True, False), repeat=3))
    return [
        pytest.param(form, *rule, *next(flags), id="-".join([name(form), *(type(r).__name__ for r in rule)]))
        for form in FORMS
        for rule in (itertools.product(rules) if rules else [()])
    ]


def close(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).norm() <= 1e-6 * b.norm() + 1e-12)


def case(size: tuple[int, int, int], form: Dynamics, scalar: bool, dtype: torch.dtype, seed: int, constant: bool):
    """Draw a current, parameters, a start and a message."""
    (steps, batch, features), g = size, torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=torch.float64).to(dtype)

    n = 1 if scalar else features
    adaptive = (rand(n), rand(n)) if form.adaptive else (None, None)
    p = Parameters(rand(n), rand(n) + 0.3, *adaptive)
    start = Start(
        rand(batch, features) * 2 - 1,
        (rand(batch, features) > 0.5).to(dtype),
        rand(batch, features) if form.adaptive else None,
    )
    current = rand(1 if constant else steps, batch, features) * 4 - 2
    message = rand(steps, batch, features) - 0.5
    carry = (rand(batch, features), rand(batch, features) if form.adaptive else None)
    return current, p, start, message, carry


@pytest.mark.parametrize(("form", "scalar", "keep", "double"), with_flags())
@few
@given(size=sizes, seed=seeds, constant=st.booleans())
def test_forward(
    form: Dynamics, scalar: bool, keep: bool, double: bool, size: tuple[int, int, int], seed: int, constant: bool
) -> None:
    dtype = torch.float64 if double else torch.float32
    current, p, start, *_ = case(size, form, scalar, dtype, seed, constant)
    ours = cpu.forward(current, p, start, size[0], form, keep)
    theirs = reference.forward(current, p, start, size[0], form, keep)
    assert torch.equal(ours[0], theirs[0])
    assert close(ours[1], theirs[1])
    assert (ours[2] is None) == (theirs[2] is None) == (not form.adaptive)
    if ours[2] is not None and theirs[2] is not None:
        assert close(ours[2], theirs[2])


@pytest.mark.parametrize(
    ("form", "rule", "scalar", "readout", "static"),
    with_flags(Reference(1e-4), Contribution(1e-4), Conserving(1e-2)),
)
@few
@given(size=sizes, seed=seeds)
def test_backward_lfp(
    form: Dynamics, rule: Sharing, scalar: bool, readout: bool, static: bool, size: tuple[int, int, int], seed: int
) -> None:
    # In double precision: near d = 0 a float32 rounding of the membrane may flip the sign of the stabiliser.
    current, p, start, message, carry = case(size, form, scalar, torch.float64, seed, False)
    _, v, _ = reference.forward(current, p, start, size[0], form, True)
    how = (message, v, p, start, carry, form, rule.denominator, rule.epsilon, readout, static)
    (g, (q, g_a)), (h, (r, h_a)) = cpu.backward_lfp(*how), reference.backward_lfp(*how)
    assert close(g, h)
    assert close(q, r)
    assert (g_a is None and h_a is None) or close(g_a, h_a)


@pytest.mark.parametrize(
    ("form", "surrogate", "scalar", "static", "attach"),
    with_flags(ATan()),
)
@few
@given(size=sizes, seed=seeds)
def test_backward_surrogate(
    form: Dynamics,
    surrogate: Surrogate,
    scalar: bool,
    static: bool,
    attach: bool,
    size: tuple[int, int, int],
    seed: int,
) -> None:
    current, p, start, message, carry = case(size, form, scalar, torch.float64, seed, False)
    _, v, _ = reference.forward(current, p, start, size[0], form, True)
    how = (message, v, p, start, carry, form, surrogate.derivative, surrogate.slope, attach, static)
    (g, (q, g_a)), (h, (r, h_a)) = cpu.backward_surrogate(*how), reference.backward_surrogate(*how)
    assert close(g, h)
    assert close(q, r)
    assert (g_a is None and h_a is None) or close(g_a, h_a)


@pytest.mark.parametrize(
    "surrogate", [ATan(), FastSigmoid(), Triangle(), Rectangle(), StraightThrough()], ids=lambda s: type(s).__name__
)
def test_every_surrogate(surrogate: Surrogate) -> None:
    form = Dynamics()
    current, p, start, message, carry = case((9, 4, 30), form, True, torch.float32, 5, False)
    _, v, _ = reference.forward(current, p, start, 9, form, True)
    how = (message, v, p, start, carry, form, surrogate.derivative, surrogate.slope, False, False)
    assert close(cpu.backward_surrogate(*how)[0], reference.backward_surrogate(*how)[0])


@pytest.mark.parametrize("rule", [Reference(), Contribution()], ids=lambda r: type(r).__name__)
def test_backward_lfp_in_single_precision(rule: Sharing) -> None:
    form = Dynamics("subtract", True, False)
    current, p, start, message, carry = case((12, 6, 200), form, True, torch.float32, 3, False)
    _, v, _ = reference.forward(current, p, start, 12, form, True)
    how = (message, v, p, start, carry, form, rule.denominator, 1e-6, False, False)
    assert close(cpu.backward_lfp(*how)[0], reference.backward_lfp(*how)[0])


@pytest.mark.parametrize("rule", [Reference(0.0), Contribution(0.0), Conserving(0.0)], ids=lambda r: type(r).__name__)
def test_reward_without_anything_to_share_it_out_to_is_lost(rule: Sharing) -> None:
    """Not so is NaN: a silent neuron whose terms are all 0, without a stabiliser."""
    form = Dynamics()
    current, p, _, message, _ = case((6, 2, 20), form, True, torch.float64, 3, False)
    current[:2] = 0
    rest = Start(torch.zeros(2, 20).double(), torch.zeros(2, 20).double(), None)
    how = (message, reference.forward(current, p, rest, 6, form, True)[1], p, rest, (torch.zeros(2, 20).double(), None))
    ours, theirs = (k.backward_lfp(*how, form, rule.denominator, 0.0, True, False)[0] for k in (cpu, reference))
    assert close(ours, theirs)
    assert not ours[:2].any()
    assert ours[2:].all()


@few
@given(size=sizes, seed=seeds, scalar=st.booleans(), static=st.booleans())
def test_filter(size: tuple[int, int, int], seed: int, scalar: bool, static: bool) -> None:
    (steps, batch, features), g = size, torch.Generator().manual_seed(seed)
    x = torch.randn(1 if static else steps, batch, features, generator=g)
    decay, start = torch.rand(1 if scalar else features, generator=g), torch.randn(batch, features, generator=g)
    y = cpu.filter_forward(x, decay, start, steps)
    assert close(y, reference.filter_forward(x, decay, start, steps))
    ours, theirs = (k.filter_backward(y, decay, static, y[0]) for k in (cpu, reference))
    assert all(map(close, ours, theirs))


def test_the_filter_and_its_transpose_are_adjoint() -> None:
    x, g, decay = torch.randn(7, 3, 5), torch.randn(7, 3, 5), torch.rand(5)
    y = cpu.filter_forward(x, decay, torch.zeros(3, 5), 7)
    torch.testing.assert_close((y * g).sum(), (x * cpu.filter_backward(g, decay, False)[0]).sum())


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_batch(threads: int) -> None:
    form, before = Dynamics(), torch.get_num_threads()
    current, p, start, *_ = case((3, 7, 8000), form, True, torch.float32, 1, False)
    try:
        torch.set_num_threads(threads)
        spikes, _, _ = cpu.forward(current, p, start, 3, form, True)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(spikes, reference.forward(current, p, start, 3, form, True)[0])


@pytest.mark.parametrize("adaptive", [False, True])
def test_samples_that_are_not_taken_together(adaptive: bool) -> None:
    form, size = Dynamics(adaptive=adaptive), (3, 5, cpu.TOGETHER // 2 - 1)  # two at a time, and one is left
    current, p, start, message, carry = case(size, form, True, torch.float64, 4, False)
    for keep in (True, False):
        ours, theirs = (k.forward(current, p, start, size[0], form, keep) for k in (cpu, reference))
        assert torch.equal(ours[0], theirs[0])
        assert close(ours[1], theirs[1])
    _, v, _ = reference.forward(current, p, start, size[0], form, True)
    for static in (True, False):
        how = (message, v, p, start, carry, form, Conserving.denominator, 1e-2, False, static)
        assert close(cpu.backward_lfp(*how)[0], reference.backward_lfp(*how)[0])
        how = (message, v, p, start, carry, form, ATan.derivative, 2.0, True, static)
        assert close(cpu.backward_surrogate(*how)[0], reference.backward_surrogate(*how)[0])
        ours, theirs = (k.filter_backward(message, p.beta, static) for k in (cpu, reference))
        assert all(map(close, ours, theirs))
    assert close(*(k.filter_forward(current, p.beta, start.u, size[0]) for k in (cpu, reference)))


def test_layers_without_neurons() -> None:
    current, p, start, message, carry = case((3, 2, 0), Dynamics(), True, torch.float32, 0, False)
    spikes, v, _ = cpu.forward(current, p, start, 3, Dynamics(), True)
    assert spikes.shape == v.shape == (3, 2, 0)
    how = (message, v, p, start, carry, Dynamics(), Conserving.denominator, 1e-2, False, False)
    assert cpu.backward_lfp(*how)[0].shape == (3, 2, 0)


def test_the_fused_kernel_is_chosen_and_can_be_replaced() -> None:
    assert select(torch.zeros(1)) is cpu
    assert select(torch.zeros(1, dtype=torch.float16)) is reference
    assert select(torch.zeros(1, device="meta")) is reference
    with use(reference):
        assert select(torch.zeros(1)) is reference
    assert select(torch.zeros(1)) is cpu
