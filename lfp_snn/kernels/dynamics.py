"""What a kernel is told about the neuron it scans: the dynamics, their parameters and their state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

Reset = Literal["subtract", "zero", "none"]


@dataclass(frozen=True)
class Dynamics:
    """The form of the update of an integrate-and-fire neuron.

    With ``s[t] = [u[t] > theta + kappa*a[t]]`` and ``a[t+1] = rho*a[t] + s[t]``, the membrane is, for each reset,

    ========================  ==============================================
    ``subtract``, delayed     ``u[t] = beta*u[t-1] + I[t] - s[t-1]*theta``
    ``subtract``, immediate   ``u[t] = beta*(u[t-1] - s[t-1]*theta) + I[t]``
    ``zero``                  ``u[t] = beta*u[t-1]*(1 - s[t-1]) + I[t]``
    ``none``                  ``u[t] = beta*u[t-1] + I[t]``
    ========================  ==============================================

    so ``u`` is always the membrane that is compared with the threshold, before an immediate reset. (Resetting to zero
    before or after the decay is the same thing.)

    Parameters
    ----------
    reset : {"subtract", "zero", "none"}
        What a spike does to the membrane.
    delayed : bool
        Whether the reset is applied after the next step's decay (snntorch's ``reset_delay=True``).
    adaptive : bool
        Whether the threshold adapts (``kappa``, ``rho`` are used).
    """

    reset: Reset = "subtract"
    delayed: bool = True
    adaptive: bool = False


class Parameters(NamedTuple):
    """Parameters of a scan, each ``[N]`` or ``[1]``: decay, threshold, size and decay of the adaptation."""

    beta: Tensor
    theta: Tensor
    kappa: Tensor | None = None
    rho: Tensor | None = None


class Start(NamedTuple):
    """What a scan starts from, each ``[B, N]``: membrane ``u``, last spikes ``s``, adaptation ``a`` (or ``None``)."""

    u: Tensor
    s: Tensor
    a: Tensor | None = None
