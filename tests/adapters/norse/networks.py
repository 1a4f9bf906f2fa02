"""Networks written the norse way, of different make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import norse.torch as norse
import torch
from norse.torch.functional.reset import reset_subtract
from torch import Tensor, nn

T, BATCH = 12, 3


def strong(net: nn.Module, gain: float) -> nn.Module:
    """Make weights large enough for the neurons to fire."""
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(gain)
    return net


def feed_forward(cell: Callable[[], nn.Module], gain: float = 12.0) -> nn.Module:
    return strong(norse.SequentialState(nn.Linear(6, 8), cell(), nn.Linear(8, 4), cell()), gain)


def convolutional() -> nn.Module:
    net = norse.SequentialState(
        nn.Conv2d(1, 4, 3, padding=1),
        norse.LIFCell(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3),
        norse.LIFBoxCell(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(5, 4),
        norse.LICell(),
    )
    return strong(net, 8.0)


def recurrent() -> nn.Module:
    return strong(norse.SequentialState(norse.LIFRecurrentCell(6, 8), nn.Linear(8, 4), norse.LIFBoxCell()), 4.0)


def recurrent_readout() -> nn.Module:
    return strong(norse.SequentialState(nn.Linear(6, 8), norse.LIFBoxCell(), norse.LIFRecurrentCell(8, 4)), 8.0)


def box(**options: Any) -> Callable[[], nn.Module]:
    return lambda: norse.LIFBoxCell(norse.LIFBoxParameters(**options))


CONVERTIBLE: dict[str, Callable[[], nn.Module]] = {
    "lif": lambda: feed_forward(norse.LIFCell),
    "lif-slow": lambda: feed_forward(
        lambda: norse.LIFCell(norse.LIFParameters(tau_mem_inv=torch.tensor(50.0), v_th=torch.tensor(0.5)), dt=0.002)
    ),
    "lif-box": lambda: feed_forward(norse.LIFBoxCell),
    "lif-box-subtract": lambda: feed_forward(box(reset_method=reset_subtract)),
    "iaf": lambda: feed_forward(norse.IAFCell, 2.0),
    "convolutional": convolutional,
    "recurrent": recurrent,
    "recurrent-readout": recurrent_readout,
    "li": lambda: strong(
        norse.SequentialState(nn.Linear(6, 8), norse.LIFCell(), nn.Linear(8, 4), norse.LICell()), 12.0
    ),
    "li-box": lambda: strong(
        norse.SequentialState(nn.Linear(6, 8), norse.LIFCell(), nn.Linear(8, 4), norse.LIBoxCell()), 9.0
    ),
}

MILLIVOLT = {k: torch.tensor(v) for k, v in {"v_leak": -65.0, "v_th": -50.0, "v_reset": -65.0}.items()}
CONVERTIBLE["lif-millivolt"] = lambda: feed_forward(lambda: norse.LIFCell(norse.LIFParameters(**MILLIVOLT)), 150.0)
CONVERTIBLE["lif-box-millivolt"] = lambda: feed_forward(box(**MILLIVOLT), 200.0)


AS_THEY_ARE: dict[str, Callable[[], nn.Module]] = {
    "lsnn": lambda: feed_forward(norse.LSNNCell, 16.0),
    "lsnn-recurrent": lambda: strong(
        norse.SequentialState(norse.LSNNRecurrentCell(6, 8), nn.Linear(8, 4), norse.LIFBoxCell()), 6.0
    ),
    "reset-value": lambda: feed_forward(box(v_reset=torch.tensor(-0.3))),
    "leak": lambda: feed_forward(box(v_leak=torch.tensor(0.2))),
}


def inputs(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return an input ``[T, B, ...]`` for a network."""
    shape = (1, 10, 10) if name == "convolutional" else (6,)
    return torch.rand(T, BATCH, *shape, dtype=dtype)


def run(net: Any, x: Tensor) -> Tensor:
    """Run a norse network from rest, step by step, and return its output ``[T, B, C]``."""
    state, out = None, []
    for x_t in x:
        y, state = net(x_t, state)
        out.append(y)
    return torch.stack(out)
