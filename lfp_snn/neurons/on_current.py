"""What acts on a current between a layer and its neuron: a part of the neuron's update, so no layer's rule applies."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lfp_snn.neurons.ambient import ambient


class OnCurrent(nn.Module):
    """Base: a module without memory at whose functions the propagator does not look."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run, unseen by the propagator."""
        with torch._C.DisableTorchFunction():
            return super().__call__(*args, **kwargs)


class Gain(OnCurrent):
    """Fixed factors, multiplied one after the other (with the rounding of the original).

    Examples
    --------
    >>> Gain(torch.tensor(3.0), torch.tensor(0.5))(torch.ones(2)).tolist()
    [1.5, 1.5]
    """

    def __init__(self, *factors: Tensor) -> None:
        super().__init__()
        for k, factor in enumerate(factors):
            self.register_buffer(f"factor{k}", factor.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` times the factors."""
        for factor in self.buffers():
            x = x * factor
        return x


class Bias(OnCurrent):
    """A constant current, learnt, on top of the input's: ``[N]``.

    Examples
    --------
    >>> Bias(nn.Parameter(torch.tensor([0.5])))(torch.ones(1)).tolist()
    [1.5]
    """

    def __init__(self, bias: nn.Parameter) -> None:
        super().__init__()
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x + bias``."""
        return x + ambient().scale(self.bias)
