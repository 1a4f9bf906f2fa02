"""The scans over time in plain torch: any device, any float type. The oracle of the fused kernels.

All functions take flat features: currents and spikes ``[T, B, N]``, states ``[B, N]``, parameters ``[N]`` or ``[1]``.
Currents with a first axis of 1 are constant over the ``steps`` steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lfp_snn.kernels.dynamics import Dynamics, Parameters, Start


def _threshold(a: Tensor | None, p: Parameters) -> Tensor:
    """Return the threshold of a step whose adaptation is ``a``."""
    return p.theta if a is None or p.kappa is None else p.theta + p.kappa * a


def _adapted(a: Tensor | None, s: Tensor, p: Parameters) -> Tensor | None:
    """Return the adaptation of the step after one with spikes ``s``."""
    return None if a is None or p.rho is None else p.rho * a + s


def _adaptation_message(g_a: Tensor | None, n: Tensor, p: Parameters) -> Tensor | None:
    """Return the message of a step's adaptation from that of the next and the step's own ``n``."""
    return None if g_a is None or p.rho is None or p.kappa is None else p.rho * g_a - p.kappa * n


def _carried(u: Tensor, s: Tensor, p: Parameters, dynamics: Dynamics) -> tuple[Tensor, Tensor | float]:
    """Return the membrane that decays into the next step, and what a delayed reset subtracts there."""
    if dynamics.reset == "zero":
        return u * (1 - s), 0.0
    if dynamics.reset == "subtract" and dynamics.delayed:
        return u, s * p.theta
    if dynamics.reset == "subtract":
        return u - s * p.theta, 0.0
    return u, 0.0


def forward(
    current: Tensor, p: Parameters, start: Start, steps: int, dynamics: Dynamics, keep: bool, over: bool = False
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Run the neuron for all steps.

    ``over`` says that the membrane may take the place of a current of all steps; these kernels never do so.

    Returns
    -------
    spikes : Tensor
        ``[T, B, N]``, zeros and ones.
    u : Tensor
        The membrane before an immediate reset, ``[T, B, N]``, or ``[1, B, N]`` (the last step) if not ``keep``.
    a : Tensor or None
        The adaptation that the next step would use, ``[B, N]``.
    """
    u, s, a = start
    spikes, membranes = [], []
    for t in range(steps):
        w, reset = _carried(u, s, p, dynamics)
        u = p.beta * w + current[t if current.shape[0] > 1 else 0] - reset
        s = (u > _threshold(a, p)).to(u.dtype)
        a = _adapted(a, s, p)
        spikes.append(s)
        membranes.append(u)
    return torch.stack(spikes), torch.stack(membranes if keep else membranes[-1:]), a


def _replay(u: Tensor, p: Parameters, start: Start) -> list[tuple[Tensor, Tensor | None]]:
    """Recompute spikes and adaptation of every step from the membrane alone; entry 0 is the start."""
    past = [(start.s, start.a)]
    for u_t in u:
        a = past[-1][1]
        s = (u_t > _threshold(a, p)).to(u.dtype)
        past.append((s, _adapted(a, s, p)))
    return past


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
    """Share the reward of the spikes out over the currents, from the last step to the first.

    Parameters
    ----------
    message : Tensor
        Reward density of the spikes ``[T, B, N]``; the reward itself where ``readout``.
    u : Tensor
        The membrane that :func:`forward` kept.
    carry : tuple
        The reward ``Q`` that comes back through the membrane from later steps, and the density of the adaptation.
    denominator, epsilon
        The sharing rule (see :mod:`lfp_snn.rules.sharing`).
    static : bool
        Sum the densities over time (for a constant current).
    over : bool
        Whether the densities may take the place of the membrane, which nobody needs then. These kernels never do so.

    Returns
    -------
    density : Tensor
        Reward density of the current, ``[T, B, N]`` or ``[1, B, N]`` if ``static``.
    carry : tuple
        What goes on to the steps before the first.
    """
    past = _replay(u, p, start)
    q, g_a = carry
    density = []
    for t in range(len(u) - 1, -1, -1):
        (s, _), (s_prev, a) = past[t + 1], past[t]
        w, reset = _carried(u[t - 1] if t else start.u, s_prev, p, dynamics)
        i = u[t] - (p.beta * w - reset)
        adapt = 0.0 if a is None or p.kappa is None else p.kappa * a
        reward = message[t] if readout else s * message[t]
        if g_a is not None:
            reward = reward + s * g_a
        d = denominator(w, i, p.beta, reset, adapt, u[t])
        d = d + epsilon * torch.where(d >= 0, 1.0, -1.0).to(d.dtype)
        n = torch.where(d == 0, 0.0, (reward + q) / d)  # with epsilon 0: where there are no terms to share it out to
        q = p.beta * w * n
        g_a = _adaptation_message(g_a, n, p)
        density.append(n)
    density.reverse()
    g = torch.stack(density)
    return (g.sum(0, keepdim=True) if static else g), (q, g_a)


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
    """Back-propagate the gradient of the spikes through time with a surrogate derivative.

    ``carry`` is the gradient of the membrane and of the adaptation at the step after the last. Otherwise as
    :func:`backward_lfp`.
    """
    past = _replay(u, p, start)
    g_u, g_a = carry
    gradient = []
    for t in range(len(u) - 1, -1, -1):
        s, a = past[t + 1][0], past[t][1]
        g_s = message[t] if g_a is None else message[t] + g_a
        if attach_reset and dynamics.reset != "none":
            if dynamics.reset == "zero":
                g_s = g_s - p.beta * u[t] * g_u
            else:
                g_s = g_s - (1 if dynamics.delayed else p.beta) * p.theta * g_u
        e = g_s * derivative(u[t] - _threshold(a, p), slope)
        through = p.beta * g_u if dynamics.reset != "zero" else p.beta * (1 - s) * g_u
        g_u = e + through
        g_a = _adaptation_message(g_a, e, p)
        gradient.append(g_u)
    gradient.reverse()
    g = torch.stack(gradient)
    return (g.sum(0, keepdim=True) if static else g), (g_u, g_a)


def filter_forward(x: Tensor, decay: Tensor, start: Tensor, steps: int) -> Tensor:
    """Leaky integration ``y[t] = decay*y[t-1] + x[t]`` over all steps: ``[T or 1, B, N]`` to ``[T, B, N]``."""
    y, out = start, []
    for t in range(steps):
        y = decay * y + x[t if x.shape[0] > 1 else 0]
        out.append(y)
    return torch.stack(out)


def filter_backward(g: Tensor, decay: Tensor, static: bool, carry: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Transpose :func:`filter_forward`: ``g_x[t] = g[t] + decay*g_x[t+1]``, summed over time if ``static``.

    ``carry`` is ``g_x`` of the step after the last; that of the first step is the second value.
    """
    g_x, out = torch.zeros_like(g[0]) if carry is None else carry, []
    for t in range(len(g) - 1, -1, -1):
        g_x = g[t] + decay * g_x
        out.append(g_x)
    out.reverse()
    stacked = torch.stack(out)
    return stacked.sum(0, keepdim=True) if static else stacked, g_x
