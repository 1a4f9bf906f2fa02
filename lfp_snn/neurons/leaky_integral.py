r"""The leaky integral over time, a linear operation: the synaptic current, and the membrane of a non-spiking readout.

.. math:: y_t = \alpha y_{t-1} + x_t, \qquad g_x[t] = g_y[t] + \alpha\, g_x[t+1]

Being linear, it hands reward density back exactly as it hands a gradient back: the same operation serves both.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lfp_snn.kernels import select
from lfp_snn.neurons.ambient import ambient
from lfp_snn.neurons.handover import place_in
from lfp_snn.neurons.parameters import fit, flat


class LeakyIntegral(torch.autograd.Function):
    """``y = LeakyIntegral.apply(x, decay, start, steps)``; ``x`` is ``[T, B, ...]``, or ``[1, B, ...]`` if constant."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, decay: Tensor, start: Tensor, steps: int) -> Tensor:
        """Integrate all steps; ``start`` is ``[B, ...]``."""
        features = x.shape[2:]
        flat_decay = flat(decay, features)
        y: Tensor = select(x).filter_forward(x.flatten(2), flat_decay, start.flatten(1), steps)
        ctx.shape, ctx.steps, ctx.place = x.shape, steps, place_in(ambient().handover)
        out = y.reshape(steps, *x.shape[1:]).data  # not a view: it may be overwritten
        ctx.save_for_backward(decay, start, out if ctx.needs_input_grad[1] else None)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        """Transpose of the integration."""
        decay, start, y = ctx.saved_tensors
        features = ctx.shape[2:]
        static = ctx.shape[0] < ctx.steps and y is None
        how = g.contiguous().flatten(2), flat(decay, features), static, ctx.place.message
        g_x, first = select(g).filter_backward(*how)
        ctx.place.leave(first)
        g_decay = None
        if y is not None:
            before = torch.cat([start[None], y[:-1]]).flatten(2)
            g_decay = fit((before * g_x).sum((0, 1)), decay, features)
            g_x = g_x.sum(0, keepdim=True) if ctx.shape[0] < ctx.steps else g_x
        return g_x.reshape(ctx.shape), g_decay, None, None
