"""Surrogate derivatives of the spike, for training the same neurons by gradient descent.

The forward pass is always the Heaviside step; only the backward pass differs. A surrogate is one function of the
distance to the threshold ``x = v - theta`` in plain arithmetic, shared by the reference and the fused kernel, like the
sharing rules of LFP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

KNOWN: list[type[Surrogate]] = []
"""Every subclass by its number, which is what a compiled network knows it by (names come twice in a notebook)."""


@dataclass(frozen=True)
class Surrogate:
    """Base class of surrogate derivatives. Override :meth:`derivative` (a static method) to make your own.

    Parameters
    ----------
    slope : float
        Steepness of the surrogate.
    attach_reset : bool
        Whether the gradient also flows through the reset (most libraries detach it, and so does the default).
    """

    slope: float = 2.0
    attach_reset: bool = False
    number: ClassVar[int]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give each subclass its number."""
        super().__init_subclass__(**kwargs)
        cls.number = len(KNOWN)
        KNOWN.append(cls)

    @staticmethod
    def derivative(x: Any, slope: Any) -> Any:
        """Return the derivative that stands in for that of the step, at ``x = v - theta``."""
        raise NotImplementedError


@dataclass(frozen=True)
class ATan(Surrogate):
    """Arctangent: ``slope/2 / (1 + (pi/2 * slope * x)^2)`` (Fang et al. 2021, arXiv 2007.05785; snntorch's default).

    Examples
    --------
    >>> ATan.derivative(0.0, 2.0)
    1.0
    """

    @staticmethod
    def derivative(x: Any, slope: Any) -> Any:
        """Return ``slope/2 / (1 + (pi/2 * slope * x)^2)``."""
        return slope / 2 / (1 + (1.5707963267948966 * slope * x) * (1.5707963267948966 * slope * x))


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """Fast sigmoid: ``1 / (1 + slope*|x|)^2`` (Zenke & Ganguli 2018, arXiv 1705.11146, eq. 3; snntorch's slope).

    Examples
    --------
    >>> FastSigmoid.derivative(0.0, 25.0)
    1.0
    """

    slope: float = 25.0

    @staticmethod
    def derivative(x: Any, slope: Any) -> Any:
        """Return ``1 / (1 + slope*|x|)^2``."""
        return 1 / ((1 + slope * abs(x)) * (1 + slope * abs(x)))


@dataclass(frozen=True)
class SuperSpike(FastSigmoid):
    """The fast sigmoid as steep as SuperSpike uses it (Zenke & Vogels 2021, doi 10.1162/neco_a_01367).

    Examples
    --------
    >>> SuperSpike().slope
    100.0
    """

    slope: float = 100.0


@dataclass(frozen=True)
class SigmoidDerivative(Surrogate):
    """Derivative of the sigmoid: ``slope * s * (1 - s)`` with ``s = sigmoid(slope*x)`` (Zenke & Vogels 2021).

    Examples
    --------
    >>> SigmoidDerivative.derivative(0.0, 4.0)
    1.0
    """

    slope: float = 4.0

    @staticmethod
    def derivative(x: Any, slope: Any) -> Any:
        """Return ``slope * u / (1 + u)^2`` with ``u = exp(-slope*|x|)``."""
        u = 2.718281828459045 ** (-slope * abs(x))
        return slope * u / ((1 + u) * (1 + u))


@dataclass(frozen=True)
class Triangle(Surrogate):
    """Triangle: ``slope * max(0, 1 - slope*|x|)`` (Esser et al. 2016; Bellec et al. 2018, arXiv 1803.09574).

    Examples
    --------
    >>> Triangle.derivative(0.25, 2.0)
    1.0
    """

    slope: float = 1.0

    @staticmethod
    def derivative(x: Any, slope: Any) -> Any:
        """Return ``slope * max(0, 1 - slope*|x|)``."""
        return slope * (1 - slope * abs(x)) * (slope * abs(x) < 1)


@dataclass(frozen=True)
class Rectangle(Surrogate):
    """Rectangle: ``slope`` where ``|x| < 1/(2*slope)``, else 0 (Wu et al. 2018, STBP, arXiv 1706.02609).

    Examples
    --------
    >>> Rectangle.derivative(0.6, 1.0)
    0.0
    """

    slope: float = 1.0

    @staticmethod
    def derivative(x: Any, slope: Any) -> Any:
        """Return ``slope * [slope*|x| < 1/2]``."""
        return slope * (slope * abs(x) < 0.5)


@dataclass(frozen=True)
class StraightThrough(Surrogate):
    """Straight-through estimator: the derivative is 1 everywhere (Bengio et al. 2013, arXiv 1308.3432).

    Examples
    --------
    >>> StraightThrough.derivative(-3.0, 1.0)
    1.0
    """

    slope: float = 1.0

    @staticmethod
    def derivative(x: Any, slope: Any) -> Any:
        """Return 1."""
        return slope / slope + 0 * x


@dataclass(frozen=True)
class Heaviside(Surrogate):
    """No surrogate: the derivative of the step itself, 0 almost everywhere. What is behind a spike learns nothing.

    Examples
    --------
    >>> Heaviside.derivative(0.5, 1.0)
    0.0
    """

    slope: float = 1.0

    @staticmethod
    def derivative(x: Any, slope: Any) -> Any:
        """Return 0."""
        return slope * 0 * x


SURROGATES: dict[str, type[Surrogate]] = {
    "atan": ATan,
    "fast-sigmoid": FastSigmoid,
    "superspike": SuperSpike,
    "sigmoid": SigmoidDerivative,
    "triangle": Triangle,
    "rectangle": Rectangle,
    "straight-through": StraightThrough,
}
"""The surrogate derivatives by the names that configurations use."""
