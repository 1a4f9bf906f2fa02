"""The scans over time fused into one compiled loop each (numba), for float32 and float64 on the CPU.

Signatures and numbers are those of :mod:`lfp_snn.kernels.reference`. A kernel is compiled for a form of the dynamics
and a rule when it is first needed (about half a second); rows of neurons are the inner loop, so the compiler vectorises
them, and the state of a row stays in the cache over all time steps. Only the membrane is read back: spikes, reset and
adaptation are recomputed from it.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from lfp_snn.kernels.dynamics import Dynamics, Parameters, Start
from lfp_snn.kernels.options import OPTIONS
from lfp_snn.kernels.threads import over_batch


@lru_cache
def _carried(dynamics: Dynamics):
    """Compile what of membrane ``u`` and spike ``s`` decays into the next step, and what a delayed reset subtracts."""
    to_zero, subtract, delayed = dynamics.reset == "zero", dynamics.reset == "subtract", dynamics.delayed

    @njit(inline="always")
    def carried(u, s, theta):
        if to_zero:
            return u - u * s, theta - theta
        if subtract and delayed:
            return u, s * theta
        if subtract:
            return u - s * theta, theta - theta
        return u, theta - theta

    return carried


TOGETHER = 1 << 14
"""Neurons whose step is taken before the next: their state stays in the second-level cache, memory is read in line."""


@njit(inline="always")
def rows_together(features):
    """Return how many samples' rows are taken together."""
    return max(1, TOGETHER // features)


@njit(inline="always")
def nothing(t, b, row, extra):
    """Stand where a layer with recurrent weights does something to a row before its neurons take it."""


@lru_cache
def _forward_kernel(dynamics: Dynamics, scalar: bool, keep: bool, arrive=nothing, over: bool = False):
    carried, adaptive = _carried(dynamics), dynamics.adaptive

    @njit(**OPTIONS)
    def kernel(current, beta, theta, kappa, rho, u0, s0, a, spikes, membrane, extra, first, last):
        steps, _, features = spikes.shape
        one, zero = beta.dtype.type(1), beta.dtype.type(0)
        together = rows_together(features)
        for top in range(first, last, together):
            for t in range(steps):
                for b in range(top, min(top + together, last)):
                    u, s = membrane[t if keep else t % 2, b], spikes[t, b]
                    i = u if over else current[t if current.shape[0] > 1 else 0, b]
                    u_prev = u0[b] if t == 0 else membrane[t - 1 if keep else (t - 1) % 2, b]
                    s_prev = s0[b] if t == 0 else spikes[t - 1, b]
                    arrive(t, b, i, extra)
                    a_b = a[b]
                    be, th, ka, rh = beta[0], theta[0], kappa[0], rho[0]
                    for n in range(features):
                        if not scalar:
                            be, th, ka, rh = beta[n], theta[n], kappa[n], rho[n]
                        w, reset = carried(u_prev[n], s_prev[n], th)
                        x = be * w + i[n] - reset
                        u[n] = x
                        if adaptive:
                            spike = one if x > th + ka * a_b[n] else zero
                            a_b[n] = rh * a_b[n] + spike
                        else:
                            spike = one if x > th else zero
                        s[n] = spike

    return kernel


@njit(**OPTIONS)
def _replay(u, theta, kappa, rho, a0, past):
    """Recompute the adaptation of every step of one sample from its membrane."""
    one, zero = theta.dtype.type(1), theta.dtype.type(0)
    past[0] = a0
    for t in range(u.shape[0]):
        for n in range(u.shape[1]):
            k = n if theta.shape[0] > 1 else 0
            a = past[t, n]
            past[t + 1, n] = rho[k] * a + (one if u[t, n] > theta[k] + kappa[k] * a else zero)


@lru_cache
def _lfp_kernel(
    dynamics: Dynamics,
    scalar: bool,
    readout: bool,
    static: bool,
    denominator: Callable[..., Any],
    back=nothing,
    over: bool = False,
):
    carried, adaptive, share = _carried(dynamics), dynamics.adaptive, njit(inline="always")(denominator)

    @njit(**OPTIONS)
    def kernel(message, u, beta, theta, kappa, rho, u0, s0, a0, q, g_a, density, epsilon, extra, first, last):
        steps, _, features = u.shape
        one, zero = beta.dtype.type(1), beta.dtype.type(0)
        # A neuron that stays silent passes ever less to earlier steps. Processors, and the products of the layer below,
        # are many times slower with numbers that are almost too small to be held; they are 0 here.
        least = beta.dtype.type(np.finfo(beta.dtype).tiny * 2**24)
        past = np.empty((steps + 1 if adaptive else 1, features), beta.dtype)
        be, th, ka, rh = beta[0], theta[0], kappa[0], rho[0]
        together = 1 if adaptive else rows_together(features)
        for top in range(first, last, together):
            if adaptive:
                _replay(u[:, top], theta, kappa, rho, a0[top], past)
            for t in range(steps - 1, -1, -1):
                for b in range(top, min(top + together, last)):
                    q_b, g_ab = q[b], g_a[b]
                    x, m = u[t, b], message[t if len(message) > 1 else 0, b]
                    out = x if over and not static else density[0 if static else t, b]
                    u_prev, s_start = u0[b] if t == 0 else u[t - 1, b], s0[b]
                    a_now, a_prev = past[t if adaptive else 0], past[t - 1 if adaptive and t > 0 else 0]
                    back(t, b, m, extra)
                    started = t == 0
                    for n in range(features):
                        if not scalar:
                            be, th, ka, rh = beta[n], theta[n], kappa[n], rho[n]
                        adapt = ka * a_now[n] if adaptive else zero
                        if started:
                            s_prev = s_start[n]
                        elif adaptive:
                            s_prev = one if u_prev[n] > th + ka * a_prev[n] else zero
                        else:
                            s_prev = one if u_prev[n] > th else zero
                        w, reset = carried(u_prev[n], s_prev, th)
                        i = x[n] - (be * w - reset)
                        fired = x[n] > th + adapt if adaptive else x[n] > th
                        reward = m[n] if readout else (m[n] if fired else zero)
                        if adaptive:
                            reward += g_ab[n] if fired else zero
                        d = beta.dtype.type(share(w, i, be, reset, adapt, x[n]))
                        d += epsilon if d >= zero else -epsilon
                        g = (reward + q_b[n]) / d
                        g = g if abs(g) > least and d != zero else zero
                        q_b[n] = be * w * g
                        if adaptive:
                            g_ab[n] = rh * g_ab[n] - ka * g
                        if static:
                            out[n] += g
                        else:
                            out[n] = g

    return kernel


@lru_cache
def _surrogate_kernel(
    dynamics: Dynamics, scalar: bool, attach: bool, static: bool, derivative: Callable[..., Any], over: bool
):
    adaptive, slope_of = dynamics.adaptive, njit(inline="always")(derivative)
    to_zero, delayed, attach = dynamics.reset == "zero", dynamics.delayed, attach and dynamics.reset != "none"

    @njit(**OPTIONS)
    def kernel(message, u, beta, theta, kappa, rho, a0, g_u, g_a, gradient, slope, first, last):
        steps, _, features = u.shape
        zero = beta.dtype.type(0)
        past = np.empty((steps + 1 if adaptive else 1, features), beta.dtype)
        be, th, ka, rh = beta[0], theta[0], kappa[0], rho[0]
        together = 1 if adaptive else rows_together(features)
        for top in range(first, last, together):
            if adaptive:
                _replay(u[:, top], theta, kappa, rho, a0[top], past)
            for t in range(steps - 1, -1, -1):
                for b in range(top, min(top + together, last)):
                    g_ub, g_ab = g_u[b], g_a[b]
                    x, m = u[t, b], message[t, b]
                    out = x if over and not static else gradient[0 if static else t, b]
                    a_now = past[t if adaptive else 0]
                    for n in range(features):
                        if not scalar:
                            be, th, ka, rh = beta[n], theta[n], kappa[n], rho[n]
                        threshold = th + ka * a_now[n] if adaptive else th
                        g_s = m[n] + g_ab[n] if adaptive else m[n]
                        g = g_ub[n]
                        if attach:
                            g_s -= (be * x[n] if to_zero else (th if delayed else be * th)) * g
                        e = beta.dtype.type(g_s * slope_of(x[n] - threshold, slope))
                        if to_zero:
                            g = g if x[n] <= threshold else zero
                        g = e + be * g
                        g_ub[n] = g
                        if adaptive:
                            g_ab[n] = rh * g_ab[n] - ka * e
                        if static:
                            out[n] += g
                        else:
                            out[n] = g

    return kernel


@njit(**OPTIONS)
def _filter_kernel(x, decay, start, y, first, last):
    steps, _, features = y.shape
    together = rows_together(features)
    for top in range(first, last, together):
        for t in range(steps):
            for b in range(top, min(top + together, last)):
                x_t, y_t = x[t if x.shape[0] > 1 else 0, b], y[t, b]
                y_prev = start[b] if t == 0 else y[t - 1, b]
                for n in range(features):
                    y_t[n] = decay[n if decay.shape[0] > 1 else 0] * y_prev[n] + x_t[n]


@njit(**OPTIONS)
def _filter_transpose_kernel(g, decay, carry, g_x, first, last):
    steps, _, features = g.shape
    static = g_x.shape[0] < steps
    together = rows_together(features)
    for top in range(first, last, together):
        for t in range(steps - 1, -1, -1):
            for b in range(top, min(top + together, last)):
                c, g_t, out = carry[b], g[t, b], g_x[0 if static else t, b]
                for n in range(features):
                    c[n] = g_t[n] + decay[n if decay.shape[0] > 1 else 0] * c[n]
                    if static:
                        out[n] += c[n]
                    else:
                        out[n] = c[n]


def _arrays(*tensors: Tensor) -> list[np.ndarray[Any, Any]]:
    return [x.detach().contiguous().numpy() for x in tensors]


def _parameters(p: Parameters, features: int) -> tuple[bool, list[np.ndarray[Any, Any]]]:
    """Return whether all parameters are scalars, and the four arrays (dummies where the neuron has none)."""
    beta = p.beta
    full = [beta, p.theta, beta if p.kappa is None else p.kappa, beta if p.rho is None else p.rho]
    scalar = all(x.numel() == 1 for x in full)
    return scalar, _arrays(*(full if scalar else [x.expand(features) for x in full]))


def _answer(u: Tensor, static: bool, over: bool) -> Tensor:
    """Return the memory for an answer: summed over time, that of the membrane itself, or new."""
    if static:
        return torch.zeros_like(u[:1])
    return u if over else torch.empty_like(u)


def forward(
    current: Tensor, p: Parameters, start: Start, steps: int, dynamics: Dynamics, keep: bool, over: bool = False
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Run the neuron for all steps (see :func:`lfp_snn.kernels.reference.forward`).

    ``over``: the membrane, if it is kept, may take the place of a current of all steps.
    """
    _, batch, features = current.shape
    spikes, over = current.new_empty(steps, batch, features), over and keep and len(current) == steps
    u = current.detach() if over else current.new_empty(steps if keep else 2, batch, features)
    a = current.new_empty(batch, 0) if start.a is None else start.a.clone()
    scalar, parameters = _parameters(p, features)
    kernel = _forward_kernel(dynamics, scalar, keep, over=over)
    arrays = _arrays(current), _arrays(start.u, start.s, a, spikes, u)
    over_batch(kernel, batch, spikes.numel(), *arrays[0], *parameters, *arrays[1], ())
    return spikes, u if keep else u[(steps - 1) % 2][None], None if start.a is None else a


def backward_lfp(
    message: Tensor,
    u: Tensor,
    p: Parameters,
    start: Start,
    carry: tuple[Tensor, Tensor | None],
    dynamics: Dynamics,
    denominator: Callable[..., Any],
    epsilon: float,
    readout: bool,
    static: bool,
    over: bool = False,
) -> tuple[Tensor, tuple[Tensor, Tensor | None]]:
    """Share reward out over the currents (see :func:`lfp_snn.kernels.reference.backward_lfp`).

    ``over``: the density of every step may take the place of the membrane.
    """
    _, batch, features = u.shape
    density = _answer(u, static, over)
    q, g_a = carry[0].clone(), u.new_empty(batch, 0) if carry[1] is None else carry[1].clone()
    a = u.new_empty(batch, 0) if start.a is None else start.a
    scalar, parameters = _parameters(p, features)
    kernel = _lfp_kernel(dynamics, scalar, readout, static, denominator, over=over)
    arrays = _arrays(message, u), _arrays(start.u, start.s, a, q, g_a, density)
    stabiliser = parameters[0].dtype.type(epsilon)
    over_batch(kernel, batch, u.numel(), *arrays[0], *parameters, *arrays[1], stabiliser, ())
    return density, (q, None if carry[1] is None else g_a)


def backward_surrogate(
    message: Tensor,
    u: Tensor,
    p: Parameters,
    start: Start,
    carry: tuple[Tensor, Tensor | None],
    dynamics: Dynamics,
    derivative: Callable[..., Any],
    slope: float,
    attach_reset: bool,
    static: bool,
    over: bool = False,
) -> tuple[Tensor, tuple[Tensor, Tensor | None]]:
    """Back-propagate through time (see :func:`lfp_snn.kernels.reference.backward_surrogate`).

    ``over``: the gradient of every step may take the place of the membrane.
    """
    _, batch, features = u.shape
    gradient = _answer(u, static, over)
    g_u, g_a = carry[0].clone(), u.new_empty(batch, 0) if carry[1] is None else carry[1].clone()
    a = u.new_empty(batch, 0) if start.a is None else start.a
    scalar, parameters = _parameters(p, features)
    kernel = _surrogate_kernel(dynamics, scalar, attach_reset, static, derivative, over)
    arrays = _arrays(message, u), _arrays(a, g_u, g_a, gradient)
    over_batch(kernel, batch, u.numel(), *arrays[0], *parameters, *arrays[1], parameters[0].dtype.type(slope))
    return gradient, (g_u, None if carry[1] is None else g_a)


def filter_forward(x: Tensor, decay: Tensor, start: Tensor, steps: int) -> Tensor:
    """Leaky integration over all steps (see :func:`lfp_snn.kernels.reference.filter_forward`)."""
    y = x.new_empty(steps, *x.shape[1:])
    over_batch(_filter_kernel, x.shape[1], y.numel(), *_arrays(x, decay, start, y))
    return y


def filter_backward(g: Tensor, decay: Tensor, static: bool, carry: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Transpose of the leaky integration (see :func:`lfp_snn.kernels.reference.filter_backward`)."""
    g_x = torch.zeros_like(g[:1]) if static else torch.empty_like(g)
    first = torch.zeros_like(g[0]) if carry is None else carry.clone()
    over_batch(_filter_transpose_kernel, g.shape[1], g.numel(), *_arrays(g, decay, first, g_x))
    return g_x, first
