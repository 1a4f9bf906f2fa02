"""The scan of a layer with recurrent weights fused into one compiled loop each way (numba, CPU).

Samples are independent, so a thread takes one through all steps: the weights ``[from, to]`` stay in its cache, and
every spike adds one row of them to the current of the next step. Backwards, the reward that comes through the recurrent
weights is worked out for the neurons that fired only; the others receive none. The neuron's own step is that of
:mod:`lfp_snn.kernels.cpu`.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from numba import njit
from torch import Tensor

from lfp_snn.kernels import cpu
from lfp_snn.kernels.dynamics import Dynamics, Parameters, Start
from lfp_snn.kernels.options import OPTIONS, SUMS
from lfp_snn.kernels.threads import over_batch


@njit(**SUMS)
def _add_rows(spikes, weight, out):
    """Add the weights' rows of all spikes."""
    for j in range(len(spikes)):
        s, row = spikes[j], weight[j]
        if s != 0:
            for n in range(len(out)):
                out[n] += s * row[n]


@njit(**SUMS)
def _add_dots(spikes, weight, message, out):
    """Add to each neuron that fired what its weights bring back."""
    for j in range(len(spikes)):
        if spikes[j] != 0:
            total, row = message[0] * 0, weight[j]
            for n in range(len(message)):
                total += message[n] * row[n]
            out[j] += total


@lru_cache
def _forward_kernel(dynamics: Dynamics, scalar: bool, synaptic: bool):
    step = cpu._forward_kernel(dynamics, scalar, True)

    @njit(**OPTIONS)
    def kernel(x, weight, alpha, i0, beta, theta, kappa, rho, v0, s0, a, spikes, v, current, first, last):
        for b in range(first, last):
            s_prev, v_prev, i_prev = s0[b : b + 1], v0[b : b + 1], i0[b]
            for t in range(len(spikes)):
                i = current[t if synaptic else 0, b : b + 1]
                i[0] = x[t if len(x) > 1 else 0, b]
                _add_rows(s_prev[0], weight, i[0])
                if synaptic:
                    for n in range(i.shape[1]):
                        i[0, n] += alpha[n if len(alpha) > 1 else 0] * i_prev[n]
                s, m = spikes[t : t + 1, b : b + 1], v[t : t + 1, b : b + 1]
                step(i.reshape(1, *i.shape), beta, theta, kappa, rho, v_prev, s_prev, a[b : b + 1], s, m, 0, 1)
                s_prev, v_prev, i_prev = s[0], m[0], i[0]

    return kernel


@lru_cache
def _lfp_kernel(dynamics: Dynamics, scalar: bool, synaptic: bool, readout: bool, denominator: Callable[..., Any]):
    step, adaptive = cpu._lfp_kernel(dynamics, scalar, readout, False, denominator), dynamics.adaptive

    @njit(**OPTIONS)
    def kernel(
        message, weight, alpha, s, v, beta, theta, kappa, rho, v0, s0, a, q, g_a, own, answer, epsilon, first, last
    ):
        for b in range(first, last):
            for t in range(len(v) - 1, -1, -1):
                m, g = message[t : t + 1, b : b + 1], own[t : t + 1, b : b + 1]
                _add_dots(s[t, b], weight, answer[t + 1, b], m[0, 0])
                v_prev, s_prev = (v0, s0) if t == 0 else (v[t - 1], s[t - 1])
                a_prev, now, here = a[t if adaptive else 0, b : b + 1], v[t : t + 1, b : b + 1], slice(b, b + 1)
                step(
                    m, now, beta, theta, kappa, rho, v_prev[here], s_prev[here], a_prev,
                    q[here], g_a[here], g, epsilon, 0, 1,
                )  # fmt: skip
                if synaptic:
                    for n in range(g.shape[2]):
                        answer[t, b, n] = g[0, 0, n] + alpha[n if len(alpha) > 1 else 0] * answer[t + 1, b, n]

    return kernel


def _decay(alpha: Tensor | None, like: Tensor) -> Tensor:
    return like.new_zeros(1) if alpha is None else alpha.detach().reshape(-1)


def forward(
    x: Tensor,
    V: Tensor,
    alpha: Tensor | None,
    i: Tensor | None,
    p: Parameters,
    start: Start,
    steps: int,
    form: Dynamics,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return spikes, membranes, synaptic currents (if ``alpha``), each ``[T, B, N]``, and the last adaptation."""
    shape, synaptic = (steps, *x.shape[1:]), alpha is not None
    spikes, v = x.new_empty(shape), x.new_empty(shape)
    current = x.new_empty(shape if synaptic else (1, *shape[1:]))
    a = x.new_empty(shape[1], 0) if start.a is None else start.a.clone()
    scalar, parameters = cpu._parameters(p, shape[2])
    i0 = start.v if i is None else i
    arrays = cpu._arrays(x, V.t(), _decay(alpha, x), i0), cpu._arrays(start.v, start.s, a, spikes, v, current)
    kernel = _forward_kernel(form, scalar, synaptic)
    over_batch(kernel, shape[1], spikes.numel(), *arrays[0], *parameters, *arrays[1])
    return spikes, v, current if synaptic else None, None if start.a is None else a


def backward_lfp(
    message: Tensor,
    V: Tensor,
    alpha: Tensor | None,
    spikes: Tensor,
    v: Tensor,
    a: Tensor | None,
    p: Parameters,
    start: Start,
    carry: tuple[Tensor, Tensor | None, Tensor],
    form: Dynamics,
    denominator: Callable[..., Any],
    epsilon: float,
    readout: bool,
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor | None, Tensor]]:
    """Return the densities of the membrane's current and of the input, and the reward of the spikes, ``[T, B, N]``.

    ``a`` is the adaptation that each step's threshold used, ``[T, B, N]``. ``carry`` is what comes from the step after
    the last through membrane, adaptation and input; that of the first step is the last value.
    """
    _, batch, features = v.shape
    densities = message.clone(memory_format=torch.contiguous_format)
    own = v.new_empty(len(v) + 1, batch, features)
    answer = own if alpha is None else torch.empty_like(own)
    answer[-1] = carry[2]
    q, g_a = carry[0].clone(), v.new_zeros(batch, 0) if carry[1] is None else carry[1].clone()
    before = v.new_empty(1, batch, 0) if a is None else a
    scalar, parameters = cpu._parameters(p, features)
    kernel = _lfp_kernel(form, scalar, alpha is not None, readout, denominator)
    arrays = cpu._arrays(V.t(), _decay(alpha, v), spikes, v), cpu._arrays(start.v, start.s, before)
    outputs = [q.numpy(), g_a.numpy(), own.numpy(), answer.numpy()]
    stabiliser = parameters[0].dtype.type(epsilon)
    over_batch(kernel, batch, v.numel(), densities.numpy(), *arrays[0], *parameters, *arrays[1], *outputs, stabiliser)
    first = q, None if carry[1] is None else g_a, answer[0]
    return own[:-1], answer[:-1], densities, first
