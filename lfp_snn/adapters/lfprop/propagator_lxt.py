"""``lfprop.propagation.propagator_lxt``: LFP for static networks."""

from __future__ import annotations

from torch import nn

from lfp_snn.adapters.lfprop.boundary import Routed
from lfp_snn.adapters.lfprop.composites import Composite
from lfp_snn.rules import Gamma

__all__ = ["LFPEpsilonComposite", "LFPGammaComposite"]

LINEAR = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


class LFPEpsilonComposite(Composite):
    """LFP by the epsilon rule.

    Parameters
    ----------
    epsilon : float
        Stabiliser.

    Examples
    --------
    >>> import torch
    >>> net, composite = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), LFPEpsilonComposite()
    >>> with composite.context(net) as modified:
    ...     inputs = torch.rand(2, 4).requires_grad_(True)
    ...     outputs = modified(inputs)
    ...     reward = torch.ones_like(outputs)
    ...     input_reward = torch.autograd.grad((outputs,), (inputs,), grad_outputs=(reward,))[0]
    ...     for param in net.parameters():
    ...         param.grad = -param.feedback
    """

    def __init__(self, epsilon: float = 1e-6) -> None:
        super().__init__(Routed(epsilon=epsilon))


class LFPGammaComposite(Composite):
    """LFP by the gamma rule for linear layers and convolutions, the epsilon rule elsewhere.

    Parameters
    ----------
    epsilon : float
        Stabiliser.
    gamma : float
        How much contributions of the output's own sign are favoured.

    Notes
    -----
    The reference means feedback of parameters to follow the epsilon rule even here; ours follows the shares of the
    gamma rule, so that a weight gets what its connection got.

    Examples
    --------
    >>> LFPGammaComposite(gamma=0.5).propagator.rules[nn.Linear]
    Gamma(epsilon=1e-06, gamma=0.5)
    """

    def __init__(self, epsilon: float = 1e-6, gamma: float = 0.25) -> None:
        super().__init__(Routed(epsilon=epsilon, rules=dict.fromkeys(LINEAR, Gamma(epsilon, gamma))))
