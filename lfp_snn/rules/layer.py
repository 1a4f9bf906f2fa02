r"""How a linear operation shares reward among its inputs: the rules of layer-wise relevance propagation.

For an operation :math:`z_j = \sum_i x_i w_{ij} + b_j` that holds reward :math:`R_j`, every rule has the form

.. math:: R_i = \sum_j \sum_k c_k \frac{x_i^{(k)} w_{ij}^{(k)}}{z_j^{(k)} + \epsilon\,\mathrm{sign}} R_j

a sum over parts :math:`k` of a coefficient :math:`c_k` and a modified operation :math:`z^{(k)}`. The epsilon rule has a
single part, the operation itself, and costs nothing but one factor at the output; the others run modified copies.
The names and formulas are those of zennit and of Montavon et al. 2019 (doi 10.1007/978-3-030-28954-6_10).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Change = Callable[[Tensor], Tensor]


def positive(x: Tensor) -> Tensor:
    """Return the positive part of ``x``."""
    return x.clamp(min=0)


def negative(x: Tensor) -> Tensor:
    """Return the negative part of ``x``."""
    return x.clamp(max=0)


def same(x: Tensor) -> Tensor:
    """Return ``x``."""
    return x


@dataclass(frozen=True)
class Term:
    """One modified copy of the operation: what is done to input, weight and bias (``None``: no bias).

    ``replaces`` says that the modified input is no function of the input: its reward goes to the input as a whole.
    """

    input: Change
    weight: Change
    bias: Change | None
    replaces: bool = False


@dataclass(frozen=True)
class Part:
    """A sum of modified copies that receives ``coefficient`` times the reward, where the output has the given sign."""

    coefficient: float
    terms: tuple[Term, ...]
    where: Literal["all", "positive", "negative"] = "all"


@dataclass(frozen=True)
class Rule:
    """Base class of the layer rules.

    Parameters
    ----------
    epsilon : float
        Stabiliser of the denominators, added with their sign.
    """

    epsilon: float = 1e-6

    def parts(self) -> tuple[Part, ...]:
        """Return the modified operations among which the reward is shared; empty for the operation as it is."""
        return ()


@dataclass(frozen=True)
class Epsilon(Rule):
    """The epsilon rule: in proportion to ``x*w``, with a stabiliser that keeps a little of the reward.

    Examples
    --------
    >>> Epsilon(1e-3).parts()
    ()
    """


@dataclass(frozen=True)
class Zero(Rule):
    """The zero rule (LRP-0): in proportion to ``x*w``, no stabiliser; outputs that are exactly 0 pass nothing on.

    Examples
    --------
    >>> Zero().epsilon
    0.0
    """

    epsilon: float = 0.0


@dataclass(frozen=True)
class Gamma(Rule):
    """The gamma rule: favours contributions of the output's own sign by ``1 + gamma``.

    Examples
    --------
    >>> [part.where for part in Gamma(gamma=0.25).parts()]
    ['positive', 'negative']
    """

    gamma: float = 0.25

    def parts(self) -> tuple[Part, ...]:
        """Return one part for positive and one for negative outputs (Andéol et al. 2021's form for signed inputs)."""

        def up(w: Tensor) -> Tensor:
            return w + self.gamma * positive(w)

        def down(w: Tensor) -> Tensor:
            return w + self.gamma * negative(w)

        return (
            Part(1.0, (Term(positive, up, up), Term(negative, down, None)), "positive"),
            Part(1.0, (Term(positive, down, down), Term(negative, up, None)), "negative"),
        )


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """The alpha-beta rule: ``alpha`` times the positive minus ``beta`` times the negative contributions.

    ``alpha - beta`` must be 1.

    Raises
    ------
    ValueError
        If ``alpha - beta`` is not 1 or one of them is negative.

    Examples
    --------
    >>> [part.coefficient for part in AlphaBeta(alpha=2.0, beta=1.0).parts()]
    [2.0, -1.0]
    """

    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        """Check the coefficients."""
        if self.alpha < 0 or self.beta < 0 or abs(self.alpha - self.beta - 1.0) > 1e-9:
            raise ValueError(f"alpha-beta needs alpha, beta >= 0 and alpha - beta = 1, got {self.alpha}, {self.beta}")

    def parts(self) -> tuple[Part, ...]:
        """Return the positive and the negative contributions."""
        plus = Part(self.alpha, (Term(positive, positive, positive), Term(negative, negative, None)))
        minus = Part(-self.beta, (Term(positive, negative, negative), Term(negative, positive, None)))
        return (plus, minus) if self.beta else (plus,)


@dataclass(frozen=True)
class ZPlus(AlphaBeta):
    """The z-plus rule: positive contributions only (alpha = 1, beta = 0).

    Examples
    --------
    >>> len(ZPlus().parts())
    1
    """

    alpha: float = 1.0
    beta: float = 0.0


@dataclass(frozen=True)
class Flat(Rule):
    """The flat rule: the same to every input, whatever its value and weight; nothing to the bias. For the first layer.

    An input of exactly 0 shows no reward, because :func:`lfp_snn.input_relevance` is value times density.

    Examples
    --------
    >>> Flat().parts()[0].terms[0].weight(torch.tensor([-2.0, 0.5])).tolist()
    [1.0, 1.0]
    """

    def parts(self) -> tuple[Part, ...]:
        """Return the operation with ones for input and weight."""
        return (Part(1.0, (Term(torch.ones_like, torch.ones_like, torch.zeros_like, replaces=True),)),)


@dataclass(frozen=True)
class WSquare(Rule):
    """The w-square rule: in proportion to the square of the weight, whatever the input's value. For the first layer.

    An input of exactly 0 shows no reward, as under :class:`Flat`.

    Examples
    --------
    >>> WSquare().parts()[0].terms[0].weight(torch.tensor([-2.0, 0.5])).tolist()
    [4.0, 0.25]
    """

    def parts(self) -> tuple[Part, ...]:
        """Return the operation with ones for input and squares for weight and bias."""
        return (Part(1.0, (Term(torch.ones_like, torch.square, torch.square, replaces=True),)),)


@dataclass(frozen=True)
class ZBox(Rule):
    """The z-box rule, for a first layer whose inputs lie in a box: contributions are measured from its bounds.

    An input is measured from ``low`` where its weight is positive, from ``high`` where it is negative; nothing to the
    bias. An input of exactly 0 shows no reward from the bounds, as under :class:`Flat`.

    Parameters
    ----------
    low, high : float or Tensor
        Lowest and highest possible input; a tensor that broadcasts to the input ``[B, ...]``, such as ``[1, C, 1, 1]``.

    Examples
    --------
    >>> len(ZBox(low=0.0, high=1.0).parts()[0].terms)
    3
    """

    low: float | Tensor = 0.0
    high: float | Tensor = 1.0

    def parts(self) -> tuple[Part, ...]:
        """Return the operation less what it gives at the bounds."""

        def below(x: Tensor) -> Tensor:
            return torch.zeros_like(x) - torch.as_tensor(self.low, dtype=x.dtype, device=x.device)

        def above(x: Tensor) -> Tensor:
            return torch.zeros_like(x) - torch.as_tensor(self.high, dtype=x.dtype, device=x.device)

        bounds = (
            Term(below, positive, torch.zeros_like, replaces=True),
            Term(above, negative, torch.zeros_like, replaces=True),
        )
        return (Part(1.0, (Term(same, same, torch.zeros_like), *bounds)),)


@dataclass(frozen=True)
class Pass(Rule):
    """Hands the reward of a module's output through to its input as a whole, as activations do (zennit's ``Pass``).

    For a module of any kind whose output has its input's shape. Its parameters get feedback as ever.

    Examples
    --------
    >>> Pass().parts()
    ()
    """
