r"""The decision of a spiking neuron at one step, for neurons whose state another library updates.

Everything in the update of an integrate-and-fire neuron is linear in its state and its input, so ordinary autograd
carries the reward density through it. What is left is the decision, at which

.. math:: n_t = (s_t\, g_s[t] + u_t\, g_u[t]) / (d_t + \epsilon\,\mathrm{sign}(d_t))

becomes the density of the membrane :math:`u_t`: the reward of the spike and what comes back through the membrane
(:math:`Q_t = u_t g_u[t]`, or what an immediate reset leaves of :math:`u_t`), shared by the denominator of the sharing
rule (:mod:`lfp_snn.rules.sharing`). Where the network's output is membranes and nobody takes the spikes of a neuron, it
decides nothing: it is a leaky integrator, and :math:`n_t = g_u[t]`.
:class:`lfp_snn.neurons.scan.Scan` does the same for all steps at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lfp_snn.errors import ConfigError
from lfp_snn.neurons.ambient import ambient
from lfp_snn.neurons.backward import Backward
from lfp_snn.neurons.surrogate import ATan
from lfp_snn.propagation.density import stabilised

INNER = "_lfp_inner"
"""On spikes that leave a neuron: the same spikes, for what the neuron itself does with them."""


class Decision(torch.autograd.Function):
    """``u, out, inner = Decision.apply(u, left, theta, spikes, d, backward)``: nothing forwards, LFP backwards.

    Membrane and spikes come out as they are, the spikes twice: ``out`` leaves the neuron and may be told a reward where
    it is the network's output, ``inner`` goes on in the neuron (recurrent connections) and always carries a density.
    """

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, left: Tensor, theta: Tensor, spikes: Tensor, d: Tensor, backward: Backward
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return membrane and spikes."""
        ctx.save_for_backward(left, spikes, d)
        # By backward_ the output finds the neurons it consists of, by fired which of their outputs are the spikes.
        ctx.backward_, ctx.fired, ctx.shape = backward, 1, theta.shape
        ctx.set_materialize_grads(False)
        return u.view_as(u), spikes.view_as(spikes), spikes.view_as(spikes)

    @staticmethod
    def backward(ctx: Any, g_u: Tensor | None, g_out: Tensor | None, g_inner: Tensor | None) -> Any:
        """Share the reward of spike and membrane out among the terms of the membrane, and the threshold."""
        if ctx.backward_.integrates and g_out is None and g_inner is None:
            return g_u, None, None, None, None, None
        left, spikes, d = ctx.saved_tensors
        reward = torch.zeros_like(left)
        for held, g in ((None if ctx.backward_.readout else spikes, g_out), (spikes, g_inner), (left, g_u)):
            if g is not None:
                reward = reward + (g if held is None else held * g)
        n = reward / stabilised(d, ctx.backward_.sharing.epsilon)
        return n, None, (-n).sum_to_size(ctx.shape) if ctx.needs_input_grad[2] else None, None, None, None


def inner(spikes: Tensor) -> Tensor:
    """Return the spikes that a neuron is given back as its own state, of those that left it a step before."""
    return getattr(spikes, INNER, spikes)


def decide(
    u: Tensor,
    spikes: Tensor,
    theta: Tensor,
    *,
    w: Tensor,
    beta: Tensor,
    reset: Tensor | float = 0.0,
    adapt: Tensor | float = 0.0,
    left: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return membrane and spikes of one step, the same numbers, as the place where reward is shared out.

    To be called inside a propagator, by an adapter of another library's neuron. What the neuron does with its own last
    spikes (recurrent connections) takes :func:`inner` of them.

    Parameters
    ----------
    u : Tensor
        The membrane that was compared with the threshold, ``[B, ...]``, with the graph of its update.
    spikes : Tensor
        What the neuron fired, ``[B, ...]``.
    theta : Tensor
        The threshold.
    w, beta, reset, adapt : Tensor or float
        The other terms of the update :math:`u = \beta w + i - \mathrm{reset}`, as the sharing rules know them.
    left : Tensor, optional
        What an immediate reset by subtraction leaves of the membrane, ``[B, ...]``; default: ``u``.

    Raises
    ------
    ConfigError
        If the propagator wants what takes all steps at once: homeostasis, or the relevance of every spike.
    """
    around = ambient()
    if around.sharing is None:
        raise ConfigError("a neuron's decision was asked for outside a propagator: use LFP().context(model)")
    if around.rate_term is not None or around.record:
        wanted = "homeostasis" if around.rate_term is not None else "record=True"
        raise ConfigError(
            f"{wanted} needs all time steps at once, which a network that runs step by step does not have: "
            "convert it first (lfp_snn.adapters)"
        )
    with torch.no_grad():
        i = u - beta * w + reset
        d = around.sharing.denominator(w, i, beta, reset, adapt, u)
    how = Backward(around.sharing, ATan())
    u, out, again = Decision.apply(u, u.detach() if left is None else left, theta, spikes.detach(), d, how)
    setattr(out, INNER, again)
    return u, out
