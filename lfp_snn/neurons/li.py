r"""The non-spiking leaky integrator, a readout: :math:`u_t = \beta u_{t-1} + x_t`.

Linear, hence ordinary autograd under LFP: :math:`g_x[t] = g_u[t] + \beta\, g_x[t+1]`.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from lfp_snn.neurons.ambient import ambient
from lfp_snn.neurons.base import TimeModule, _check_decay
from lfp_snn.neurons.compiled import leaky_integral
from lfp_snn.neurons.scan import after_last


class LIState(NamedTuple):
    """State after a step: the membrane ``u``, ``[B, ...]``."""

    u: Tensor


class LI(TimeModule):
    """Leaky integrators that do not spike; their membrane over time ``[T, B, ...]`` is the output.

    Parameters
    ----------
    beta : float or Tensor
        Decay of the membrane per step, in [0, 1].
    learn_beta : bool
        Whether it is trained.

    Examples
    --------
    >>> import torch
    >>> u, state = LI(beta=0.5)(torch.ones(3, 1, 1))
    >>> u.flatten().tolist()
    [1.0, 1.5, 1.75]
    """

    beta: Tensor

    def __init__(self, beta: float | Tensor = 0.9, learn_beta: bool = False) -> None:
        super().__init__()
        _check_decay("beta", beta)
        self._add("beta", beta, learn_beta)

    def forward(self, x: Tensor, state: LIState | None = None, *, steps: int | None = None) -> tuple[Tensor, LIState]:
        """Run over ``x`` ``[T, B, ...]``, or over a constant current ``[B, ...]``; see :meth:`LIF.forward`."""
        x, steps = self._over_time(ambient().settle(x), steps)
        start = self._initial(None if state is None else state.u, x, "u")
        u = leaky_integral(x, self._decay("beta"), start, steps)
        last = after_last(u)
        self._check_finite(last)
        return u, LIState(last)

    def extra_repr(self) -> str:
        """Show the decay."""
        return f"beta={self.beta.item():.4g}" if self.beta.numel() == 1 else f"beta={list(self.beta.shape)}"
