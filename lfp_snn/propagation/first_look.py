"""What is looked at once, in a network's first forward pass under LFP.

Two things make a network learn nothing, or something else, without an error: neurons that never fire, and operations
that bring a backward pass of their own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import WeakSet

from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.utils import _pytree as pytree

from lfp_snn.errors import SilenceWarning, UnknownLayerError
from lfp_snn.forward import Passage, around_forward
from lfp_snn.graph import behind, made_by, moves, sources
from lfp_snn.neurons.base import TimeModule
from lfp_snn.propagation.functions import is_registered

_seen: WeakSet[nn.Module] = WeakSet()
_OWN = ("torch.nn.", "lfp_snn.")


@contextmanager
def first_look(network: nn.Module, neurons: dict[str, nn.Module]) -> Iterator[list[Any]]:
    """Look at a first forward pass, whose outputs are to be put into the list.

    Raises
    ------
    UnknownLayerError
        If there is an operation with a backward pass of its own that LFP was told nothing about.
    """
    outputs: list[Any] = []
    if network in _seen:
        yield outputs
        return
    calls: dict[str, list[Tensor]] = {}
    ends = [around_forward(m, partial(_note, calls=calls.setdefault(name, []))) for name, m in neurons.items()]
    try:
        yield outputs
    finally:
        for end in ends:
            end()
    leaves = [x for x in pytree.tree_leaves(outputs) if isinstance(x, Tensor) and x.requires_grad]
    if not leaves:
        return
    made = set(behind(leaves[0]))
    for node, _ in made:
        _refuse_own_backward(node)
    _refuse_two_uses(leaves[0], made)
    _seen.add(network)
    taken = {name: [s for s in spikes if (s.grad_fn, s.output_nr) in made] for name, spikes in calls.items()}
    whole = {name: isinstance(m, TimeModule) for name, m in neurons.items()}  # where one call is all time, not a step
    silent = [n for n, spikes in taken.items() if len(spikes) > 1 - whole[n] and not any(map(_speaks, spikes))]
    if silent:
        named = ", ".join(silent[:3]) + f" and {len(silent) - 3} more layers" * (len(silent) > 3)
        warnings.warn(
            f"no neuron of {named} fired in this first forward pass: reward passes through spikes only, so "
            "nothing below will learn. Scale fresh weights by lfp_snn.models.calibrate(network, x), or use "
            "LFP(homeostasis=rewards.Homeostasis())",
            SilenceWarning,
            stacklevel=2,
        )


def _note(module: nn.Module, args: Any, kwargs: Any, calls: list[Tensor]) -> Passage:
    output = yield None
    calls.extend([x for x in pytree.tree_leaves(output) if isinstance(x, Tensor)][:1])
    return output


def _speaks(spikes: Tensor) -> bool:
    """Whether anything fired, or is told its reward whether it fires or not (the network's output)."""
    return bool(spikes.detach().any()) or getattr(getattr(spikes.grad_fn, "backward_", None), "readout", False)


def _refuse_two_uses(output: Tensor, made: set[tuple[Any, int]]) -> None:
    """Raise if spikes are the output and go on to another layer, too: what comes back is a reward and a density."""
    read_out = {made for made in made_by(output) if getattr(getattr(made[0], "backward_", None), "readout", False)}
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
