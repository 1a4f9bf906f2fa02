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
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from lfp_snn.kernels import cpu
from lfp_snn.kernels.bits import Bits, list_bits
from lfp_snn.kernels.dynamics import Dynamics, Parameters, Start
from lfp_snn.kernels.events import add_dots, add_rows, list_row
from lfp_snn.kernels.threads import over_batch
from lfp_snn.kernels.vectors import VECTOR_BYTES, parts_of_block


class _Weights(NamedTuple):
    """Recurrent weights, in blocks of outputs one below the other, and room for the spikes of each sample."""

    parts: tuple[int, ...]
    blocks: NDArray[Any]
    listed: NDArray[np.int32]
    value: NDArray[Any]
    spare: NDArray[Any]


def _weights(V: Tensor, batch: int) -> _Weights:
    """Return ``V`` ``[to, from]`` as the kernels take it."""
    features, parts = len(V), parts_of_block(len(V), V.element_size())
    width = len(parts) * VECTOR_BYTES // V.element_size()
    turned = torch.nn.functional.pad(V.detach().t(), (0, -features % width))
    blocks = turned.reshape(features, -1, width).transpose(0, 1).reshape(-1, width).contiguous().numpy()
    index, value = np.empty(batch * features, np.int32), np.empty(batch * features, blocks.dtype)
    return _Weights(parts, blocks, index, value, np.empty((batch, width), blocks.dtype))


@lru_cache
def _arrive(synaptic: bool):
    """Compile what makes up the current of a row: input, the weights of the last spikes, and the current before."""

    @njit(inline="always")
    def arrive(t, b, i, extra):
        x, alpha, i0, s0, spikes, current, weights = extra
        parts, blocks, index, value, spare = weights
        batch, features = s0.shape
        x_row, row = (t if len(x) > batch else 0) * batch + b, (t if synaptic else 0) * batch + b
        first = b * features
        last = list_row(s0[b] if t == 0 else spikes[t - 1, b], index, value, first)
        for j in range(0, features, blocks.shape[1]):
            n, top = min(blocks.shape[1], features - j), -(j // blocks.shape[1]) * features
            add_rows(parts, blocks, top, index, value, first, last, x, x_row, current, row, j, n, spare, b)
        if synaptic:
            i_prev = i0[b] if t == 0 else current[row - batch]
            for n in range(features):
                i[n] += alpha[n if len(alpha) > 1 else 0] * i_prev[n]

    return arrive


@lru_cache
def _back(synaptic: bool):
    """Compile what a row of rewards gets through the recurrent weights from the answer of the step after it."""

    @njit(inline="always")
    def back(t, b, message, extra):
        words, alpha, own, given, answer, end, densities, weights = extra
        parts, blocks, index, _, spare = weights
        steps, (batch, features) = len(answer) // len(end), end.shape
        row, kept = t * batch + b, (t if len(densities) > batch else 0) * batch + b
        densities[kept] = given[row]
        after, after_row = (answer, row + batch) if t + 1 < steps else (end, b)
        if synaptic and t + 1 < steps:
            next_answer = answer[row + 2 * batch] if t + 2 < steps else end[b]
            for n in range(features):
                after[after_row, n] = own[after_row, n] + alpha[n if len(alpha) > 1 else 0] * next_answer[n]
        first = b * features
        last = list_bits(words[row], index, first)
        for j in range(0, features, blocks.shape[1]):
            n, top = min(blocks.shape[1], features - j), -(j // blocks.shape[1]) * features
            add_dots(parts, blocks, top, index, first, last, after, after_row, j, n, densities, kept, spare, b)

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
    over: bool = False,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return spikes, membranes, synaptic currents (if ``alpha``), each ``[T, B, N]``, and the last adaptation.

    ``over``: the membranes may take the place of an input of all steps.
    """
    shape, synaptic = (steps, *x.shape[1:]), alpha is not None
    spikes, u = x.new_empty(shape), x.detach() if over and len(x) == steps else x.new_empty(shape)
    current = x.new_empty(shape if synaptic else (1, *shape[1:]))
    a = x.new_empty(shape[1], 0) if start.a is None else start.a.clone()
    scalar, parameters = cpu._parameters(p, shape[2])
    i0 = start.u if i is None else i
    arrays = cpu._arrays(start.u, start.s, a, spikes, u)
    rows = x.detach().reshape(-1, shape[2]), _decay(alpha, x), i0, start.s, spikes, current.view(-1, shape[2])
    extra = *cpu._arrays(*rows[:4]), spikes.numpy(), rows[5].numpy(), tuple(_weights(V, shape[1]))
    kernel = cpu._forward_kernel(form, scalar, True, _arrive(synaptic))
    over_batch(kernel, shape[1], spikes.numel(), current.numpy(), *parameters, *arrays, extra)
    return spikes, u, current if synaptic else None, None if start.a is None else a


def backward_lfp(
    message: Tensor,
    V: Tensor,
    alpha: Tensor | None,
    spikes: Bits,
    u: Tensor,
    a: Tensor | None,
    p: Parameters,
    start: Start,
    carry: tuple[Tensor, Tensor | None, Tensor],
    form: Dynamics,
    denominator: Callable[..., Any],
    epsilon: float,
    readout: bool,
    keep: bool,
    over: bool = False,
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor | None, Tensor]]:
    """Return the densities of the membrane's current, of the input and of the spikes, ``[T, B, N]``.

    The last, with what came through the recurrent weights, has one step only (the first) if they are not to be kept.
    ``over``: the density of the input may take the place of the membrane; where there is a synaptic current, that of
    the membrane's current is lost then. ``spikes`` are the bits of ``[T*B, N]``; ``a`` is the adaptation of the first
    step ``[B, N]``. ``carry`` is what comes from the step after the last through membrane, adaptation and input; that
    of the first step is the last value.
    """
    steps, batch, features = u.shape
    densities = u.new_empty(steps if keep else 1, batch, features)
    own = u if over else torch.empty_like(u)
    answer = own if over or alpha is None else torch.empty_like(u)
    q, g_a = carry[0].clone(), u.new_zeros(batch, 0) if carry[1] is None else carry[1].clone()
    before = u.new_empty(batch, 0) if a is None else a
    scalar, parameters = cpu._parameters(p, features)
    kernel = cpu._lfp_kernel(form, scalar, readout, False, denominator, _back(alpha is not None), over)
    given, *rows = (x.view(-1, features).numpy() for x in (message.detach().contiguous(), own, answer, densities))
    decay, end = cpu._arrays(_decay(alpha, u), carry[2])
    extra = spikes.words, decay, rows[0], given, rows[1], end, rows[2], tuple(_weights(V, batch))
    arrays = densities.numpy(), *cpu._arrays(u), *parameters, *cpu._arrays(start.u, start.s, before, q, g_a, own)
    over_batch(kernel, batch, u.numel(), *arrays, parameters[0].dtype.type(epsilon), extra)
    if alpha is not None:
        answer[0] = own[0] + alpha.detach() * (answer[1] if steps > 1 else carry[2])
    return own, answer, densities, (q, None if carry[1] is None else g_a, answer[0])
