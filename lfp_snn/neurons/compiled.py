"""The scans of the neurons as operators of torch, for ``torch.compile``: no graph breaks, whatever the backend.

The compiler sees one opaque operator for all steps. Its backward pass runs the scan again, so a compiled network keeps
no membrane in between. It serves the surrogate gradient: under LFP a compiled network runs eagerly
(:meth:`lfp_snn.LFP.attach`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lfp_snn.kernels import Dynamics, Start
from lfp_snn.neurons.backward import Backward
from lfp_snn.neurons.leaky_integral import LeakyIntegral
from lfp_snn.neurons.recurrent import RecurrentScan
from lfp_snn.neurons.scan import Scan
from lfp_snn.neurons.surrogate import KNOWN, Surrogate

_Four = tuple[Tensor, Tensor, Tensor, Tensor]


def _run(
    tensors: Sequence[Tensor | None], steps: int, reset: str, delayed: bool, number: int, slope: float, attach: bool
) -> _Four:
    x, V, alpha, beta, theta, kappa, rho, u, s, a, i = tensors
    surrogate = KNOWN[number](slope, attach)
    own, rest = (beta, theta, kappa, rho), (Dynamics(reset, delayed, kappa is not None), Backward(None, surrogate))  # type: ignore[arg-type]
    start = Start(u, s, a)  # type: ignore[arg-type]
    if V is None:
        outputs = *Scan.apply(x, *own, start, steps, *rest), None
    else:
        outputs = RecurrentScan.apply(x, V, alpha, *own, start, i, steps, *rest)
    return tuple(beta.new_empty(0) if y is None else y for y in outputs)  # type: ignore[union-attr, return-value]


@torch.library.custom_op("lfp_snn::scan", mutates_args=())
def _scan(
    x: Tensor,
    V: Tensor | None,
    alpha: Tensor | None,
    beta: Tensor,
    theta: Tensor,
    kappa: Tensor | None,
    rho: Tensor | None,
    u: Tensor,
    s: Tensor,
    a: Tensor | None,
    i: Tensor | None,
    steps: int,
    reset: str,
    delayed: bool,
    number: int,
    slope: float,
    attach: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    with torch.no_grad():
        return _run((x, V, alpha, beta, theta, kappa, rho, u, s, a, i), steps, reset, delayed, number, slope, attach)


@_scan.register_fake
def _(x: Tensor, *rest: Any) -> _Four:
    u, _, a, i, steps = rest[6:11]
    return x.new_empty(steps, *x.shape[1:]), *(x.new_empty(0) if q is None else torch.empty_like(q) for q in (u, a, i))  # type: ignore[return-value]


@torch.library.custom_op("lfp_snn::scan_backward", mutates_args=())
def _scan_backward(
    message: Tensor,
    x: Tensor,
    V: Tensor | None,
    alpha: Tensor | None,
    beta: Tensor,
    theta: Tensor,
    kappa: Tensor | None,
    rho: Tensor | None,
    u: Tensor,
    s: Tensor,
    a: Tensor | None,
    i: Tensor | None,
    steps: int,
    reset: str,
    delayed: bool,
    number: int,
    slope: float,
    attach: bool,
    needed: Sequence[int],
) -> list[Tensor]:
    tensors = [x, V, alpha, beta, theta, kappa, rho, u, s, a, i]
    with torch.enable_grad():
        leaves = []
        for k in needed:
            leaves.append(tensors[k].detach().requires_grad_())  # type: ignore[union-attr]
            tensors[k] = leaves[-1]
        spikes = _run(tensors, steps, reset, delayed, number, slope, attach)[0]
        return [g.contiguous() for g in torch.autograd.grad(spikes, leaves, message)]


@_scan_backward.register_fake
def _(message: Tensor, *args: Any) -> list[Tensor]:
    return [args[k].new_empty(args[k].shape) for k in args[-1]]


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:11])
    ctx.how = inputs[11:]
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, message: Tensor | None, *_: Any) -> Any:
    answers: list[Tensor | None] = [None] * 17
    if message is not None:
        needed = [k for k in range(7) if ctx.needs_input_grad[k]]
        for k, answer in zip(needed, _scan_backward(message, *ctx.saved_tensors, *ctx.how, needed), strict=True):
            answers[k] = answer
    return tuple(answers)


_scan.register_autograd(_backward, setup_context=_setup)


def scan(
    tensors: Sequence[Tensor | None], steps: int, dynamics: Dynamics, surrogate: Surrogate
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Run all steps as one operator.

    ``tensors`` are ``x, V, alpha, beta, theta, kappa, rho`` of :class:`RecurrentScan` (``V`` is ``None`` for neurons
    without recurrent weights), then the state ``u, s, a, i`` to start from. Returns spikes and the state at the end.
    """
    how = dynamics.reset, dynamics.delayed, surrogate.number, surrogate.slope, surrogate.attach_reset
    spikes, u, a, i = _scan(*tensors, steps, *how)
    return spikes, u.detach(), None if tensors[9] is None else a.detach(), None if tensors[10] is None else i.detach()


@torch.library.custom_op("lfp_snn::leaky_integral", mutates_args=())
def _integral(x: Tensor, decay: Tensor, start: Tensor, steps: int) -> Tensor:
    with torch.no_grad():
        return LeakyIntegral.apply(x, decay, start, steps)  # type: ignore[no-any-return]


@_integral.register_fake
def _(x: Tensor, decay: Tensor, start: Tensor, steps: int) -> Tensor:
    return x.new_empty(steps, *x.shape[1:])


@torch.library.custom_op("lfp_snn::leaky_integral_backward", mutates_args=())
def _leaky_integral_backward(g: Tensor, x: Tensor, decay: Tensor, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        x, decay = x.detach().requires_grad_(), decay.detach().requires_grad_()
        g_x, g_decay = torch.autograd.grad(LeakyIntegral.apply(x, decay, start, steps), (x, decay), g)
        return g_x.contiguous(), g_decay


@_leaky_integral_backward.register_fake
def _(g: Tensor, x: Tensor, decay: Tensor, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), torch.empty_like(decay)


def _setup_integral(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.steps = inputs[3]


def _backward_integral(ctx: Any, g: Tensor) -> Any:
    return *_leaky_integral_backward(g, *ctx.saved_tensors, ctx.steps), None, None


_integral.register_autograd(_backward_integral, setup_context=_setup_integral)


def leaky_integral(x: Tensor, decay: Tensor, start: Tensor, steps: int) -> Tensor:
    """Return the leaky integral over all steps, as one operator where torch compiles (see :class:`LeakyIntegral`)."""
    apply = _integral if torch.compiler.is_compiling() else LeakyIntegral.apply
    return apply(x, decay.to(x.dtype), start, steps)  # type: ignore[no-any-return]
