"""The parameters of a neuron itself: their messages, and the state (adaptation, threshold) that they make."""

from __future__ import annotations

import torch
from torch import Tensor

from lfp_snn.kernels import Dynamics, Parameters, Start, select


def adaptation(spikes: Tensor, p: Parameters, start: Start) -> Tensor | None:
    """Return the adaptation ``a[t]`` that each step's threshold used, ``[T, B, N]``, or ``None`` without adaptation."""
    if start.a is None or p.rho is None:
        return None
    spikes_before = torch.cat([start.a[None] - p.rho * start.a, spikes[:-1]])
    history: Tensor = select(spikes).filter_forward(spikes_before, p.rho, start.a, len(spikes))
    return history


def threshold_of(spikes: Tensor, p: Parameters, start: Start) -> Tensor:
    """Return the threshold of each step, with adaptation ``[T, B, N]``, else ``[N]`` or ``[1]``."""
    a = adaptation(spikes, p, start)
    return p.theta if a is None or p.kappa is None else p.theta + p.kappa * a


def carried_membrane(u: Tensor, spikes: Tensor, p: Parameters, start: Start, dynamics: Dynamics) -> Tensor:
    """Return the membrane that decays into each step, ``[T, B, N]``."""
    s_prev, u_prev = torch.cat([start.s[None], spikes[:-1]]), torch.cat([start.u[None], u[:-1]])
    if dynamics.reset == "zero":
        return u_prev * (1 - s_prev)
    return u_prev if dynamics.reset == "none" or dynamics.delayed else u_prev - s_prev * p.theta


def parameter_messages(
    answer: Tensor,
    u: Tensor,
    spikes: Tensor,
    p: Parameters,
    start: Start,
    dynamics: Dynamics,
    lfp: bool,
    after: tuple[Tensor, Tensor | None] | None = None,
) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor | None]]:
    """Return the messages of the neuron's own parameters (before any scaling), each ``[N]``.

    ``after`` is what the step after the last answers, and the message of its adaptation; those of the first step are
    the second value.

    Every parameter is a weight of the state update: decay times membrane, minus threshold times reset, and so on. The
    threshold (base and adapting) is also what the membrane is compared with: a term ``-theta`` of the decision.
    """
    s_prev, a = torch.cat([start.s[None], spikes[:-1]]), adaptation(spikes, p, start)
    carried = carried_membrane(u, spikes, p, start, dynamics)
    through = p.beta * (1 - spikes) if dynamics.reset == "zero" else p.beta
    # The message of the decision "membrane against threshold": for a gradient, without what came through the membrane.
    next_answer, next_a = (torch.zeros_like(answer[0]), None) if after is None else after
    later = torch.cat([answer[1:], next_answer[None]])
    decision = answer if lfp else answer - through * later
    theta = -decision
    if dynamics.reset == "subtract":
        theta = theta - s_prev * answer * (1 if dynamics.delayed else p.beta)
    messages = {"beta": (carried * answer).sum((0, 1)), "theta": theta.sum((0, 1))}
    first = None
    if a is not None and p.kappa is not None and p.rho is not None:
        g_a, first = select(u).filter_backward(-p.kappa * decision, p.rho, False, next_a)
        messages["kappa"] = (-a * decision).sum((0, 1))
        # The adaptation before a step decays into it; what decays into the first step is that of the start.
        messages["rho"] = (a[:-1] * g_a[1:]).sum((0, 1))
        if next_a is not None:
            messages["rho"] += (a[-1] * next_a).sum(0)
    return messages, (answer[0].clone(), first)


def fit(message: Tensor, parameter: Tensor, features: torch.Size) -> Tensor:
    """Sum a message ``[N]`` over the features that share an entry of a parameter, as broadcasting does."""
    return message.reshape(features).sum_to_size(parameter.shape)


def needed(
    messages: dict[str, Tensor],
    parameters: tuple[Tensor | None, ...],
    needs: tuple[bool, ...],
    features: torch.Size,
) -> list[Tensor | None]:
    """Return the messages of ``(beta, theta, kappa, rho)`` in their shapes, ``None`` where none is needed."""
    named = zip(Parameters._fields, parameters, needs, strict=True)
    return [fit(messages[name], q, features) if need and q is not None else None for name, q, need in named]


def flat(parameter: Tensor | None, features: torch.Size) -> Tensor | None:
    """Return a parameter as the kernels want it: ``[1]`` for a scalar, else one entry a neuron."""
    if parameter is None:
        return None
    return parameter.reshape(1) if parameter.numel() == 1 else parameter.expand(features).reshape(-1)
