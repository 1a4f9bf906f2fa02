r"""The current-based leaky integrate-and-fire neuron: a synaptic current in front of the membrane.

.. math:: i_t = \alpha i_{t-1} + x_t \qquad u_t = \beta u_{t-1} + i_t - r_t \theta

(snntorch's ``Synaptic``.) The current is a linear filter, so it hands density back as
:math:`g_x[t] = n_t + \alpha\, g_x[t+1]`.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from lfp_snn.kernels import Reset, Start
from lfp_snn.neurons.base import SpikingNeuron, _check_decay
from lfp_snn.neurons.compiled import leaky_integral
from lfp_snn.neurons.scan import after_last
from lfp_snn.neurons.surrogate import Surrogate


class CubaState(NamedTuple):
    """State after a step: membrane ``u``, spikes ``s``, synaptic current ``i``, each ``[B, ...]``."""

    u: Tensor
    s: Tensor
    i: Tensor


class CubaLIF(SpikingNeuron):
    """Leaky integrate-and-fire neurons driven by a decaying synaptic current.

    Beside these parameters it has those of :class:`SpikingNeuron`.

    Parameters
    ----------
    alpha : float or Tensor
        Decay of the synaptic current per step, in [0, 1].
    learn_alpha : bool
        Whether it is trained.

    Examples
    --------
    >>> import torch
    >>> pulse = torch.tensor([0.9, 0.0, 0.0, 0.0]).reshape(4, 1, 1)
    >>> spikes, state = CubaLIF(alpha=0.5, beta=0.9)(pulse)
    >>> spikes.flatten().tolist()                             # one input, and the spike comes a step later
    [0.0, 1.0, 0.0, 0.0]
    """

    alpha: Tensor

    def __init__(
        self,
        alpha: float | Tensor = 0.8,
        beta: float | Tensor = 0.9,
        threshold: float | Tensor = 1.0,
        reset: Reset = "subtract",
        reset_delay: bool = True,
        learn_alpha: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        recurrent: int | None = None,
        surrogate: Surrogate | None = None,
    ) -> None:
        super().__init__(beta, threshold, reset, reset_delay, learn_beta, learn_threshold, recurrent, surrogate)
        _check_decay("alpha", alpha)
        self._add("alpha", alpha, learn_alpha)

    def forward(
        self, x: Tensor, state: CubaState | None = None, *, steps: int | None = None
    ) -> tuple[Tensor, CubaState]:
        """Run over ``x`` ``[T, B, ...]``, or over a constant input ``[B, ...]``; see :meth:`LIF.forward`."""
        x, steps = self._over_time(x, steps)
        u, s, i = (None, None, None) if state is None else state
        start, i = Start(self._initial(u, x, "u"), self._initial(s, x, "s")), self._initial(i, x, "i")
        alpha = self._decay("alpha")
        if self.recurrent is None:
            current = leaky_integral(x, alpha, i, steps)
            spikes, rest = self._scan(current, start, steps)
            return spikes, CubaState(rest.u, after_last(spikes), after_last(current))
        spikes, rest = self._scan(x, start, steps, alpha=alpha, i=i)
        assert rest.i is not None
        return spikes, CubaState(rest.u, after_last(spikes), rest.i)
