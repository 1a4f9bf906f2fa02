"""``lfprop.propagation.propagator_snn``: LFP for spiking networks of snnTorch (or ours)."""

from __future__ import annotations

from typing import Any

from lfp_snn.adapters.lfprop.boundary import Routed
from lfp_snn.adapters.lfprop.composites import Composite
from lfp_snn.errors import ConfigError
from lfp_snn.rules import Reference

__all__ = ["LFPSNNEpsilonComposite", "LRPRewardPropagator"]


class LFPSNNEpsilonComposite(Composite):
    """LFP by the epsilon rule, in layers and in neurons.

    Parameters
    ----------
    epsilon : float
        Stabiliser.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from lfp_snn import LIF, Sequential
    >>> net, x = Sequential(nn.Linear(4, 3), LIF()), torch.rand(5, 2, 4).requires_grad_(True)
    >>> with LFPSNNEpsilonComposite().context(net) as modified:
    ...     spikes = modified(x)
    ...     _ = torch.autograd.grad((spikes,), (x,), grad_outputs=(torch.ones_like(spikes),))
    >>> net[0].weight.feedback.shape
    torch.Size([3, 4])
    """

    def __init__(self, epsilon: float = 1e-6) -> None:
        super().__init__(Routed(epsilon=epsilon, sharing=Reference(epsilon)))


class LRPRewardPropagator(LFPSNNEpsilonComposite):
    """The name under which lfprop before 1.0 had its spiking propagator, with the interface and the rule of 1.0.

    Parameters
    ----------
    model : nn.Module, optional
        Not needed: the model is that of :meth:`context`.
    norm_backward : bool
        Only ``False``.

    Raises
    ------
    ConfigError
        If messages are to be divided by their maximum (``norm_backward=True``), which 1.0 has given up.

    Examples
    --------
    >>> LRPRewardPropagator().propagator.sharing
    Reference(epsilon=1e-06)
    """

    def __init__(self, model: Any = None, norm_backward: bool = False) -> None:
        if norm_backward:
            raise ConfigError("norm_backward=True is not there: the messages of a neuron stay bounded without it")
        super().__init__()
