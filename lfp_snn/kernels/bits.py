"""Which elements of a matrix are not zero, a bit each (numba, CPU).

Spikes are kept like this until the backward pass: a 32nd of the memory of 32-bit numbers. The bits also tell how many
events there are before they are listed (:mod:`lfp_snn.kernels.events`).
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from lfp_snn.kernels.options import SUMS
from lfp_snn.kernels.threads import over_batch
from lfp_snn.kernels.vectors import BITS, lowest_bit, nonzero_bits, number_of_bits, one_bits, spread_bits

CACHED = {**SUMS, "cache": True}


@dataclass(frozen=True)
class Bits:
    """The non-zero elements of a matrix ``[rows, columns]``.

    ``words`` is ``[rows, words]``; the lowest bit of a row's first word is its first column. ``counts`` ``[rows]`` are
    the bits that are set, and ``binary`` says whether all elements are 0 or 1.
    """

    words: NDArray[np.uint64]
    counts: NDArray[np.int64]
    columns: int
    binary: bool

    @property
    def total(self) -> int:
        """How many elements are not zero."""
        return int(self.counts.sum())

    def rows(self, first: int, end: int) -> Bits:
        """Return the bits of some rows."""
        return Bits(self.words[first:end], self.counts[first:end], self.columns, self.binary)

    def spread(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the matrix of zeros and ones."""
        x = torch.empty(len(self.words), self.columns, dtype=dtype)
        over_batch(_spread, len(x), x.numel(), self.words, x.numpy())
        return x


@njit(**CACHED)
def _find(x, words, counts, others, first, last):
    whole = x.shape[1] - x.shape[1] % BITS
    for r in range(first, last):
        row, n, other = x[r], 0, np.uint64(0)
        for k in range(0, whole, BITS):
            bits = nonzero_bits(row, k)
            words[r, k // BITS] = bits
            n += number_of_bits(bits)
            other |= bits ^ one_bits(row, k)
        if whole < len(row):
            bits = np.uint64(0)
            for k in range(whole, len(row)):
                if row[k] != 0:
                    bits |= np.uint64(1) << np.uint64(k - whole)
                    other |= np.uint64(row[k] != 1)
            words[r, whole // BITS] = bits
            n += number_of_bits(bits)
        counts[r], others[r] = n, other != 0


@njit(**CACHED)
def _spread(words, x, first, last):
    whole = x.shape[1] - x.shape[1] % BITS
    for r in range(first, last):
        for k in range(0, whole, BITS):
            spread_bits(words[r, k // BITS], x[r], k)
        for k in range(whole, x.shape[1]):
            x[r, k] = (words[r, whole // BITS] >> np.uint64(k - whole)) & np.uint64(1)


@njit(inline="always")
def list_bits(words, index, at):
    """Write the columns of a row's bits into a list, from place ``at`` on, and return the place after them."""
    for k in range(len(words)):
        bits = words[k]
        while bits != 0:
            index[at] = k * BITS + lowest_bit(bits)
            at += 1
            bits &= bits - np.uint64(1)
    return at


def find(x: Tensor) -> Bits:
    """Return which elements of ``x`` ``[rows, columns]`` are not zero.

    Examples
    --------
    >>> found = find(torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]))
    >>> found.counts.tolist(), found.binary
    ([2, 1], True)
    >>> found.spread().tolist()
    [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    """
    rows, columns = x.shape
    words, counts = np.empty((rows, -(-columns // BITS)), np.uint64), np.empty(rows, np.int64)
    others = np.empty(rows, np.bool_)
    over_batch(_find, rows, x.numel(), x.detach().contiguous().numpy(), words, counts, others)
    return Bits(words, counts, columns, not others.any())
