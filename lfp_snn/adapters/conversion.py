"""What all converters share: going through a network by name, and refusing what would not spike the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from lfp_snn.errors import ConfigError

Convert = Callable[[Any, str], Iterator[nn.Module]]


def refusal(name: str, module: nn.Module, why: str, trains: bool = True) -> ConfigError:
    """Return the error that a module cannot be converted, and what to do instead, if it ``trains`` as it is."""
    instead = "It trains as it is, with LFP().context(network)" if trains else "LFP does not know its update either"
    return ConfigError(f"{name} ({type(module).__name__}) cannot be converted: {why}. {instead}")


def converted(
    module: nn.Module, name: str, is_neuron: Callable[[nn.Module], bool], neuron: Convert
) -> Iterator[nn.Module]:
    """Yield what a network becomes: sequences are gone through, layers kept, neurons converted.

    Parameters
    ----------
    module : nn.Module
        The network, or a part of it.
    name : str
        Where it is, for messages.
    is_neuron : callable
        Whether a module is a neuron of the other library.
    neuron : callable
        Yields what a neuron becomes.

    Raises
    ------
    ConfigError
        For a module with neurons inside and a forward pass of its own.
    """
    if is_neuron(module):
        yield from neuron(module, name)
    elif _is_chain(module):
        for key, child in module.named_children():
            yield from converted(child, f"{name}.{key}", is_neuron, neuron)
    elif any(is_neuron(m) for m in module.modules()):
        raise refusal(name, module, "its forward pass is its own and cannot be read; a sequence of modules can")
    else:
        yield module


def _is_chain(module: nn.Module) -> bool:
    """Whether a module runs its children one after the other: a sequence with a library's forward pass."""
    library = type(module).forward.__module__.partition(".")[0]
    return isinstance(module, nn.Sequential) and library in ("torch", "norse", "spikingjelly")
