"""Event-driven products inside ordinary torch layers, outside a propagator (inference, and training by gradient)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from lfp_snn.synapses.pooling import max_pool2d
from lfp_snn.synapses.products import product


class _EventDriven(TorchFunctionMode):
    """Send linear layers and convolutions through :func:`product`, and max pooling through :func:`max_pool2d`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func``."""
        if func in (F.linear, F.conv2d) and not kwargs and len(args) >= 3:
            return product(func, *args)
        if func is F.max_pool2d:
            func = max_pool2d
        return func(*args, **(kwargs or {}))


def event_driven(module: nn.Module) -> AbstractContextManager[Any]:
    """Return the context in which to call a layer such that its product may run event-driven.

    A propagator, or any other mode that looks at torch functions, does so itself.
    """
    if not isinstance(module, nn.Linear | nn.Conv2d | nn.MaxPool2d) or torch.compiler.is_compiling():
        return nullcontext()
    return nullcontext() if torch._C._len_torch_function_stack() else _EventDriven()
