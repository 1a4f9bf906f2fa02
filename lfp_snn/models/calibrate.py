"""Scale fresh weights until the neurons of a network fire at a wished rate.

A hidden neuron that is silent gets no reward, ever, so training must not start from silence; sparse events through
weights made for dense inputs do just that. Layer by layer, from the input on, the weights in front of each neuron are
scaled such that it fires at the wished mean rate on a batch of data (in the spirit of LSUV, Mishkin & Matas 2016,
arXiv 1511.06422).
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lfp_snn.containers import Residual
from lfp_snn.errors import SilenceWarning
from lfp_snn.forward import Passage, around_forward, first_input, mode, with_first_input
from lfp_snn.neurons import SpikingNeuron

Weighted = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
_SCALE_ALONG = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout),
)
"""Modules whose output grows with their input by the same factor, so that weights in front of them can be scaled."""


class _Made(NamedTuple):
    """What a layer made, and the factor on its weights by which it did; kept, so that its place is not used again."""

    layer: Weighted
    factor: float
    output: Tensor


def calibrate(net: nn.Module, x: Tensor, rate: float = 0.1, *, steps: int | None = None, halvings: int = 14) -> None:
    """Scale the weights of ``net`` in place until each spiking layer fires at ``rate`` on ``x``.

    Parameters
    ----------
    net : nn.Module
        A network, :class:`lfp_snn.Sequential` or a module of one's own, whose neurons are those of this package and run
        all steps in one call. Layers in front of a neuron are scaled, directly in front of it or with pooling,
        flattening or dropout between. (Functions that a ``forward`` calls between them are taken to scale along.)
    x : Tensor
        A batch, ``[T, B, ...]``, or static ``[B, ...]`` with ``steps``.
    rate : float
        Spikes per neuron and step, in (0, 1).
    steps : int, optional
        Time steps of a static input: the network is called with them.
    halvings : int
        Steps of the search for each layer.

    Raises
    ------
    ValueError
        If the rate is not in (0, 1), or there are no spiking neurons.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential
    >>> net, x = Sequential(nn.Linear(50, 40), LIF()), (torch.rand(10, 8, 50) < 0.05).float()
    >>> calibrate(net, x, rate=0.1)
    >>> bool((net(x).mean() - 0.1).abs() < 0.02)
    True
    """
    if not 0 < rate < 1:
        raise ValueError(f"the rate must lie in (0, 1) spikes a step, got {rate}")
    if not any(isinstance(m, SpikingNeuron) for m in net.modules()):
        raise ValueError(f"{type(net).__name__} has no spiking neurons of this package: there is nothing to calibrate")
    made: dict[int, _Made] = {}  # by place in memory
    last: _Made | None = None
    factors: dict[Weighted, float] = {}

    def passage(module: nn.Module, args: Any, kwargs: Any) -> Passage:
        nonlocal last
        x = first_input(args, kwargs)
        origin = made.get(_place(x), last)
        if isinstance(module, SpikingNeuron) and origin is not None:
            layer = origin.layer
            if layer not in factors:
                factors[layer] = _factor(module, x, rate, kwargs.get("steps"), halvings)
                layer.weight.mul_(factors[layer])
                if layer.bias is not None:
                    layer.bias.mul_(factors[layer])
            output = yield with_first_input(args, kwargs, x * (factors[layer] / origin.factor))
        else:
            output = yield None
        if isinstance(module, Weighted):
            made[_place(output)] = last = _Made(module, factors.get(module, 1.0), output)
        elif isinstance(module, _SCALE_ALONG) and origin is not None:
            made[_place(output)] = origin._replace(output=output)
        else:  # after a normalisation there would be nothing to gain
            last = None
        return output

    parts = [m for m in net.modules() if isinstance(m, Residual) or not any(m.children())]
    ends = [around_forward(m, passage) for m in parts if not isinstance(m, nn.Sequential)]
    try:
        with mode(net, training=False), torch.no_grad():
            net(x) if steps is None else net(x, steps=steps)
    finally:
        for end in ends:
            end()


def _place(x: Any) -> int:
    """Return where a tensor lies in memory; a view lies where that does which it is a view of."""
    return x.untyped_storage().data_ptr() if isinstance(x, Tensor) else 0


def _factor(neuron: SpikingNeuron, current: Tensor, rate: float, steps: int | None, halvings: int) -> float:
    """Return the factor on its current that makes a neuron fire at ``rate``, by bisection of its logarithm."""
    low, high = -6.0, 6.0
    if not neuron.forward(current * 10**high, steps=steps)[0].any():
        warnings.warn(
            f"{type(neuron).__name__} does not fire on this batch, whatever its weights: they stay as they are",
            SilenceWarning,
            stacklevel=2,
        )
        return 1.0
    for _ in range(halvings):
        middle = (low + high) / 2
        spikes, _ = neuron.forward(current * 10**middle, steps=steps)
        low, high = (middle, high) if float(spikes.mean()) < rate else (low, middle)
    return float(10 ** ((low + high) / 2))
