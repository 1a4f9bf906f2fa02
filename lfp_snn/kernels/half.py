"""Rounding of membranes to bfloat16, each to the side of its threshold that it was on (numba, CPU, from 32 bits)."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numba import njit
from torch import Tensor

from lfp_snn.kernels.options import OPTIONS
from lfp_snn.kernels.threads import over_batch
from lfp_snn.kernels.vectors import bits_of_float, float_of_bits

_SIGN, _ONE = np.uint32(0x8000), np.uint32(1)


@njit(inline="always")
def _above(r):
    """Return the bits of the next larger bfloat16."""
    return r + _ONE if r < _SIGN else (_ONE if r == _SIGN else r - _ONE)


@njit(inline="always")
def _below(r):
    """Return the bits of the next smaller bfloat16."""
    return r + _ONE if r >= _SIGN else (_SIGN | _ONE if r == np.uint32(0) else r - _ONE)


@lru_cache
def _kernel(scalar: bool):
    @njit(**OPTIONS)
    def kernel(v, spikes, threshold, out, first, last):
        for b in range(first, last):
            for t in range(v.shape[0]):
                x, s, y, theta = v[t, b], spikes[t, b], out[t, b], threshold[t, b]
                th = theta[0]
                for n in range(len(x)):
                    if not scalar:
                        th = theta[n]
                    u = bits_of_float(x[n])
                    r = (u + np.uint32(0x7FFF) + ((u >> np.uint32(16)) & _ONE)) >> np.uint32(16)  # to nearest, even
                    fired, above = s[n] > 0, float_of_bits(r << np.uint32(16)) > th
                    r = _above(r) if fired and not above else r
                    y[n] = _below(r) if above and not fired else r

    return kernel


def round_membrane(v: Tensor, spikes: Tensor, threshold: Tensor) -> Tensor:
    """Return a membrane ``[T, B, N]`` in bfloat16 (see :func:`lfp_snn.neurons.half.round_membrane`).

    Examples
    --------
    >>> v = torch.tensor([[[1.0001, 0.5]]])
    >>> (round_membrane(v, (v > 1).float(), torch.tensor([1.0])) > 1).tolist()
    [[[True, False]]]
    """
    rounded = torch.empty(v.shape, dtype=torch.bfloat16)
    everywhere = threshold.detach().expand(v.shape).numpy()
    arrays = v.detach().contiguous().numpy(), spikes.detach().contiguous().numpy(), everywhere
    over_batch(_kernel(threshold.numel() == 1), v.shape[1], v.numel(), *arrays, rounded.view(torch.uint16).numpy())
    return rounded
