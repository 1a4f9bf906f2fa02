"""Two-dimensional convolution of an input that is mostly zeros, at a cost that falls with its events (numba, CPU).

Each event adds a patch of weights to the outputs around it. The outputs of a sample are held with their channels last
and the kernel turned by 180 degrees, so that what an event adds to a line of outputs is one row of weights. Strides and
dilations other than 1 have no such rows, and stay dense. See :mod:`lfp_snn.kernels.events` for the lists; a row is a
sample, its columns are the elements ``[in, height, width]`` in order.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from lfp_snn.kernels.events import CACHED, Events
from lfp_snn.kernels.threads import in_parts, over_batch, parts_of


class Geometry(NamedTuple):
    """Sizes ``(height, width)`` of input, kernel and output, and the padding, of a convolution in steps of 1."""

    input: tuple[int, int]
    kernel: tuple[int, int]
    padding: tuple[int, int]
    output: tuple[int, int]


def geometry(size: tuple[int, int], kernel: tuple[int, int], padding: tuple[int, int] = (0, 0)) -> Geometry:
    """Return the sizes of a convolution.

    Examples
    --------
    >>> geometry((28, 28), (5, 5)).output
    (24, 24)
    """
    output = size[0] + 2 * padding[0] - kernel[0] + 1, size[1] + 2 * padding[1] - kernel[1] + 1
    return Geometry(size, kernel, padding, output)


@njit(inline="always")
def _span(x, kernel, padding, size):
    """Return the first and last output that an input at ``x`` reaches, and the (turned) tap that makes the first."""
    first = x + padding - kernel + 1
    return max(first, 0), min(x + padding, size - 1), max(-first, 0)


@njit(**CACHED)
def _forward(start, index, value, weight, sizes, bias, out, first, last):
    (height, width), (rows, columns), (pad_y, pad_x), (out_height, out_width) = sizes
    channels = out.shape[1]
    sums = np.empty((out_height, out_width * channels), out.dtype)
    for r in range(first, last):
        for y in range(out_height):
            for x in range(out_width):
                sums[y, x * channels : (x + 1) * channels] = bias
        for k in range(start[r], start[r + 1]):
            c, at = divmod(index[k], height * width)
            y, x = divmod(at, width)
            v = value[k]
            y_first, y_last, i = _span(y, rows, pad_y, out_height)
            x_first, x_last, j = _span(x, columns, pad_x, out_width)
            n = (x_last - x_first + 1) * channels
            for o in range(y_last - y_first + 1):
                s, w = sums[y_first + o, x_first * channels :], weight[c, i + o, j * channels :]
                for q in range(n):
                    s[q] += v * w[q]
        for o in range(channels):
            for y in range(out_height):
                for x in range(out_width):
                    out[r, o, y, x] = sums[y, x * channels + o]


@njit(**CACHED)
def _backward(start, index, value, weight, sizes, message, g_weight, g_x, first, last):
    (height, width), (rows, columns), (pad_y, pad_x), (out_height, out_width) = sizes
    channels, below = message.shape[1], len(g_x) > 0
    g = np.empty((out_height, out_width * channels), message.dtype)
    for r in range(first, last):
        for o in range(channels):
            for y in range(out_height):
                for x in range(out_width):
                    g[y, x * channels + o] = message[r, o, y, x]
        for k in range(start[r], start[r + 1]):
            c, at = divmod(index[k], height * width)
            y, x = divmod(at, width)
            v, total = value[k], value[k] * 0
            y_first, y_last, i = _span(y, rows, pad_y, out_height)
            x_first, x_last, j = _span(x, columns, pad_x, out_width)
            n = (x_last - x_first + 1) * channels
            for o in range(y_last - y_first + 1):
                m, w = g[y_first + o, x_first * channels :], weight[c, i + o, j * channels :]
                g_w = g_weight[c, i + o, j * channels :]
                for q in range(n):
                    g_w[q] += v * m[q]
                if below:
                    for q in range(n):
                        total += m[q] * w[q]
            if below:
                g_x[r, index[k]] = total


def _turned(weight: Tensor) -> NDArray[Any]:
    """Return the weights ``[in, rows, columns * out]``, the kernel turned by 180 degrees."""
    return weight.detach().flip(2, 3).permute(1, 2, 3, 0).flatten(2).contiguous().numpy()


def conv2d(events: Events, weight: Tensor, bias: Tensor | None, sizes: Geometry) -> Tensor:
    """Return the convolution ``[rows, out, height, width]`` with ``weight`` ``[out, in, rows, columns]``.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn.kernels.events import count, pack
    >>> x, weight = torch.eye(3).reshape(1, 9), torch.ones(1, 1, 2, 2)
    >>> conv2d(pack(x, count(x)), weight, None, geometry((3, 3), (2, 2))).tolist()
    [[[[2.0, 1.0], [1.0, 2.0]]]]
    """
    out = weight.new_empty(events.rows, len(weight), *sizes.output)
    offset = (weight.new_zeros(len(weight)) if bias is None else bias.detach()).numpy()
    arrays = events.start, events.index, events.value, _turned(weight)
    over_batch(_forward, events.rows, out.numel(), *arrays, sizes, offset, out.numpy())
    return out


def conv2d_backward(
    events: Events, weight: Tensor, message: Tensor, sizes: Geometry, below: bool
) -> tuple[Tensor, Tensor | None]:
    """Return the messages of the weights, and (``below``) of the input ``[rows, columns]``: 0 where there is no event.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn.kernels.events import count, pack
    >>> x, weight = torch.eye(3).reshape(1, 9), torch.ones(1, 1, 2, 2)
    >>> sizes, message = geometry((3, 3), (2, 2)), torch.ones(1, 1, 2, 2)
    >>> [g.tolist() for g in conv2d_backward(pack(x, count(x)), weight, message, sizes, below=True)]
    [[[[[2.0, 1.0], [1.0, 2.0]]]], [[1.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 1.0]]]
    """
    out, n_in, *kernel = weight.shape
    parts = parts_of(events.rows, message.numel())
    sums = weight.new_zeros(parts, n_in, kernel[0], kernel[1] * out)  # one a thread
    g_x = weight.new_zeros(events.rows if below else 0, events.columns)
    arrays = events.start, events.index, events.value, _turned(weight), sizes, message.detach().contiguous().numpy()
    totals, answer = sums.numpy(), g_x.numpy()

    def work(part: int, first: int, last: int) -> None:
        _backward(*arrays, totals[part], answer, first, last)

    in_parts(work, events.rows, parts)
    g_weight = sums.sum(0).reshape(n_in, *kernel, out).permute(3, 0, 1, 2).flip(2, 3)
    return g_weight, g_x if below else None
