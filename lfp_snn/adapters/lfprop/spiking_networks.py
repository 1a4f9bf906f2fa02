"""``lfprop.model.spiking_networks``: the pair of a layer and its neurons of which the reference's networks consist."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

__all__ = ["SpikingLayer"]


class SpikingLayer(nn.Module):
    """A layer and the neurons it drives, one time step a call.

    Parameters
    ----------
    parameterized_layer : nn.Module
        The layer.
    spike_mechanism : nn.Module
        An snnTorch neuron with ``init_hidden=True``.

    Examples
    --------
    >>> import snntorch as snn, torch
    >>> layer = SpikingLayer(nn.Linear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))
    >>> layer(torch.rand(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(self, parameterized_layer: nn.Module, spike_mechanism: nn.Module) -> None:
        super().__init__()
        self.parameterized_layer, self.spike_mechanism = parameterized_layer, spike_mechanism

    def forward(self, x: Tensor) -> Any:
        """Return what the neurons return for the layer's output."""
        return self.spike_mechanism(self.parameterized_layer(x))
