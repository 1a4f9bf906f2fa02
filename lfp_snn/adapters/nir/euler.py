r"""From NIR's differential equations to steps of a neuron of ours, and back: forward Euler, as all its readers do.

NIR's membrane :math:`\tau \dot v = (v_\mathrm{leak} - v) + R I` becomes, in steps of :math:`\Delta t`,

.. math:: v_t = \beta v_{t-1} + g I_t + (1 - \beta) v_\mathrm{leak} \qquad
          \beta = 1 - \Delta t / \tau \qquad g = R\, \Delta t / \tau

and with :math:`u = (v - v_\mathrm{leak}) / g` the neuron of ours, :math:`u_t = \beta u_{t-1} + I_t`, that spikes above
:math:`(v_\mathrm{threshold} - v_\mathrm{leak}) / g`. Everything here is done in double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lfp_snn.errors import ConfigError

Array = NDArray[np.float64]
ROUNDING = 1e-6
"""What single precision may have left of a number that was 1 or 0."""


def check_step(dt: float) -> float:
    """Return a time step if it is one, else raise `ConfigError`."""
    if not 0 < dt < np.inf:
        raise ConfigError(f"the time step dt must be positive, got {dt}")
    return dt


def time_constant(decay: Array, dt: float) -> Array:
    """Return the time constant, in the unit of ``dt``, of a decay per step below 1.

    Examples
    --------
    >>> float(time_constant(np.array(0.75), dt=1e-3))
    0.004
    """
    return dt / (1 - decay)


def decay(tau: Any, dt: float, name: str) -> Array:
    """Return the decay per step of a time constant.

    Raises
    ------
    ConfigError
        If a step is longer than the time constant: the membrane would oscillate.

    Examples
    --------
    >>> float(decay(0.004, dt=1e-3, name="layer"))
    0.75
    """
    tau = np.asarray(tau, dtype=np.float64)
    beta: Array = 1 - dt / tau
    if not bool(((tau > 0) & (beta > -ROUNDING)).all()):
        raise ConfigError(
            f"{name}: steps of dt={dt:g} are too long for its time constants, {tau.min():g} to {tau.max():g}: give dt "
            "in the unit of the graph, at most the shortest time constant"
        )
    return np.clip(beta, 0, 1)


def gain(r: Any, rate: Any, name: str) -> Array:
    """Return how much of an input arrives in a step, ``r * rate``, with ``rate`` the share of a step in ``tau``.

    Raises
    ------
    ConfigError
        If it is not positive: a neuron of ours takes its input as it is.
    """
    g: Array = np.asarray(r, dtype=np.float64) * rate
    if not bool((g > 0).all()):
        raise ConfigError(f"{name}: resistance and input weight must be positive, the least gives {g.min():g} a step")
    return g
