r"""The four local operations that turn ordinary backpropagation into LFP.

What travels backwards is the reward density :math:`g_x = R_x / x`. Each operation here is the identity in the forward
pass and changes the density on its way back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def stabilised(z: Tensor, epsilon: float) -> Tensor:
    """Return ``z + epsilon*sign(z)`` with ``sign(0) = 1``; where that is 0 (``epsilon = 0``), infinity."""
    safe = z + torch.where(z >= 0, epsilon, -epsilon).to(z.dtype)
    return safe if epsilon else torch.where(safe == 0, torch.inf, safe)


class Stabilise(torch.autograd.Function):
    r"""The epsilon rule at an operation's output: :math:`g \leftarrow g\, z / (z + \epsilon\,\mathrm{sign} z)`."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, epsilon: float) -> Tensor:
        """Return ``z``."""
        ctx.save_for_backward(z)
        ctx.epsilon = epsilon
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Scale the density."""
        (z,) = ctx.saved_tensors
        return g * (z / stabilised(z, ctx.epsilon)), None


class HandThrough(torch.autograd.Function):
    r"""An activation ``a = f(z)`` hands its reward through: :math:`g_z = a\, g_a / (z + \epsilon\,\mathrm{sign} z)`.

    The derivative of ``f`` is never used. The density also reaches ``a`` itself, for parameters that ``f`` may have.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, a: Tensor, epsilon: float) -> Tensor:
        """Return ``a``."""
        ctx.save_for_backward(z, a)
        ctx.epsilon = epsilon
        return a.view_as(a)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Turn the density of the output into that of the input, for the same reward."""
        z, a = ctx.saved_tensors
        return g * a / stabilised(z, ctx.epsilon), g if ctx.needs_input_grad[1] else None, None


class FromReward(torch.autograd.Function):
    r"""The network's output: the reward ``R`` arrives, and :math:`R / (z + \epsilon\,\mathrm{sign} z)` goes on."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, epsilon: float) -> Tensor:
        """Return ``z``."""
        ctx.save_for_backward(z)
        ctx.epsilon = epsilon
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, reward: Tensor) -> Any:
        """Divide by the output."""
        (z,) = ctx.saved_tensors
        return reward / stabilised(z, ctx.epsilon), None


class ShareAmong(torch.autograd.Function):
    """A rule with modified operations: the reward ``z*g`` goes to each part in its coefficient.

    ``ShareAmong.apply(z, rule, *outputs)`` with the output of each part of ``rule.parts()``.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, rule: Any, *outputs: Tensor) -> Tensor:
        """Return ``z``."""
        ctx.save_for_backward(z, *outputs)
        ctx.rule = rule
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Give each part its density."""
        z, *outputs = ctx.saved_tensors
        reward, densities = z * g, []
        for part, output in zip(ctx.rule.parts(), outputs, strict=True):
            density = part.coefficient * reward / stabilised(output, ctx.rule.epsilon)
            if part.where != "all":
                density = density * ((z > 0) if part.where == "positive" else (z < 0))
            densities.append(density)
        return None, None, *densities
