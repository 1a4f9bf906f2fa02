"""How much of a network's membranes is kept for the backward pass."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from lfp_snn.errors import suggest
from lfp_snn.neurons.base import SpikingNeuron

Kept = Literal["full", "bfloat16"]


def keep_membranes(network: nn.Module, kept: Kept = "bfloat16") -> None:
    """Have all spiking neurons of a network keep their membrane for the backward pass in full, or in bfloat16.

    In bfloat16, a neuron takes 2 instead of 4 bytes a step. Outputs stay what they are.

    Raises
    ------
    ValueError
        For another way, or a network without spiking neurons.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential
    >>> net = Sequential(nn.Linear(4, 3), LIF())
    >>> keep_membranes(net, "bfloat16")
    """
    if kept not in get_args(Kept):
        raise ValueError(suggest(str(kept), get_args(Kept), "way to keep membranes"))
    neurons = [m for m in network.modules() if isinstance(m, SpikingNeuron)]
    if not neurons:
        raise ValueError(f"{type(network).__name__} has no spiking neurons, and so no membranes to keep")
    for neuron in neurons:
        neuron.half_membrane = kept == "bfloat16"
