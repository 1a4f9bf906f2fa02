"""snnTorch's neurons inside LFP, as they are: their own update, their own spikes, LFP's decision.

All of them first ask ``mem_reset`` for the reset of the membrane they hold, then update it, then ``fire``. These two
methods are replaced while the neuron runs. What it computes stays the same to the last bit; what differs between
neurons (synapses, recurrence, resets, quantised state) is theirs and carried by autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import snntorch
import torch
from snntorch._neurons.neurons import SpikingNeuron
from torch import Tensor

from lfp_snn.propagation.decision import decide
from lfp_snn.propagation.foreign import register_neuron


def membrane_decay(neuron: Any) -> Tensor:
    """Return the share of the membrane that a neuron keeps from one step to the next.

    Examples
    --------
    >>> float(membrane_decay(snntorch.Leaky(beta=0.5)))
    0.5
    """
    if isinstance(neuron, snntorch.Alpha):  # its membrane is made of the synaptic currents anew at every step
        return torch.zeros((), device=neuron.beta.device)
    if isinstance(neuron, snntorch.Lapicque):
        return 1 - neuron.time_step / (neuron.R * neuron.C)  # type: ignore[no-any-return]
    return neuron.beta.clamp(0, 1)  # type: ignore[no-any-return]


@contextmanager
def live(neuron: Any) -> Iterator[None]:
    """Let a neuron of snnTorch share reward while it runs."""
    kind = type(neuron)
    before: list[Tensor] = []

    def mem_reset(mem: Tensor) -> Tensor:
        before[:] = [mem.detach()]
        return kind.mem_reset(neuron, mem)  # type: ignore[no-any-return]

    def decided(mem: Tensor, spikes: Tensor) -> Tensor:
        subtracts, zeroes = (neuron.reset_mechanism == how for how in ("subtract", "zero"))
        (u,) = before
        neuron.mem, spikes = decide(
            mem,
            spikes,
            neuron.threshold,
            w=u * (1 - neuron.reset) if zeroes else u,
            beta=membrane_decay(neuron).detach(),
            reset=(neuron.reset * neuron.threshold).detach() if subtracts else 0.0,
        )
        return spikes

    def fire(mem: Tensor) -> Tensor:
        with torch.no_grad():
            held = neuron.state_quant(mem) if neuron.state_quant else mem
            spikes = neuron.spike_grad(held - neuron.threshold)
        spikes, factor = decided(mem, spikes), neuron.graded_spikes_factor
        return spikes if not factor.requires_grad and bool((factor == 1).all()) else spikes * factor

    def fire_inhibition(batch_size: int, mem: Tensor) -> Tensor:
        with torch.no_grad():
            spikes = kind.fire_inhibition(neuron, batch_size, mem)
        return decided(mem, spikes)

    methods: dict[str, Callable[..., Tensor]] = {
        "mem_reset": mem_reset,
        "fire": fire,
        "fire_inhibition": fire_inhibition,
    }
    vars(neuron).update(methods)
    try:
        yield
    finally:
        for name in methods:
            del vars(neuron)[name]


register_neuron(SpikingNeuron, live)
