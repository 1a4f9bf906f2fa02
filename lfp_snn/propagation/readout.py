"""The network's output, where the reward enters.

A reward is given for an output, not for a density. Where the output is a value (logits, a membrane), it is divided by
that value. Where it is spikes, the neuron takes the reward as it is: a silent output neuron, too, can be told to fire.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from lfp_snn.graph import behind, made_by
from lfp_snn.neurons.backward import Backward
from lfp_snn.propagation.density import FromReward
from lfp_snn.propagation.mode import PENDING
from lfp_snn.rewards.base import OTHER_OUTPUT
from lfp_snn.synapses import unmark


def spiking_sources(output: Tensor) -> list[Backward] | None:
    """Return the scans whose spikes an output consists of, or ``None`` if it holds anything but spikes."""
    found: list[Backward] = []
    for node, number in made_by(output):
        how = getattr(node, "backward_", None)
        if not isinstance(how, Backward) or number != getattr(node, "fired", 0):  # of a neuron, but its membrane
            return None
        found.append(how)
    return found or None


def integrate(output: Tensor) -> None:
    """Tell all neurons behind an output that it is not spikes.

    One of them that runs step by step, and whose membrane is read but whose spikes nobody takes, is an integrator.
    """
    for node, _ in behind(output):
        how = getattr(node, "backward_", None)
        if isinstance(how, Backward):
            how.integrates = True


def receive_reward(outputs: Any, epsilon: float) -> Any:
    """Make the first tensor among the outputs the place where reward enters, and return the outputs.

    The others are marked: a reward that is given to one of them by mistake is told so.
    """
    leaves, spec = pytree.tree_flatten(outputs)
    entered = False
    for k, leaf in enumerate(leaves):
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            if entered:
                setattr(leaf, OTHER_OUTPUT, True)
                continue
            entered = True
            sources = spiking_sources(leaf)
            if sources is None:
                integrate(leaf)
                # If the output is that of a linear layer, its epsilon rule and this division are one and the same.
                leaves[k] = FromReward.apply(leaf, getattr(leaf, PENDING, epsilon))
            else:
                for how in sources:
                    how.readout = True
                unmark(leaf)  # outside, something may be trained by what it sends to silent outputs
    return pytree.tree_unflatten(leaves, spec)
