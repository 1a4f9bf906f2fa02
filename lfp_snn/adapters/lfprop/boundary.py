"""LFP behind the reference's interface: rewards go in at the output, rewards come out at the input.

The reference's training step asks ``torch.autograd.grad`` for the reward at the input and reads the parameters'
``feedback`` afterwards. Autograd then runs only what lies between output and input. So the input gives off an
*anchor*, on which every parameter's stand-in depends: with that each of them lies on a way to the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from lfp_snn.propagation.density import FromReward
from lfp_snn.propagation.feedback import Scaler
from lfp_snn.propagation.lfp import LFP, Attachment
from lfp_snn.propagation.readout import spiking_sources

INSIDE = "_lfp_inside"
"""On a tensor that left the model: the same tensor without what was done at the boundary, for when it comes back."""

Seed = Callable[[Tensor, Tensor], Tensor]
"""What the output's message means: ``seed(output, message)`` returns the reward."""


def as_reward(output: Tensor, message: Tensor) -> Tensor:
    """Return the message: it is the reward."""
    return message


class Enter(torch.autograd.Function):
    """``*inputs, anchor = Enter.apply(factor, *inputs)``: the inputs as they are; the reward ``x*g`` goes back."""

    @staticmethod
    def forward(ctx: Any, factor: float, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the inputs and the anchor."""
        ctx.save_for_backward(*inputs)
        ctx.factor = factor
        ctx.set_materialize_grads(False)
        return *(x.view_as(x) for x in inputs), inputs[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, *densities: Tensor | None) -> Any:
        """Return the reward at each input: inside, the density is that of a loss, minus the reward's."""
        pairs = zip(ctx.saved_tensors, densities, strict=False)
        return None, *(None if g is None else x * g * -ctx.factor for x, g in pairs)


class Leave(torch.autograd.Function):
    """The output as it is; the reward that comes goes on as the message of a loss."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, seed: Seed, factor: float) -> Tensor:
        """Return the output."""
        ctx.save_for_backward(output)
        ctx.seed, ctx.factor = seed, factor
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, message: Tensor) -> Any:
        """Turn the sign."""
        (output,) = ctx.saved_tensors
        return ctx.seed(output, message) * -ctx.factor, None, None


class Routed(LFP):
    """LFP under ``torch.autograd.grad(outputs, inputs, grad_outputs=reward)``, which returns the reward at the input.

    Parameters
    ----------
    seed : callable
        What the output's message means; default: it is the reward.
    mean : bool
        Whether feedback is the mean over the batch instead of the sum.
    **options
        As for :class:`lfp_snn.LFP`.
    """

    def __init__(self, seed: Seed = as_reward, mean: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.seed, self.mean = seed, mean
        self._anchor: Tensor | None = None

    def _scaler(self) -> Scaler:
        """Return a scaler whose stand-ins depend on the input."""
        return Scaler(self.scale_floor, self.keep_feedback, self._anchor)

    def attach(self, model: nn.Module) -> Attachment:
        """Attach to ``model`` until the returned attachment is removed."""

        def enter(module: nn.Module, args: Any, kwargs: Any) -> Any:
            leaves, spec = pytree.tree_flatten((args, kwargs))
            leaves = [getattr(x, INSIDE, x) for x in leaves]
            signals = [k for k, x in enumerate(leaves) if isinstance(x, Tensor) and x.requires_grad]
            entering = [k for k in signals if leaves[k].is_leaf or k == 0]
            self._anchor = None
            if entering and torch.is_grad_enabled():
                tensors = [leaves[k] for k in entering]
                *inputs, self._anchor = Enter.apply(self._samples(tensors[0]), *tensors)
                for k, x in zip(entering, inputs, strict=True):
                    leaves[k] = x
            return pytree.tree_unflatten(leaves, spec)

        def leave(module: nn.Module, args: Any, outputs: Any) -> Any:
            leaves, spec = pytree.tree_flatten(outputs)
            signals = [k for k, y in enumerate(leaves) if isinstance(y, Tensor) and y.requires_grad]
            for k in signals:
                leaves[k] = self._leaving(leaves[k], first=k == signals[0])
            return pytree.tree_unflatten(leaves, spec)

        before = model.register_forward_pre_hook(enter, with_kwargs=True)
        inner = super().attach(model)
        after = model.register_forward_hook(leave)

        def remove() -> None:
            after.remove()
            inner.remove()
            before.remove()

        return Attachment(remove)

    def _samples(self, x: Tensor) -> float:
        """Return by how many samples feedback is to be divided."""
        return float(len(x)) if self.mean else 1.0

    def _leaving(self, y: Tensor, first: bool) -> Tensor:
        """Return an output to which rewards can be given; LFP itself has seen to the first one."""
        inside = y
        if not first:
            sources = spiking_sources(y)
            if sources is None:
                y = FromReward.apply(y, self.epsilon)
            else:
                for how in sources:
                    how.readout = True
        out: Tensor = Leave.apply(y, self.seed, 1 / self._samples(y))
        if not first:
            setattr(out, INSIDE, inside)
        return out
