"""What is looked at once, in a network's first forward pass under LFP.

Two things make a network learn nothing, or something else, without an error: neurons that never fire, and operations
that bring a backward pass of their own.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple
from weakref import WeakSet

from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.utils import _pytree as pytree

from lfp_snn.errors import SilenceWarning, UnknownLayerError
from lfp_snn.graph import behind, made_by, moves, sources
from lfp_snn.neurons.base import SpikingNeuron
from lfp_snn.propagation.functions import is_registered

_seen: WeakSet[nn.Module] = WeakSet()
_OWN = ("torch.nn.", "lfp_snn.")


class _Call(NamedTuple):
    """A call of a neuron: whether anything fired in it, and where its spikes are in the graph."""

    fired: bool
    made: tuple[Any, int]
    whole: bool


class FirstLook:
    """A look at a forward pass of a network: told of its spikes, and at the end of its output."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.names = {module: name for name, module in network.named_modules()}
        self.calls: dict[str, list[_Call]] = {}

    def note(self, neuron: nn.Module, spikes: Tensor) -> None:
        """Note what a neuron fired: ``[T, B, ...]`` of our own, ``[B, ...]`` of another library's, step by step."""
        if self.network not in _seen and neuron in self.names:
            whole = isinstance(neuron, SpikingNeuron) and len(spikes) > 1
            call = _Call(bool(spikes.detach().any()), (spikes.grad_fn, spikes.output_nr), whole)
            self.calls.setdefault(self.names[neuron], []).append(call)

    def close(self, outputs: Any) -> None:
        """Say what there is to say at the end of the pass.

        Raises
        ------
        UnknownLayerError
            If there is an operation with a backward pass of its own that LFP was told nothing about, or spikes have two
            uses that cannot be told apart.
        """
        output = next((x for x in pytree.tree_leaves(outputs) if isinstance(x, Tensor) and x.requires_grad), None)
        if output is None:
            return
        made = set(behind(output))
        for node, _ in made:
            _refuse_own_backward(node)
        _refuse_two_uses(output, made)
        _seen.add(self.network)
        taken = {name: [call for call in calls if call.made in made] for name, calls in self.calls.items()}
        silent = [name for name, calls in taken.items() if _silent(calls)]
        if silent:
            named = ", ".join(silent[:3]) + f" and {len(silent) - 3} more layers" * (len(silent) > 3)
            warnings.warn(
                f"no neuron of {named} fired in this first forward pass: reward passes through spikes only, so nothing "
                "below will learn. Scale fresh weights by lfp_snn.models.calibrate(network, x), or use "
                "LFP(homeostasis=rewards.Homeostasis())",
                SilenceWarning,
                stacklevel=2,
            )


def first_look(network: nn.Module) -> FirstLook | None:
    """Return a look at a network, ``None`` if it was looked at before."""
    return None if network in _seen else FirstLook(network)


def _silent(calls: list[_Call]) -> bool:
    """Whether all of the time passed without a spike, in neurons that are not told their reward anyway (the output)."""
    if len(calls) < 2 and not any(call.whole for call in calls):
        return False
    return not any(call.fired or _is_read_out(call.made[0]) for call in calls)


def _is_read_out(node: Any) -> bool:
    return getattr(getattr(node, "backward_", None), "readout", False)


def _refuse_two_uses(output: Tensor, made: set[tuple[Any, int]]) -> None:
    """Raise if spikes are the output and go on to another layer, too: what comes back is a reward and a density."""
    read_out = {(node, number) for node, number in made_by(output) if _is_read_out(node)}
    for node, _ in made if read_out else ():
        if not moves(node) and any(source in read_out for source in sources(node)):
            raise UnknownLayerError(
                "spikes that are the network's output are also the input of another layer. LFP cannot tell then what "
                "comes back to them: give the output neurons of their own (another LIF behind the same current)"
            )


def _refuse_own_backward(node: Any) -> None:
    function: Any = type(node)._forward_cls if isinstance(node, BackwardCFunction) else None  # type: ignore[attr-defined]
    if function is None or f"{function.__module__}.".startswith(_OWN) or is_registered(function):
        return
    raise UnknownLayerError(
        f"{function.__qualname__} is an autograd function with a backward pass of its own, which LFP would take as it "
        "is. If it is an activation or a spike, declare the module that calls it (lfp_snn.register_module), or use the "
        "neurons of lfp_snn. If it is linear, so that its gradient is right for a density, too: "
        f"lfp_snn.register_function({function.__qualname__}, 'structure')"
    )
