r"""The leaky integrate-and-fire neuron with an adaptive threshold (Bellec et al. 2018, arXiv 1803.09574).

.. math::

   \theta_t = \theta + \kappa a_t \qquad a_{t+1} = \rho a_t + s_t \qquad s_t = [u_t > \theta_t]

with the membrane of :mod:`lfp_snn.neurons.lif`; the reset uses the base threshold :math:`\theta`. The adaptation is one
more (negative) term of the decision: it takes its share of the denominator, and its density

.. math:: g_a[t] = -\kappa n_t + \rho\, g_a[t+1]

goes back to the spikes that caused it, :math:`g_s[t] \mathrel{+}= g_a[t+1]`.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from lfp_snn.kernels import Reset, Start
from lfp_snn.neurons.base import SpikingNeuron, _check_decay
from lfp_snn.neurons.scan import after_last
from lfp_snn.neurons.surrogate import Surrogate


class ALIFState(NamedTuple):
    """State after a step: membrane ``u``, spikes ``s``, adaptation ``a`` of the next step, each ``[B, ...]``."""

    u: Tensor
    s: Tensor
    a: Tensor


class ALIF(SpikingNeuron):
    """Leaky integrate-and-fire neurons whose threshold rises by ``kappa`` with each spike and decays by ``rho``.

    Beside these parameters it has those of :class:`SpikingNeuron`.

    Parameters
    ----------
    kappa : float or Tensor
        How much a spike adds to the threshold.
    rho : float or Tensor
        Decay of the adaptation per step, in [0, 1].
    learn_kappa, learn_rho : bool
        Whether these are trained.

    Examples
    --------
    >>> import torch
    >>> spikes, state = ALIF(beta=0.5, kappa=1.0, rho=0.9)(torch.full((6, 1, 1), 1.2))
    >>> spikes.flatten().tolist()
    [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    """

    kappa: Tensor
    rho: Tensor

    def __init__(
        self,
        beta: float | Tensor = 0.9,
        threshold: float | Tensor = 1.0,
        kappa: float | Tensor = 0.2,
        rho: float | Tensor = 0.97,
        reset: Reset = "subtract",
        reset_delay: bool = True,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        learn_kappa: bool = False,
        learn_rho: bool = False,
        recurrent: int | None = None,
        surrogate: Surrogate | None = None,
    ) -> None:
        super().__init__(beta, threshold, reset, reset_delay, learn_beta, learn_threshold, recurrent, surrogate)
        _check_decay("rho", rho)
        self._add("kappa", kappa, learn_kappa)
        self._add("rho", rho, learn_rho)

    def forward(
        self, x: Tensor, state: ALIFState | None = None, *, steps: int | None = None
    ) -> tuple[Tensor, ALIFState]:
        """Run over ``x`` ``[T, B, ...]``, or over a constant current ``[B, ...]``; see :meth:`LIF.forward`."""
        x, steps = self._over_time(x, steps)
        u, s, a = (None, None, None) if state is None else state
        start = Start(self._initial(u, x, "u"), self._initial(s, x, "s"), self._initial(a, x, "a"))
        spikes, rest = self._scan(x, start, steps, self._learnt("kappa"), self._decay("rho"))
        assert rest.a is not None
        return spikes, ALIFState(rest.u, after_last(spikes), rest.a)
