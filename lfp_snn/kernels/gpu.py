"""The scans over time fused into one kernel each for a GPU (Triton), of any float type.

Signatures and numbers are those of :mod:`lfp_snn.kernels.reference`. Tensors of 16 bits are calculated in 32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from lfp_snn.kernels import triton_scans as scans
from lfp_snn.kernels.dynamics import Dynamics, Parameters, Start
from lfp_snn.kernels.formula import compiled

EXACT = {"enable_fp_fusion": False}
"""A product and a sum are rounded each, as in torch: spikes are those of the reference kernel."""


def _launch(kernel: Any, rows: int, *arguments: Any, **options: Any) -> None:
    def grid(chosen: dict[str, Any]) -> tuple[int]:
        return (triton.cdiv(rows, chosen["BLOCK"]),)

    with torch.cuda.device_of(arguments[0]):  # type: ignore[no-untyped-call]
        kernel[grid](*arguments, **options, **EXACT)


def _form(dynamics: Dynamics, like: Tensor) -> dict[str, Any]:
    flags = {"TO_ZERO": dynamics.reset == "zero", "DELAYED": dynamics.delayed, "ADAPTIVE": dynamics.adaptive}
    return {**flags, "WIDE": _wide(like)}


def _wide(like: Tensor) -> Any:
    return tl.float64 if like.dtype == torch.float64 else tl.float32


def _parameters(p: Parameters) -> tuple[int, list[Tensor]]:
    """Return 1 where there is an entry a neuron, else 0, and the four tensors (the decay where there is none)."""
    given = [p.beta, p.theta, p.beta if p.kappa is None else p.kappa, p.beta if p.rho is None else p.rho]
    each = max(x.numel() for x in given)
    return int(each > 1), [x.expand(each).contiguous() for x in given]


def _contiguous(*tensors: Tensor) -> list[Tensor]:
    return [x.detach().contiguous() for x in tensors]


def forward(
    current: Tensor, p: Parameters, start: Start, steps: int, dynamics: Dynamics, keep: bool, over: bool = False
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Run the neuron for all steps (see :func:`lfp_snn.kernels.reference.forward`)."""
    _, batch, features = current.shape
    rows, (each, parameters) = batch * features, _parameters(p)
    spikes, u = current.new_empty(steps, batch, features), current.new_empty(steps if keep else 1, batch, features)
    a = None if start.a is None else torch.empty_like(start.a, memory_format=torch.contiguous_format)
    given = _contiguous(current), _contiguous(start.u, start.s, start.u if start.a is None else start.a)
    sizes = rows, features, steps, rows if len(current) > 1 else 0, each
    form = {**_form(dynamics, current), "SUBTRACT": dynamics.reset == "subtract", "KEEP": keep}
    outputs = spikes, u, u if a is None else a
    _launch(scans.forward, rows, *given[0], *parameters, *given[1], *outputs, *sizes, **form)
    return spikes, u, a


def backward_lfp(
    message: Tensor,
    u: Tensor,
    p: Parameters,
    start: Start,
    carry: tuple[Tensor, Tensor | None],
    dynamics: Dynamics,
    denominator: Callable[..., Any],
    epsilon: float,
    readout: bool,
    static: bool,
    over: bool = False,
) -> tuple[Tensor, tuple[Tensor, Tensor | None]]:
    """Share reward out over the currents (see :func:`lfp_snn.kernels.reference.backward_lfp`)."""
    steps, batch, features = u.shape
    rows, (each, parameters) = batch * features, _parameters(p)
    density, past = u.new_empty(1 if static else steps, batch, features), _past(u, dynamics)
    q, g_a = torch.empty_like(carry[0]), None if carry[1] is None else torch.empty_like(carry[1])
    states = start.u, start.s, _or(start.a, start.u), carry[0], _or(carry[1], carry[0])
    given = _contiguous(message, u), _contiguous(*states)
    rule = {"DENOMINATOR": compiled(denominator), "EPSILON": float(epsilon), "READOUT": readout, "STATIC": static}
    form = {**_form(dynamics, u), "SUBTRACT": dynamics.reset == "subtract", **rule}
    outputs, sizes = (past, density, q, _or(g_a, q)), (rows, features, steps, (steps - 1) * rows, each)
    _launch(scans.backward_lfp, rows, *given[0], *parameters, *given[1], *outputs, *sizes, **form)
    return density, (q, g_a)


def backward_surrogate(
    message: Tensor,
    u: Tensor,
    p: Parameters,
    start: Start,
    carry: tuple[Tensor, Tensor | None],
    dynamics: Dynamics,
    derivative: Callable[..., Any],
    slope: float,
    attach_reset: bool,
    static: bool,
    over: bool = False,
) -> tuple[Tensor, tuple[Tensor, Tensor | None]]:
    """Back-propagate through time (see :func:`lfp_snn.kernels.reference.backward_surrogate`)."""
    steps, batch, features = u.shape
    rows, (each, parameters) = batch * features, _parameters(p)
    gradient, past = u.new_empty(1 if static else steps, batch, features), _past(u, dynamics)
    g_u, g_a = torch.empty_like(carry[0]), None if carry[1] is None else torch.empty_like(carry[1])
    given = _contiguous(message, u), _contiguous(_or(start.a, start.u), carry[0], _or(carry[1], carry[0]))
    attach = attach_reset and dynamics.reset != "none"
    how = {"DERIVATIVE": compiled(derivative), "SLOPE": float(slope), "ATTACH": attach, "STATIC": static}
    outputs, sizes = (past, gradient, g_u, _or(g_a, g_u)), (rows, features, steps, (steps - 1) * rows, each)
    form = {**_form(dynamics, u), **how}
    _launch(scans.backward_surrogate, rows, *given[0], *parameters, *given[1], *outputs, *sizes, **form)
    return gradient, (g_u, g_a)


def filter_forward(x: Tensor, decay: Tensor, start: Tensor, steps: int) -> Tensor:
    """Leaky integration over all steps (see :func:`lfp_snn.kernels.reference.filter_forward`)."""
    _, batch, features = x.shape
    rows, y = batch * features, x.new_empty(steps, batch, features)
    given, sizes = _contiguous(x, decay, start), (rows, features, steps, 0, rows if len(x) > 1 else 0, rows)
    _filter(rows, *given, y, torch.empty_like(given[2]), *sizes, SUM=False)
    return y


def filter_backward(g: Tensor, decay: Tensor, static: bool, carry: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Transpose of the leaky integration (see :func:`lfp_snn.kernels.reference.filter_backward`)."""
    steps, batch, features = g.shape
    rows, g_x = batch * features, g.new_empty(1 if static else steps, batch, features)
    given = _contiguous(g, decay, torch.zeros_like(g[0]) if carry is None else carry)
    first, sizes = torch.empty_like(given[2]), (rows, features, steps, (steps - 1) * rows, -rows, -rows)
    _filter(rows, *given, g_x, first, *sizes, SUM=static)
    return g_x, first


def _filter(rows: int, x: Tensor, decay: Tensor, *others: Any, SUM: bool) -> None:
    _launch(scans.filter_scan, rows, x, decay, *others, int(decay.numel() > 1), SUM=SUM, WIDE=_wide(x))


def _past(u: Tensor, dynamics: Dynamics) -> Tensor:
    """Return room for the adaptation of every step."""
    return torch.empty_like(u, dtype=torch.promote_types(u.dtype, torch.float32)) if dynamics.adaptive else u


def _or(x: Tensor | None, stand_in: Tensor) -> Tensor:
    return stand_in if x is None else x
