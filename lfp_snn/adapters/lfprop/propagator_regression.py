"""``lfprop.propagation.propagator_regression``: the target itself goes in at the output."""

from __future__ import annotations

from torch import Tensor

from lfp_snn.adapters.lfprop.boundary import Routed
from lfp_snn.adapters.lfprop.composites import Composite

__all__ = ["LFPEpsilonRegressionComposite"]


def from_target(output: Tensor, target: Tensor) -> Tensor:
    """Return the reward ``z * (target - z)`` of :class:`lfp_snn.rewards.Regression`."""
    return output * (target - output)


class LFPEpsilonRegressionComposite(Composite):
    """LFP by the epsilon rule for networks that predict values: ``grad_outputs`` is the target, of the output's shape.

    Parameters
    ----------
    epsilon : float
        Stabiliser.

    Examples
    --------
    >>> import torch
    >>> net, x = torch.nn.Linear(4, 1), torch.rand(2, 4).requires_grad_(True)
    >>> with LFPEpsilonRegressionComposite().context(net) as modified:
    ...     outputs, target = modified(x), torch.ones(2, 1)
    ...     _ = torch.autograd.grad((outputs,), (x,), grad_outputs=(target,))
    >>> error = (target - outputs).detach()
    >>> torch.allclose(net.weight.feedback, net.weight.abs() * (error * x).sum(0), atol=1e-5)
    True
    """

    def __init__(self, epsilon: float = 1e-6) -> None:
        super().__init__(Routed(seed=from_target, epsilon=epsilon))
