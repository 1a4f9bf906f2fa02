r"""SpikingJelly's neurons inside LFP, as they are.

SpikingJelly computes a layer's steps in one fused operation. While a neuron runs here, a step of ours takes its place:
the same arithmetic in the same order as SpikingJelly's operation for the CPU (tests compare bit by bit; its kernels for
GPUs may round differently), with the decision as the place where reward is shared out.

A membrane rests at :math:`v_\mathrm{reset}`. Reward is shared by what the membrane is away from rest, so that it does
not depend on where a network's zero of potential lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from spikingjelly.activation_based import neuron as nodes
from spikingjelly.activation_based.base import MemoryModule
from torch import Tensor, nn

from lfp_snn.errors import ConfigError, UnknownLayerError
from lfp_snn.propagation.decision import decide
from lfp_snn.propagation.external import register_neuron

Charge = Callable[[Any, Tensor, Tensor], tuple[Tensor, Tensor | float]]


def rest(node: Any) -> float:
    """Return the potential at which a neuron rests."""
    return 0.0 if node.v_reset is None else float(node.v_reset)


def _if(node: Any, x: Tensor, v: Tensor) -> tuple[Tensor, float]:
    """Return the membrane before a spike, and the share of the old membrane in it."""
    return v + x, 1.0


def _lif(node: Any, x: Tensor, v: Tensor) -> tuple[Tensor, float]:
    away = v - rest(node)
    h = v + (x - away) / node.tau if node.decay_input else v - away / node.tau + x
    return h, 1 - 1 / node.tau


def _plif(node: Any, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    away, rate = v - rest(node), node.w.sigmoid()
    h = v + (x - away) * rate if node.decay_input else v - away * rate + x
    return h, 1 - rate.detach()


CHARGES: dict[type[nn.Module], Charge] = {
    nodes.IFNode: _if,
    nodes.HalfThresholdIFNode: _if,
    nodes.LIFNode: _lif,
    nodes.ParametricLIFNode: _plif,
}
"""The update of the membrane, for each type of neuron that is known."""

INTEGRATORS = (nodes.NonSpikingIFNode, nodes.NonSpikingLIFNode)
"""Neurons that do not spike: linear, so autograd carries them."""

_UPDATE = ("single_step_functional_forward", "multi_step_functional_forward", "multi_step_forward")


def known_type(node: nn.Module) -> type[nn.Module] | None:
    """Return the known type whose update a neuron has, ``None`` if there is none.

    Examples
    --------
    >>> known_type(nodes.LIFNode()).__name__, known_type(nodes.ILIFNode())
    ('LIFNode', None)
    """
    kinds: list[type[nn.Module]] = [*CHARGES, *INTEGRATORS]
    for known in kinds:
        update = ("neuronal_charge", "forward") if known in INTEGRATORS else _UPDATE
        if isinstance(node, known) and all(getattr(type(node), f) is getattr(known, f) for f in update):
            return known
    return None


def _step(node: Any, charge: Charge, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return spikes and membrane of one step."""
    zero, theta, soft = rest(node), node.v_threshold, node.v_reset is None
    h, beta = charge(node, x, v)
    with torch.no_grad():
        spikes = node.surrogate_function(h - theta)
        left = h - spikes * theta if soft else None
    away, out = decide(h - zero, spikes, h.new_tensor(theta - zero), w=v.detach() - zero, beta=beta, left=left)  # type: ignore[arg-type]
    h = h.detach() + (away - away.detach())  # the bits of h, and the message of what it is away from rest
    return out, h - spikes * theta if soft else spikes * node.v_reset + (1.0 - spikes) * h


@contextmanager
def live(node: Any) -> Iterator[None]:
    """Let a neuron of SpikingJelly share reward while it runs."""
    known = known_type(node)
    if known in INTEGRATORS:
        yield
        return
    if known is None:
        raise UnknownLayerError(
            f"LFP does not know the update of SpikingJelly's {type(node).__name__}; it knows those of "
            f"{', '.join(sorted(t.__name__ for t in (*CHARGES, *INTEGRATORS)))}"
        )
    if not node.surrogate_function.spiking:
        raise ConfigError("this neuron does not spike: call surrogate_function.set_spiking_mode(True)")
    if node._neuron_precision is not None:
        raise ConfigError("LFP runs SpikingJelly's neurons in the type of their input: leave their precision unset")
    charge = CHARGES[known]

    def step(inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: Any) -> tuple[tuple[Tensor], tuple[Any, ...]]:
        spikes, v = _step(node, charge, inputs[0], states[0])
        return (spikes,), (v, *states[1:])

    methods = {
        "single_step_functional_forward": step,
        "multi_step_functional_forward": MemoryModule.multi_step_functional_forward.__get__(node),
        "multi_step_forward": nodes.BaseNode.multi_step_forward.__get__(node),
    }
    vars(node).update(methods)
    try:
        yield
    finally:
        for name in methods:
            del vars(node)[name]


for _kind in vars(nodes).values():
    if isinstance(_kind, type) and issubclass(_kind, nn.Module):
        register_neuron(_kind, live)
