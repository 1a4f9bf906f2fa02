"""Networks written the snnTorch way, of different make."""

from __future__ import annotations

from collections.abc import Callable

import snntorch as snn
import torch
from snntorch._neurons.neurons import SpikingNeuron
from torch import Tensor, nn

T, BATCH = 8, 3


def step(x: Tensor) -> Tensor:
    """Return the spikes in the type of their input (snnTorch's own functions return float32 for float64)."""
    return (x > 0).to(x.dtype)


HIDDEN = {"init_hidden": True, "spike_grad": step}


def mlp(make: Callable[..., nn.Module], hidden: int = 8, gain: float = 4.0) -> nn.Sequential:
    """Return two layers, strong enough to fire."""
    net = nn.Sequential(nn.Linear(6, hidden), make(hidden), nn.Linear(hidden, 4), make(4))
    net[-1].output = True
    with torch.no_grad():
        net[0].weight.mul_(gain)
        net[2].weight.mul_(gain)
    return net


def leaky(**options: object) -> Callable[[int], nn.Module]:
    return lambda n: snn.Leaky(beta=0.8, **HIDDEN, **options)


def learnt(n: int) -> nn.Module:
    beta, threshold = torch.linspace(0.5, 0.95, n), torch.linspace(0.6, 1.2, n)
    return snn.Leaky(beta, threshold, **HIDDEN, learn_beta=True, learn_threshold=True)


def convolutional() -> nn.Sequential:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.MaxPool2d(2),
        snn.Leaky(0.9, **HIDDEN),
        nn.Conv2d(4, 5, 3, bias=False),
        nn.BatchNorm2d(5),
        nn.AvgPool2d(2),
        snn.Leaky(0.5, **HIDDEN, reset_mechanism="zero"),
        nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(5, 4)),
        snn.Leaky(0.9, **HIDDEN, output=True),
    )
    with torch.no_grad():
        net[0].weight.mul_(4)
        net[4].weight.mul_(3)
        net[4].bias.uniform_(0.3, 0.9)
        net[7][2].weight.mul_(20)
    return net.eval()


def lapicque(**options: object) -> Callable[[int], nn.Module]:
    return lambda n: snn.Lapicque(**HIDDEN, **options)


def synaptic(**options: object) -> Callable[[int], nn.Module]:
    return lambda n: snn.Synaptic(0.6, 0.8, **HIDDEN, **options)


CONVERTIBLE: dict[str, Callable[[], nn.Sequential]] = {
    "leaky": lambda: mlp(leaky()),
    "leaky-zero": lambda: mlp(leaky(reset_mechanism="zero")),
    "leaky-none": lambda: mlp(leaky(reset_mechanism="none")),
    "leaky-zero-at-once": lambda: mlp(leaky(reset_mechanism="zero", reset_delay=False)),
    "leaky-subtract-at-once": lambda: mlp(lambda n: snn.Leaky(0.5, reset_delay=False, **HIDDEN), gain=2.5),
    "learnt": lambda: mlp(learnt),
    "graded": lambda: mlp(leaky(graded_spikes_factor=1.5)),
    "convolutional": convolutional,
    "rleaky": lambda: mlp(lambda n: snn.RLeaky(0.8, linear_features=n, **HIDDEN)),
    "synaptic": lambda: mlp(synaptic()),
    "synaptic-zero": lambda: mlp(synaptic(reset_mechanism="zero", reset_delay=False)),
    "synaptic-learnt": lambda: mlp(lambda n: snn.Synaptic(0.6, 0.8, **HIDDEN, learn_alpha=True, learn_beta=True)),
    "rsynaptic": lambda: mlp(lambda n: snn.RSynaptic(0.6, 0.8, linear_features=n, **HIDDEN)),
    "lapicque": lambda: mlp(lapicque(beta=0.7), gain=16),
    "lapicque-rc": lambda: mlp(lapicque(R=1.0, C=3.0, time_step=1.0), gain=16),
}

AS_THEY_ARE: dict[str, Callable[[], nn.Sequential]] = {
    "alpha": lambda: mlp(lambda n: snn.Alpha(0.9, 0.8, **HIDDEN)),
    "alpha-subtract": lambda: mlp(lambda n: snn.Alpha(0.9, 0.8, **HIDDEN, reset_mechanism="subtract")),
    "rleaky-zero": lambda: mlp(lambda n: snn.RLeaky(0.8, linear_features=n, **HIDDEN, reset_mechanism="zero")),
    "one-to-one": lambda: mlp(lambda n: snn.RLeaky(0.8, V=torch.ones(n), all_to_all=False, **HIDDEN)),
    "lapicque-zero": lambda: mlp(lapicque(beta=0.7, reset_mechanism="zero"), gain=16),
    "quantised": lambda: mlp(leaky(state_quant=_quarters)),
    "learnt-size": lambda: mlp(leaky(learn_graded_spikes_factor=True)),
}


def _quarters(x: Tensor) -> Tensor:
    """Round to quarters, with a straight-through gradient."""
    return x + ((4 * x).round() / 4 - x).detach()


def inputs(name: str) -> Tensor:
    """Return an input ``[T, B, ...]`` for a network."""
    shape = (1, 10, 10) if name == "convolutional" else (6,)
    return torch.rand(T, BATCH, *shape, dtype=torch.float64)


def run(net: nn.Module, x: Tensor) -> Tensor:
    """Run an snnTorch network from rest, step by step, and return its spikes ``[T, B, C]``."""
    for module in net.modules():
        if isinstance(module, SpikingNeuron):  # (snntorch.utils.reset leaves the last spikes of some)
            module.reset_mem()
    return torch.stack([net(x_t)[0] for x_t in x])
