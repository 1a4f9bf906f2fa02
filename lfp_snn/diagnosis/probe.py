"""What goes through the layers of a network, and what comes back to them, in one batch of training.

A *layer* is here what makes an output of its own: spiking neurons, a leaky-integrator readout, an activation; and the
network's last linear layer, if that is its output. Everything is seen through hooks, so every method of training is
seen alike: LFP, too, is a backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lfp_snn.models.static import ACTIVATIONS
from lfp_snn.neurons import SpikingNeuron, TimeModule

_ACTIVATIONS: tuple[type[nn.Module], ...] = tuple(kind for kind in ACTIVATIONS.values() if isinstance(kind, type))
LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers that count only as the output of a network."""


@dataclass
class Call:
    """One call of a layer.

    Attributes
    ----------
    output, current : Tensor
        What it returned and what it was given, each as it came, detached.
    message, current_message : Tensor or None
        What came back to the two.
    readout : bool
        Whether the message is the reward itself, not its density (spikes as the output of a network under LFP).
    """

    output: Tensor
    current: Tensor
    message: Tensor | None = None
    current_message: Tensor | None = None
    readout: bool = False


@dataclass
class Seen:
    """A layer in one batch: its calls (an online method makes several, a stretch of time each), and what they mean."""

    name: str
    module: nn.Module
    calls: list[Call] = field(default_factory=list)

    @property
    def spiking(self) -> bool:
        """Whether it is made of spiking neurons."""
        return isinstance(self.module, SpikingNeuron)

    @property
    def recurrent(self) -> bool:
        """Whether its neurons pass messages among each other."""
        return self.spiking and self.module.recurrent is not None

    def output(self, batch: int) -> Tensor:
        """Return its output, ``[T, B, ...]``; without time, ``T`` is 1."""
        return torch.cat([self._over_time(c.output, batch) for c in self.calls])

    def message(self, batch: int, reward: bool) -> Tensor | None:
        """Return what came back to its output, ``[T, B, ...]``, for one example.

        Parameters
        ----------
        batch : int
            Number of examples; the methods send back the message of their mean.
        reward : bool
            Whether to turn the density that LFP sends into the reward of each output.
        """
        if all(c.message is None for c in self.calls):
            return None
        parts = []
        for c in self.calls:
            message = torch.zeros_like(c.output) if c.message is None else batch * c.message
            if reward:
                message = -message if c.readout else -message * c.output
            parts.append(self._over_time(message, batch))
        return torch.cat(parts)

    def current_reward(self, batch: int) -> Tensor | None:
        """Return the reward under LFP of what it was given, ``[T, B, ...]``; of a constant current, the sum."""
        if any(c.current_message is None for c in self.calls):
            return None
        parts = [-batch * c.current * c.current_message for c in self.calls if c.current_message is not None]
        return torch.cat([part[None] if len(part) == batch else self._over_time(part, batch) for part in parts])

    def _over_time(self, y: Tensor, batch: int) -> Tensor:
        """Return ``[T, B, ...]`` of a tensor that may have time folded into the batch, or no time."""
        if isinstance(self.module, TimeModule) or (isinstance(self.module, nn.Linear) and y.dim() == 3):
            return y
        return y.reshape(-1, batch, *y.shape[1:])


class Probe:
    """Hooks on all layers of a network; what they saw of a batch is in :attr:`seen` until the next :meth:`clear`.

    Parameters
    ----------
    network : nn.Module
        To be looked at while it learns.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential
    >>> net = Sequential(nn.Linear(3, 4), LIF(), nn.Linear(4, 2), LIF())
    >>> with Probe(net) as probe:
    ...     net(torch.ones(5, 2, 3)).sum().backward()
    >>> [(layer.name, layer.output(2).shape, layer.message(2, reward=False).shape) for layer in probe.layers()]
    [('1', torch.Size([5, 2, 4]), torch.Size([5, 2, 4])), ('3', torch.Size([5, 2, 2]), torch.Size([5, 2, 2]))]
    """

    def __init__(self, network: nn.Module) -> None:
        self.seen: dict[str, Seen] = {}
        kinds: tuple[type[nn.Module], ...] = (TimeModule, *_ACTIVATIONS, *LINEAR)
        layers = {name: m for name, m in network.named_modules() if isinstance(m, kinds)}
        self._handles = [m.register_forward_hook(self._hook(name)) for name, m in layers.items()]

    def _hook(self, name: str) -> Any:
        """Make the forward hook of a layer."""

        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
            if not torch.is_grad_enabled():
                return
            x, y = inputs[0], output[0] if isinstance(module, TimeModule) else output
            with torch.no_grad():  # LFP looks at the torch functions that run with gradients: not at these
                call = Call(y.detach(), x.detach())
                _on_message(y, lambda g: _receive(call, g, y))
                _on_message(x, lambda g: setattr(call, "current_message", g.detach()))
            self.seen.setdefault(name, Seen(name, module)).calls.append(call)

        return hook

    def layers(self) -> list[Seen]:
        """Return what was seen, in the order in which the layers ran."""
        last = next(reversed(self.seen), None)
        return [s for name, s in self.seen.items() if name == last or not isinstance(s.module, LINEAR)]

    def clear(self) -> None:
        """Forget what was seen."""
        self.seen.clear()

    def __enter__(self) -> Probe:
        """Return the probe."""
        return self

    def __exit__(self, *error: object) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()


def _on_message(x: Tensor, do: Callable[[Tensor], None]) -> None:
    """Call ``do`` with what comes back to a tensor."""
    if x.requires_grad:
        x.register_hook(do)  # type: ignore[no-untyped-call]


def _receive(call: Call, g: Tensor, y: Tensor) -> None:
    """Keep a message, and whether the propagator took these spikes for the network's output."""
    call.message = g.detach()
    call.readout = bool(getattr(getattr(y.grad_fn, "backward_", None), "readout", False))
