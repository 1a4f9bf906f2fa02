"""The neuron modules against the oracle, step by step against all at once, and as PyTorch modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lfp_snn import ALIF, LI, LIF, CubaLIF, decay
from lfp_snn.errors import ShapeError
from lfp_snn.kernels import reference, use
from lfp_snn.neurons import SpikingNeuron, TimeModule
from lfp_snn.neurons.ambient import Ambient, surrounded
from lfp_snn.rules import Conserving, Contribution, Reference, Sharing
from tests.neurons.oracle import Neuron

RULES: list[Sharing] = [Reference(1e-6), Contribution(1e-6), Conserving(1e-6)]
FORMS = [("subtract", True), ("subtract", False), ("zero", True), ("none", True)]


def run(
    neuron: SpikingNeuron, x: Tensor, message: Tensor, rule: Sharing, readout: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the spikes and the density of the input that a message causes."""
    x = x.clone().requires_grad_()
    with surrounded(Ambient(sharing=rule)):
        spikes, _ = neuron(x)
    spikes.grad_fn.backward_.readout = readout
    spikes.backward(message)
    assert x.grad is not None
    return spikes.detach(), x.grad


@pytest.mark.parametrize("rule", RULES, ids=lambda r: type(r).__name__)
@pytest.mark.parametrize(("reset", "delayed"), FORMS)
@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("readout", [False, True])
def test_against_the_oracle(rule: Sharing, reset: str, delayed: bool, adaptive: bool, readout: bool) -> None:
    steps, size = 12, 6
    x, message = torch.randn(steps, 1, size).double() + 0.4, torch.randn(steps, 1, size).double()
    options: dict[str, Any] = {"beta": 0.8, "threshold": 0.7, "reset": reset, "reset_delay": delayed}
    neuron = (ALIF(kappa=0.3, rho=0.9, **options) if adaptive else LIF(**options)).double()
    with use(reference):
        spikes, density = run(neuron, x, message, rule, readout)
    for k in range(size):
        own = ("beta", "threshold", "kappa", "rho")[: 4 if adaptive else 2]
        beta, theta, *adaptation = (float(getattr(neuron, name)) for name in own)  # as rounded to float32
        slow = Neuron(beta, theta, reset, delayed, *adaptation)
        fired = [slow.step(i) for i in x[:, 0, k].tolist()]
        assert fired == spikes[:, 0, k].tolist()
        n, _ = slow.share(message[:, 0, k].tolist(), rule.denominator, rule.epsilon, readout)
        torch.testing.assert_close(density[:, 0, k], torch.tensor(n).double(), rtol=1e-6, atol=1e-9)
    assert spikes.sum() > 5


@given(seed=st.integers(0, 2**16), steps=st.integers(1, 12), beta=st.floats(0, 1), threshold=st.floats(0.1, 2))
@settings(max_examples=40)
def test_the_conserving_rule_conserves(seed: int, steps: int, beta: float, threshold: float) -> None:
    """What the spikes held equals what the currents got plus what the reset kept, up to epsilon."""
    g = torch.Generator().manual_seed(seed)
    currents = (torch.randn(steps, generator=g) + 0.5).double().tolist()
    density = torch.randn(steps, generator=g).double().tolist()
    slow = Neuron(beta, threshold)
    for i in currents:
        slow.step(i)
    x = torch.tensor(currents).double().reshape(-1, 1, 1)
    message = torch.tensor(density).double().reshape(-1, 1, 1)
    rule = Conserving(1e-12)
    with use(reference):
        spikes, n = run(LIF(beta, threshold).double(), x, message, rule)
    given_out = float((spikes * message).sum())
    to_currents = float((x * n).sum())
    kept = sum(slow.terms(t)[1] * float(n[t]) for t in range(steps))  # -reset * n is the reset's share
    # Float32 parameters: beta and threshold are rounded in the module.
    assert to_currents - kept == pytest.approx(given_out, rel=1e-4, abs=1e-4 * (1 + sum(map(abs, density))))


@given(seed=st.integers(0, 2**16))
@settings(max_examples=20)
def test_contribution_never_hands_on_more_than_it_got(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    x, message = torch.randn(9, 2, 5, generator=g) + 0.5, torch.randn(9, 2, 5, generator=g)
    spikes, n = run(LIF(0.9), x, message, Contribution())
    assert (x * n).abs().sum() <= (spikes * message).abs().sum() * (1 + 1e-5)


def neurons() -> list[TimeModule]:
    """One of each kind, feed-forward and recurrent."""
    torch.manual_seed(1)
    per_neuron = torch.linspace(0.5, 0.95, 5)
    return [
        LIF(per_neuron),
        LIF(0.8, reset="zero"),
        LIF(0.8, reset_delay=False),
        LIF(0.8, reset="none", threshold=torch.linspace(0.5, 1.5, 5)),
        LIF(0.8, recurrent=5),
        ALIF(0.9, kappa=0.4),
        ALIF(0.9, recurrent=5, reset_delay=False),
        CubaLIF(0.7, 0.9),
        CubaLIF(0.7, per_neuron, recurrent=5),
        LI(per_neuron),
    ]


@pytest.mark.parametrize("neuron", neurons(), ids=repr)
def test_step_by_step_is_all_at_once(neuron: TimeModule) -> None:
    x = torch.randn(10, 3, 5) + 0.5
    whole, last = neuron(x)
    state, parts = None, []
    for t in range(10):
        y, state = neuron(x[t : t + 1], state)
        parts.append(y)
    assert torch.equal(torch.cat(parts), whole) or torch.allclose(torch.cat(parts), whole, rtol=1e-6)
    first, state = neuron(x[:4])
    rest, state = neuron(x[4:], state)
    assert torch.allclose(torch.cat([first, rest]), whole, rtol=1e-6)
    assert state is not None
    for a, b in zip(state, last, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("neuron", neurons(), ids=repr)
@pytest.mark.parametrize("rule", [None, Reference()], ids=["surrogate", "lfp"])
def test_a_constant_current_is_the_same_current_at_every_step(neuron: TimeModule, rule: Sharing | None) -> None:
    x, message = torch.rand(3, 5) + 0.2, torch.randn(8, 3, 5)
    densities = []
    for constant in (True, False):
        current = x.clone().requires_grad_()
        with surrounded(Ambient(sharing=rule)):
            y, _ = neuron(current, steps=8) if constant else neuron(current.expand(8, 3, 5))
        y.backward(message)
        densities.append(current.grad)
    torch.testing.assert_close(densities[0], densities[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("neuron", neurons(), ids=repr)
@pytest.mark.parametrize("rule", [None, Reference(), Contribution()], ids=["surrogate", "lfp", "contribution"])
def test_the_fused_kernel_is_the_reference_kernel(neuron: TimeModule, rule: Sharing | None) -> None:
    x, message = torch.randn(8, 3, 5) + 0.5, torch.randn(8, 3, 5)
    results = []
    for kernels in (None, reference):
        current = x.clone().requires_grad_()
        neuron.zero_grad()
        with surrounded(Ambient(sharing=rule)):
            y, _ = neuron(current) if kernels is None else _with(kernels, neuron, current)
        if kernels is None:
            y.backward(message)
        else:
            with use(kernels):
                y.backward(message)
        results.append([y.detach(), current.grad, *(p.grad for p in neuron.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def _with(kernels: Any, neuron: TimeModule, x: Tensor) -> Any:
    with use(kernels):
        return neuron(x)


def surrogate_loop(
    x: Tensor, beta: Tensor, theta: Tensor, reset: str, delayed: bool, V: Tensor | None = None
) -> Tensor:
    """LIF with an arctangent surrogate in plain autograd, the reset detached: what the fused backward must equal."""

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Tensor) -> Tensor:
            ctx.save_for_backward(z)
            return (z > 0).to(z.dtype)

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            (z,) = ctx.saved_tensors
            return g / (1 + (torch.pi * z).square())

    v, s, out = torch.zeros_like(x[0]), torch.zeros_like(x[0]), []
    for x_t in x:
        r = s.detach()
        if V is not None:
            x_t = x_t + s @ V.T
        if reset == "zero":
            v = beta * v * (1 - r) + x_t
        elif reset == "none":
            v = beta * v + x_t
        else:
            v = beta * v + x_t - r * theta if delayed else beta * (v - r * theta) + x_t
        s = Spike.apply(v - theta)
        out.append(s)
    return torch.stack(out)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize(("reset", "delayed"), FORMS)
def test_the_surrogate_gradient_is_autograd_s(reset: Any, delayed: bool, recurrent: bool) -> None:
    """Input, recurrent weights, and learnt decay and threshold."""
    torch.manual_seed(3)
    neuron = LIF(
        0.8, 0.9, reset, delayed, learn_beta=True, learn_threshold=True, recurrent=4 if recurrent else None
    ).double()
    x, message = (torch.randn(9, 3, 4) + 0.3).double().requires_grad_(), torch.randn(9, 3, 4).double()
    neuron(x)[0].backward(message)
    ours = [x.grad, *(p.grad for p in neuron.parameters())]
    y = x.detach().clone().requires_grad_()
    own = {k: p.detach().clone().requires_grad_() for k, p in neuron.named_parameters()}
    surrogate_loop(y, own["beta"], own["threshold"], reset, delayed, own.get("recurrent")).backward(message)
    for a, b in zip(ours, [y.grad, *(p.grad for p in own.values())], strict=True):
        torch.testing.assert_close(a, b)


def test_snntorch_agrees() -> None:
    """The delayed reset by subtraction is snntorch's default, spike for spike."""
    snn = pytest.importorskip("snntorch")
    x = torch.randn(20, 4, 7) + 0.3
    theirs, mem, ours = snn.Leaky(beta=0.85), torch.zeros(4, 7), LIF(beta=0.85)
    spikes, _ = ours(x)
    for t in range(20):
        s, mem = theirs(x[t], mem)
        assert torch.equal(s, spikes[t])
    synaptic, syn, mem = snn.Synaptic(alpha=0.7, beta=0.85), torch.zeros(4, 7), torch.zeros(4, 7)
    spikes, _ = CubaLIF(alpha=0.7, beta=0.85)(x)
    for t in range(20):
        s, syn, mem = synaptic(x[t], syn, mem)
        assert torch.equal(s, spikes[t])


def test_state_never_leaks_between_calls_or_networks() -> None:
    neuron, x = LIF(0.9, recurrent=3), torch.rand(5, 2, 3)
    first, _ = neuron(x)
    neuron(torch.rand(7, 4, 3))
    assert torch.equal(neuron(x)[0], first)
    assert not any(isinstance(v, Tensor) for k, v in vars(neuron).items() if k not in ("_parameters", "_buffers"))


def test_parameters_are_trained_only_if_asked() -> None:
    assert [n for n, _ in LIF(learn_beta=True, learn_threshold=True).named_parameters()] == ["beta", "threshold"]
    assert not list(ALIF().parameters())
    assert set(ALIF().state_dict()) == {"beta", "threshold", "kappa", "rho"}


def test_a_learnt_decay_stays_in_its_range() -> None:
    neuron = LIF(1.0, learn_beta=True)
    with torch.no_grad():
        neuron.beta.add_(0.5)
    assert torch.equal(neuron(torch.full((5, 1, 1), 0.1))[0], LIF(1.0)(torch.full((5, 1, 1), 0.1))[0])


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: LIF()(torch.zeros(5)), ShapeError, r"\[T, B, features"),
        (lambda: LIF()(torch.zeros(5, 3)), ShapeError, r"\[T, B, features"),
        (lambda: LIF()(torch.zeros(0, 2, 3)), ShapeError, "empty"),
        (lambda: LIF()(torch.zeros(4, 0, 3)), ShapeError, "empty"),
        (lambda: LIF()(torch.zeros(4, 2, 3, dtype=torch.long)), ShapeError, "floating-point"),
        (lambda: LIF()([1.0]), ShapeError, "floating-point"),
        (lambda: LIF()(torch.zeros(2, 3), steps=0), ShapeError, "at least 1"),
        (lambda: LIF()(torch.zeros(3), steps=4), ShapeError, r"\[B, features"),
        (lambda: LIF(recurrent=4)(torch.zeros(2, 1, 5)), ShapeError, "recurrent weights for 4"),
        (lambda: LIF()(torch.zeros(2, 1, 5), LIF()(torch.zeros(2, 1, 4))[1]), ShapeError, "state's u"),
        (lambda: LIF()(torch.full((2, 1, 3), torch.nan)), ValueError, "NaN"),
        (lambda: LI()(torch.full((2, 1, 3), torch.inf)), ValueError, "NaN or infinity"),
        (lambda: LIF(beta=1.2), ValueError, r"\[0, 1\]"),
        (lambda: LIF(beta=float("nan")), ValueError, r"\[0, 1\]"),
        (lambda: ALIF(rho=-0.1), ValueError, "rho"),
        (lambda: CubaLIF(alpha=2.0), ValueError, "alpha"),
        (lambda: LIF(reset="half"), ValueError, "reset must be"),
        (lambda: decay(0.0), ValueError, "positive"),
    ],
)
def test_wrong_use(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def test_half_precision_input_runs_in_single() -> None:
    spikes, state = LIF()(torch.rand(4, 2, 3).bfloat16())
    assert spikes.dtype == torch.float32 == state.u.dtype


def test_a_conv_layer_takes_parameters_per_channel() -> None:
    beta = torch.tensor([0.1, 0.9]).reshape(2, 1, 1)
    neuron, x = LIF(beta, learn_beta=True), torch.rand(6, 3, 2, 4, 4)
    spikes, _ = neuron(x)
    for k in range(2):
        assert torch.equal(spikes[:, :, k], LIF(float(beta[k]))(x[:, :, k])[0])
    spikes.sum().backward()
    assert neuron.beta.grad.shape == beta.shape


def test_neurons_fit_into_modules() -> None:
    net = nn.ModuleList(neurons())
    assert len(list(net.modules())) == 1 + len(neurons())
    assert "recurrent=5" in repr(net[4])


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: LIF(recurrent=True), ValueError, "recurrent is the number of neurons of the layer, got True"),
        (lambda: LIF(surrogate="atan"), TypeError, r"surrogate must be one of .* such as ATan\(\), got 'atan'"),
        (lambda: LIF(threshold=torch.nan), ValueError, "threshold must be finite"),
    ],
)
def test_arguments_that_are_wrong(call, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def test_a_step_alone_is_that_of_the_whole_time() -> None:
    for neuron in (LIF(), LIF(reset="zero"), ALIF(reset_delay=False), CubaLIF()):
        x, state, steps = 2 * torch.rand(9, 3, 40), None, []
        with torch.no_grad():
            for x_t in x:
                spikes, state = neuron(x_t[None], state)
                steps.append(spikes)
            whole, last = neuron(x)
        assert torch.equal(torch.cat(steps), whole)
        assert all(torch.equal(a, b) for a, b in zip(state, last, strict=True))


def test_sums_of_16_bits_do_not_overflow() -> None:
    assert LI(beta=0.0)(torch.ones(1, 70_000, 2, dtype=torch.float16))[0].isfinite().all()
