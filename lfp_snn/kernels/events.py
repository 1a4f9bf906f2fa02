"""Matrix products with an input that is mostly zeros, at a cost that falls with its events (numba, CPU).

The input is kept as the list of its non-zero elements, row by row (*events*; a row is one sample at one time step). A
linear layer then needs three products, each of which touches one row of the weights per event: the current
(:func:`weighted_rows`), the message of the weights (the same function on the transposed list), and the message of the
input where it is not zero (:func:`dots`). Weights are stored input-major, ``[inputs, outputs]``.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from lfp_snn.kernels.bits import CACHED, Bits, list_bits
from lfp_snn.kernels.threads import over_batch, parts_of
from lfp_snn.kernels.vectors import (
    BITS,
    VECTOR_BYTES,
    lowest_bit,
    nonzero_bits,
    parts_of_block,
    row_dots,
    row_sum,
)

BLOCK_BYTES = 1 << 20
"""Of the weights that are used at a time: they are to stay in the second-level cache of a core."""


@dataclass(frozen=True)
class Events:
    """The non-zero elements of a matrix ``[rows, columns]``, row by row (compressed sparse rows).

    ``index[start[r]:start[r + 1]]`` are the columns of row ``r`` in ascending order, ``value`` the elements there.
    """

    start: NDArray[np.int64]
    index: NDArray[np.int32]
    value: NDArray[Any]
    columns: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.start) - 1

    @property
    def share(self) -> float:
        """Share of the elements that are not zero."""
        return len(self.index) / (self.rows * self.columns)

    def transposed(self) -> Events:
        """Return the events of the transposed matrix."""
        start, index = np.zeros(self.columns + 1, np.int64), np.empty_like(self.index)
        value = np.empty_like(self.value)
        _transpose(self.start, self.index, self.value, start, index, value)
        return Events(start, index, value, self.rows)


@njit(inline="always")
def list_row(row, index, value, at):
    """Write the events of a row into lists, from place ``at`` on, and return the place after them."""
    whole = len(row) - len(row) % BITS
    for k in range(0, whole, BITS):
        bits = nonzero_bits(row, k)
        while bits != 0:
            n = k + lowest_bit(bits)
            index[at], value[at] = n, row[n]
            at += 1
            bits &= bits - np.uint64(1)
    for n in range(whole, len(row)):
        if row[n] != 0:
            index[at], value[at] = n, row[n]
            at += 1
    return at


@njit(**CACHED)
def _list(words, start, index, first, last):
    for r in range(first, last):
        list_bits(words[r], index, start[r])


@njit(**CACHED)
def _pick(x, start, index, value, first, last):
    for r in range(first, last):
        for k in range(start[r], start[r + 1]):
            value[k] = x[r, index[k]]


@njit(**CACHED)
def _transpose(start, index, value, t_start, t_index, t_value):
    for n in index:
        t_start[n + 1] += 1
    for n in range(len(t_start) - 1):
        t_start[n + 1] += t_start[n]
    at = t_start[:-1].copy()
    for r in range(len(start) - 1):
        for k in range(start[r], start[r + 1]):
            n = index[k]
            t_index[at[n]], t_value[at[n]] = r, value[k]
            at[n] += 1


@njit(inline="always")
def _empty_block(rows, width, like):
    """Return a block whose rows start at cache lines: a vector across two of them costs twice."""
    spare = VECTOR_BYTES // like.itemsize
    space = np.empty(rows * width + spare, like.dtype)
    skipped = -(space.ctypes.data // like.itemsize) % spare
    return space[skipped : skipped + rows * width].reshape(rows, width)


@njit(inline="always")
def _copy_block(matrix, top, first, block):
    """Copy rows and columns of a matrix, from ``top`` and ``first`` on, into a block, and return how many columns."""
    n = min(block.shape[1], matrix.shape[1] - first)
    for i in range(min(len(block), len(matrix) - top)):
        for j in range(n):
            block[i, j] = matrix[top + i, first + j]
        for j in range(n, block.shape[1]):
            block[i, j] = 0
    return n


@njit(inline="always")
def _up_to(index, k, end, row):
    """Return the first of the events from ``k`` to ``end`` that is of this row of the weights or a later one."""
    while k < end and index[k] < row:
        k += 1
    return k


@njit(inline="always")
def add_rows(parts, block, top, index, value, begin, end, origin, before, out, row, j, n, spare, own):
    """Call :func:`row_sum` for ``n`` columns from ``j`` on; fewer than a block go through row ``own`` of ``spare``."""
    if n == block.shape[1]:
        row_sum(parts, block, top, index, value, begin, end, origin, before, out, row, j)
    else:
        for m in range(n):
            spare[own, m] = origin[before, j + m]
        row_sum(parts, block, top, index, value, begin, end, spare, own, spare, own, 0)
        for m in range(n):
            out[row, j + m] = spare[own, m]


@njit(inline="always")
def add_dots(parts, block, top, index, begin, end, message, row, j, n, out, to, spare, own):
    """Call :func:`row_dots` for ``n`` columns from ``j`` on; fewer than a block go through row ``own`` of ``spare``."""
    if n == block.shape[1]:
        row_dots(parts, block, top, index, begin, end, message, row, j, out, to)
    else:
        for m in range(block.shape[1]):
            spare[own, m] = message[row, j + m] if m < n else 0
        row_dots(parts, block, top, index, begin, end, spare, own, 0, out, to)


@njit(inline="always")
def _share(by_columns, first, last, rows, columns, width):
    """Return the rows and columns of a thread's share: blocks of columns ``first`` to ``last``, or these rows."""
    if by_columns:
        return 0, rows, first * width, min(last * width, columns)
    return first, last, 0, columns


@njit(**CACHED)
def _weighted_rows(parts, start, index, value, weight, ready, bias, out, by_columns, begin_at, end_at):
    width, as_it_is = len(parts) * VECTOR_BYTES // weight.itemsize, len(ready) > 0
    first, last, left, right = _share(by_columns, begin_at, end_at, len(start) - 1, weight.shape[1], width)
    rows = min(len(weight), BLOCK_BYTES // (width * weight.itemsize))
    block = ready if as_it_is else _empty_block(rows, width, weight)
    spare = np.zeros((1, width), weight.dtype)
    for j in range(left, right, width):
        at = start[first:last].copy()
        for top in range(0, len(weight), rows):
            n, skipped = (width, 0) if as_it_is else (_copy_block(weight, top, j, block), top)
            for r in range(first, last):
                begin, end = at[r - first], start[r + 1]
                if top + rows < len(weight):
                    at[r - first] = end = _up_to(index, begin, end, top + rows)
                origin, before = (bias, 0) if top == 0 else (out, r)
                add_rows(parts, block, skipped, index, value, begin, end, origin, before, out, r, j, n, spare, 0)


@njit(**CACHED)
def _dots(parts, start, index, weight, message, out, first, last):
    width = len(parts) * VECTOR_BYTES // weight.itemsize
    rows = min(len(weight), BLOCK_BYTES // (width * weight.itemsize))
    block, spare = _empty_block(rows, width, weight), np.empty((1, width), weight.dtype)
    for j in range(0, weight.shape[1], width):
        at = start[first:last].copy()
        for top in range(0, len(weight), rows):
            n = _copy_block(weight, top, j, block)
            for r in range(first, last):
                begin, end = at[r - first], start[r + 1]
                if top + rows < len(weight):
                    at[r - first] = end = _up_to(index, begin, end, top + rows)
                add_dots(parts, block, top, index, begin, end, message, r, j, n, out, r, spare, 0)


def listed(bits: Bits, x: Tensor) -> Events:
    """Return the events of ``x`` ``[rows, columns]``, whose ``bits`` are known.

    Of a binary matrix, only the type is asked, and any tensor of it will do.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn.kernels.bits import find
    >>> x = torch.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 1.0]])
    >>> events = listed(find(x), x)
    >>> events.start.tolist(), events.index.tolist(), events.value.tolist()
    ([0, 1, 3], [1, 0, 2], [1.0, 2.0, 1.0])
    """
    start = np.concatenate([[0], np.cumsum(bits.counts)])
    index = np.empty(start[-1], np.int32)
    over_batch(_list, len(bits.words), bits.words.size * BITS, bits.words, start, index)
    array = x.detach().numpy()
    if bits.binary:
        value = np.ones(start[-1], array.dtype)
    else:
        value = np.empty(start[-1], array.dtype)
        over_batch(_pick, len(array), len(index), array, start, index, value)
    return Events(start, index, value, bits.columns)


def weighted_rows(events: Events, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``X @ weight + bias``, ``[rows, outputs]``; ``X`` has the events, the weight is ``[columns, outputs]``.

    The weight may be a transposed one: it is copied, part by part, in any case.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn.kernels.bits import find
    >>> x, weight = torch.eye(3)[:2], torch.arange(6.0).reshape(3, 2)
    >>> weighted_rows(listed(find(x), x), weight).tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    outputs = weight.shape[1]
    offset = weight.new_zeros(outputs) if bias is None else bias.detach().contiguous()
    out = weight.new_empty(events.rows, outputs)
    parts, matrix = parts_of_block(outputs, weight.element_size()), weight.detach().numpy()
    arrays = events.start, events.index, events.value, matrix, _ready(matrix, parts), offset[None].numpy(), out.numpy()
    # Threads share out blocks of columns where that comes out even, and copy their own; sharing rows, each copies all.
    blocks = -(-outputs * weight.element_size() // (len(parts) * VECTOR_BYTES))
    work = len(events.index) * outputs
    by_columns = blocks % parts_of(events.rows, work) == 0
    over_batch(_weighted_rows, blocks if by_columns else events.rows, work, parts, *arrays, by_columns)
    return out


def _ready(matrix: NDArray[Any], parts: tuple[int, ...]) -> NDArray[Any]:
    """Return the matrix if its rows are those of a block as they are, else an empty one."""
    whole = matrix.flags.c_contiguous and matrix.strides[0] == len(parts) * VECTOR_BYTES
    return matrix if whole and matrix.ctypes.data % VECTOR_BYTES == 0 else np.empty((0, 1), matrix.dtype)


def dots(events: Events, weight: Tensor, message: Tensor) -> Tensor:
    """Return ``message @ weight.T``, ``[rows, columns]``, where there are events, and 0 elsewhere.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn.kernels.bits import find
    >>> x, weight = torch.eye(3)[:2], torch.arange(6.0).reshape(3, 2)
    >>> dots(listed(find(x), x), weight, torch.ones(2, 2)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 5.0, 0.0]]
    """
    out = message.new_zeros(events.rows, events.columns)
    arrays = events.start, events.index, weight.detach().numpy(), message.detach().numpy(), out.numpy()
    parts = parts_of_block(weight.shape[1], weight.element_size())
    over_batch(_dots, events.rows, len(events.index) * weight.shape[1], parts, *arrays)
    return out
