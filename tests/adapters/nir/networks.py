"""Networks that NIR can hold, one for each thing to be said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lfp_snn import LI, LIF, CubaLIF, Residual, Step
from lfp_snn import Sequential as Net
from lfp_snn.adapters.nir import Graph
from lfp_snn.adapters.nir.graph import INPUT, Scale
from lfp_snn.neurons.on_current import Bias

Build = Callable[[], nn.Module]


def loud(network: nn.Module, factor: float = 3.0) -> nn.Module:
    """Scale the weights of layers, so that all neurons have something to do."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
                module.weight.mul_(factor)
    return network


def around(neuron: Build) -> Build:
    return lambda: Net(nn.Linear(6, 8), neuron(), nn.Linear(8, 5), LIF(reset="zero"))


def cnn() -> nn.Module:
    return Net(
        nn.Conv2d(2, 4, 3, padding=1),
        LIF(beta=torch.tensor([0.5, 0.7, 0.9, 1 - 2**-10]).reshape(4, 1, 1)),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, (2, 3), stride=(1, 2), dilation=(2, 1), groups=2, bias=False),
        CubaLIF(0.6, 0.8),
        nn.AvgPool2d((2, 1), stride=1, padding=(1, 0), divisor_override=1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(6 * 3 * 1, 5),
        LIF(0.8, 0.5),
    )


def batch_normalised() -> nn.Module:
    def used(norm: Any, features: int) -> Any:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        norm.running_mean = torch.rand(features)
        norm.running_var = torch.rand(features) + 0.5
        return norm

    flat = [nn.Flatten(), nn.Linear(4 * 8 * 8, 8), used(nn.BatchNorm1d(8), 8), LIF(0.8)]
    return Net(nn.Conv2d(2, 4, 3, padding=1, bias=False), used(nn.BatchNorm2d(4), 4), LIF(), *flat)


def residual() -> nn.Module:
    block = Residual(Net(nn.Linear(8, 8), LIF(0.7), nn.Linear(8, 8), LIF()))
    projected = Residual(Net(nn.Linear(8, 6), LIF(0.7)), Net(nn.Linear(8, 6, bias=False), LIF(0.5)))
    return Net(nn.Linear(6, 8), LIF(), block, projected, nn.Linear(6, 5), LIF())


def nested() -> nn.Module:
    """Return skips that share a source, or sum sums."""
    inner = Residual(Net(nn.Linear(6, 6), LIF()))
    sums = Residual(Net(nn.Linear(6, 6)), Residual(Net(nn.Linear(6, 6))))
    return Net(Residual(inner), LIF(), sums, Residual(nn.Identity()), LIF(0.5))


def graph() -> nn.Module:
    layers = {"a": nn.Linear(6, 8), "b": LIF(), "c": nn.Linear(6, 8), "d": LIF(0.6, recurrent=8), "e": nn.Linear(8, 8)}
    return Graph(layers, {"a": [INPUT], "b": ["a"], "c": [INPUT], "d": ["b", "c"], "e": ["b", "d"]}, ["d", "e"])


NETWORKS: dict[str, tuple[Build, Sequence[int]]] = {
    "lif": (around(lambda: LIF()), [6]),
    "lif-at-once": (around(lambda: LIF(0.7, 0.5, reset_delay=False)), [6]),
    "lif-to-zero": (around(lambda: LIF(0.7, 0.5, reset="zero")), [6]),
    "lif-without-reset": (around(lambda: LIF(0.7, reset="none")), [6]),
    "lif-each-its-own": (around(lambda: LIF(torch.linspace(0, 0.99, 8), torch.linspace(-0.1, 2, 8))), [6]),
    "lif-learnt": (around(lambda: LIF(torch.linspace(0, 0.99, 8), learn_beta=True, learn_threshold=True)), [6]),
    "lif-without-memory": (around(lambda: LIF(0.0)), [6]),
    "if": (around(lambda: LIF(1.0, 0.5)), [6]),
    "if-to-zero": (around(lambda: LIF(1.0, 0.5, reset="zero")), [6]),
    "cuba": (around(lambda: CubaLIF(0.3, 0.9)), [6]),
    "cuba-to-zero": (around(lambda: CubaLIF(torch.linspace(0, 0.9, 8), 0.5, 0.4, reset="zero")), [6]),
    "recurrent": (around(lambda: LIF(0.8, recurrent=8)), [6]),
    "recurrent-if": (around(lambda: LIF(1.0, recurrent=8, reset="zero")), [6]),
    "recurrent-cuba": (around(lambda: CubaLIF(0.5, 0.8, recurrent=8)), [6]),
    "recurrent-bias": (around(lambda: Net(Bias(nn.Parameter(torch.rand(8))), LIF(recurrent=8))), [6]),
    "readout": (lambda: Net(nn.Linear(6, 8), LIF(), nn.Linear(8, 3), LI(0.9)), [6]),
    "integrator": (lambda: Net(nn.Linear(6, 8), LIF(), nn.Linear(8, 3, bias=False), LI(1.0)), [6]),
    "step": (lambda: Net(nn.Linear(6, 8), Step(0.25), Scale(torch.rand(8)), nn.Linear(8, 5), LIF()), [6]),
    "plain-sequential": (lambda: nn.Sequential(nn.Sequential(nn.Linear(6, 8)), nn.Identity(), nn.Linear(8, 3)), [6]),
    "one-neuron": (lambda: LIF(), [6]),
    "conv1d": (lambda: Net(nn.Conv1d(2, 4, 3, padding="same"), LIF(), nn.Flatten(), nn.Linear(64, 5), LIF()), [2, 16]),
    "cnn": (cnn, [2, 8, 8]),
    "residual": (residual, [6]),
    "nested-residual": (nested, [6]),
    "graph": (graph, [6]),
}


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return loud(NETWORKS[name][0]()).eval()


def events(shape: Sequence[int], steps: int = 30, batch: int = 4) -> Tensor:
    return (torch.rand(steps, batch, *shape, generator=torch.Generator().manual_seed(1)) < 0.4).float()


def over_time(network: nn.Module) -> Any:
    return network if isinstance(network, Net | Graph) else Net(network)


def run(network: nn.Module, x: Tensor) -> Tensor:
    """Run a network of ours over all steps, whatever its outermost module is."""
    with torch.no_grad():
        return over_time(network)(x)
