"""Activations without a useful derivative. LFP trains through them; gradient descent cannot (arXiv 2308.12053)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Step(nn.Module):
    """The Heaviside step: 1 where ``z > threshold``, else 0. Its gradient is 0, its LFP message is not.

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
        z = z if self.threshold == 0 else z - self.threshold
        return torch.heaviside(z, z.new_zeros(()))


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
