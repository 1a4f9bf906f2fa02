"""A network over time that branches and joins, as NIR describes it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from lfp_snn.containers import advance
from lfp_snn.errors import ConfigError, ShapeError

INPUT = "<input>"
"""The source that stands for the network's input."""


class Scale(nn.Module):
    """Fixed factors on a signal.

    Examples
    --------
    >>> import torch
    >>> Scale(torch.tensor([2.0, 0.5]))(torch.ones(2)).tolist()
    [2.0, 0.5]
    """

    scale: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` times the factors."""
        return x * self.scale


class Graph(nn.Module):
    """Layers and neurons over time, each of which takes the sum of what its sources give.

    Parameters
    ----------
    layers : mapping
        The modules by name, each after its sources.
    sources : mapping
        For each module the names of its sources; `INPUT` for the network's input.
    output : sequence of str
        The sources of the network's output.

    Raises
    ------
    ConfigError
        If a source is missing, or comes later.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn import LIF
    >>> net = Graph({"fc": nn.Linear(4, 4), "lif": LIF()}, {"fc": [INPUT], "lif": ["fc", INPUT]}, ["lif"])
    >>> net(torch.zeros(5, 2, 4)).shape                          # [T, B, ...], or [B, ...] with steps=T
    torch.Size([5, 2, 4])
    """

    def __init__(
        self, layers: Mapping[str, nn.Module], sources: Mapping[str, Sequence[str]], output: Sequence[str]
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(OrderedDict(layers))
        self.sources = {name: tuple(sources[name]) for name in layers}
        self.output = tuple(output)
        known = {INPUT}
        for name, needed in [*self.sources.items(), ("the output", self.output)]:
            missing = [s for s in needed if s not in known]
            if missing or not needed:
                raise ConfigError(f"{name} needs sources that come before it, got {list(needed)}")
            known.add(name)

    def forward(self, x: Tensor, *, steps: int | None = None) -> Tensor:
        """Run from rest over ``x`` ``[T, B, ...]``, or over a static ``x`` ``[B, ...]`` for ``steps`` steps."""
        return self.run(x, None, steps=steps)[0]

    def run(self, x: Tensor, state: Any = None, *, steps: int | None = None) -> tuple[Tensor, Any]:
        """Run on from ``state`` (``None``: from rest) and return the output and the state to go on from."""
        y, state, _ = self.advance(x, state, steps)
        return y, state

    def advance(self, x: Tensor, state: Any, steps: int | None) -> tuple[Tensor, Any, int | None]:
        """Run on from ``state``; see :meth:`lfp_snn.Sequential.advance`."""
        states = [None] * len(self.layers) if state is None else list(state)
        if len(states) != len(self.layers):
            raise ShapeError(f"the state has {len(states)} parts, the network {len(self.layers)}")
        values: dict[str, tuple[Tensor, int | None]] = {INPUT: (x, steps)}
        for k, (name, layer) in enumerate(self.layers.items()):
            into, still = _sum([values[s] for s in self.sources[name]])
            y, states[k], still = advance(layer, into, states[k], still)
            values[name] = (y, still)
        y, still = _sum([values[s] for s in self.output])
        return y, tuple(states), still


def _sum(values: list[tuple[Tensor, int | None]]) -> tuple[Tensor, int | None]:
    """Add up values, of which static ones ``[B, ...]`` stand for all steps; static is what consists of static ones."""
    total, steps = values[0]
    for value, others in values[1:]:
        total = total + value
        steps = None if others is None else steps
    return total, steps
