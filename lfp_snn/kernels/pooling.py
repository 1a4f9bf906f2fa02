"""Max pooling in windows that do not overlap (numba, CPU).

torch's own kernel works through the elements one by one and takes a fifth of the step of a spiking CNN; compiled for
one size of window, the comparison runs on the vector units. The element that wins, and that the message goes to, is
the first of the largest, as in torch.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from functools import lru_cache

import torch
from numba import njit
from torch import Tensor

from lfp_snn.kernels.options import OPTIONS
from lfp_snn.kernels.threads import over_batch

LARGEST = 256
"""Elements of a window: which of them won is kept in a byte."""


@lru_cache
def _forward(rows: int, columns: int):
    @njit(**OPTIONS)
    def kernel(x, out, winner, first, last):
        for r in range(first, last):
            for i in range(out.shape[1]):
                y, w, top = out[r, i], winner[r, i], x[r, i * rows]
                for j in range(len(y)):
                    best, at = top[j * columns], 0
                    for a in range(rows):
                        for b in range(columns):
                            v = x[r, i * rows + a, j * columns + b]
                            larger = v > best or v != v  # NaN is passed on
                            best = v if larger else best
                            at = a * columns + b if larger else at
                    y[j], w[j] = best, at

    return kernel


@lru_cache
def _backward(rows: int, columns: int):
    @njit(**OPTIONS)
    def kernel(message, winner, out, first, last):
        for r in range(first, last):
            for i in range(message.shape[1]):
                for a in range(rows):
                    y, g, w = out[r, i * rows + a], message[r, i], winner[r, i]
                    for j in range(len(g)):
                        for b in range(columns):
                            y[j * columns + b] = g[j] if w[j] == a * columns + b else g[j] * 0

    return kernel


def forward(x: Tensor, window: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the maxima ``[N, H // rows, W // columns]`` of ``x`` ``[N, H, W]``, and which element won in each window.

    Examples
    --------
    >>> [y.tolist() for y in forward(torch.tensor([[[0.0, 1.0, 5.0], [1.0, 0.0, 5.0]]]), (2, 2))]
    [[[[1.0]]], [[[1]]]]
    """
    shape = (len(x), x.shape[1] // window[0], x.shape[2] // window[1])
    out, winner = x.new_empty(shape), torch.empty(shape, dtype=torch.uint8)
    arrays = x.detach().contiguous().numpy(), out.numpy(), winner.numpy()
    over_batch(_forward(*window), len(x), x.numel(), *arrays)
    return out, winner


def backward(message: Tensor, winner: Tensor, size: tuple[int, int], window: tuple[int, int]) -> Tensor:
    """Return the message ``[N, H, W]``, ``size = (H, W)``: each maximum's goes to the element that won.

    Examples
    --------
    >>> backward(torch.ones(1, 1, 1), torch.ones(1, 1, 1, dtype=torch.uint8), (2, 3), (2, 2)).tolist()
    [[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]
    """
    covered = size == (message.shape[1] * window[0], message.shape[2] * window[1])
    out = (message.new_empty if covered else message.new_zeros)(len(message), *size)
    arrays = message.detach().contiguous().numpy(), winner.numpy(), out.numpy()
    over_batch(_backward(*window), len(message), out.numel(), *arrays)
    return out
