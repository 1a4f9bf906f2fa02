r"""The local operations that turn ordinary backpropagation into LFP.

What travels backwards is the reward density :math:`g_x = R_x / x`. Each operation here is the identity in the forward
pass and changes the density on its way back.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from lfp_snn.rewards.arrival import Entry


def stabilised(z: Tensor, epsilon: float) -> Tensor:
    """Return ``z + epsilon*sign(z)`` with ``sign(0) = 1``; where that is 0 (``epsilon = 0``), infinity."""
    safe = z + torch.where(z >= 0, epsilon, -epsilon).to(z.dtype)
    return safe if epsilon else torch.where(safe == 0, torch.inf, safe)


_saved_by: Any = WeakTensorKeyDictionary()
"""For each tensor the operations below that saved its values for their backward pass."""


def _save(ctx: Any, *tensors: Tensor, epsilon: float = 0.0) -> None:
    """Save tensors for the backward pass, and note for each that it was."""
    ctx.save_for_backward(*tensors)
    ctx.epsilon, ctx.kept = epsilon, None
    for x in tensors:
        _saved_by.setdefault(x, WeakSet()).add(ctx)


def keep_saved(x: Tensor) -> None:
    """Keep what the operations below saved of ``x``, or of the tensor that it is a view of, before it is overwritten.

    What this does not know of is an error of autograd's in the backward pass.
    """
    for tensor in (x, x._base):
        for ctx in () if tensor is None else _saved_by.get(tensor, ()):
            if ctx.kept is None:
                try:
                    ctx.kept = tuple(saved.detach().clone() for saved in ctx.saved_tensors)
                except RuntimeError:  # freed by a backward pass: nothing to keep
                    continue


def _saved(ctx: Any) -> tuple[Tensor, ...]:
    return ctx.saved_tensors if ctx.kept is None else ctx.kept  # type: ignore[no-any-return]


class Stabilise(torch.autograd.Function):
    r"""The epsilon rule at an operation's output: :math:`g \leftarrow g\, z / (z + \epsilon\,\mathrm{sign} z)`."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, epsilon: float) -> Tensor:
        """Return ``z``."""
        _save(ctx, z, epsilon=epsilon)
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Scale the density."""
        (z,) = _saved(ctx)
        return g * (z / stabilised(z, ctx.epsilon)), None


class HandThrough(torch.autograd.Function):
    r"""An activation ``a = f(z)`` hands its reward through: :math:`g_z = a\, g_a / (z + \epsilon\,\mathrm{sign} z)`.

    The derivative of ``f`` is never used. The density also reaches ``a`` itself, for parameters that ``f`` may have.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, a: Tensor, epsilon: float) -> Tensor:
        """Return ``a``."""
        # Not a view: it may be overwritten. Where the graph of ``a`` (of its parameters) could have saved it, a copy.
        y = a.clone() if ctx.needs_input_grad[1] or a.data_ptr() == z.data_ptr() else a.data
        _save(ctx, z, y, epsilon=epsilon)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Turn the density of the output into that of the input, for the same reward."""
        z, a = _saved(ctx)
        return g * a / stabilised(z, ctx.epsilon), g if ctx.needs_input_grad[1] else None, None


class HandThroughInto(torch.autograd.Function):
    """:class:`HandThrough` whose values take the place of those of a tensor."""

    @staticmethod
    def forward(ctx: Any, into: Tensor, z: Tensor, a: Tensor, epsilon: float) -> Tensor:
        """Overwrite ``into`` by ``a`` and return it."""
        into.copy_(a)
        ctx.mark_dirty(into)
        _save(ctx, z, into, epsilon=epsilon)
        return into

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Turn the density of the output into that of the input; nothing comes to what was overwritten."""
        z, a = _saved(ctx)
        return None, g * a / stabilised(z, ctx.epsilon), g if ctx.needs_input_grad[2] else None, None


class FromReward(torch.autograd.Function):
    r"""The network's output: the reward ``R`` arrives, and :math:`R / (z + \epsilon\,\mathrm{sign} z)` goes on."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, epsilon: float) -> Tensor:
        """Return ``z``."""
        ctx.save_for_backward(z)
        ctx.epsilon, ctx.backward_ = epsilon, Entry()
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
        y = z.data  # not a view: it may be overwritten
        _save(ctx, y, *outputs)
        ctx.rule = rule
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Give each part its density."""
        z, *outputs = _saved(ctx)
        reward, densities = z * g, []
        for part, output in zip(ctx.rule.parts(), outputs, strict=True):
            density = part.coefficient * reward / stabilised(output, ctx.rule.epsilon)
            if part.where != "all":
                density = density * ((z > 0) if part.where == "positive" else (z < 0))
            densities.append(density)
        return None, None, *densities
