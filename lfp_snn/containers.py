"""Networks over time, built from ordinary torch layers and neurons.

Layers without memory (linear, convolution, pooling, normalisation ...) see time folded into the batch, ``[T*B, ...]``;
neurons see ``[T, B, ...]``. What a static input (``steps=T``) passes before the first neuron is computed once.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from lfp_snn.checkpointing import in_pieces
from lfp_snn.errors import ShapeError
from lfp_snn.neurons import SpikingNeuron, TimeModule
from lfp_snn.neurons.reuse import offer
from lfp_snn.synapses import event_driven

State = Any


_SHAPES = (
    ((nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d), ("T", "B", "C", "L")),
    ((nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d), ("T", "B", "C", "H", "W")),
    ((nn.Conv3d, nn.MaxPool3d, nn.AvgPool3d), ("T", "B", "C", "D", "H", "W")),
)
"""Shapes of a whole time that some layers take."""


def advance(module: nn.Module, x: Tensor, state: State, steps: int | None) -> tuple[Tensor, State, int | None]:
    """Run one module over time and return its output, its state, and ``steps`` while the output is still static.

    A module that runs others over time has a method ``advance(x, state, steps)`` of its own, which keeps what is static
    computed once.
    """
    if isinstance(module, TimeModule):
        y, state = module(x, state, steps=steps)
        return y, state, None
    if hasattr(type(module), "advance"):
        return cast("tuple[Tensor, State, int | None]", module.advance(x, state, steps))  # type: ignore[operator]
    with event_driven(module):
        return (fold(module, x) if steps is None else module(x)), None, steps


def fold(module: nn.Module, x: Tensor) -> Tensor:
    """Apply a module without memory to all steps at once: ``[T, B, ...]`` to ``[T, B, ...]``.

    Examples
    --------
    >>> fold(nn.Conv2d(1, 2, 3), torch.zeros(5, 4, 1, 8, 8)).shape
    torch.Size([5, 4, 2, 6, 6])
    """
    if isinstance(module, nn.Linear) and x.dim() == 3:
        return cast(Tensor, module(x))
    wanted = next((shape for kinds, shape in _SHAPES if isinstance(module, kinds)), None)
    if x.dim() < 3 or (wanted is not None and x.dim() != len(wanted)):
        expected = ", ".join(wanted or ("T", "B", "features..."))
        raise ShapeError(
            f"{type(module).__name__} in a network over time got shape {list(x.shape)}; expected [{expected}]. For a "
            "static input [B, ...] say how long to run it: net(x, steps=T); for one step, net.run(x[None], state)"
        )
    y: Tensor = module(x.flatten(0, 1))
    return y.reshape(*x.shape[:2], *y.shape[1:])


class Sequential(nn.Sequential):
    """A chain of layers and neurons over time.

    Examples
    --------
    >>> from lfp_snn import LIF
    >>> net = Sequential(nn.Conv2d(2, 4, 5), LIF(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 5 * 5, 10), LIF())
    >>> net(torch.zeros(7, 3, 2, 14, 14)).shape                  # events [T, B, ...]
    torch.Size([7, 3, 10])
    >>> net(torch.zeros(3, 2, 14, 14), steps=7).shape            # a static image for 7 steps
    torch.Size([7, 3, 10])
    >>> state = None
    >>> for x in torch.zeros(7, 1, 3, 2, 14, 14):                # step by step, the same numbers
    ...     y, state = net.run(x, state)

    Attributes
    ----------
    checkpoint_steps : int
        For long inputs: so many time steps are kept at a time, and the others computed again in the backward pass
        (:mod:`lfp_snn.checkpointing`). 0, the default: all are kept.
    """

    checkpoint_steps: int = 0

    def forward(self, x: Tensor, *, steps: int | None = None, state: State = None) -> Tensor:
        """Run over ``x`` ``[T, B, ...]``, or over a static ``x`` ``[B, ...]`` for ``steps`` steps.

        From rest, or on from a ``state`` that :meth:`run` returned.
        """
        length = x.shape[0] if steps is None else steps
        if 0 < self.checkpoint_steps < length and state is None and torch.is_grad_enabled():
            return cast(Tensor, in_pieces(self, x, steps, self.checkpoint_steps))
        return self.run(x, state, steps=steps)[0]

    def run(self, x: Tensor, state: State = None, *, steps: int | None = None) -> tuple[Tensor, State]:
        """Run on from ``state`` (``None``: from rest) and return the output and the state to go on from."""
        y, state, _ = self.advance(x, state, steps)
        return y, state

    def advance(self, x: Tensor, state: State, steps: int | None) -> tuple[Tensor, State, int | None]:
        """Run on from ``state``; the last value is ``steps`` while the output is still static, else ``None``."""
        states = [None] * len(self) if state is None else list(state)
        if len(states) != len(self):
            raise ShapeError(
                f"the state has {len(states)} parts, the network {len(self)}; was it made by another network?"
            )
        modules = list(self)
        for k, module in enumerate(modules):
            x, states[k], steps = advance(module, x, states[k], steps)
            if k + 1 < len(modules) and isinstance(modules[k + 1], SpikingNeuron):
                offer(x, module, modules[k + 1])
        return x, tuple(states), steps


class Residual(nn.Module):
    """A body with a skip connection: ``merge(body(x), shortcut(x))``, inside a :class:`Sequential`.

    Parameters
    ----------
    body : nn.Module
        The main path, usually a :class:`Sequential`.
    shortcut : nn.Module, optional
        The skip path; the identity by default.
    merge : {"add", "max"}
        ``add`` sums currents (or spikes: SEW-ResNet, arXiv 2102.04159); ``max`` keeps spikes in {0, 1}.

    Examples
    --------
    >>> from lfp_snn import LIF
    >>> block = Residual(Sequential(nn.Linear(8, 8), LIF()), merge="max")
    >>> Sequential(nn.Linear(4, 8), LIF(), block)(torch.zeros(5, 2, 4)).shape
    torch.Size([5, 2, 8])
    """

    def __init__(
        self, body: nn.Module, shortcut: nn.Module | None = None, merge: Literal["add", "max"] = "add"
    ) -> None:
        super().__init__()
        if merge not in ("add", "max"):
            raise ValueError(f"merge must be 'add' or 'max', got {merge!r}")
        self.body, self.shortcut, self.merge = body, shortcut if shortcut is not None else nn.Identity(), merge

    def advance(self, x: Tensor, state: State, steps: int | None) -> tuple[Tensor, State, int | None]:
        """Run both paths and merge them; see :meth:`Sequential.advance`."""
        states = (None, None) if state is None else state
        main, s_main, main_steps = advance(self.body, x, states[0], steps)
        skip, s_skip, skip_steps = advance(self.shortcut, x, states[1], steps)
        if main_steps is None and skip_steps is not None:
            skip = skip.expand_as(main)
        elif skip_steps is None and main_steps is not None:
            main = main.expand_as(skip)
        y = main + skip if self.merge == "add" else torch.maximum(main, skip)
        return y, (s_main, s_skip), steps if main_steps is not None and skip_steps is not None else None

    def forward(self, x: Tensor) -> Tensor:
        """Run from rest over ``x`` ``[T, B, ...]``."""
        return self.advance(x, None, None)[0]
