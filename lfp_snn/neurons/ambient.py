"""What the surroundings ask of a neuron's backward pass.

A neuron on its own back-propagates with its surrogate derivative. Inside a propagator (:class:`lfp_snn.LFP`) it finds
here the sharing rule to use instead, and what else is wanted of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from lfp_snn.neurons.handover import Handover
from lfp_snn.neurons.surrogate import Surrogate
from lfp_snn.rules.sharing import Sharing


class RateTerm(Protocol):
    """Anything that asks neurons for another firing rate (see :class:`lfp_snn.rewards.Homeostasis`)."""

    def density(self, rate: Tensor) -> Tensor:
        """Return the reward density ``[N]`` that neurons of mean rate ``[N]`` receive on their current."""
        ...


def _same(parameter: Tensor) -> Tensor:
    return parameter


@dataclass(frozen=True)
class Ambient:
    """What is asked of every neuron that runs inside.

    Parameters
    ----------
    sharing : Sharing or None
        The rule that shares the reward of a spike; ``None`` keeps the surrogate gradient.
    surrogate : Surrogate or None
        The surrogate derivative for all neurons in place of their own.
    scale : callable
        Wraps a parameter so that its gradient becomes its feedback.
    settle : callable
        Applies to a current the stabiliser that its layer left to whoever takes it; spiking neurons have their own.
    note : callable or None
        Is told each spiking neuron that ran, and its spikes.
    rate_term : RateTerm or None
        Homeostasis of hidden neurons.
    record : bool
        Whether neurons keep the reward of each of their spikes, and more, in ``neuron.record``.
    handover : Handover or None
        Where messages are handed over, if this is a piece of a longer time.
    """

    sharing: Sharing | None = None
    surrogate: Surrogate | None = None
    scale: Callable[[Tensor], Tensor] = _same
    settle: Callable[[Tensor], Tensor] = _same
    note: Callable[[nn.Module, Tensor], None] | None = None
    rate_term: RateTerm | None = None
    record: bool = False
    handover: Handover | None = None


_ambient: ContextVar[Ambient] = ContextVar("lfp_snn_ambient", default=Ambient())


def ambient() -> Ambient:
    """Return what is asked at this point of the program."""
    return _ambient.get()


@contextmanager
def surrounded(by: Ambient) -> Iterator[None]:
    """Ask ``by`` of every neuron that runs inside."""
    token = _ambient.set(by)
    try:
        yield
    finally:
        _ambient.reset(token)
