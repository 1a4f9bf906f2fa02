"""Feed-forward and recurrent spiking networks.

Every builder takes the shape of one sample (without time and batch) and the number of classes, and returns a
:class:`lfp_snn.Sequential`. ``neuron_options`` and ``readout_options`` go to the neurons (:mod:`lfp_snn.neurons`);
``readout`` is ``"lif"`` for output spikes or ``"li"`` for the membrane of leaky integrators.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

import torch
from torch import nn

from lfp_snn.containers import Residual, Sequential
from lfp_snn.errors import ConfigError
from lfp_snn.models.parts import dense, features_after, image_shape, neuron
from lfp_snn.neurons import TimeModule
from lfp_snn.neurons.base import RECURRENT_GAIN


def lif_mlp(
    input_shape: Sequence[int],
    classes: int,
    *,
    hidden: Sequence[int] = (1000,),
    neuron_kind: str = "lif",
    neuron_options: dict[str, Any] | None = None,
    readout: str = "lif",
    readout_options: dict[str, Any] | None = None,
    dropout: float = 0.0,
) -> Sequential:
    """Return a multi-layer perceptron of spiking neurons: 784-1000-10 by default, the reference's example.

    Examples
    --------
    >>> lif_mlp((28, 28), 10, hidden=(64,))
    Sequential(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): Linear(in_features=784, out_features=64, bias=True)
      (2): LIF(beta=0.9, threshold=1, reset='subtract')
      (3): Linear(in_features=64, out_features=10, bias=True)
      (4): LIF(beta=0.9, threshold=1, reset='subtract')
    )
    """
    sizes = [prod(input_shape), *hidden]
    body = dense(sizes, lambda n: neuron(neuron_kind, neuron_options), dropout)
    return Sequential(nn.Flatten(), *body, nn.Linear(sizes[-1], classes), neuron(readout, readout_options))


def lif_cnn(
    input_shape: Sequence[int],
    classes: int,
    *,
    channels: Sequence[int] = (12, 64),
    kernel: int = 5,
    neuron_kind: str = "lif",
    neuron_options: dict[str, Any] | None = None,
    readout: str = "lif",
    readout_options: dict[str, Any] | None = None,
    pool: Literal["spikes", "currents"] = "spikes",
    batch_norm: bool = False,
    dropout: float = 0.0,
) -> Sequential:
    """Return 12C5-MP2-64C5-MP2-FC with spiking neurons, the LIF CNN of the reference and of snntorch's tutorial 6.

    The reference pools the ``spikes`` of a convolution. The tutorial pools its ``currents``: then the neurons are four
    times fewer.

    Examples
    --------
    >>> import torch
    >>> lif_cnn((2, 34, 34), 10)(torch.zeros(5, 3, 2, 34, 34)).shape
    torch.Size([5, 3, 10])
    """
    shape = image_shape(input_shape)
    if pool not in ("spikes", "currents"):
        raise ConfigError(f"pool must be 'spikes' or 'currents', got {pool!r}")
    layers: list[nn.Module] = []
    for n_in, n_out in zip([shape[0], *channels[:-1]], channels, strict=True):
        layers.append(nn.Conv2d(n_in, n_out, kernel, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(n_out))
        spiking, pooling = neuron(neuron_kind, neuron_options), nn.MaxPool2d(2)
        layers += [spiking, pooling] if pool == "spikes" else [pooling, spiking]
    layers.append(nn.Flatten())
    if dropout:
        layers.append(nn.Dropout(dropout))
    return Sequential(*layers, nn.Linear(features_after(layers, shape), classes), neuron(readout, readout_options))


def deep_snn(
    input_shape: Sequence[int],
    classes: int,
    *,
    channels: Sequence[int] = (30, 150, 250, 200, 100),
    neuron_kind: str = "lif",
    neuron_options: dict[str, Any] | None = None,
    readout: str = "lif",
    readout_options: dict[str, Any] | None = None,
    batch_norm: bool = False,
) -> Sequential:
    """Return the reference's deeper SNN: convolutions of 30-150-250-200-100 channels, max pooling between.

    Examples
    --------
    >>> import torch
    >>> deep_snn((3, 32, 32), 10, channels=(4, 4, 4, 4, 4))(torch.zeros(2, 1, 3, 32, 32)).shape
    torch.Size([2, 1, 10])
    """
    shape, paddings = image_shape(input_shape), [2, 1, 1, 2, 2]
    layers: list[nn.Module] = []
    for k, (n_in, n_out) in enumerate(zip([shape[0], *channels[:-1]], channels, strict=True)):
        layers.append(nn.Conv2d(n_in, n_out, 3, padding=paddings[min(k, 4)], bias=False))
        if batch_norm:
            layers.append(nn.BatchNorm2d(n_out))
        layers.append(neuron(neuron_kind, neuron_options))
        if k < len(channels) - 1:
            layers.append(nn.MaxPool2d(2))
    layers.append(nn.Flatten())
    head = nn.Linear(features_after(layers, shape), classes, bias=False)
    return Sequential(*layers, head, neuron(readout, readout_options))


def residual_snn(
    input_shape: Sequence[int],
    classes: int,
    *,
    channels: Sequence[int] = (30, 150, 250, 200),
    neuron_kind: str = "lif",
    neuron_options: dict[str, Any] | None = None,
    readout: str = "lif",
    readout_options: dict[str, Any] | None = None,
) -> Sequential:
    """Return the reference's residual SNN: four convolutions, the third with a skip connection merged by the maximum.

    Examples
    --------
    >>> import torch
    >>> residual_snn((3, 32, 32), 10, channels=(4, 4, 4, 4))(torch.zeros(2, 1, 3, 32, 32)).shape
    torch.Size([2, 1, 10])
    """
    shape = image_shape(input_shape)
    a, b, c, d = channels

    def spikes(*layers: nn.Module) -> list[nn.Module]:
        return [*layers, neuron(neuron_kind, neuron_options)]

    before = [
        *spikes(nn.Conv2d(shape[0], a, 5, padding=2, bias=False)),
        nn.MaxPool2d(2),
        *spikes(nn.Conv2d(a, b, 3, padding=1, bias=False)),
        nn.MaxPool2d(2),
    ]
    main, skip = nn.Conv2d(b, c, 3, padding=1, bias=False), nn.Conv2d(b, c, 1, bias=False)
    block = Residual(Sequential(*spikes(main)), Sequential(*spikes(skip)), merge="max")
    after = [nn.MaxPool2d(3), *spikes(nn.Conv2d(c, d, 4, padding=2, bias=False)), nn.Flatten()]
    features = features_after([*before, main, *after], shape)
    head = nn.Linear(features, classes, bias=False)
    return Sequential(*before, block, *after, head, neuron(readout, readout_options))


def recurrent_snn(
    input_shape: Sequence[int],
    classes: int,
    *,
    hidden: Sequence[int] = (256,),
    neuron_kind: str = "lif",
    neuron_options: dict[str, Any] | None = None,
    recurrent_gain: float = RECURRENT_GAIN,
    readout: str = "li",
    readout_options: dict[str, Any] | None = None,
    dropout: float = 0.0,
) -> Sequential:
    """Return layers of spiking neurons with recurrent weights and a readout, for audio as spikes and other sequences.

    ``recurrent_gain`` is the gain of the recurrent weights at the start, an orthogonal matrix.

    Examples
    --------
    >>> import torch
    >>> recurrent_snn((700,), 20, hidden=(32, 32), neuron_kind="alif")(torch.zeros(10, 2, 700)).shape
    torch.Size([10, 2, 20])
    """
    sizes = [prod(input_shape), *hidden]

    def recurrent(n: int) -> TimeModule:
        made = neuron(neuron_kind, neuron_options, recurrent=n)
        with torch.no_grad():
            made.get_parameter("recurrent").mul_(recurrent_gain / RECURRENT_GAIN)
        return made

    body = dense(sizes, recurrent, dropout)
    return Sequential(nn.Flatten(), *body, nn.Linear(sizes[-1], classes), neuron(readout, readout_options))
