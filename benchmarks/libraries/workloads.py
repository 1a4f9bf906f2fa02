"""What every library is asked to do: the networks, their input, and one reference for their spikes.

A workload is a list of layers and a tensor of input; weights and input are made once, saved, and loaded by every
contender's process, so that all train the same network on the same data. Nothing here imports lfp_snn: the process of
the reference, ``lfprop``, does not have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

Layer = tuple[Any, ...]
"""``("linear", n_in, n_out)``, ``("conv", n_in, n_out, kernel)``, ``("pool", size)``, ``("flatten",)``, ``("lif",)`` or
``("recurrent", n)``, a LIF layer with weights among its neurons."""

BETA, THRESHOLD = 0.9, 1.0


@dataclass(frozen=True)
class Workload:
    """A training step that is timed.

    Attributes
    ----------
    name : str
        What it is called in the table.
    layers : tuple of Layer
        The network.
    shape : tuple of int
        Of one example at one step.
    steps, batch : int
        Time steps and examples.
    activity : float
        Share of the inputs that are 1; above 1: a picture of normal values, shown at all steps.
    total : bool
        Whether the loss is the sum of the output instead of a classification.
    rate : float
        Spikes a neuron and step to which the fresh weights of each layer are scaled.
    """

    name: str
    layers: tuple[Layer, ...]
    shape: tuple[int, ...]
    steps: int
    batch: int
    activity: float = 2.0
    total: bool = False
    rate: float = 0.1

    @property
    def static(self) -> bool:
        """Whether one picture is shown at all steps."""
        return self.activity > 1

    def inputs(self) -> Tensor:
        """Return the input, ``[B, ...]`` if it is static, else ``[T, B, ...]``."""
        generator = torch.Generator().manual_seed(0)
        if self.static:
            return torch.randn(self.batch, *self.shape, generator=generator)
        return (torch.rand(self.steps, self.batch, *self.shape, generator=generator) < self.activity).float()

    def targets(self) -> Tensor:
        """Return the classes ``[B]``."""
        classes = next(layer[2] for layer in reversed(self.layers) if layer[0] == "linear")
        return torch.randint(0, classes, (self.batch,), generator=torch.Generator().manual_seed(1))

    def weights(self) -> list[Tensor]:
        """Return fresh weights, without biases, one tensor for each layer that has them."""
        generator, made = torch.Generator().manual_seed(2), []
        for kind, *sizes in self.layers:
            if kind == "linear":
                shape, bound = (sizes[1], sizes[0]), sizes[0] ** -0.5
            elif kind == "conv":
                shape, bound = (sizes[1], sizes[0], sizes[2], sizes[2]), (sizes[0] * sizes[2] ** 2) ** -0.5
            elif kind == "recurrent":
                shape, bound = (sizes[0], sizes[0]), 0.5 * sizes[0] ** -0.5
            else:
                continue
            made.append((2 * torch.rand(*shape, generator=generator) - 1) * bound)
        return made


def mlp(*sizes: int) -> tuple[Layer, ...]:
    """Return linear layers with LIF neurons."""
    return tuple(part for pair in pairwise(sizes) for part in (("linear", *pair), ("lif",)))


CNN: tuple[Layer, ...] = (
    *(("conv", 1, 12, 5), ("lif",), ("pool", 2)),
    *(("conv", 12, 64, 5), ("lif",), ("pool", 2)),
    *(("flatten",), ("linear", 1024, 10), ("lif",)),
)
RECURRENT: tuple[Layer, ...] = (
    *(("linear", 700, 256), ("recurrent", 256), ("linear", 256, 256), ("recurrent", 256)),
    *(("linear", 256, 20), ("lif",)),
)

WORKLOADS = {
    "1": Workload("784-1000-10, a picture, T=15, B=128", mlp(784, 1000, 10), (784,), 15, 128),
    "2": Workload("12C5-MP2-64C5-MP2-FC, a picture, T=25, B=64", CNN, (1, 28, 28), 25, 64),
    "3": Workload("2312-1000-1000-10, 5 % events, T=25, B=128", mlp(2312, 1000, 1000, 10), (2312,), 25, 128, 0.05),
    "4": Workload("700-256-256-20 recurrent, 2 % events, T=100, B=128", RECURRENT, (700,), 100, 128, 0.02),
    **{
        f"5-{n}": Workload(f"{n}-{n}, a picture, T=500, B=16", mlp(n, n), (n,), 500, 16, total=True)
        for n in (512, 1024, 2048)
    },
    "6": Workload("eight layers of 500, 5 % events, T=100, B=64", mlp(500, *[500] * 8, 10), (500,), 100, 64, 0.05),
}
"""The workloads by number. In the fifth, that of the Open Neuromorphic benchmark, the loss is the sum of the output."""
