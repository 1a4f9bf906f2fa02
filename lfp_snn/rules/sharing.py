r"""How a spiking neuron shares its reward among the terms of its membrane: the neuron's sharing rule.

At every step a neuron holds the reward :math:`R_t` of its spike plus the reward :math:`Q_t` that came back through its
membrane. The density it hands to every term of the state update is

.. math:: n_t = (R_t + Q_t) / (d_t + \epsilon\,\mathrm{sign}(d_t))

and a sharing rule is the choice of the denominator :math:`d_t`. It is one function of the terms of the update

=========  =================================================================================================
``w``      the membrane that decays into this step, after an immediate reset
``i``      the input current
``beta``   the decay of the membrane
``reset``  what a delayed reset subtracts at this step (0 where there is none)
``adapt``  what the adaptation adds to the threshold (0 without adaptation)
``u``      the membrane :math:`u_t = \beta w + i - \mathrm{reset}` that is compared with the threshold
=========  =================================================================================================

written in plain arithmetic (``+ - * /``, ``abs``, comparisons), so that the same definition serves torch tensors in
the reference kernel and compiled scalars in the fused one. (Prefer ``i - w + beta*w`` to ``i - (1 - beta)*w``: a
literal number makes the compiler calculate in double precision.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sharing:
    """Base class of the sharing rules. Override :meth:`denominator` (a static method) to make your own.

    Parameters
    ----------
    epsilon : float
        Stabiliser added to the denominator, with its sign.

    Examples
    --------
    >>> class CurrentOnly(Sharing):
    ...     @staticmethod
    ...     def denominator(w, i, beta, reset, adapt, u):
    ...         return abs(i)
    >>> CurrentOnly.denominator(1.0, -0.5, 0.9, 0.0, 0.0, 0.4)
    0.5
    """

    epsilon: float = 1e-6

    @staticmethod
    def denominator(w: Any, i: Any, beta: Any, reset: Any, adapt: Any, u: Any) -> Any:
        """Return :math:`d_t` from the terms of the update (see the module's table)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Reference(Sharing):
    r"""The rule of the reference implementation (``lfprop`` 1.0.0): :math:`d = |w| + |i - (1-\beta) w| + |adapt|`.

    It never sends out more than came in, whatever the number of steps, but it does not conserve the reward.

    Examples
    --------
    >>> Reference.denominator(1.0, 0.5, 0.5, 0.0, 0.0, 1.0)
    1.0
    """

    @staticmethod
    def denominator(w: Any, i: Any, beta: Any, reset: Any, adapt: Any, u: Any) -> Any:
        r"""Return :math:`|w| + |i - (1-\beta) w| + |adapt|`."""
        return abs(w) + abs(i - w + beta * w) + abs(adapt)


@dataclass(frozen=True)
class Contribution(Sharing):
    r"""Shares by the size of each term: :math:`d = |\beta w| + |i| + |reset| + |adapt|`.

    What goes out is at most what came in, in absolute value: ``sum(|term| * |n|) <= |R + Q|``.

    Examples
    --------
    >>> Contribution.denominator(1.0, -0.5, 0.5, 1.0, 0.0, -1.0)
    2.0
    """

    @staticmethod
    def denominator(w: Any, i: Any, beta: Any, reset: Any, adapt: Any, u: Any) -> Any:
        r"""Return :math:`|\beta w| + |i| + |reset| + |adapt|`."""
        return abs(beta * w) + abs(i) + abs(reset) + abs(adapt)


@dataclass(frozen=True)
class Conserving(Sharing):
    """The z-rule of LRP on the membrane: :math:`d = u - adapt`, the signed sum of the terms. Conserves the reward.

    ``beta*w*n + i*n - reset*n - adapt*n = R + Q`` up to epsilon, so nothing is lost but what reset and adaptation keep.
    At a spike ``d`` is above the threshold, and ``Q / d = beta * n`` one step later: the messages stay bounded. Not so
    with an adapting threshold, where ``Q / d = beta * n * u / (u - adapt)``: take :class:`Contribution` there.

    Examples
    --------
    >>> Conserving.denominator(1.0, 0.5, 0.5, 0.0, 0.25, 1.0)
    0.75
    """

    @staticmethod
    def denominator(w: Any, i: Any, beta: Any, reset: Any, adapt: Any, u: Any) -> Any:
        """Return :math:`u - adapt`."""
        return u - adapt
