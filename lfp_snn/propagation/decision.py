r"""The decision of a spiking neuron at one step, for neurons whose state another library updates.

Everything in the update of an integrate-and-fire neuron is linear in its state and its input, so ordinary autograd
carries the reward density through it. What is left is the decision, at which

.. math:: n_t = (s_t\, g_s[t] + v_t\, g_v[t]) / (d_t + \epsilon\,\mathrm{sign}(d_t))

becomes the density of the membrane :math:`v_t`: the reward of the spike, and what comes back through the membrane
(:math:`Q_t = v_t g_v[t]`), shared by the denominator of the sharing rule (:mod:`lfp_snn.rules.sharing`).
:class:`lfp_snn.neurons.scan.Scan` does the same for all steps at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lfp_snn.errors import ConfigError
from lfp_snn.neurons.ambient import ambient
from lfp_snn.neurons.scan import Backward
from lfp_snn.neurons.surrogate import ATan
from lfp_snn.propagation.density import stabilised


class Decision(torch.autograd.Function):
    """``v, spikes = Decision.apply(v, theta, spikes, d, backward)``: nothing forwards, LFP backwards."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, theta: Tensor, spikes: Tensor, d: Tensor, backward: Backward
    ) -> tuple[Tensor, Tensor]:
        """Return membrane and spikes as they are."""
        ctx.save_for_backward(v, spikes, d)
        ctx.backward_, ctx.shape = backward, theta.shape  # by backward_ the output finds the neurons it consists of
        ctx.set_materialize_grads(False)
        return v.view_as(v), spikes.view_as(spikes)

    @staticmethod
    def backward(ctx: Any, g_v: Tensor | None, g_s: Tensor | None) -> Any:
        """Share the reward of spike and membrane out among the terms of the membrane, and the threshold."""
        v, spikes, d = ctx.saved_tensors
        reward = torch.zeros_like(v)
        if g_s is not None:
            reward = reward + (g_s if ctx.backward_.readout else spikes * g_s)
        if g_v is not None:
            reward = reward + v * g_v
        n = reward / stabilised(d, ctx.backward_.sharing.epsilon)
        return n, (-n).sum_to_size(ctx.shape) if ctx.needs_input_grad[1] else None, None, None, None


def decide(
    v: Tensor,
    spikes: Tensor,
    theta: Tensor,
    *,
    w: Tensor,
    beta: Tensor,
    reset: Tensor | float = 0.0,
    adapt: Tensor | float = 0.0,
) -> tuple[Tensor, Tensor]:
    r"""Return membrane and spikes of one step, the same numbers, as the place where reward is shared out.

    To be called inside a propagator, by an adapter of another library's neuron.

    Parameters
    ----------
    v : Tensor
        The membrane that was compared with the threshold, ``[B, ...]``, with the graph of its update.
    spikes : Tensor
        What the neuron fired, ``[B, ...]``.
    theta : Tensor
        The threshold.
    w, beta, reset, adapt : Tensor or float
        The other terms of the update :math:`v = \beta w + i - \mathrm{reset}`, as the sharing rules know them.

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
        i = v - beta * w + reset
        d = around.sharing.denominator(w, i, beta, reset, adapt, v)
    how = Backward(around.sharing, ATan())
    return Decision.apply(v, theta, spikes.detach(), d, how)  # type: ignore[no-any-return]
