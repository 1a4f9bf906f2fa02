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
from lfp_snn.kernels.options import SUMS
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
def _arrive(synaptic: bool):
    """Compile what makes up the current of a row: input, the weights of the last spikes, and the current before."""

    @njit(inline="always")
    def arrive(t, b, i, extra):
        x, weight, alpha, i0, s0, spikes, current = extra
        i[:] = x[t if len(x) > 1 else 0, b]
        _add_rows(s0[b] if t == 0 else spikes[t - 1, b], weight, i)
        if synaptic:
            i_prev = i0[b] if t == 0 else current[t - 1, b]
            for n in range(len(i)):
                i[n] += alpha[n if len(alpha) > 1 else 0] * i_prev[n]

    return arrive


@lru_cache
def _back(synaptic: bool):
    """Compile what a row of rewards gets through the recurrent weights from the answer of the step after it."""

    @njit(inline="always")
    def back(t, b, message, extra):
        spikes, weight, alpha, own, answer = extra
        if synaptic and t + 1 < len(spikes):
            own_t, after, answer_t = own[t + 1, b], answer[t + 2, b], answer[t + 1, b]
            for n in range(len(own_t)):
                answer_t[n] = own_t[n] + alpha[n if len(alpha) > 1 else 0] * after[n]
        _add_dots(spikes[t, b], weight, answer[t + 1, b], message)

    return back


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
    extra = (*arrays[0], *(arrays[1][k] for k in (1, 3, 5)))
    kernel = cpu._forward_kernel(form, scalar, True, _arrive(synaptic))
    over_batch(kernel, shape[1], spikes.numel(), arrays[1][-1], *parameters, *arrays[1][:-1], extra)
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

    ``a`` is the adaptation that each step's threshold used, ``[T, B, N]`` (the first is enough). ``carry`` is what
    comes from the step after the last through membrane, adaptation and input; that of the first step is the last value.
    """
    _, batch, features = v.shape
    densities = message.clone(memory_format=torch.contiguous_format)
    own = v.new_empty(len(v) + 1, batch, features)
    answer = own if alpha is None else torch.empty_like(own)
    answer[-1] = carry[2]
    q, g_a = carry[0].clone(), v.new_zeros(batch, 0) if carry[1] is None else carry[1].clone()
    before = v.new_empty(batch, 0) if a is None else a[0]
    scalar, parameters = cpu._parameters(p, features)
    kernel = cpu._lfp_kernel(form, scalar, readout, False, denominator, _back(alpha is not None))
    outputs = [q.numpy(), g_a.numpy(), own.numpy()]
    extra = (*cpu._arrays(spikes, V.t(), _decay(alpha, v)), own.numpy(), answer.numpy())
    arrays = densities.numpy(), *cpu._arrays(v), *parameters, *cpu._arrays(start.v, start.s, before), *outputs
    over_batch(kernel, batch, v.numel(), *arrays, parameters[0].dtype.type(epsilon), extra)
    if alpha is not None:
        answer[0] = own[0] + alpha.detach() * answer[1]
    first = q, None if carry[1] is None else g_a, answer[0]
    return own[:-1], answer[:-1], densities, first
