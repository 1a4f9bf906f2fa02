"""How much of a network takes part in a step of learning."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lfp_snn.training.connections import count, find_synapses


class Participation:
    """The shares of weights and of neurons that hear something in a step of the optimiser, averaged over steps.

    A weight takes part if its gradient (or feedback) is not zero; a neuron, that is a unit or a channel of a layer, if
    one of the weights that lead to it does. Biases are not looked at, nor what the optimiser adds by itself (momentum,
    weight decay).

    Parameters
    ----------
    network : nn.Module
        Its linear layers, convolutions and recurrent weights are looked at.

    Examples
    --------
    >>> net = nn.Linear(4, 2)
    >>> net(torch.tensor([1.0, 0.0, 0.0, 1.0]))[0].backward()
    >>> participation = Participation(net)
    >>> participation.add()
    >>> participation.shares()
    {'weights': 0.25, 'neurons': 0.5}
    """

    def __init__(self, network: nn.Module) -> None:
        self.synapses = [synapses for _, synapses in find_synapses(network)]
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._weights, self._neurons = Share(), Share()

    def add(self) -> None:
        """Look at the gradients, between the backward pass and the optimiser's step."""
        for synapses in self.synapses:
            weight = synapses.weight
            hears = torch.zeros(len(weight)) if weight.grad is None else count(weight.grad.bool().flatten(1), 1)
            self._weights.add(hears.sum(), weight.numel())
            if synapses.parameter == "weight":  # neurons with recurrent weights are the units of the layer below
                self._neurons.add(hears.count_nonzero(), len(weight))

    def shares(self) -> dict[str, float]:
        """Return the mean shares of ``weights`` and ``neurons``."""
        return {"weights": self._weights.value, "neurons": self._neurons.value}


class Share:
    """The part of many things."""

    def __init__(self) -> None:
        self.part = self.whole = 0

    def add(self, part: Tensor, whole: int) -> None:
        """Add a number ``[]`` out of another."""
        self.part += int(part)
        self.whole += whole

    @property
    def value(self) -> float:
        """The share, 0 of nothing."""
        return self.part / max(1, self.whole)
