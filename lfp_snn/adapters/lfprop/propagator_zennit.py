"""``lfprop.propagation.propagator_zennit`` of lfprop before 1.0: feedback is the mean over the batch."""

from __future__ import annotations

from typing import Any

from lfp_snn.adapters.lfprop.boundary import Routed
from lfp_snn.adapters.lfprop.composites import Composite

__all__ = ["LFPEpsilonComposite"]


class LFPEpsilonComposite(Composite):
    """LFP by the epsilon rule; feedback is the mean over the batch, the reward at the input that of each sample.

    Parameters
    ----------
    epsilon : float
        Stabiliser.
    canonizers : list, optional
        zennit's canonizers, applied while registered.

    Examples
    --------
    >>> import torch
    >>> net, inputs = torch.nn.Linear(4, 3), torch.rand(2, 4).requires_grad_(True)
    >>> with LFPEpsilonComposite().context(net) as modified:
    ...     outputs = modified(inputs)
    ...     reward = torch.ones_like(outputs)
    ...     input_reward = torch.autograd.grad((outputs,), (inputs,), grad_outputs=(reward,))[0]
    """

    def __init__(self, epsilon: float = 1e-6, canonizers: list[Any] | None = None) -> None:
        super().__init__(Routed(epsilon=epsilon, mean=True), canonizers)
