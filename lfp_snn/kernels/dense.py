"""Dense matrix products by oneDNN, where torch would leave half of the processor idle.

On x86, torch's products of 32-bit matrices are those of Intel's MKL, which runs other makers' processors on code for
AVX2. oneDNN, which comes with torch too (its convolutions are that), uses the vectors there are: an AMD processor with
AVX-512 does twice as many products a second. Products that are small, of other types, or on Intel stay torch's own.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

LEAST_WORK = 2**21
"""Multiplications below which the call of oneDNN costs more than it saves."""

_CPU = Path("/proc/cpuinfo")


@cache
def _held_back() -> bool:
    """Whether torch's products are those of MKL on a processor with AVX-512 that is not Intel's."""
    if not torch._C.has_mkl or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    offered = hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return offered and _CPU.exists() and "GenuineIntel" not in _CPU.read_text()


def faster(work: int, *matrices: Tensor) -> bool:
    """Whether oneDNN should do a product of so many multiplications.

    Examples
    --------
    >>> faster(1000, torch.zeros(10, 10), torch.zeros(10, 10))
    False
    """
    suited = all(x.dtype == torch.float32 and x.device.type == "cpu" for x in matrices)
    allowed = bool(torch.backends.mkldnn.enabled)
    return work >= LEAST_WORK and suited and allowed and _held_back()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias`` of ``[rows, inputs]`` and ``[outputs, inputs]``.

    Examples
    --------
    >>> linear(torch.eye(2, 3), torch.arange(6.0).reshape(2, 3)).tolist()
    [[0.0, 3.0], [1.0, 4.0]]
    """
    if not faster(x.numel() * len(weight), x, weight) or (bias is not None and bias.shape != weight.shape[:1]):
        return torch.nn.functional.linear(x, weight, bias)
    bias = None if bias is None else bias.contiguous()  # it reads the memory as it lies
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # type: ignore[no-any-return]


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Return ``a @ b`` of two matrices.

    Examples
    --------
    >>> matmul(torch.eye(2), torch.tensor([[1.0], [2.0]])).tolist()
    [[1.0], [2.0]]
    """
    return linear(a, b.t())
