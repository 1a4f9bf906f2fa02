"""Encoders: against snntorch where it has the same, by their statistics where chance is in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lfp_snn.data import ENCODERS, Constant, Delta, Latency, Rate, delta
from lfp_snn.errors import ConfigError, DataError, ShapeError

X = torch.linspace(0, 1, 12).view(3, 4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ENCODERS)
def test_shape_and_dtype(name: str) -> None:
    for dtype in (torch.float32, torch.float64):
        y = ENCODERS[name](steps=11)(torch.rand(2, 3, 4, 5, dtype=dtype))
        assert y.shape == (11, 2, 3, 4, 5)
        assert y.dtype == dtype


def test_constant_is_a_view() -> None:
    y = Constant(5)(X)
    assert torch.equal(y, X.expand(5, 3, 4))
    assert y.data_ptr() == X.data_ptr()


def test_rate_has_the_mean_of_the_brightness() -> None:
    y = Rate(20_000, generator=seeded())(X)
    assert set(y.unique().tolist()) == {0.0, 1.0}
    error = (y.mean(0) - X).abs()
    assert (error <= 5 * (X * (1 - X) / 20_000).sqrt() + 1e-9).all()
    gained = Rate(20_000, gain=3.0, generator=seeded())(X).mean(0)
    assert (gained - (3 * X).clamp(max=1)).abs().max() < 0.02


def test_poisson_has_mean_and_variance_of_the_brightness() -> None:
    y = Rate(20_000, gain=3.0, poisson=True, generator=seeded())(X)
    assert y.max() > 1
    assert (y.mean(0) - 3 * X).abs().max() < 0.07
    assert (y.var(0) - 3 * X).abs().max() < 0.2


def test_rate_follows_its_generator() -> None:
    a, b, c = (Rate(10, generator=seeded(s))(X) for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    torch.manual_seed(0)
    d = Rate(10)(X)
    torch.manual_seed(0)
    assert torch.equal(Rate(10)(X), d)


def test_rate_of_one_step_varies_over_time() -> None:
    y = Rate(50, generator=seeded())(torch.full((1, 1), 0.5))
    assert 10 < int(y.sum()) < 40


def test_rate_is_snntorchs() -> None:
    spikegen = pytest.importorskip("snntorch.spikegen")
    torch.manual_seed(0)
    theirs = spikegen.rate(X, num_steps=10, gain=0.7)
    torch.manual_seed(0)
    assert torch.equal(Rate(10, gain=0.7)(X), theirs)


@given(st.integers(2, 30), st.floats(0.01, 0.9), st.floats(0.1, 50.0), st.booleans())
def test_latency_is_snntorchs(steps: int, threshold: float, tau: float, linear: bool) -> None:
    spikegen = pytest.importorskip("snntorch.spikegen")
    x = torch.rand(4, 5, generator=seeded(steps))
    theirs = spikegen.latency(x, num_steps=steps, threshold=threshold, tau=tau, linear=linear, clip=True, bypass=True)
    assert torch.equal(Latency(steps, threshold, tau, linear)(x), theirs)


@given(st.integers(1, 40), st.booleans())
def test_latency_is_one_spike_the_sooner_the_brighter(steps: int, linear: bool) -> None:
    x = torch.linspace(0, 1, 101)[None]
    y = Latency(steps, linear=linear)(x)
    assert y.sum(0).max() == 1
    spiked = y.sum(0) > 0
    assert not spiked[x < 0.1].any()
    assert spiked[x >= (0.1 if linear else 0.16)].all()
    when = y.argmax(0)[spiked]
    assert (when.diff() <= 0).all()
    if linear and steps > 1:
        assert when[-1] == 0


def test_delta_of_a_signal_is_snntorchs() -> None:
    spikegen = pytest.importorskip("snntorch.spikegen")
    signal = torch.randn(20, 3, 4, generator=seeded()).cumsum(0)
    for off in (False, True):
        assert torch.equal(delta(signal, 0.5, off_spikes=off), spikegen.delta(signal, threshold=0.5, off_spike=off))


@given(st.integers(1, 60), st.integers(1, 20))
def test_delta_of_a_picture_counts_thresholds_evenly(steps: int, levels: int) -> None:
    levels = min(levels, steps)
    x = torch.arange(levels + 1)[None] / levels
    y = Delta(steps, threshold=1 / levels)(x)
    assert y.max() <= 1
    assert torch.equal(y.sum(0)[0], torch.arange(levels + 1.0))
    times = y[:, 0, levels].nonzero()[:, 0].numpy()
    assert (np.abs(np.diff(times) - steps / levels) < 1 + 1e-6).all()


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("steps", [0, -1, 2.5, "5", True])
def test_bad_steps(name: str, steps: object) -> None:
    with pytest.raises(ConfigError, match="steps must be"):
        ENCODERS[name](steps=steps)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rate(5, gain=0.0), "gain must be"),
        (lambda: Rate(5, gain=float("nan")), "gain must be"),
        (lambda: Latency(5, threshold=0.0), "threshold must lie"),
        (lambda: Latency(5, threshold=1.0), "threshold must lie"),
        (lambda: Latency(5, tau=0.0), "tau must be"),
        (lambda: Delta(5, threshold=0.1), "at least 1 / steps = 0.2"),
        (lambda: delta(torch.zeros(2, 2), threshold=0.0), "threshold must be"),
    ],
)
def test_bad_options(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.ones(2, 3, dtype=torch.uint8), ShapeError, "takes a float tensor"),
        (torch.tensor(0.5), ShapeError, "at least 1 dimension"),
        ([0.5], ShapeError, "got list"),
        (torch.tensor([[0.5, torch.nan]]), DataError, "NaN or infinity"),
        (torch.tensor([[0.5, torch.inf]]), DataError, "NaN or infinity"),
    ],
)
def test_bad_pictures(name: str, x: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ENCODERS[name](steps=10)(x)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [Latency(10), Delta(10)])
@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_codes_of_brightness_from_0_to_1(make: Latency | Delta, value: float) -> None:
    with pytest.raises(DataError, match="from 0 to 1"):
        make(torch.full((1, 2), value))


def test_signals_need_time() -> None:
    with pytest.raises(ShapeError, match="at least 2 dimension"):
        delta(torch.zeros(5))
