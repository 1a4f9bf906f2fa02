"""``lfprop.propagation.propagator_vit``: LFP for vision transformers."""

from __future__ import annotations

from torch import nn

from lfp_snn.adapters.lfprop.boundary import Routed
from lfp_snn.adapters.lfprop.composites import Composite
from lfp_snn.adapters.lfprop.propagator_lxt import LINEAR
from lfp_snn.rules import Epsilon

__all__ = ["LFPEpsilonComposite"]

NORMALISED = (
    *(nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    *(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)


class LFPEpsilonComposite(Composite):
    """LFP by the rules of AttnLRP, with a large epsilon in layers, normalisation and pooling.

    Parameters
    ----------
    norm_backward : bool
        Without effect, as in the reference.
    epsilon : float
        Stabiliser of layers, normalisation and pooling; sums and products have 1e-6.

    Examples
    --------
    >>> LFPEpsilonComposite().propagator.rules[nn.Linear]
    Epsilon(epsilon=1)
    """

    def __init__(self, norm_backward: bool = False, epsilon: float = 1) -> None:
        super().__init__(Routed(rules=dict.fromkeys((*LINEAR, *NORMALISED), Epsilon(epsilon))))
