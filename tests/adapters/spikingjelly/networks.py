"""Networks written the SpikingJelly way, of different make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

T, BATCH = 8, 3


def strong(net: nn.Module, gain: float) -> nn.Module:
    """Make weights large enough for the neurons to fire."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith("weight"):
                p.mul_(gain)
    return net


def mlp(make: Callable[[], nn.Module], gain: float = 5.0, hidden: int = 8) -> nn.Module:
    return strong(nn.Sequential(layer.Linear(6, hidden), make(), layer.Linear(hidden, 4), make()), gain)


def convolutional() -> nn.Module:
    net = nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1, bias=False),
        layer.BatchNorm2d(4),
        neuron.LIFNode(tau=2.0),
        layer.MaxPool2d(2),
        layer.Conv2d(4, 5, 3),
        neuron.IFNode(v_reset=None),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(5, 8),
        neuron.LIFNode(tau=2.0, decay_input=False),
        layer.VotingLayer(2),
    )
    strong(net, 8.0)
    with torch.no_grad():
        net[1].bias.uniform_(0.3, 0.9)
    return net.eval()


def containers() -> nn.Module:
    net = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2)),
        neuron.LIFNode(tau=2.0, step_mode="m"),
        layer.MultiStepContainer(nn.Flatten(), nn.Linear(48, 4), neuron.IFNode()),
    )
    return strong(net, 8.0)


def lif(**options: Any) -> Callable[[], nn.Module]:
    return lambda: neuron.LIFNode(**{"tau": 2.0, **options})


def plif(**options: Any) -> Callable[[], nn.Module]:
    return lambda: neuron.ParametricLIFNode(init_tau=2.5, **options)


CONVERTIBLE: dict[str, Callable[[], nn.Module]] = {
    "if": lambda: mlp(neuron.IFNode, 2.0),
    "if-subtract": lambda: mlp(lambda: neuron.IFNode(v_reset=None), 2.0),
    "lif": lambda: mlp(lif(), 8.0),
    "lif-subtract": lambda: mlp(lif(v_reset=None, tau=4.0), 12.0),
    "lif-undecayed": lambda: mlp(lif(decay_input=False)),
    "lif-low-threshold": lambda: mlp(lif(v_threshold=0.4, tau=3.0)),
    "lif-millivolt": lambda: mlp(lif(v_reset=-65.0, v_threshold=-50.0), 120.0),
    "plif": lambda: mlp(plif(), 8.0),
    "plif-subtract-undecayed": lambda: mlp(plif(v_reset=None, decay_input=False), 3.0),
    "convolutional": convolutional,
    "containers": containers,
    "readout": lambda: strong(
        nn.Sequential(layer.Linear(6, 8), neuron.LIFNode(), layer.Linear(8, 4), neuron.IFNode()), 8.0
    ),
}

AS_THEY_ARE: dict[str, Callable[[], nn.Module]] = {
    "half-threshold": lambda: mlp(neuron.HalfThresholdIFNode, 2.0),
    "recurrent": lambda: strong(
        nn.Sequential(
            layer.Linear(6, 8),
            layer.LinearRecurrentContainer(neuron.IFNode(), 8, 8),
            layer.Linear(8, 4),
            neuron.IFNode(),
        ),
        4.0,
    ),
}


def inputs(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return an input ``[T, B, ...]`` for a network."""
    shape = {"convolutional": (1, 10, 10), "containers": (1, 10, 10)}.get(name, (6,))
    return torch.rand(T, BATCH, *shape, dtype=dtype)


def run(net: nn.Module, x: Tensor, mode: str = "m") -> Tensor:
    """Run a network from rest in a step mode and return its output ``[T, B, C]``."""
    functional.reset_net(net)
    if any(isinstance(m, layer.SeqToANNContainer) for m in net):
        return net(x)  # type: ignore[no-any-return]
    functional.set_step_mode(net, mode)
    return net(x) if mode == "m" else torch.stack([net(x_t) for x_t in x])
