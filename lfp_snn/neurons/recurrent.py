"""The scan of a spiking layer with explicit recurrent weights, and with a synaptic current where there is one.

The current of a step depends on the spikes of the step before, ``x[t] + V s[t-1]``, so steps run one after the other;
the neuron itself still runs in the fused kernels, one step a call. The message travels backwards through the recurrent
weights as through any other: ``g_s[t-1] += V^T g_x[t]``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lfp_snn.kernels import Dynamics, Parameters, Start, select
from lfp_snn.neurons.scan import Backward, adaptation, fit, flat, needed, parameter_messages


class RecurrentScan(torch.autograd.Function):
    """``spikes, v, a, i = apply(x, V, alpha, beta, theta, kappa, rho, start, i, steps, dynamics, backward)``.

    ``x`` is ``[T, B, N]`` or ``[1, B, N]``; ``V`` is ``[N, N]`` (to, from); ``alpha`` is the decay of the synaptic
    current ``i[t] = alpha*i[t-1] + x[t] + V s[t-1]``, or ``None`` where the input is the current.
    """

    @staticmethod
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
        kernels, state = select(x), start
        spikes, membrane = x.new_empty(steps, *x.shape[1:]), x.new_empty(steps, *x.shape[1:])
        currents = None if alpha is None else torch.empty_like(spikes)
        i_t = i
        for t in range(steps):
            current = torch.addmm(x[t if len(x) > 1 else 0], state.s, V.t())
            if alpha is not None and i_t is not None and currents is not None:
                i_t = current = torch.addcmul(current, alpha, i_t, out=currents[t])
            s, v, a = kernels.forward(current[None], p, state, 1, dynamics, True)
            spikes[t], membrane[t] = s[0], v[0]
            state = Start(v[0], s[0], a)
        if any(ctx.needs_input_grad):
            ctx.dynamics, ctx.backward_, ctx.constant = dynamics, backward, len(x) < steps
            kept = currents if ctx.needs_input_grad[2] else None
            ctx.save_for_backward(membrane, spikes, kept, V, alpha, beta, theta, kappa, rho, i, *start)
        ctx.mark_non_differentiable(*(q for q in (state.v, state.a, i_t) if q is not None))
        ctx.set_materialize_grads(False)
        return spikes, state.v, state.a, i_t

    @staticmethod
    def backward(ctx: Any, message: Tensor | None, *_: Any) -> Any:
        """Share the reward out, or back-propagate the gradient, through time and recurrent weights."""
        if message is None:
            return (None,) * 12
        v, s, currents, V, alpha, beta, theta, kappa, rho, i, *state = ctx.saved_tensors
        start, how, features = Start(*state), ctx.backward_, v.shape[2:]
        p = Parameters(*(flat(q, features) for q in (beta, theta, kappa, rho)))  # type: ignore[arg-type]
        a = adaptation(s, p, start)
        answers, densities = torch.empty_like(v), torch.empty_like(message)
        own = answers if alpha is None else torch.empty_like(v)  # the message of the membrane's current
        g_x, carry = None, (torch.zeros_like(v[0]), None if a is None else torch.zeros_like(v[0]))
        for t in range(len(v) - 1, -1, -1):
            g_s = densities[t] = message[t]
            if g_x is not None:
                back = g_x @ V
                g_s = densities[t] = message[t] + (back * s[t] if how.readout else back)
            before = start if t == 0 else Start(v[t - 1], s[t - 1])
            before = Start(before.v, before.s, None if a is None else a[t])
            n, carry = how.scan(g_s[None], v[t : t + 1], p, before, carry, ctx.dynamics, False)
            own[t] = n[0]
            if alpha is not None:
                answers[t] = n[0] if g_x is None else torch.addcmul(n[0], alpha, g_x)
            g_x = answers[t]
        learnt: dict[str, Tensor] = {}
        if any(ctx.needs_input_grad[3:7]):
            learnt = parameter_messages(own, v, s, p, start, ctx.dynamics, how.sharing is not None)
        g_alpha = None
        if currents is not None:
            before_i = torch.cat([i[None], currents[:-1]])
            g_alpha = fit((before_i * answers).sum((0, 1)), alpha, features)
        g_V = torch.einsum("tbi,tbj->ij", answers[1:], s[:-1]).addmm_(answers[0].t(), start.s)
        out = answers.sum(0, keepdim=True) if ctx.constant else answers
        how.after(densities, out, s, v.shape)
        parameters = needed(learnt, (beta, theta, kappa, rho), ctx.needs_input_grad[3:7], features)
        return out, g_V, g_alpha, *parameters, None, None, None, None, None
