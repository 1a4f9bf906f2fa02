"""Another backward pass for the linear operations of a network (matrix products, convolutions); same forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lfp_snn.propagation.functions import kind_of
from lfp_snn.propagation.linear import Apply, taken_apart

Wire = Callable[[int, Apply, Tensor, Tensor, Tensor | None], Tensor]
"""``wire(k, apply, x, weight, bias) -> y`` for the k-th linear operation of a forward pass."""


class Rewire(TorchFunctionMode):
    """Hand every linear operation of one forward pass to ``wire``, numbered in the order in which they run."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.wire, self.count = wire, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Rewire ``func`` if it is a linear operation."""
        kwargs = kwargs or {}
        if not torch.is_grad_enabled() or kind_of(func) != "convolution":
            return func(*args, **kwargs)
        apply, x, weight, bias = taken_apart(func, args, kwargs)
        self.count += 1
        return self.wire(self.count - 1, apply, x, weight, bias)


def backward_only(y: Tensor) -> Tensor:
    """Return zeros of the shape of ``y`` whose backward pass is that of ``y``: added to a value, it lends it its own.

    Examples
    --------
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> (torch.tensor(1.0) + backward_only(2 * x)).backward()
    >>> float(x.grad)
    2.0
    """
    return y - y.detach()
