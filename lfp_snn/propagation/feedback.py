r"""From reward density to the feedback of a parameter: :math:`\mathrm{feedback}_W = |W| \cdot g x^\top`.

The density that autograd brings to a parameter is scaled by the parameter's magnitude before it is accumulated, so it
behaves like any gradient: it adds up, is clipped, averaged over processes and used by any optimiser.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

DERIVED = "_lfp_derived"
"""Marks a tensor that was made of parameters alone (a part, a transpose): its message is scaled at the parameters."""


_IN_PLACE_OF = "_lfp_parameter"
"""Marks a plain tensor that stands for a parameter (``torch.func.functional_call``)."""


def is_parameter(x: Any) -> bool:
    """Whether a tensor is a parameter, or stands for one of the model that runs."""
    return isinstance(x, nn.Parameter) or hasattr(x, _IN_PLACE_OF)


def mark_parameters(modules: Iterable[nn.Module]) -> None:
    """Let :func:`is_parameter` know the plain tensors that stand for parameters at the moment."""
    for module in modules:
        for x in module._parameters.values():
            if x is not None and not isinstance(x, nn.Parameter):
                setattr(x, _IN_PLACE_OF, True)  # type: ignore[unreachable]


class Relative(torch.autograd.Function):
    """Return ``value``, a modified copy of ``weight``; scale what comes back by ``value / weight``."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, value: Tensor) -> Tensor:
        """Return ``value``."""
        ctx.save_for_backward(weight, value)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Scale the density."""
        weight, value = ctx.saved_tensors
        return torch.where(weight != 0, g * value / weight, 0.0), None


class Scaled(torch.autograd.Function):
    """Identity on a parameter that scales what comes back by ``max(|parameter|, floor)``.

    With a modified copy ``value`` of the parameter (``signs`` is then the parameter) the scale is
    ``max(value * sign(signs), floor)``. With ``floor`` ``None`` what comes back is not scaled.
    """

    @staticmethod
    def forward(
        ctx: Any,
        parameter: Tensor,
        value: Tensor,
        signs: Tensor | None,
        anchor: Tensor | None,
        floor: float | None,
        keep: bool,
    ) -> Tensor:
        """Return ``value``."""
        ctx.save_for_backward(value, signs)
        ctx.floor, ctx.owner = floor, parameter if keep else None
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Scale the density, and leave the feedback on the parameter."""
        value, signs = ctx.saved_tensors
        if ctx.floor is None:
            scaled = g
        else:
            scaled = value.abs() if signs is None else torch.where(signs < 0, -value, value)
            if ctx.floor:
                scaled.clamp_(min=ctx.floor)
            scaled.mul_(g)
        if ctx.owner is not None:
            _add_feedback(ctx.owner, -scaled)
        return scaled, None, None, None, None, None


def _add_feedback(parameter: Any, feedback: Tensor) -> None:
    """Add to ``parameter.feedback`` (several uses of a parameter in one backward pass add up)."""
    before = getattr(parameter, "feedback", None)
    parameter.feedback = feedback if before is None else before + feedback


class Scaler:
    """Scales the parameters that one forward pass meets.

    Parameters
    ----------
    floor : float or None
        Smallest magnitude used for scaling; ``None``: no scaling at all. 0 is the reference's behaviour; above,
        parameters that are 0 can move.
    keep : bool
        Whether to leave the feedback of each backward pass in ``parameter.feedback``.
    anchor : Tensor, optional
        A scalar made of the network's input. With it feedback is computed even where autograd is only asked for the
        message at the input (``torch.autograd.grad(output, input)``).
    """

    def __init__(self, floor: float | None = 0.0, keep: bool = True, anchor: Tensor | None = None) -> None:
        self.floor, self.keep, self.anchor = floor, keep, anchor
        self._scaled: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, parameter: Tensor) -> Tensor:
        """Return a stand-in for ``parameter`` that has its values; what comes back to it is scaled."""
        if not parameter.requires_grad or hasattr(parameter, DERIVED):
            return parameter
        known = self._scaled.get(id(parameter))
        if known is None:
            known = self._scaled[id(parameter)] = (parameter, self._stand_in(parameter, parameter.detach(), None))
        return known[1]

    def renew(self) -> None:
        """Forget the stand-ins: the next pass makes its own."""
        self._scaled.clear()

    def __contains__(self, stand_in: Tensor) -> bool:
        """Whether a tensor is a stand-in made here, or made of some."""
        return hasattr(stand_in, DERIVED) or any(stand_in is known for _, known in self._scaled.values())

    def modified(self, parameter: Tensor, value: Tensor) -> Tensor:
        """Return a stand-in with the values ``value``, a function of the parameter."""
        if not parameter.requires_grad:
            return value
        if hasattr(parameter, DERIVED):
            return Relative.apply(parameter, value)  # type: ignore[no-any-return]
        return self._stand_in(parameter, value, parameter.detach())

    def _stand_in(self, parameter: Tensor, value: Tensor, signs: Tensor | None) -> Tensor:
        if self.keep and isinstance(parameter, nn.Parameter):
            parameter.feedback = None  # type: ignore[attr-defined]
        return Scaled.apply(parameter, value, signs, self.anchor, self.floor, self.keep)  # type: ignore[no-any-return]
