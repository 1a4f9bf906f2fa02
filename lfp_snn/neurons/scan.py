"""One differentiable operation for all steps of a spiking neuron: one forward pass, two backward passes.

The forward pass is the neuron's scan. The backward pass shares reward out by a sharing rule (LFP) or back-propagates a
gradient with a surrogate derivative. Both need the membrane only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lfp_snn.kernels import Dynamics, Parameters, Start, reference, select
from lfp_snn.neurons.backward import Backward
from lfp_snn.neurons.parameters import flat, needed, parameter_messages
from lfp_snn.neurons.reuse import is_spare


def graph_is_kept() -> bool:
    """Whether the backward pass that runs may be run again (``retain_graph=True``)."""
    asked: Any = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return True if asked is None else bool(asked())


def after_last(x: Tensor) -> Tensor:
    """Return the last step of ``[T, ...]`` as a copy: a view of it would keep all steps in memory."""
    return x[-1].detach().clone()


FEW = 1 << 13
"""Neurons times samples up to which a single step costs less as a few calls of torch than by a compiled loop."""


def one_step(
    x: Tensor, parameters: Sequence[Tensor | None], start: Start, dynamics: Dynamics
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return what :class:`Scan` does for ``x`` ``[1, B, ...]`` where nothing is to be answered: a step of a stream."""
    p = Parameters(*(flat(q, x.shape[2:]) for q in parameters))  # type: ignore[arg-type]
    spikes, u, a = reference.forward(x.flatten(2), p, start, 1, dynamics, keep=False)
    return spikes.view(x.shape), u[0], a


class Scan(torch.autograd.Function):
    """``spikes, u, a = Scan.apply(x, beta, theta, kappa, rho, start, steps, dynamics, backward)``.

    ``x`` is ``[T, B, ...]`` or, for a constant current, ``[1, B, ...]``; ``u`` and ``a`` are those after the last step.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        beta: Tensor,
        theta: Tensor,
        kappa: Tensor | None,
        rho: Tensor | None,
        start: Start,
        steps: int,
        dynamics: Dynamics,
        backward: Backward,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Run all steps."""
        features = x.shape[2:]
        flats = [flat(q, features) for q in (beta, theta, kappa, rho)]
        p = Parameters(*flats)  # type: ignore[arg-type]
        keep = any(ctx.needs_input_grad)
        spikes, u, a = select(x).forward(x.flatten(2), p, start, steps, dynamics, keep, is_spare(x))
        out: Tensor = spikes.reshape(steps, *x.shape[1:]).data  # not a view: it may be overwritten (spikes += skip)
        if keep:
            ctx.dynamics, ctx.backward_, ctx.shape, ctx.steps = dynamics, backward, x.shape, steps
            ctx.learns = any(ctx.needs_input_grad[1:5])
            kept = out if ctx.learns or backward.needs_spikes else None
            ctx.dtype = u.dtype
            ctx.save_for_backward(backward.kept(u, spikes, p, start), kept, beta, theta, kappa, rho, *start)
        last = after_last(u)
        ctx.mark_non_differentiable(*(q for q in (last, a) if q is not None))
        ctx.set_materialize_grads(False)
        return out, last, a

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, message: Tensor | None, *_: Any) -> Any:
        """Share the reward out, or back-propagate the gradient."""
        if message is None:
            return (None,) * 9
        u, spikes, beta, theta, kappa, rho, *state = ctx.saved_tensors
        start, features, how = Start(*state), ctx.shape[2:], ctx.backward_
        p = Parameters(*(flat(q, features) for q in (beta, theta, kappa, rho)))  # type: ignore[arg-type]
        u, message = u.to(ctx.dtype), message.to(ctx.dtype).flatten(2)
        flat_spikes = None if spikes is None else spikes.flatten(2)
        none = torch.zeros_like(u[0]), None if start.a is None else torch.zeros_like(u[0])
        static = ctx.shape[0] < ctx.steps and not ctx.learns
        carry, after = how.place.message or (none, None)
        over = flat_spikes is None and (how.half or not graph_is_kept())
        answer, carry = how.scan(message, u, p, start, carry, ctx.dynamics, static, over)
        learnt: dict[str, Tensor] = {}
        if flat_spikes is not None and ctx.learns:
            own = answer, u, flat_spikes, p, start, ctx.dynamics, how.sharing is not None
            learnt, after = parameter_messages(*own, after)
        how.place.leave((carry, after))
        if flat_spikes is not None:
            how.keep(message, answer, u, flat_spikes, p, start, ctx.dynamics)
        if ctx.learns and ctx.shape[0] < ctx.steps:
            answer = answer.sum(0, keepdim=True)
        how.after(answer, flat_spikes, torch.Size((ctx.steps, *ctx.shape[1:])))
        parameters = needed(learnt, (beta, theta, kappa, rho), ctx.needs_input_grad[1:5], features)
        return answer.reshape(ctx.shape), *parameters, None, None, None, None
