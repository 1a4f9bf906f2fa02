"""The reference's composites: one object that is registered to a model, trains it, and is taken off again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import nn

from lfp_snn.adapters.lfprop.boundary import Routed
from lfp_snn.propagation.lfp import Attachment

M = TypeVar("M", bound=nn.Module)


class Composite:
    """LFP with the interface of the reference's composites.

    Parameters
    ----------
    propagator : Routed
        How reward is shared.
    canonizers : list, optional
        zennit's canonizers, applied while registered.

    Examples
    --------
    >>> import torch
    >>> net, x = nn.Linear(4, 3), torch.rand(2, 4, requires_grad=True)
    >>> composite = Composite(Routed())
    >>> with composite.context(net) as modified:
    ...     y = modified(x)
    ...     (reward,) = torch.autograd.grad((y,), (x,), grad_outputs=(torch.ones(2, 3),))
    >>> reward.shape, net.weight.feedback.shape
    (torch.Size([2, 4]), torch.Size([3, 4]))
    """

    def __init__(self, propagator: Routed, canonizers: list[Any] | None = None) -> None:
        self.propagator, self.canonizers = propagator, list(canonizers or [])
        self._attachment: Attachment | None = None
        self._model: nn.Module | None = None
        self._applied: list[Any] = []

    @contextmanager
    def context(self, module: M, verbose: bool = False, **_: Any) -> Iterator[M]:
        """Register to ``module`` inside the ``with`` block.

        ``verbose`` and what else the reference wants for tracing (``dummy_inputs``) are not used: nothing is traced.
        """
        self.register(module)
        try:
            yield module
        finally:
            self.remove()

    def register(self, parent: nn.Module, verbose: bool = False, **_: Any) -> None:
        """Attach to a model, its spiking neurons at rest. What it was registered to before is let go."""
        self.remove()
        try:
            for canonizer in self.canonizers:
                self._applied += canonizer.apply(parent)
            self._attachment = self.propagator.attach(parent)
        except BaseException:
            self.remove()
            raise
        self._model = parent
        to_rest(parent)

    def remove(self) -> None:
        """Take LFP off, and leave the model as it was, its spiking neurons at rest."""
        if self._attachment is not None:
            self._attachment.remove()
        for canonizer in reversed(self._applied):
            canonizer.remove()
        if self._model is not None:
            to_rest(self._model)
        self._attachment, self._applied, self._model = None, [], None


def to_rest(model: nn.Module) -> None:
    """Bring snnTorch's neurons that keep their state (``init_hidden=True``) to rest."""
    for module in model.modules():
        reset = getattr(module, "reset_mem", None)
        if callable(reset) and getattr(module, "init_hidden", False):
            reset()
