r"""The leaky integrate-and-fire neuron.

.. math::

   r_t = [u_{t-1} > \theta] \qquad
   u_t = \beta u_{t-1} + I_t - r_t \theta \qquad
   s_t = [u_t > \theta]

with the reset by subtraction one step later (snntorch's ``Leaky``); :class:`lfp_snn.kernels.Dynamics` lists the other
resets. Reward travels backwards as

.. math::

   n_t = \frac{s_t\, g_s[t] + Q_t}{d_t + \epsilon} \qquad g_I[t] = n_t \qquad Q_{t-1} = \beta u_{t-1} n_t

with the denominator :math:`d_t` of the sharing rule (:mod:`lfp_snn.rules.sharing`).
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from lfp_snn.kernels import Start
from lfp_snn.neurons.base import SpikingNeuron
from lfp_snn.neurons.scan import after_last


class LIFState(NamedTuple):
    """State after a step: membrane ``u`` (as compared with the threshold) and spikes ``s``, each ``[B, ...]``."""

    u: Tensor
    s: Tensor


class LIF(SpikingNeuron):
    """Leaky integrate-and-fire neurons; with ``beta=1`` integrate-and-fire.

    Parameters are those of :class:`SpikingNeuron`.

    Examples
    --------
    >>> import torch
    >>> neuron = LIF(beta=0.5, threshold=1.0)
    >>> spikes, state = neuron(torch.full((4, 1, 1), 0.9))      # [T, B, N]
    >>> spikes.flatten().tolist()
    [0.0, 1.0, 0.0, 1.0]
    >>> spikes, state = neuron(torch.full((1, 1), 0.9), steps=4)  # the same current, given once
    >>> spikes.flatten().tolist()
    [0.0, 1.0, 0.0, 1.0]
    """

    def forward(self, x: Tensor, state: LIFState | None = None, *, steps: int | None = None) -> tuple[Tensor, LIFState]:
        """Run over ``x`` ``[T, B, ...]``, or over a constant current ``[B, ...]`` for ``steps`` steps.

        Returns
        -------
        spikes : Tensor
            ``[T, B, ...]``.
        state : LIFState
            To go on from; ``state=None`` starts at rest.

        Raises
        ------
        ShapeError
            If the input is not floating-point, has no time or batch axis, is empty, or does not fit the state.
        """
        x, steps = self._over_time(x, steps)
        u, s = (None, None) if state is None else state
        start = Start(self._initial(u, x, "u"), self._initial(s, x, "s"))
        spikes, rest = self._scan(x, start, steps)
        return spikes, LIFState(rest.u, after_last(spikes))
