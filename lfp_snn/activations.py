"""Activations without a useful derivative. LFP trains through them; gradient descent cannot (arXiv 2308.12053)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function_unary


def step(z: Tensor) -> Tensor:
    """Return 1 where ``z > 0``, else 0, without a gradient.

    Examples
    --------
    >>> step(torch.tensor([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 1.0]
    """
    if has_torch_function_unary(z):  # lets the propagator see the step as one function
        return handle_torch_function(step, (z,), z)
    return (z > 0).to(z.dtype)


class Step(nn.Module):
    """The Heaviside step: 1 where ``z > threshold``, else 0. It has no gradient, but an LFP message.

    Examples
    --------
    >>> Step()(torch.tensor([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 1.0]
    """

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, z: Tensor) -> Tensor:
        """Return the step of every element."""
        return step(z if self.threshold == 0 else z - self.threshold)


class Sign(nn.Module):
    """The sign: -1, 0 or 1.

    Examples
    --------
    >>> Sign()(torch.tensor([-3.0, 2.0])).tolist()
    [-1.0, 1.0]
    """

    def forward(self, z: Tensor) -> Tensor:
        """Return the sign of every element."""
        return torch.sign(z)
