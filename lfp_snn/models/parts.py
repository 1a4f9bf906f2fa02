"""What the ready-made networks are built from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import nn

from lfp_snn.errors import ShapeError, suggest
from lfp_snn.neurons import ALIF, LI, LIF, CubaLIF, TimeModule

NEURONS: dict[str, Callable[..., TimeModule]] = {"lif": LIF, "alif": ALIF, "cuba-lif": CubaLIF, "li": LI}
"""The neurons by the names that configurations use."""

Options = Mapping[str, Any]


def neuron(kind: str, options: Options | None = None, **more: Any) -> TimeModule:
    """Return a neuron by name.

    Raises
    ------
    ValueError
        If there is no such neuron, or it does not take the options.

    Examples
    --------
    >>> neuron("lif", {"beta": 0.8})
    LIF(beta=0.8, threshold=1, reset='subtract')
    """
    if kind not in NEURONS:
        raise ValueError(suggest(kind, NEURONS, "neuron"))
    return NEURONS[kind](**{**(options or {}), **more})


def dense(sizes: Sequence[int], make: Callable[[int], nn.Module], dropout: float = 0.0) -> list[nn.Module]:
    """Return linear layers through ``sizes``, each followed by ``make(size)`` (and dropout)."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), make(n_out)]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return layers


def image_shape(input_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of an input as ``(channels, height, width)``.

    Raises
    ------
    ShapeError
        If it is not that of a picture.
    """
    if len(input_shape) == 2:
        return (1, int(input_shape[0]), int(input_shape[1]))
    if len(input_shape) != 3:
        raise ShapeError(
            f"a convolutional network needs an input of shape (channels, height, width), got {tuple(input_shape)}"
        )
    return (int(input_shape[0]), int(input_shape[1]), int(input_shape[2]))


def features_after(layers: Sequence[nn.Module], input_shape: Sequence[int]) -> int:
    """Return how many features layers without memory leave of one sample; neurons do not change the number.

    Raises
    ------
    ShapeError
        If the input is too small for the layers.
    """
    x = torch.zeros(1, *input_shape)
    try:
        with torch.no_grad():
            for layer in layers:
                x = x if isinstance(layer, TimeModule) else layer(x)
    except RuntimeError as e:
        raise ShapeError(f"an input of shape {tuple(input_shape)} is too small for this network: {e}") from None
    return prod(x.shape[1:])
