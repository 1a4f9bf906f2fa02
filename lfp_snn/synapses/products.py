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

from lfp_snn.kernels import event_conv, events
from lfp_snn.kernels.events import Events
from lfp_snn.synapses.choice import LEAST_ROWS, LEAST_WORK, convolution_limits, linear_limit, suits, way

_SPIKES = "_lfp_spikes"


def mark(spikes: Tensor, as_in: Tensor | None = None) -> Tensor:
    """Say that the message at the zeros of a tensor will not be used (or that this is so if it is ``as_in``)."""
    if as_in is None or only_spikes(as_in):
        setattr(spikes, _SPIKES, spikes._version)
    return spikes


def listed(rows: Tensor, limit: float, work: int) -> Events | None:
    """Return the events of ``rows`` ``[rows, columns]``, or ``None`` where the product should be dense.

    ``work`` is the number of multiplications of the dense product.
    """
    how = way()
    if how == "dense" or (how == "auto" and work < LEAST_WORK):
        return None
    counts = events.count(rows)
    if how == "auto" and int(counts.sum()) > limit * rows.numel():
        return None
    return events.pack(rows, counts)


def only_spikes(x: Tensor) -> bool:
    """Whether a tensor is marked as spikes, and was not written to since."""
    return hasattr(x, _SPIKES) and getattr(x, _SPIKES) == x._version


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
            g_x = events.dots(ctx.events, weight.t(), g) if ctx.only_events else g @ weight
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
    if function in (F.linear, F.conv2d) and suits(x, weight) and not torch.is_autocast_enabled("cpu"):
        y = _linear(x, weight, bias) if function is F.linear else _conv2d(x, weight, bias, *rest)
        if y is not None:
            return y
    return function(x, weight, bias, *rest)


def outer(x: Tensor, message: Tensor) -> Tensor:
    """Return ``message.T @ x``, the message ``[outputs, inputs]`` of the weights between ``x`` and ``message``.

    Examples
    --------
    >>> outer(torch.eye(2, 3), torch.tensor([[1.0], [2.0]])).tolist()
    [[1.0, 2.0, 0.0]]
    """
    outputs, found = message.shape[1], None
    if suits(x, message) and len(x):
        found = listed(x, linear_limit(outputs), x.numel() * outputs)
    return message.t() @ x if found is None else events.weighted_rows(found.transposed(), message).t()


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor | None:
    if x.dim() < 2 or weight.dim() != 2 or x.shape[-1] != weight.shape[1] or x.numel() == 0:
        return None
    rows = x.detach().reshape(-1, x.shape[-1])
    if way() == "auto" and len(rows) < LEAST_ROWS:
        return None
    found = listed(rows, linear_limit(len(weight)), x.numel() * len(weight))
    if found is None:
        return None
    return EventLinear.apply(x, weight, bias, found, only_spikes(x))  # type: ignore[no-any-return]


def _pair(value: Any) -> tuple[int, int]:
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
    if isinstance(padding, str) or groups != 1 or (_pair(stride), _pair(dilation)) != ((1, 1), (1, 1)):
        return None
    if x.dim() != 4 or x.shape[1] != weight.shape[1] or x.numel() == 0:
        return None
    sizes = event_conv.geometry(_pair(x.shape[2:]), _pair(weight.shape[2:]), _pair(padding))
    if min(sizes.output) < 1:
        return None
    work = len(x) * sizes.output[0] * sizes.output[1] * weight.numel()
    trained = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    forwards, backwards = convolution_limits(x.shape[1], len(weight), weight.shape[3])
    found = listed(x.detach().reshape(len(x), -1), backwards if trained else forwards, work)
    if found is None:
        return None
    dense = way() == "auto" and found.share > forwards
    return EventConv2d.apply(x, weight, bias, found, sizes, only_spikes(x), dense)  # type: ignore[no-any-return]
