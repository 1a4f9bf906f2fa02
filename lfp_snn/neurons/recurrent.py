"""The scan of a spiking layer with explicit recurrent weights, and with a synaptic current where there is one.

The current of a step depends on the spikes of the step before, ``x[t] + V s[t-1]``, so steps run one after the other:
in one compiled loop on the CPU, else (and for a surrogate gradient's way back, which is dense) a call for each step.
The message travels backwards through the recurrent weights as through any other: ``g_s[t-1] += V^T g_x[t]``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lfp_snn.kernels import Dynamics, Parameters, Start, cpu, cpu_recurrent, select
from lfp_snn.kernels.bits import find
from lfp_snn.neurons.backward import Backward
from lfp_snn.neurons.parameters import adaptation, fit, flat, needed, parameter_messages
from lfp_snn.neurons.reuse import is_spare
from lfp_snn.neurons.scan import after_last, graph_is_kept
from lfp_snn.synapses import outer, way

MOST_NEURONS = 512
"""Size of a layer above which steps run one by one, as dense products of the whole batch."""


def _unrounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run without autocast: a membrane accumulates over time, and so does what is rounded."""

    @wraps(function)
    def run(ctx: Any, x: Tensor | None, *rest: Any) -> Any:
        kind = "cpu" if x is None else x.device.type
        if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
            return function(ctx, x, *rest)
        with torch.autocast(kind, enabled=False):
            return function(ctx, x, *rest)

    return run


class RecurrentScan(torch.autograd.Function):
    """``spikes, u, a, i = apply(x, V, alpha, beta, theta, kappa, rho, start, i, steps, dynamics, backward)``.

    ``x`` is ``[T, B, N]`` or ``[1, B, N]``; ``V`` is ``[N, N]`` (to, from); ``alpha`` is the decay of the synaptic
    current ``i[t] = alpha*i[t-1] + x[t] + V s[t-1]``, or ``None`` where the input is the current.
    """

    @staticmethod
    @_unrounded
    def forward(
        ctx: Any,
        x: Tensor,
        V: Tensor,
        alpha: Tensor | None,
        beta: Tensor,
        theta: Tensor,
        kappa: Tensor | None,
        rho: Tensor | None,
        start: Start,
        i: Tensor | None,
        steps: int,
        dynamics: Dynamics,
        backward: Backward,
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Run all steps."""
        features = x.shape[2:]
        p = Parameters(*(flat(q, features) for q in (beta, theta, kappa, rho)))  # type: ignore[arg-type]
        given = x, V, alpha, i, p, start, steps, dynamics
        spikes, membrane, currents, a = cpu_recurrent.forward(*given, is_spare(x)) if _fused(x) else _forward(*given)
        if any(ctx.needs_input_grad):
            ctx.dynamics, ctx.backward_, ctx.constant = dynamics, backward, len(x) < steps
            kept = currents if ctx.needs_input_grad[2] else None
            ctx.bits = find(spikes.flatten(0, 1)) if select(spikes) is cpu else None
            own, dense = backward.kept(membrane, spikes, p, start), None if ctx.bits else spikes
            ctx.save_for_backward(own, dense, kept, V, alpha, beta, theta, kappa, rho, i, *start)
        last = after_last(membrane), a, None if currents is None else after_last(currents)
        ctx.mark_non_differentiable(*(q for q in last if q is not None))
        ctx.set_materialize_grads(False)
        return spikes, *last

    @staticmethod
    @once_differentiable
    @_unrounded
    def backward(ctx: Any, message: Tensor | None, *_: Any) -> Any:  # type: ignore[override]
        """Share the reward out, or back-propagate the gradient, through time and recurrent weights."""
        if message is None:
            return (None,) * 12
        u, s, currents, V, alpha, beta, theta, kappa, rho, i, *state = ctx.saved_tensors
        start, how, features = Start(*state), ctx.backward_, u.shape[2:]
        u = u.to(message.dtype)
        p = Parameters(*(flat(q, features) for q in (beta, theta, kappa, rho)))  # type: ignore[arg-type]
        none = torch.zeros_like(u[0]), None if start.a is None else torch.zeros_like(u[0]), torch.zeros_like(u[0])
        carry, after = how.place.message or (none, None)
        fused, learns = how.sharing is not None and ctx.bits and _fused(u), any(ctx.needs_input_grad[3:7])
        if s is None and (not fused or learns or how.needs_spikes):
            s = ctx.bits.spread(u.dtype).view(u.shape)
        if fused:
            rule = how.sharing
            settings = rule.denominator, rule.epsilon, how.readout, how.record is not None
            over = not learns and how.record is None and (how.half or not graph_is_kept())
            given = message, V, alpha, ctx.bits, u, start.a, p, start, carry, ctx.dynamics
            back = cpu_recurrent.backward_lfp(*given, *settings, over)
        else:
            back = _backward(message, V, alpha, s, u, adaptation(s, p, start), p, start, carry, ctx.dynamics, how)
        own, answers, densities, carry = back
        learnt: dict[str, Tensor] = {}
        if learns:
            learnt, after = parameter_messages(own, u, s, p, start, ctx.dynamics, how.sharing is not None, after)
        how.place.leave(((*carry[:2], carry[2].clone()), after))  # the answer itself is added to below
        g_alpha = None
        if currents is not None:
            before_i = torch.cat([i[None], currents[:-1]])
            g_alpha = fit((before_i * answers).sum((0, 1)), alpha, features)
        later = answers[1:].flatten(0, 1)
        before = s[:-1].flatten(0, 1) if ctx.bits is None else ctx.bits.rows(0, len(later))
        g_V = outer(before, later).addmm(answers[0].t(), start.s)
        out = answers.sum(0, keepdim=True) if ctx.constant else answers
        how.keep(densities, own, u, s, p, start, ctx.dynamics)
        how.after(out, s, u.shape)
        parameters = needed(learnt, (beta, theta, kappa, rho), ctx.needs_input_grad[3:7], features)
        return out, g_V, g_alpha, *parameters, None, None, None, None, None


def _fused(x: Tensor) -> bool:
    """Whether all steps run in one compiled loop: not where the weights are too many for a core's cache."""
    return select(x) is cpu and way() != "dense" and (x.shape[-1] <= MOST_NEURONS or way() == "events")


def _forward(
    x: Tensor,
    V: Tensor,
    alpha: Tensor | None,
    i: Tensor | None,
    p: Parameters,
    start: Start,
    steps: int,
    form: Dynamics,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Run step by step; see :func:`lfp_snn.kernels.cpu_recurrent.forward`."""
    kernels, state, i_t = select(x), start, i
    spikes, u = x.new_empty(steps, *x.shape[1:]), x.new_empty(steps, *x.shape[1:])
    currents = None if alpha is None else torch.empty_like(spikes)
    for t in range(steps):
        current = torch.addmm(x[t if len(x) > 1 else 0], state.s, V.t())
        if alpha is not None and i_t is not None and currents is not None:
            i_t = current = torch.addcmul(current, alpha, i_t, out=currents[t])
        s, u_t, a = kernels.forward(current[None], p, state, 1, form, True)
        spikes[t], u[t] = s[0], u_t[0]
        state = Start(u_t[0], s[0], a)
    return spikes, u, currents, state.a


def _backward(
    message: Tensor,
    V: Tensor,
    alpha: Tensor | None,
    spikes: Tensor,
    u: Tensor,
    a: Tensor | None,
    p: Parameters,
    start: Start,
    carry: tuple[Tensor, Tensor | None, Tensor],
    form: Dynamics,
    how: Backward,
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor | None, Tensor]]:
    """Answer step by step; see :func:`lfp_snn.kernels.cpu_recurrent.backward_lfp`."""
    answers, densities = torch.empty_like(u), torch.empty_like(message)
    own = answers if alpha is None else torch.empty_like(u)  # the message of the membrane's current
    membrane, adapting, g_x = carry
    for t in range(len(u) - 1, -1, -1):
        back = g_x @ V
        g_s = densities[t] = message[t] + (back * spikes[t] if how.readout else back)
        before = start if t == 0 else Start(u[t - 1], spikes[t - 1])
        before = Start(before.u, before.s, None if a is None else a[t])
        n, (membrane, adapting) = how.scan(g_s[None], u[t : t + 1], p, before, (membrane, adapting), form, False)
        own[t] = n[0]
        if alpha is not None:
            answers[t] = torch.addcmul(n[0], alpha, g_x)
        g_x = answers[t]
    return own, answers, densities, (membrane, adapting, g_x)
