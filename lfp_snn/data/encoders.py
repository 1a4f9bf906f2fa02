r"""From a picture to spikes: constant current, rate, latency and delta codes.

Each encoder is a small frozen object: ``encoder(x)`` turns brightness [B, ...] into [T, B, ...]. Where snntorch has the
same code (`snntorch.spikegen`), the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lfp_snn.errors import ConfigError, DataError, ShapeError


def _check(x: Tensor, axes: int = 1) -> Tensor:
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < axes:
        got = f"{x.dtype} {list(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ShapeError(f"an encoder takes a float tensor of at least {axes} dimension(s), got {got}")
    if not torch.isfinite(x).all():
        raise DataError("the input of an encoder holds NaN or infinity")
    return x


def _check_unit(x: Tensor, code: str) -> None:
    if _check(x).numel() and (x.min() < 0 or x.max() > 1):
        raise DataError(f"the {code} code needs brightness from 0 to 1, got {x.min():g} to {x.max():g}")


def _check_steps(steps: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ConfigError(f"steps must be a whole number of at least 1, got {steps!r}")


@dataclass(frozen=True)
class Constant:
    """The same current at every step.

    Nothing is copied: the result is a view, expanded over time. Networks do better with ``net(x, steps=T)``, which
    computes the first layer's current once.

    Parameters
    ----------
    steps : int
        Number of time steps T.

    Examples
    --------
    >>> Constant(5)(torch.ones(2, 3)).shape
    torch.Size([5, 2, 3])
    """

    steps: int

    def __post_init__(self) -> None:
        """Check the values."""
        _check_steps(self.steps)

    def __call__(self, x: Tensor) -> Tensor:
        """Encode x [B, ...] as [T, B, ...]."""
        return _check(x).expand(self.steps, *x.shape)


@dataclass(frozen=True)
class Rate:
    """Random spikes, more of them where it is bright.

    With ``poisson=False`` each step is 1 with probability ``clip(gain * x, 0, 1)`` (Bernoulli, as
    ``snntorch.spikegen.rate``), else a Poisson number with mean ``max(gain * x, 0)``, which may exceed 1.

    Parameters
    ----------
    steps : int
        Number of time steps T.
    gain : float
        Probability (mean number) of spikes a step at brightness 1.
    poisson : bool
        Draw numbers of spikes rather than spikes.
    generator : torch.Generator, optional
        Source of chance, on the input's device; by default torch's own.

    Examples
    --------
    >>> spikes = Rate(100, generator=torch.Generator().manual_seed(0))(torch.tensor([[0.0, 0.5, 1.0]]))
    >>> spikes.sum(0)[0, [0, 2]]
    tensor([  0., 100.])
    """

    steps: int
    gain: float = 1.0
    poisson: bool = False
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        _check_steps(self.steps)
        if not self.gain > 0:
            raise ConfigError(f"gain must be greater than 0, got {self.gain!r}")

    def __call__(self, x: Tensor) -> Tensor:
        """Encode x [B, ...] as [T, B, ...]."""
        mean = (_check(x) * self.gain).clamp(min=0.0, max=None if self.poisson else 1.0).expand(self.steps, *x.shape)
        return (torch.poisson if self.poisson else torch.bernoulli)(mean, generator=self.generator)


@dataclass(frozen=True)
class Latency:
    r"""At most one spike a pixel, the sooner the brighter.

    The logarithmic code is the time at which an RC circuit that is driven by the current x reaches the threshold,
    :math:`t = \tau \ln\frac{x}{x - \theta}`; the linear code is :math:`t = \tau (1 - x)`. Times are rounded; what
    would come after the last step does not come. As ``snntorch.spikegen.latency(x, steps, threshold=threshold,
    tau=tau, linear=linear, clip=True, bypass=True)``.

    Parameters
    ----------
    steps : int
        Number of time steps T.
    threshold : float
        Pixels below it stay silent.
    tau : float, optional
        Time constant in steps, by default ``steps - 1``: all pixels from the threshold on spike with the linear code,
        those from 1.6 times the threshold on with the logarithmic one.
    linear : bool
        The linear code.

    Examples
    --------
    >>> Latency(5, linear=True)(torch.tensor([[0.05, 0.5, 1.0]])).nonzero()[:, 0]
    tensor([0, 2])
    """

    steps: int
    threshold: float = 0.1
    tau: float | None = None
    linear: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        _check_steps(self.steps)
        if not 0 < self.threshold < 1:
            raise ConfigError(f"threshold must lie between 0 and 1, got {self.threshold!r}")
        if self.tau is not None and not self.tau > 0:
            raise ConfigError(f"tau must be greater than 0, got {self.tau!r}")

    def __call__(self, x: Tensor) -> Tensor:
        """Encode x [B, ...], from 0 to 1, as [T, B, ...]."""
        _check_unit(x, "latency")
        if self.linear:
            late = 1.0 - x
        else:
            bright = x.clamp(min=self.threshold + 1e-7)  # as snntorch: darker ones have no logarithm and no spike
            late = torch.log(bright / (bright - self.threshold))
        tau = self.steps - 1 if self.tau is None else self.tau
        step = torch.round(late * tau)
        spike = ((x >= self.threshold) & (step < self.steps)).to(x.dtype)
        place = step.clamp(max=self.steps - 1).long().unsqueeze(0)
        return x.new_zeros(self.steps, *x.shape).scatter_(0, place, spike.unsqueeze(0))


def delta(signal: Tensor, threshold: float = 0.1, *, off_spikes: bool = False) -> Tensor:
    """Encode the changes of a signal over time.

    A step is 1 where the signal has risen by at least the threshold since the step before (before the first step it
    counts as 0), and with ``off_spikes`` -1 where it has fallen by as much. As ``snntorch.spikegen.delta``. For
    pictures see `Delta`.

    Parameters
    ----------
    signal : Tensor
        float [T, B, ...].
    threshold : float
        Least change that counts.
    off_spikes : bool
        Mark falls with -1.

    Returns
    -------
    Tensor
        [T, B, ...] of 0, 1 and, with ``off_spikes``, -1.

    Raises
    ------
    ShapeError, DataError, ConfigError
        If the input is not such a signal or the threshold not positive.

    Examples
    --------
    >>> delta(torch.tensor([0.0, 0.5, 0.6, 0.0]).view(4, 1), 0.2, off_spikes=True).flatten()
    tensor([ 0.,  1.,  0., -1.])
    """
    if not threshold > 0:
        raise ConfigError(f"threshold must be greater than 0, got {threshold!r}")
    _check(signal, axes=2)
    change = torch.diff(signal, dim=0, prepend=torch.zeros_like(signal[:1]))
    spikes = (change >= threshold).to(signal.dtype)
    return spikes - (change <= -threshold).to(signal.dtype) if off_spikes else spikes


@dataclass(frozen=True)
class Delta:
    """Changes of a picture that fades in: a pixel's brightness rises evenly from 0 at the beginning to x at the end.

    A pixel spikes each time its brightness has risen by another threshold since its last spike: ``floor(x /
    threshold)`` spikes, evenly spaced. It is a rate code without chance. (For a picture that moves, record it with
    `lfp_snn.data.simulate.record_image`; for a signal over time use `delta`.)

    Parameters
    ----------
    steps : int
        Number of time steps T.
    threshold : float
        Rise that causes a spike. At least ``1 / steps``, so that a step needs no two.

    Examples
    --------
    >>> Delta(10, threshold=0.25)(torch.tensor([[0.2, 0.5, 1.0]])).sum(0)
    tensor([[0., 2., 4.]])
    """

    steps: int
    threshold: float = 0.1

    def __post_init__(self) -> None:
        """Check the values."""
        _check_steps(self.steps)
        if not self.threshold * self.steps >= 1 - 1e-9:
            raise ConfigError(f"threshold must be at least 1 / steps = {1 / self.steps:g}, got {self.threshold!r}")

    def __call__(self, x: Tensor) -> Tensor:
        """Encode x [B, ...], from 0 to 1, as [T, B, ...]."""
        _check_unit(x, "delta")
        t = torch.arange(self.steps + 1, dtype=torch.float64, device=x.device).view(-1, *[1] * x.ndim)
        # A hair more than the exact ratio, so that three thresholds of brightness give three spikes in floating point.
        passed = torch.floor(x.double() * t / (self.steps * self.threshold) + 1e-6)
        return torch.diff(passed, dim=0).to(x.dtype)


ENCODERS: dict[str, Callable[..., Constant | Rate | Latency | Delta]] = {
    "constant": Constant,
    "rate": Rate,
    "latency": Latency,
    "delta": Delta,
}
"""Encoders by name; each takes ``steps`` and its own options."""
