"""Networks without time, for images: the single-step case of the same core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from torch import Tensor, nn

from lfp_snn.activations import Sign, Step
from lfp_snn.errors import suggest
from lfp_snn.models.parts import dense, features_after, image_shape

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "step": Step,
    "sign": Sign,
}
"""The activations by the names that configurations use."""


def _activation(name: str) -> Callable[[], nn.Module]:
    if name not in ACTIVATIONS:
        raise ValueError(suggest(name, ACTIVATIONS, "activation"))
    return ACTIVATIONS[name]


def mlp(
    input_shape: Sequence[int],
    classes: int,
    *,
    hidden: Sequence[int] = (1000,),
    activation: str = "relu",
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return a multi-layer perceptron.

    Examples
    --------
    >>> import torch
    >>> mlp((28, 28), 10, activation="step")(torch.zeros(2, 28, 28)).shape
    torch.Size([2, 10])
    """
    make, sizes = _activation(activation), [prod(input_shape), *hidden]
    body = dense(sizes, lambda n: make(), dropout)
    return nn.Sequential(nn.Flatten(), *body, nn.Linear(sizes[-1], classes))


def lenet(input_shape: Sequence[int], classes: int, *, activation: str = "relu") -> nn.Sequential:
    """Return LeNet: two convolutions with max pooling and three linear layers (LeCun et al. 1998).

    Examples
    --------
    >>> import torch
    >>> lenet((1, 28, 28), 10)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    shape, make = image_shape(input_shape), _activation(activation)
    layers = [
        *(nn.Conv2d(shape[0], 6, 5, padding=2), make(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), make(), nn.MaxPool2d(2), nn.Flatten()),
    ]
    body = dense([features_after(layers, shape), 120, 84], lambda n: make())
    return nn.Sequential(*layers, *body, nn.Linear(84, classes))


def vgg(
    input_shape: Sequence[int],
    classes: int,
    *,
    stages: Sequence[Sequence[int]] = ((32, 32), (64, 64), (128, 128)),
    activation: str = "relu",
    batch_norm: bool = True,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return a VGG-like network: stages of 3x3 convolutions, each ended by max pooling (Simonyan & Zisserman 2015).

    Examples
    --------
    >>> import torch
    >>> vgg((3, 32, 32), 10, stages=((4,), (8,)))(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    shape, make = image_shape(input_shape), _activation(activation)
    layers: list[nn.Module] = []
    n_in = shape[0]
    for stage in stages:
        for n_out in stage:
            layers.append(nn.Conv2d(n_in, n_out, 3, padding=1, bias=not batch_norm))
            layers += [nn.BatchNorm2d(n_out), make()] if batch_norm else [make()]
            n_in = n_out
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(features_after(layers, shape), classes))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation around a skip connection (He et al. 2016, arXiv 1512.03385).

    Examples
    --------
    >>> import torch
    >>> ResidualBlock(4, 8, 2, nn.ReLU)(torch.zeros(1, 4, 8, 8)).shape
    torch.Size([1, 8, 4, 4])
    """

    def __init__(self, n_in: int, n_out: int, stride: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            activation(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        fits = n_in == n_out and stride == 1
        self.shortcut = (
            nn.Identity()
            if fits
            else nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        )
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of body plus shortcut."""
        y: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return y


def resnet(
    input_shape: Sequence[int],
    classes: int,
    *,
    channels: Sequence[int] = (16, 32, 64),
    blocks: int = 1,
    activation: str = "relu",
) -> nn.Sequential:
    """Return a small residual network: stages of residual blocks, then the mean over the picture.

    Examples
    --------
    >>> import torch
    >>> resnet((3, 32, 32), 10, channels=(4, 8))(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    shape, make = image_shape(input_shape), _activation(activation)
    layers: list[nn.Module] = [
        nn.Conv2d(shape[0], channels[0], 3, padding=1, bias=False),
        nn.BatchNorm2d(channels[0]),
        make(),
    ]
    n_in = channels[0]
    for k, n_out in enumerate(channels):
        for block in range(blocks):
            layers.append(ResidualBlock(n_in, n_out, 2 if k and not block else 1, make))
            n_in = n_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, classes))
