"""The work of a network and of its training in synaptic operations, counted through hooks.

A synaptic operation is what one connection does in one step for one example: nothing where nothing comes in. So a
network of spikes does little, and an event-driven machine would do no more than what is counted here. Three things
cost:

========  ==============================================================================================================
forward   connections whose input is not zero and whose weight is not zero: an accumulate (AC) where inputs are spikes,
          else a multiply-accumulate (MAC). Definition and numbers are those of neurobench's SynapticOperations
          (Yik et al. 2025, doi 10.1038/s41467-025-56739-4); recurrent weights, which it does not know, count too
feedback  the weight's own message, (message at the output) x (input): connections between an input that is not zero and
          an output whose message is not zero
below     the message to the layer below. A reward goes only to inputs that are not zero, a gradient to all of them:
          all connections of an output whose message is not zero. Nothing for the first layer
========  ==============================================================================================================

Biases, neurons and pooling are not synapses. What runs once (layers in front of the first neuron under a static input)
counts once; steps beyond the end of a padded example count like any other. On the way back no weight is left out for
being zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from lfp_snn.methods import DirectFeedback, Method
from lfp_snn.neurons import SpikingNeuron, TimeModule
from lfp_snn.training.connections import Synapses, find_synapses
from lfp_snn.training.fabric import total


@dataclass
class Counts:
    """Synaptic operations so far, and the examples that took them."""

    examples: int = 0
    macs: int = 0
    acs: int = 0
    dense: int = 0
    """Of all connections, whatever comes in."""
    feedback: int = 0
    dense_feedback: int = 0
    below: int = 0
    dense_below: int = 0


class WorkCounter:
    """Count the synaptic operations of a network.

    Parameters
    ----------
    network : nn.Module
        Linear layers, convolutions and recurrent weights of neurons are counted.
    method : Method, optional
        How it learns. A method of rewards sends messages to active inputs only; direct feedback alignment sends them
        from the output straight to each hidden layer; traces keep an input active for later steps.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential
    >>> work = WorkCounter(Sequential(nn.Linear(3, 4), LIF()))
    >>> with work.watch(examples=2):
    ...     _ = work.network(torch.ones(5, 2, 3))
    >>> work.inference()
    {'effective_macs': 0.0, 'effective_acs': 60.0, 'dense': 60.0}
    """

    def __init__(self, network: nn.Module, method: Method | None = None) -> None:
        self.network = network
        self.counts = Counts()
        self._rewarded = method is not None and method.takes_reward
        self._direct = isinstance(method, DirectFeedback)
        self._traced = bool(getattr(method, "trace", 0.0))
        self._synapses = [synapses for _, synapses in find_synapses(network)]
        neurons = [m for m in network.modules() if isinstance(m, TimeModule)]
        self._hidden = [m for m in neurons[:-1] if isinstance(m, SpikingNeuron)]
        self._stack = ExitStack()
        self._traces: dict[Synapses, Tensor] = {}
        self._learning: dict[Synapses, tuple[bool, int]] = {}
        self._projected = 0
        self._over = False

    def reset(self) -> None:
        """Forget what was counted."""
        self.counts = Counts()

    @contextmanager
    def watch(self, examples: int) -> Iterator[None]:
        """Count what happens inside: forward passes, and the backward passes that follow them.

        Parameters
        ----------
        examples : int
            How many examples are worked on.
        """
        self._traces.clear()
        self._learning.clear()
        self._over = False
        with ExitStack() as self._stack:
            for synapses in self._synapses:
                hook = self._recurrent_hook if isinstance(synapses.module, SpikingNeuron) else self._layer_hook
                self._keep(synapses.module.register_forward_hook(hook(synapses), with_kwargs=True))
            if self._direct:
                for neuron in self._hidden:
                    self._keep(neuron.register_forward_hook(self._widen))
            self._keep(self.network.register_forward_pre_hook(self._begin))
            self._keep(self.network.register_forward_hook(self._end))
            yield
        self.counts.examples += examples
        self.counts.dense_feedback += sum(dense for _, dense in self._learning.values())

    def _keep(self, handle: Any) -> None:
        """Take a hook away when the watch ends, and with it what it holds."""
        self._stack.callback(handle.remove)

    def _layer_hook(self, synapses: Synapses) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any, y: Tensor) -> None:
            x = args[0] if args else kwargs["input"]
            self._count(synapses, x.detach(), y, slice(0, None if x.requires_grad and not self._direct else 0))

        return hook

    def _recurrent_hook(self, synapses: Synapses) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any, out: tuple[Tensor, Any]) -> None:
            spikes, current = out[0].detach(), args[0]
            state = args[1] if len(args) > 1 else kwargs.get("state")
            first = torch.zeros_like(spikes[0]) if state is None else state.s
            # Nothing goes below the first step. A static current's message is a sum over time: it counts at all steps.
            self._count(synapses, torch.cat([first[None], spikes[:-1]]), current, slice(len(first), None))

        return hook

    @torch.no_grad()
    def _count(self, synapses: Synapses, x: Tensor, y: Tensor, below: slice) -> None:
        """Count the way forwards, and listen for the message that will come to ``y`` and, in some rows, goes below."""
        with torch._C.DisableTorchFunction():  # nothing here is part of what a propagator sees
            active = synapses.rows(x.bool())
            all_of_them = synapses.total(active)
            if not self._over:
                amount = synapses.leaving(active)
                if torch.equal(x.sign(), x):
                    self.counts.acs += amount
                else:
                    self.counts.macs += amount
                self.counts.dense += all_of_them
            if y.requires_grad:
                self._learns(synapses, all_of_them)
                self.counts.dense_below += synapses.total(active[below])
                known = self._traced_input(synapses, active)

                def listen(g: Tensor) -> None:
                    self._hear(synapses, active, known, g.bool(), below)

                self._keep(y.register_hook(listen))  # type: ignore[no-untyped-call]

    def _learns(self, synapses: Synapses, dense: int) -> None:
        """Take note that a layer will learn; one that is called after the network has run learns by that alone."""
        over, before = self._learning.get(synapses, (self._over, 0))
        self._learning[synapses] = self._over, dense + (before if over == self._over else 0)

    def _traced_input(self, synapses: Synapses, active: Tensor) -> Tensor:
        """Return where a layer remembers an input: with traces, wherever there has been one."""
        if not self._traced or synapses.parameter == "recurrent":
            return active
        before = self._traces.get(synapses)
        self._traces[synapses] = active if before is None else active | before
        return self._traces[synapses]

    @torch.no_grad()
    def _hear(self, synapses: Synapses, active: Tensor, known: Tensor, heard: Tensor, below: slice) -> None:
        """Count the way back of a message."""
        heard = synapses.rows(heard)
        if len(heard) < len(active):
            heard = heard.repeat(len(active) // len(heard), 1)
        feedback = synapses.between(known, heard)
        self.counts.feedback += feedback
        if self._rewarded and known is active and below == slice(0, None):
            self.counts.below += feedback
        else:
            count = synapses.between if self._rewarded else synapses.arriving
            self.counts.below += count(active[below], heard[below])

    def _begin(self, network: nn.Module, args: Any) -> None:
        """Take note that the network starts to run."""
        self._projected, self._over = 0, False

    def _widen(self, neuron: nn.Module, args: Any, out: tuple[Tensor, Any]) -> None:
        """Take note of a layer that hears the output directly."""
        self._projected += out[0][0, 0].numel()

    def _end(self, network: nn.Module, args: Any, output: Tensor) -> None:
        """Take note that the network has run: layers called from now on (by r-stdp) are called for messages alone."""
        self._over = True
        if self._direct and output.requires_grad:
            width = self._projected
            self.counts.dense_below += output.numel() * width

            def listen(error: Tensor) -> None:
                self.counts.below += int(error.count_nonzero()) * width

            self._keep(output.register_hook(listen))  # type: ignore[no-untyped-call]

    def reduce(self, fabric: Fabric) -> None:
        """Sum the counts over all processes."""
        names = [f.name for f in fields(Counts)]
        mine = torch.tensor([getattr(self.counts, name) for name in names], dtype=torch.int64, device=fabric.device)
        self.counts = Counts(**dict(zip(names, total(fabric, mine).tolist(), strict=True)))

    def inference(self) -> dict[str, float]:
        """Return the operations of the way forwards for an example: effective MACs and ACs, and those of all."""
        c = self.counts
        return self._each({"effective_macs": c.macs, "effective_acs": c.acs, "dense": c.dense})

    def training(self) -> dict[str, float]:
        """Return the operations of learning from an example: forward, feedback and below, and those of all."""
        c = self.counts
        dense = c.dense + c.dense_feedback + c.dense_below
        return self._each({"forward": c.macs + c.acs, "feedback": c.feedback, "below": c.below, "dense": dense})

    def taking_part(self) -> float:
        """Return the share of (connection, step, example) in which something is added to the weight's message."""
        return self.counts.feedback / max(1, self.counts.dense_feedback)

    def _each(self, amounts: dict[str, int]) -> dict[str, float]:
        return {name: amount / max(1, self.counts.examples) for name, amount in amounts.items()}
