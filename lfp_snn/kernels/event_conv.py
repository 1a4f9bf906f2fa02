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
import torch.nn.functional as F
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from lfp_snn.kernels.bits import CACHED
from lfp_snn.kernels.events import Events
from lfp_snn.kernels.threads import in_parts, over_batch, parts_of
from lfp_snn.kernels.vectors import VECTOR_BYTES, add_line, line_dot


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
def _forward(start, index, value, weight, sizes, channels, bias, out, first, last):
    (height, width), (rows, columns), (pad_y, pad_x), (out_height, out_width) = sizes
    padded = len(bias)
    vectors = padded * weight.itemsize // VECTOR_BYTES
    sums = np.empty(out_height * out_width * padded, out.dtype)
    for r in range(first, last):
        for at in range(0, len(sums), padded):
            sums[at : at + padded] = bias
        for k in range(start[r], start[r + 1]):
            c, at = divmod(index[k], height * width)
            y, x = divmod(at, width)
            y_first, y_last, i = _span(y, rows, pad_y, out_height)
            x_first, x_last, j = _span(x, columns, pad_x, out_width)
            for o in range(y_last - y_first + 1):
                to = ((y_first + o) * out_width + x_first) * padded
                tap = ((c * rows + i + o) * columns + j) * padded
                add_line(sums, to, weight, tap, value[k], (x_last - x_first + 1) * vectors)
        for o in range(channels):
            for y in range(out_height):
                for x in range(out_width):
                    out[r, o, y, x] = sums[(y * out_width + x) * padded + o]


@njit(**CACHED)
def _backward(start, index, value, weight, sizes, padded, message, g_weight, g_x, first, last):
    (height, width), (rows, columns), (pad_y, pad_x), (out_height, out_width) = sizes
    below = len(g_x) > 0
    vectors = padded * weight.itemsize // VECTOR_BYTES
    g = np.zeros(out_height * out_width * padded, message.dtype)
    for r in range(first, last):
        for o in range(message.shape[1]):
            for y in range(out_height):
                for x in range(out_width):
                    g[(y * out_width + x) * padded + o] = message[r, o, y, x]
        for k in range(start[r], start[r + 1]):
            c, at = divmod(index[k], height * width)
            y, x = divmod(at, width)
            y_first, y_last, i = _span(y, rows, pad_y, out_height)
            x_first, x_last, j = _span(x, columns, pad_x, out_width)
            n, total = (x_last - x_first + 1) * vectors, value[k] * 0
            for o in range(y_last - y_first + 1):
                to = ((y_first + o) * out_width + x_first) * padded
                tap = ((c * rows + i + o) * columns + j) * padded
                add_line(g_weight, tap, g, to, value[k], n)
                if below:
                    total += line_dot(g, to, weight, tap, n)
            if below:
                g_x[r, index[k]] = total


def padded_to_vectors(channels: int, itemsize: int) -> int:
    """Return how many channels there are with those that fill the last vector up.

    Examples
    --------
    >>> padded_to_vectors(12, 4), padded_to_vectors(64, 4)
    (16, 64)
    """
    return channels + -channels % (VECTOR_BYTES // itemsize)


def _turned(weight: Tensor, padded: int) -> NDArray[Any]:
    """Return the weights, the kernel turned by 180 degrees, as a flat ``[in, rows, columns, padded]``."""
    turned = weight.detach().flip(2, 3).permute(1, 2, 3, 0)
    return F.pad(turned, (0, padded - len(weight))).reshape(-1).numpy()


def conv2d(events: Events, weight: Tensor, bias: Tensor | None, sizes: Geometry) -> Tensor:
    """Return the convolution ``[rows, out, height, width]`` with ``weight`` ``[out, in, rows, columns]``.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn.kernels.bits import find
    >>> from lfp_snn.kernels.events import listed
    >>> x, weight = torch.eye(3).reshape(1, 9), torch.ones(1, 1, 2, 2)
    >>> conv2d(listed(find(x), x), weight, None, geometry((3, 3), (2, 2))).tolist()
    [[[[2.0, 1.0], [1.0, 2.0]]]]
    """
    channels, padded = len(weight), padded_to_vectors(len(weight), weight.element_size())
    out, offset = weight.new_empty(events.rows, channels, *sizes.output), weight.new_zeros(padded)
    if bias is not None:
        offset[:channels] = bias.detach()
    arrays = events.start, events.index, events.value, _turned(weight, padded)
    over_batch(_forward, events.rows, out.numel(), *arrays, sizes, channels, offset.numpy(), out.numpy())
    return out


def conv2d_backward(
    events: Events, weight: Tensor, message: Tensor, sizes: Geometry, below: bool
) -> tuple[Tensor, Tensor | None]:
    """Return the messages of the weights, and (``below``) of the input ``[rows, columns]``: 0 where there is no event.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn.kernels.bits import find
    >>> from lfp_snn.kernels.events import listed
    >>> x, weight = torch.eye(3).reshape(1, 9), torch.ones(1, 1, 2, 2)
    >>> sizes, message = geometry((3, 3), (2, 2)), torch.ones(1, 1, 2, 2)
    >>> [g.tolist() for g in conv2d_backward(listed(find(x), x), weight, message, sizes, below=True)]
    [[[[[2.0, 1.0], [1.0, 2.0]]]], [[1.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 1.0]]]
    """
    out, n_in, *kernel = weight.shape
    parts, padded = parts_of(events.rows, message.numel()), padded_to_vectors(out, weight.element_size())
    sums = weight.new_zeros(parts, n_in * kernel[0] * kernel[1] * padded)  # one a thread
    g_x = weight.new_zeros(events.rows if below else 0, events.columns)
    arrays = events.start, events.index, events.value, _turned(weight, padded), sizes, padded
    given, totals, answer = message.detach().contiguous().numpy(), sums.numpy(), g_x.numpy()

    def work(part: int, first: int, last: int) -> None:
        _backward(*arrays, given, totals[part], answer, first, last)

    in_parts(work, events.rows, parts)
    g_weight = sums.sum(0).reshape(n_in, *kernel, padded)[..., :out].permute(3, 0, 1, 2).flip(2, 3)
    return g_weight, g_x if below else None
