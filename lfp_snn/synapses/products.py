"""A linear layer and a convolution, event-driven where that is faster: ``product(function, x, weight, bias, ...)``.

In the forward pass the events of the input are counted and, if they are few, listed; the backward pass uses the list
again, so that no dense copy of the input is kept. The message of the input is only worked out where there were events
if the input is known to be spikes (:func:`mark`): reward passes only through a neuron that fired. A surrogate gradient
needs it everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input

from lfp_snn.kernels import dense, event_conv, events
from lfp_snn.kernels.bits import Bits, find
from lfp_snn.kernels.events import Events
from lfp_snn.synapses.choice import LEAST_ROWS, LEAST_WORK, convolution_limits, linear_limit, suits, way

_SPIKES = "_lfp_spikes"


def mark(spikes: Tensor, as_in: Tensor | None = None) -> Tensor:
    """Say that the message at the zeros of a tensor will not be used (or that this is so if it is ``as_in``)."""
    if not spikes.is_inference() and (as_in is None or only_spikes(as_in)):
        setattr(spikes, _SPIKES, spikes._version)
    return spikes


def unmark(x: Tensor) -> None:
    """Take back what :func:`mark` said of a tensor."""
    if hasattr(x, _SPIKES):
        delattr(x, _SPIKES)


def may_be_listed(work: int) -> bool:
    """Whether a product of so much dense work may be event-driven."""
    return way() == "events" or (way() == "auto" and work >= LEAST_WORK)


def found(rows: Tensor, work: int) -> Bits | None:
    """Return the bits of ``rows`` ``[rows, columns]`` if the product, of so much dense work, may be event-driven."""
    return find(rows) if may_be_listed(work) else None


def listed(rows: Tensor, bits: Bits | None, limit: float) -> Events | None:
    """Return the events of ``rows`` ``[rows, columns]``, or ``None`` where the product should be dense."""
    if bits is None or (way() == "auto" and bits.total > limit * bits.columns * len(bits.counts)):
        return None
    return events.listed(bits, rows)


def only_spikes(x: Tensor) -> bool:
    """Whether a tensor is marked as spikes, and was not written to since."""
    return hasattr(x, _SPIKES) and getattr(x, _SPIKES) == x._version


class DenseLinear(torch.autograd.Function):
    """``apply(x, weight, bias, bits)`` is ``linear(x, weight, bias)``; what is binary is kept as its bits."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, bits: Bits | None) -> Tensor:
        """Multiply."""
        ctx.bits = bits if bits is not None and bits.binary else None
        ctx.save_for_backward(None if ctx.bits else x, weight)
        ctx.shape = x.shape
        return dense.linear(x.reshape(-1, x.shape[-1]), weight, bias).reshape(*x.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, message: Tensor) -> Any:
        """Work out the three messages; they can be differentiated again, but for kept bits."""
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled() and ctx.bits:
            raise RuntimeError(
                'a layer whose input is spikes cannot be differentiated twice: use lfp_snn.synapses.use("dense")'
            )
        matmul = torch.matmul if torch.is_grad_enabled() else dense.matmul
        g, g_x, g_weight = message.reshape(-1, len(weight)), None, None
        if ctx.needs_input_grad[1]:
            rows = ctx.bits.spread(weight.dtype) if ctx.bits else x.reshape(-1, ctx.shape[-1])
            g_weight = matmul(g.t(), rows)
            del rows  # before there is another tensor of its size
        if ctx.needs_input_grad[0]:
            g_x = matmul(g, weight).reshape(ctx.shape)
        return g_x, g_weight, g.sum(0) if ctx.needs_input_grad[2] else None, None


class EventLinear(torch.autograd.Function):
    """``apply(x, weight, bias, events, only_events)`` is ``linear(x, weight, bias)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, listed: Events, only_events: bool) -> Tensor:
        """Add a row of weights for every event."""
        ctx.save_for_backward(weight)
        ctx.events, ctx.only_events, ctx.shape = listed, only_events, x.shape
        return events.weighted_rows(listed, weight.t(), bias).reshape(*x.shape[:-1], len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, message: Tensor) -> Any:
        """Work out the three messages."""
        (weight,) = ctx.saved_tensors
        g, g_x, g_weight, g_bias = message.reshape(-1, len(weight)).contiguous(), None, None, None
        if ctx.needs_input_grad[0]:
            g_x = events.dots(ctx.events, weight.t(), g) if ctx.only_events else dense.matmul(g, weight)
            g_x = g_x.reshape(ctx.shape)
        if ctx.needs_input_grad[1]:
            g_weight = events.weighted_rows(ctx.events.transposed(), g).t()
        if ctx.needs_input_grad[2]:
            g_bias = g.sum(0)
        return g_x, g_weight, g_bias, None, None


class EventConv2d(torch.autograd.Function):
    """``apply(x, weight, bias, events, sizes, only_events, dense)`` is ``conv2d`` with the sizes' padding.

    ``dense`` is of the forward pass only.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        listed: Events,
        sizes: event_conv.Geometry,
        only_events: bool,
        dense: bool,
    ) -> Tensor:
        """Add a patch of weights for every event."""
        ctx.save_for_backward(weight)
        ctx.events, ctx.sizes, ctx.only_events, ctx.shape = listed, sizes, only_events, x.shape
        if dense:
            return F.conv2d(x, weight, bias, padding=sizes.padding)
        return event_conv.conv2d(listed, weight, bias, sizes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, message: Tensor) -> Any:
        """Work out the three messages."""
        (weight,) = ctx.saved_tensors
        below, g_bias = ctx.needs_input_grad[0], None
        g_weight, g_x = event_conv.conv2d_backward(ctx.events, weight, message, ctx.sizes, below and ctx.only_events)
        if g_x is not None:
            g_x = g_x.reshape(ctx.shape)
        elif below:
            g_x = conv2d_input(ctx.shape, weight, message, padding=ctx.sizes.padding)  # type: ignore[no-untyped-call]
        if ctx.needs_input_grad[2]:
            g_bias = message.sum((0, 2, 3))
        return g_x, g_weight, g_bias, None, None, None, None


def product(function: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None, *rest: Any) -> Tensor:
    """Return ``function(x, weight, bias, *rest)``; a linear layer or convolution may run event-driven.

    Parameters
    ----------
    function : callable
        ``torch.nn.functional.linear``, ``conv2d``, or any other (which runs as it is).
    x : Tensor
        Input, ``[..., inputs]`` or ``[B, channels, height, width]``.
    weight, bias : Tensor
        As the function takes them.

    Examples
    --------
    >>> x, weight = torch.eye(2, 3), torch.arange(6.0).reshape(2, 3)
    >>> product(F.linear, x, weight, None).tolist()
    [[0.0, 3.0], [1.0, 4.0]]
    """
    plain = bias is None or (bias.shape == weight.shape[:1] and bias.dtype == weight.dtype)
    if plain and function in (F.linear, F.conv2d) and suits(x, weight) and not torch.is_autocast_enabled("cpu"):
        y = _linear(x, weight, bias) if function is F.linear else _conv2d(x, weight, bias, *rest)
        if y is not None:
            return y
    return function(x, weight, bias, *rest)


def outer(x: Tensor | Bits, message: Tensor) -> Tensor:
    """Return ``message.T @ x``, the message ``[outputs, inputs]`` of the weights between ``x`` and ``message``.

    Spikes may be given as their bits.

    Examples
    --------
    >>> outer(torch.eye(2, 3), torch.tensor([[1.0], [2.0]])).tolist()
    [[1.0, 2.0, 0.0]]
    """
    rows, outputs = message.shape
    bits, few = x if isinstance(x, Bits) else None, None
    if isinstance(x, Tensor) and suits(x, message):
        bits = found(x, x.numel() * outputs)
    if rows and bits is not None and may_be_listed(rows * bits.columns * outputs):
        few = listed(message if isinstance(x, Bits) else x, bits, linear_limit(outputs))
    if few is not None:
        return events.weighted_rows(few.transposed(), message).t()
    return dense.matmul(message.t(), x.spread(message.dtype) if isinstance(x, Bits) else x)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor | None:
    if x.dim() < 2 or weight.dim() != 2 or x.shape[-1] != weight.shape[1] or x.numel() == 0:
        return None
    rows, work, bits = x.detach().reshape(-1, x.shape[-1]), x.numel() * len(weight), None
    if way() != "auto" or len(rows) >= LEAST_ROWS:
        bits = found(rows, work)
    few = listed(rows, bits, linear_limit(len(weight)))
    if few is not None:
        return EventLinear.apply(x, weight, bias, few, only_spikes(x))  # type: ignore[no-any-return]
    if bits is not None or dense.faster(work, x, weight):
        return DenseLinear.apply(x, weight, bias, bits)  # type: ignore[no-any-return]
    return None


def pair(value: Any) -> tuple[int, int]:
    """Return a size of rows and columns that torch takes as a number, or as one or two of them."""
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[-1]))


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    if isinstance(padding, str) or groups != 1 or (pair(stride), pair(dilation)) != ((1, 1), (1, 1)):
        return None
    if x.dim() != 4 or x.shape[1] != weight.shape[1] or x.numel() == 0:
        return None
    sizes = event_conv.geometry(pair(x.shape[2:]), pair(weight.shape[2:]), pair(padding))
    if min(sizes.output) < 1:
        return None
    work = len(x) * sizes.output[0] * sizes.output[1] * weight.numel()
    trained = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    forwards, backwards = convolution_limits(x.shape[1], len(weight), weight.shape[3])
    rows = x.detach().reshape(len(x), -1)
    few = listed(rows, found(rows, work), backwards if trained else forwards)
    if few is None:
        return None
    forward_dense = way() == "auto" and few.share > forwards
    return EventConv2d.apply(x, weight, bias, few, sizes, only_spikes(x), forward_dense)  # type: ignore[no-any-return]
