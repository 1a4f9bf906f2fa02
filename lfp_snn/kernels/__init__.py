"""The scans over time behind one small interface, and the choice among their implementations; event-driven products.

``reference`` is plain torch on any device and serves as the oracle, ``cpu`` is fused and compiled (numba), and so is
``gpu`` (Triton, which comes with torch for CUDA; imported when it is needed). Each offers the same five functions:
``forward``, ``backward_lfp``, ``backward_surrogate``, ``filter_forward``, ``filter_backward``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor

from lfp_snn.kernels import cpu, cpu_recurrent, half, reference
from lfp_snn.kernels.dynamics import Dynamics, Parameters, Reset, Start

__all__ = ["Dynamics", "Parameters", "Reset", "Start", "cpu", "cpu_recurrent", "half", "reference", "select", "use"]

_forced: ContextVar[ModuleType | None] = ContextVar("lfp_snn_kernels", default=None)


def select(x: Tensor) -> ModuleType:
    """Return the fastest kernels for tensor ``x``, or those that :func:`use` forces.

    Examples
    --------
    >>> select(torch.zeros(1)).__name__
    'lfp_snn.kernels.cpu'
    """
    forced = _forced.get()
    if forced is not None:
        return forced
    if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
        return cpu
    return _fused_on_gpu() if x.is_cuda else reference


@cache
def _fused_on_gpu() -> ModuleType:
    """Return the kernels of Triton, or the reference where there is no Triton."""
    return importlib.import_module("lfp_snn.kernels.gpu") if find_spec("triton") is not None else reference


@contextmanager
def use(kernels: ModuleType) -> Iterator[None]:
    """Force an implementation, for tests and measurements.

    Examples
    --------
    >>> with use(reference):
    ...     select(torch.zeros(1)).__name__
    'lfp_snn.kernels.reference'
    """
    token = _forced.set(kernels)
    try:
        yield
    finally:
        _forced.reset(token)
