"""Dense or event-driven: how a linear layer or a convolution runs, by itself or as it is told.

Event-driven products (:mod:`lfp_snn.kernels.events`) cost in proportion to the non-zero inputs, dense ones are faster
for each multiplication. Which one wins depends on the activity, which is measured in every call. The limits below are
where a whole training step costs the same both ways (``python benchmarks/synapses.py``); as constants, they make a run
the same on every machine, and a resumed run the same as one that was not interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

import torch
from torch import Tensor

from lfp_snn.errors import suggest

Way = Literal["auto", "dense", "events"]

LEAST_WORK = 2**20
"""Multiplications of a dense product below which it is done before the events are counted."""
LEAST_ROWS = 64
"""Samples times steps below which copying the weights of a linear layer, block by block, costs more than is saved."""

_way: ContextVar[Way] = ContextVar("lfp_snn_way", default="auto")


def linear_limit(outputs: int) -> float:
    """Return the share of inputs that are not zero above which a linear layer is faster as a dense product.

    Examples
    --------
    >>> round(linear_limit(1000), 2), round(linear_limit(64), 2), round(linear_limit(10), 2)
    (0.25, 0.13, 0.01)
    """
    return 0.27 * max(0, outputs - 8) / (outputs + 56)


def convolution_limits(inputs: int, outputs: int, columns: int) -> tuple[float, float]:
    """Return the same for a convolution with a kernel of so many columns: forwards, and for both messages backwards.

    Backwards events pay longer, all the more below 16 input channels, which a dense product (oneDNN) fills up.

    Examples
    --------
    >>> [tuple(round(limit, 2) for limit in convolution_limits(inputs, 64, 5)) for inputs in (16, 12)]
    [(0.17, 0.28), (0.17, 0.42)]
    """
    row = outputs * columns  # the weights that an event adds at a time
    full = row / (row + 200)
    return 0.27 * full, (0.45 if inputs >= 16 else 0.68) * full


def way() -> Way:
    """Return how synapses run at this point of the program."""
    return _way.get()


@contextmanager
def use(way: Way) -> Iterator[None]:
    """Run synapses dense, event-driven wherever that is possible, or (``"auto"``) as is faster.

    Raises
    ------
    ValueError
        For another way.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn import LIF, Sequential
    >>> _ = torch.manual_seed(0)
    >>> net, x = Sequential(torch.nn.Linear(100, 20), LIF()), (torch.rand(5, 4, 100) < 0.1).float()
    >>> with use("dense"):
    ...     dense = net(x)
    >>> with use("events"):
    ...     torch.equal(net(x), dense)
    True
    """
    if way not in get_args(Way):
        raise ValueError(suggest(str(way), get_args(Way), "way of synapses"))
    token = _way.set(way)
    try:
        yield
    finally:
        _way.reset(token)


def suits(*tensors: Tensor, half: bool = False) -> bool:
    """Whether the compiled kernels can take these tensors: on the CPU, of one float type, neither traced nor mapped."""
    types = (torch.float32, torch.float64, torch.bfloat16) if half else (torch.float32, torch.float64)
    return (
        not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and all(x.device.type == "cpu" and x.dtype == tensors[0].dtype for x in tensors)
        and tensors[0].dtype in types
    )
