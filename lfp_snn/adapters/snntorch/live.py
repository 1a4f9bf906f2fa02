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
from torch import Tensor, nn

from lfp_snn.errors import UnknownLayerError
from lfp_snn.propagation.decision import decide, inner
from lfp_snn.propagation.external import register_neuron


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


def known(neuron: nn.Module) -> bool:
    """Whether this is the kind of update that is described above: not an LSTM, nor all steps at once.

    Examples
    --------
    >>> known(snntorch.Leaky(beta=0.5)), known(snntorch.SLSTM(2, 3))
    (True, False)
    """
    return isinstance(neuron, SpikingNeuron) and (isinstance(neuron, snntorch.Lapicque) or hasattr(neuron, "beta"))


@contextmanager
def live(neuron: Any) -> Iterator[Callable[[Any], Any]]:
    """Let a neuron of snnTorch share reward while it runs."""
    kind = type(neuron)
    if not known(neuron):
        raise UnknownLayerError(f"LFP does not know the update of snnTorch's {kind.__name__}")
    before: list[Tensor] = []
    fired: list[Tensor] = []

    def mem_reset(mem: Tensor) -> Tensor:
        before[:] = [mem.detach()]
        if hasattr(neuron, "recurrent"):
            neuron.spk = inner(neuron.spk)
        return kind.mem_reset(neuron, mem)  # type: ignore[no-any-return]

    def decided(mem: Tensor, spikes: Tensor) -> Tensor:
        subtracts, zeroes = (neuron.reset_mechanism == how for how in ("subtract", "zero"))
        (u,), theta = before, neuron.threshold.detach()
        at_once = subtracts and not getattr(neuron, "reset_delay", True)
        neuron.mem, out = decide(
            mem,
            spikes,
            neuron.threshold,
            w=u * (1 - neuron.reset) if zeroes else u,
            beta=membrane_decay(neuron).detach(),
            reset=neuron.reset * theta if subtracts else 0.0,
            left=mem.detach() - (spikes - neuron.reset) * theta if at_once else None,
        )
        fired[:] = [out]
        return spikes  # without a graph: an immediate reset takes these, and passes no reward

    def fire(mem: Tensor) -> Tensor:
        with torch.no_grad():
            held = neuron.state_quant(mem) if neuron.state_quant else mem
            spikes = neuron.spike_grad(held - neuron.threshold)
        sized: Tensor = decided(mem, spikes) * neuron.graded_spikes_factor
        return sized

    def fire_inhibition(batch_size: int, mem: Tensor) -> Tensor:
        with torch.no_grad():
            spikes = kind.fire_inhibition(neuron, batch_size, mem)
        return decided(mem, spikes)

    def finish(output: Any) -> Any:
        (out,), factor = fired, neuron.graded_spikes_factor
        if factor.requires_grad or bool((factor != 1).any()):
            out = out * factor
        if hasattr(neuron, "recurrent"):
            neuron.spk = out
        return (out, *output[1:]) if isinstance(output, tuple) else out

    methods: dict[str, Callable[..., Tensor]] = {
        "mem_reset": mem_reset,
        "fire": fire,
        "fire_inhibition": fire_inhibition,
    }
    vars(neuron).update(methods)
    try:
        yield finish
    finally:
        for name in methods:
            del vars(neuron)[name]


register_neuron(SpikingNeuron, live)
