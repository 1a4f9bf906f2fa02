"""Spiking neurons of other libraries, run as they are: which types there are, and what surrounds their forward pass.

An adapter (:mod:`lfp_snn.adapters`) registers a type of neuron with a context manager. Inside it, the neuron's own
``forward`` gives the values it always gives, and its decisions share reward (:mod:`lfp_snn.propagation.decision`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lfp_snn.neurons.ambient import ambient

Finish = Callable[[Any], Any]
Live = Callable[[nn.Module], AbstractContextManager[Finish | None]]

ADAPTERS = {
    "snntorch": "lfp_snn.adapters.snntorch.live",
    "norse": "lfp_snn.adapters.norse.live",
    "spikingjelly": "lfp_snn.adapters.spikingjelly.live",
}
"""The module that registers the neurons of a library, imported when a model with modules of that library comes."""

_lives: dict[type[nn.Module], Live] = {}


def register_neuron(module_type: type[nn.Module], live: Live) -> None:
    """Say how a type of spiking neuron that runs step by step, and its subclasses, share reward.

    Parameters
    ----------
    module_type : type
        The neuron's class.
    live : callable
        ``live(neuron)`` returns the context manager in which the neuron's ``forward`` runs. In it, the decision of
        each step is to go through :func:`lfp_snn.propagation.decision.decide`; torch functions are plain autograd and
        the neuron's parameters are stand-ins to which feedback comes. It may yield a function, through which what
        ``forward`` returned then goes.

    Examples
    --------
    >>> from contextlib import nullcontext
    >>> class Silent(nn.Module):
    ...     def forward(self, x):
    ...         return 0 * x
    >>> register_neuron(Silent, lambda neuron: nullcontext())
    >>> live_of(Silent()) is not None
    True
    """
    _lives[module_type] = live


def live_of(module: nn.Module) -> Live | None:
    """Return what surrounds a neuron of another library, ``None`` for any other module."""
    adapter = ADAPTERS.get(type(module).__module__.partition(".")[0])
    if adapter is not None:
        importlib.import_module(adapter)
    return next((_lives[t] for t in type(module).__mro__ if t in _lives), None)


@contextmanager
def alive(module: nn.Module, live: Live) -> Iterator[Finish | None]:
    """Run a neuron of another library inside a propagator."""
    if ambient().sharing is None or not torch.is_grad_enabled():
        yield None
        return
    with torch._C.DisableTorchFunction(), _scaled(module, ambient().scale), live(module) as finish:
        yield finish


@contextmanager
def _scaled(module: nn.Module, scale: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Put stand-ins in the place of all parameters, and the parameters back at the end."""
    taken = [(m, name, p) for m in module.modules() for name, p in m._parameters.items() if p is not None]
    try:
        for m, name, p in taken:
            m._parameters[name] = scale(p)  # type: ignore[assignment]
        yield
    finally:
        for m, name, p in taken:
            m._parameters[name] = p
