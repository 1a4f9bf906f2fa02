r"""From reward density to the feedback of a parameter: :math:`\mathrm{feedback}_W = |W| \cdot g x^\top`.

The density that autograd brings to a parameter is scaled by the parameter's magnitude before it is accumulated, so it
behaves like any gradient: it adds up, is clipped, averaged over processes and used by any optimiser.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

DERIVED = "_lfp_derived"
"""Marks a tensor that was made of parameters alone (a part, a transpose): its message is scaled at the parameters."""


class Relative(torch.autograd.Function):
    """Return ``value``, a modified copy of ``weight``; scale what comes back by ``|value| / |weight|``."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, value: Tensor) -> Tensor:
        """Return ``value``."""
        ctx.save_for_backward(weight, value)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Scale the density."""
        weight, value = ctx.saved_tensors
        return torch.where(weight != 0, g * value.abs() / weight.abs(), 0.0), None


class Scaled(torch.autograd.Function):
    """Identity on a parameter (or a modified copy ``value``) that scales what comes back by ``max(|value|, floor)``.

    With ``floor`` ``None`` what comes back is not scaled.
    """

    @staticmethod
    def forward(ctx: Any, parameter: Tensor, value: Tensor, floor: float | None, keep: bool) -> Tensor:
        """Return ``value``."""
        ctx.save_for_backward(value)
        ctx.floor, ctx.owner = floor, parameter if keep else None
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Scale the density, and leave the feedback on the parameter."""
        (value,) = ctx.saved_tensors
        if ctx.floor is None:
            scaled = g
        else:
            scaled = value.abs()
            if ctx.floor:
                scaled.clamp_(min=ctx.floor)
            scaled.mul_(g)
        if ctx.owner is not None:
            _add_feedback(ctx.owner, -scaled)
        return scaled, None, None, None


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
    """

    def __init__(self, floor: float | None = 0.0, keep: bool = True) -> None:
        self.floor, self.keep = floor, keep
        self._scaled: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, parameter: Tensor) -> Tensor:
        """Return a stand-in for ``parameter`` that has its values; what comes back to it is scaled."""
        if not parameter.requires_grad or hasattr(parameter, DERIVED):
            return parameter
        known = self._scaled.get(id(parameter))
        if known is None:
            known = self._scaled[id(parameter)] = (parameter, self.modified(parameter, parameter.detach()))
        return known[1]

    def __contains__(self, stand_in: Tensor) -> bool:
        """Whether a tensor is a stand-in made here, or made of some."""
        return hasattr(stand_in, DERIVED) or any(stand_in is known for _, known in self._scaled.values())

    def modified(self, parameter: Tensor, value: Tensor) -> Tensor:
        """Return a stand-in with the values ``value``, a function of the parameter with the same signs."""
        if not parameter.requires_grad:
            return value
        if hasattr(parameter, DERIVED):
            return Relative.apply(parameter, value)  # type: ignore[no-any-return]
        if self.keep and isinstance(parameter, nn.Parameter):
            parameter.feedback = None  # type: ignore[attr-defined]
        return Scaled.apply(parameter, value, self.floor, self.keep)  # type: ignore[no-any-return]
