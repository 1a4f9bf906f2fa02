"""The synapses of a network: which input is connected to which output, and how many connections carry something.

A layer's connections are never listed. How many of them meet a set of inputs, or lie between a set of inputs and a set
of outputs, follows from convolutions of masks with ones, exactly, with strides, padding and groups as the layer has
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lfp_snn.neurons import SpikingNeuron

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
"""The layers with synapses, as in neurobench."""


@dataclass(frozen=True, eq=False)
class Synapses:
    """The connections of a layer, or those from the neurons of a layer to each other.

    Parameters
    ----------
    module : nn.Module
        A linear layer, a convolution, or a spiking neuron with recurrent weights.
    parameter : str
        Name of its parameter, ``weight`` or ``recurrent``; the first dimension is that of the outputs.

    Examples
    --------
    >>> synapses = Synapses(nn.Conv2d(1, 2, 3, padding=1), "weight")
    >>> x = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    >>> x[0, 0, 0, 0] = True                              # one event in a corner: 2 x 2 positions of 2 channels see it
    >>> synapses.leaving(x), synapses.total(x)
    (8, 200)
    >>> synapses.between(x, torch.ones(1, 2, 4, 4, dtype=torch.bool))
    8
    """

    module: nn.Module
    parameter: str

    @property
    def weight(self) -> nn.Parameter:
        """The weights, ``[outputs, inputs of a group, *kernel]``."""
        weight: nn.Parameter = getattr(self.module, self.parameter)
        return weight

    def rows(self, x: Tensor) -> Tensor:
        """Return inputs or outputs with time and batch in one dimension: ``[rows, channels, *space]``."""
        return x.reshape(-1, *x.shape[x.dim() - self.weight.dim() + 1 :])

    def total(self, x: Tensor) -> int:
        """Return the number of connections between all inputs ``x`` ``[rows, ...]`` and the outputs."""
        return round(float(self._fan_in(x).sum())) * (len(self.weight) // self._groups) * len(x)

    def leaving(self, x: Tensor) -> int:
        """Return the number of connections, but for those of weight 0, that lead away from the inputs in a mask."""
        mask = self.weight.detach() != 0
        if mask.dim() == 2:
            fan_out = mask.sum(0)
        else:
            with torch.enable_grad():
                one = torch.zeros(1, *x.shape[1:], dtype=torch.float64, device=x.device, requires_grad=True)
                (fan_out,) = torch.autograd.grad(self._apply(one, mask.double()).sum(), one)
        return round(float((count(x, 0) * fan_out).sum()))

    def between(self, x: Tensor, y: Tensor) -> int:
        """Return the number of connections between the inputs and the outputs of two masks, row by row."""
        return round(float((self._reach(self._counted(x)) * self._counted(y)).sum()))

    def arriving(self, x: Tensor, y: Tensor) -> int:
        """Return the number of connections from any input (``x`` gives the shape) to the outputs of a mask."""
        return round(float((self._fan_in(x) * self._counted(y).sum(0)).sum()))

    @property
    def _groups(self) -> int:
        return int(getattr(self.module, "groups", 1))

    def _counted(self, mask: Tensor) -> Tensor:
        """Return how many channels of each group are set, ``[rows, groups, *space]``."""
        grouped = mask.reshape(len(mask), self._groups, mask.shape[1] // self._groups, *mask.shape[2:])
        return count(grouped, 2)

    def _fan_in(self, x: Tensor) -> Tensor:
        """Return how many inputs each output is connected to, ``[1, groups, *space]``; ``x`` gives their shape."""
        return self._reach(self._counted(x.new_ones(1, *x.shape[1:])))

    def _reach(self, counted: Tensor) -> Tensor:
        """Return how many of the counted inputs each output is connected to, the same for all outputs of a group."""
        kernel = self.weight.shape[2:]
        if not kernel:
            return counted
        with torch.autocast(counted.device.type, enabled=False):  # half precision would round what float32 has exactly
            return self._apply(counted.float(), counted.new_ones(self._groups, 1, *kernel).float()).double()

    def _apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """Run the layer with other weights and without a bias."""
        if weight.dim() == 2:
            return F.linear(x, weight)
        out: Tensor = self.module._conv_forward(x, weight, None)  # type: ignore[operator]
        return out


def count(mask: Tensor, dim: int) -> Tensor:
    """Count what is set along a dimension, float64; as bytes, since torch sums booleans an order of magnitude slower.

    Examples
    --------
    >>> count(torch.tensor([[True, False], [True, True]]), 0)
    tensor([2., 1.], dtype=torch.float64)
    """
    return mask.view(torch.uint8).sum(dim, dtype=torch.int32).double()


def find_synapses(network: nn.Module) -> Iterator[tuple[str, Synapses]]:
    """Yield the synapses of a network with the full names of their parameters: layers and recurrent weights.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential
    >>> [name for name, _ in find_synapses(Sequential(nn.Linear(3, 4), LIF(recurrent=4)))]
    ['0.weight', '1.recurrent']
    """
    for name, module in network.named_modules():
        if isinstance(module, Layer):
            parameter = "weight"
        elif isinstance(module, SpikingNeuron) and module.recurrent is not None:
            parameter = "recurrent"
        else:
            continue
        yield f"{name}.{parameter}".lstrip("."), Synapses(module, parameter)
