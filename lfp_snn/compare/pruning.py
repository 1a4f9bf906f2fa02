"""Pruning by magnitude: how much of a trained network can be left out."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import prune

from lfp_snn.training.connections import find_synapses


def prune_weights(network: nn.Module, amount: float) -> None:
    """Set the smallest weights of a network, in magnitude and over all its layers, to zero.

    Global unstructured pruning (Han et al. 2015, arXiv 1506.02626), once and without training afterwards. Weights of
    linear layers and convolutions and recurrent weights are concerned; biases and the neurons' own parameters stay.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    amount : float
        Share of the weights to set to zero, 0 to 1.

    Raises
    ------
    ValueError
        If the share is out of range.

    Examples
    --------
    >>> import torch
    >>> layer = nn.Linear(4, 1)
    >>> _ = layer.weight.data.copy_(torch.tensor([[0.1, -0.2, 0.3, -0.4]]))
    >>> prune_weights(layer, 0.5)
    >>> [round(w, 1) for w in layer.weight[0].tolist()]
    [0.0, -0.0, 0.3, -0.4]
    """
    if not 0 <= amount <= 1:
        raise ValueError(f"the share of weights to prune must lie in [0, 1], got {amount}")
    weights = [(synapses.module, synapses.parameter) for _, synapses in find_synapses(network)]
    if weights:
        prune.global_unstructured(weights, pruning_method=prune.L1Unstructured, amount=float(amount))
    for module, name in weights:
        prune.remove(module, name)  # type: ignore[no-untyped-call]  # the mask becomes part of the weights
