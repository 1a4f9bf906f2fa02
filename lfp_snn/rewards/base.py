"""What a reward is: a criterion whose value is minus the mean reward and whose backward pass sends the reward itself.

So a training step with LFP reads like any other: ``loss = reward(output, target); loss.backward()``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lfp_snn.errors import ConfigError, NonFiniteError, ShapeError
from lfp_snn.rewards.arrival import look

OTHER_OUTPUT = "_lfp_other_output"
"""On what a network under LFP returns besides the output that takes the reward."""


class SendReward(torch.autograd.Function):
    """The value ``-sum(reward) / count``; what goes back is ``-reward / count``, the reward and not a gradient."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, reward: Tensor, count: int) -> Tensor:
        """Return minus the mean reward."""
        ctx.save_for_backward(reward)
        ctx.count = count
        return -reward.sum() / count

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Send the reward."""
        (reward,) = ctx.saved_tensors
        return reward * (-g / ctx.count), None, None


class Reward:
    """Base class of rewards. A subclass gives :meth:`reward`, and :meth:`loss` where a gradient twin exists.

    Calling it with ``(output, target, lengths=None)`` returns a scalar, minus the mean reward of a sample, to call
    ``backward()`` on. ``output`` is ``[B, C]`` or, over time, ``[T, B, C]``; ``lengths`` ``[B]`` are the valid steps of
    each sample, the rest is padding and gets no reward.

    Raises
    ------
    ShapeError
        If output, target and lengths do not belong together, or the batch is empty.
    NonFiniteError
        If the output holds NaN or infinity.
    ConfigError
        If it is not the output that takes the reward: of several that a network returns under LFP, the first.
    """

    def reward(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the reward of every output, of the output's shape."""
        raise NotImplementedError(f"{type(self).__name__} must define reward(output, target, lengths=None)")

    def loss(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the differentiable loss that belongs to this reward, for training the same network by a gradient."""
        raise NotImplementedError(f"{type(self).__name__} has no differentiable counterpart")

    def __call__(self, output: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return minus the mean reward; its ``backward()`` sends the reward into the network."""
        check(output, lengths)
        if getattr(output, OTHER_OUTPUT, False):
            raise ConfigError(
                "a network under LFP takes the reward at the first of its outputs, and this is another one: let the "
                "network return what is rewarded first, for example (mem, spk) instead of (spk, mem)"
            )
        look(output, type(self).__name__)
        with torch.no_grad():
            reward = self.reward(output.detach(), target, lengths)
        if reward.shape != output.shape:
            raise ShapeError(
                f"{type(self).__name__}.reward returned shape {list(reward.shape)}, and not a reward for each output "
                f"{list(output.shape)}"
            )
        return SendReward.apply(output, reward, output.shape[-2])  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        """Show the options."""
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


def check(output: Tensor, lengths: Tensor | None = None) -> None:
    """Raise if an output cannot be rewarded."""
    if output.dim() not in (2, 3):
        raise ShapeError(f"a reward takes an output [B, C] or [T, B, C], got shape {list(output.shape)}")
    if output.numel() == 0:
        raise ShapeError(f"the output is empty: shape {list(output.shape)}")
    if not bool(output.detach().sum(dtype=torch.promote_types(output.dtype, torch.float32)).isfinite()):
        raise NonFiniteError("the output holds NaN or infinity: training has diverged, or the input was not finite")
    if lengths is not None:
        if output.dim() != 3:
            raise ShapeError("lengths are given, but the output has no time axis [T, B, C]")
        if lengths.shape != output.shape[1:2]:
            raise ShapeError(f"lengths must have shape [{output.shape[1]}], got {list(lengths.shape)}")
        if int(lengths.min()) < 1 or int(lengths.max()) > len(output):
            raise ShapeError(f"lengths must lie in 1..{len(output)}, got {int(lengths.min())}..{int(lengths.max())}")


def one_hot(target: Tensor, output: Tensor) -> Tensor:
    """Return ``[B, C]`` ones at the target classes ``[B]``, in the output's type.

    Raises
    ------
    ShapeError
        If the targets are not integer class numbers in ``0..C-1``, one a sample.
    """
    batch, classes = output.shape[-2:]
    if not isinstance(target, Tensor):
        raise ShapeError(f"targets must be a tensor of class numbers [{batch}], got {type(target).__name__}")
    if target.shape != (batch,) or target.is_floating_point() or target.is_complex():
        hint = "; time comes first, [T, B, ...]" if output.dim() == 3 and target.shape == output.shape[:1] else ""
        found = f"{target.dtype} {list(target.shape)}{hint}"
        raise ShapeError(f"targets must be class numbers of shape [{batch}], got {found}")
    target = target.long()
    if int(target.min()) < 0 or int(target.max()) >= classes:
        raise ShapeError(f"class numbers must lie in 0..{classes - 1}, got {int(target.min())}..{int(target.max())}")
    return torch.nn.functional.one_hot(target, classes).to(output.dtype)


def valid(output: Tensor, lengths: Tensor | None) -> Tensor:
    """Return weights ``[T, B, 1]`` that average over the valid steps: ``1/length`` there, 0 in the padding."""
    steps, batch = output.shape[:2]
    if lengths is None:
        return torch.full((steps, batch, 1), 1 / steps, dtype=output.dtype, device=output.device)
    n = lengths.to(output.device)
    inside = torch.arange(steps, device=output.device)[:, None] < n
    return (inside / n).to(output.dtype)[..., None]


def scores(output: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return the class scores ``[B, C]`` of an output: itself, or its mean over the valid steps (for spikes, the rate).

    Examples
    --------
    >>> scores(torch.tensor([[[0.0, 1.0]], [[1.0, 1.0]]])).tolist()
    [[0.5, 1.0]]
    """
    check(output, lengths)
    return output if output.dim() == 2 else (output * valid(output, lengths)).sum(0)
