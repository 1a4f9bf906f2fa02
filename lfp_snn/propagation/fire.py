"""The spikes of a neuron of one's own, step by step: by LFP inside a propagator, by a surrogate gradient outside."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lfp_snn.neurons.ambient import ambient
from lfp_snn.neurons.surrogate import ATan, Surrogate
from lfp_snn.propagation.decision import decide


class _Heaviside(torch.autograd.Function):
    """``apply(x, surrogate)`` is 1 where ``x > 0``, with the surrogate's derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return g * ctx.surrogate.derivative(x, ctx.surrogate.slope), None


def fire(
    u: Tensor,
    threshold: float | Tensor,
    *,
    w: Tensor,
    beta: float | Tensor,
    reset: float | Tensor = 0.0,
    surrogate: Surrogate | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return membrane and spikes of one step of a neuron whose update is :math:`u = \beta w + i - \mathrm{reset}`.

    The neuron's module is to be registered (:func:`lfp_snn.register_neuron`). It may do what it likes with membrane and
    spikes; reward passes through all that autograd knows of its update, and gradients do outside a propagator.

    Parameters
    ----------
    u : Tensor
        The membrane that is compared with the threshold, ``[B, ...]``.
    threshold : float or Tensor
        Where the neuron fires.
    w : Tensor
        The membrane before the step, as it decays into it, ``[B, ...]``.
    beta : float or Tensor
        Its decay.
    reset : float or Tensor
        What was subtracted for the last spikes.
    surrogate : Surrogate, optional
        Derivative of the spike where no reward is shared out; :class:`lfp_snn.neurons.ATan` by default.

    Examples
    --------
    >>> u = torch.tensor([[0.5, 1.5]])
    >>> fire(u, 1.0, w=torch.zeros(1, 2), beta=0.9)[1].tolist()
    [[0.0, 1.0]]
    """
    around, theta = ambient(), torch.as_tensor(threshold, dtype=u.dtype, device=u.device)
    if around.sharing is not None and torch.is_grad_enabled() and u.requires_grad:
        spikes = (u.detach() > theta.detach()).to(u.dtype)
        beta = torch.as_tensor(beta, dtype=u.dtype, device=u.device)
        return decide(u, spikes, theta, w=w.detach(), beta=beta.detach(), reset=_held(reset))
    return u, _Heaviside.apply(u - theta, around.surrogate or surrogate or ATan())


def _held(value: float | Tensor) -> float | Tensor:
    return value.detach() if isinstance(value, Tensor) else value
