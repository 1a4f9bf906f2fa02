"""Does an explanation depend on what the network learned? If not, it explains the input, and not the network.

The check of Adebayo et al. (2018, arXiv 1810.03292): the weights of one layer after the other, from the output down,
are put in random order, and the explanation of the same inputs is compared with that of the trained network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from lfp_snn.explain.explainers import Explainer


def randomised(
    network: nn.Module,
    explainers: Mapping[str, Callable[[nn.Module], Explainer]],
    x: Tensor,
    target: Tensor,
    lengths: Tensor | None = None,
    *,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Compare explanations with those of a network whose layers are made random one by one, the last first.

    Parameters
    ----------
    network : nn.Module
        Trained; a copy of it is worked on.
    explainers : mapping
        Name -> what makes an explainer of a network, such as the class :class:`~lfp_snn.explain.Relevance`.
    x : Tensor
        ``[T, B, ...]``.
    target : Tensor
        ``[B]``, the classes to explain.
    lengths : Tensor, optional
        ``[B]``, the valid steps.
    seed : int
        Of the random order.

    Returns
    -------
    dict
        Explainer -> module (with all after it random, too) -> mean rank correlation over the examples, of the events'
        relevance with that under the trained weights; 1 is "nothing changed". A constant explanation has none: 0.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential
    >>> from lfp_snn.explain import Relevance
    >>> _ = torch.manual_seed(0)
    >>> net = Sequential(nn.Linear(9, 8), LIF(), nn.Linear(8, 3), LIF())
    >>> x = (torch.rand(10, 2, 9) > 0.5).float()
    >>> list(randomised(net, {"LFP": Relevance}, x, torch.tensor([0, 1]))["LFP"])
    ['2', '0']
    """
    generator = torch.Generator().manual_seed(seed)
    network = copy.deepcopy(network)
    trained = {name: make(network)(x, target, lengths) for name, make in explainers.items()}
    found: dict[str, dict[str, float]] = {name: {} for name in explainers}
    for module_name, module in reversed(list(network.named_modules())):
        weights = [p for p in module.parameters(recurse=False) if p.numel() > 1]
        if not weights:
            continue
        with torch.no_grad():
            for p in weights:
                p.copy_(p.flatten()[torch.randperm(p.numel(), generator=generator).to(p.device)].view_as(p))
        for name, make in explainers.items():
            found[name][module_name] = _correlation(x, trained[name], make(network)(x, target, lengths))
    return found


def _correlation(x: Tensor, a: Tensor, b: Tensor) -> float:
    """Return the mean over examples of the rank correlation at the inputs that are not 0."""
    each = []
    for k in range(x.shape[1]):
        active = x[:, k] != 0
        pair = a[:, k][active], b[:, k][active]
        varied = all(len(q) > 1 and bool((q != q[0]).any()) for q in pair)
        each.append(float(spearmanr(*(q.cpu().numpy() for q in pair)).statistic) if varied else 0.0)
    return sum(each) / len(each)
