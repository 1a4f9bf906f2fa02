"""Is an explanation true? Take away what it calls most relevant, and see whether the decision falls.

**Deletion** removes the most relevant events first, **insertion** starts from nothing and adds them first (Samek et al.
2017, arXiv 1509.06321; Petsiuk et al. 2018, arXiv 1806.07421). Accuracy is taken on the class that belongs to the
example; the curve of a good explanation falls fast under deletion and rises fast under insertion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lfp_snn.data import Batch
from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.explain.explainers import Explainer
from lfp_snn.forward import mode
from lfp_snn.rewards import scores

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Shares of the events at which accuracy is taken."""


@dataclass(frozen=True)
class Faithfulness:
    """Accuracy against the share of events that was removed, or added, by one explainer's order.

    Attributes
    ----------
    shares : tuple of float
        Of the events.
    deletion, insertion : tuple of float
        Accuracy at each share.
    examples : int
        On how many.
    """

    shares: tuple[float, ...]
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    examples: int

    def area(self) -> float:
        """Return the area between the insertion and the deletion curve, in -1 ... 1; 0 by chance."""
        gap = torch.tensor(self.insertion) - torch.tensor(self.deletion)
        return float(torch.trapezoid(gap, torch.tensor(self.shares)))

    def fall(self, share: float) -> float:
        """Return how far accuracy falls when this share is removed."""
        if share not in self.shares:
            raise ConfigError(f"accuracy was taken at the shares {self.shares}, not at {share}")
        return self.deletion[0] - self.deletion[self.shares.index(share)]


def rank(x: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Order the events of each example, the most relevant first.

    A count of 3 is three events, each with a third of the relevance; a value that is no count (a grey pixel) is one.

    Parameters
    ----------
    x : Tensor
        ``[T, B, ...]``.
    relevance : Tensor
        Of the shape of ``x``.

    Returns
    -------
    tuple of Tensor
        For each event its position in ``x.flatten()``, its value, and its place in the order of its example as a share
        in [0, 1).

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> position, value, place = rank(torch.tensor([[[2.0, 0.0, 1.0]]]), torch.tensor([[[1.0, 0.0, 3.0]]]))
    >>> position.tolist(), [round(p, 2) for p in place.tolist()]
    ([0, 0, 2], [0.33, 0.67, 0.0])
    """
    if x.shape != relevance.shape:
        raise ShapeError(f"relevance has shape {list(relevance.shape)}, the input {list(x.shape)}")
    flat, batch = x.flatten(), x.shape[1]
    position = flat.nonzero()[:, 0]
    value, of = flat[position], relevance.flatten()[position]
    if bool(((value == value.round()) & (value > 0)).all()):  # counts of events
        count = value.to(torch.int64)
        position, of, value = (q.repeat_interleave(count) for q in (position, of / value, torch.ones_like(value)))
    example = position // x[0, 0].numel() % batch
    order = torch.argsort(of, descending=True, stable=True)
    order = order[torch.argsort(example[order], stable=True)]
    size = torch.bincount(example, minlength=batch)
    first = size.cumsum(0) - size
    place = torch.empty_like(value, dtype=torch.float64)
    mine = example[order]
    place[order] = (torch.arange(len(order), device=x.device) - first[mine]).double() / size[mine]
    return position, value, place


def take(x: Tensor, chosen: Tensor, position: Tensor, value: Tensor) -> Tensor:
    """Return ``x`` with the chosen events (a mask over those of `rank`) alone."""
    return torch.zeros_like(x).flatten().index_add_(0, position[chosen], value[chosen]).reshape(x.shape)


def faithfulness(
    network: nn.Module,
    batches: Iterable[Batch],
    explainers: Mapping[str, Explainer],
    *,
    shares: Sequence[float] = SHARES,
    progress: Callable[[Iterable[Batch]], Iterable[Batch]] = lambda batches: batches,
) -> dict[str, Faithfulness]:
    """Measure deletion and insertion curves of several explainers on the same examples.

    Parameters
    ----------
    network : nn.Module
        Explained: the class that it decides for.
    batches : iterable of Batch
        Inputs over time, ``[T, B, ...]``.
    explainers : mapping
        Name -> explainer.
    shares : sequence of float
        From 0 to 1, ascending.
    progress : callable, optional
        Wraps the batches, as ``rich.progress.track`` or ``tqdm`` do.

    Raises
    ------
    ConfigError
        If the shares do not ascend from 0 to 1.
    ShapeError
        If there is no batch, or the input has no time axis.
    """
    if len(shares) < 2 or list(shares) != sorted(set(shares)) or shares[0] != 0 or shares[-1] != 1:
        raise ConfigError(f"shares ascend from 0 to 1, got {tuple(shares)}")
    deletion = {name: torch.zeros(len(shares)) for name in explainers}
    insertion = {name: torch.zeros(len(shares)) for name in explainers}
    examples = 0
    with mode(network, False):
        for x, target, lengths in progress(batches):

            def right(x: Tensor, target: Tensor = target, lengths: Tensor | None = lengths) -> tuple[Tensor, Tensor]:
                with torch.no_grad():
                    decision = scores(network(x), lengths).argmax(-1)
                return decision, (decision == target).sum().cpu()

            decision, whole = right(x)
            nothing = right(torch.zeros_like(x))[1]
            examples += len(target)
            for name, explainer in explainers.items():
                position, value, place = rank(x, explainer(x, decision, lengths))
                for k, share in enumerate(shares):
                    if share in (0, 1):
                        most, rest = (nothing, whole) if share == 0 else (whole, nothing)
                    else:
                        first = place < share
                        most, rest = (right(take(x, mask, position, value))[1] for mask in (first, ~first))
                    insertion[name][k] += most
                    deletion[name][k] += rest
    if not examples:
        raise ShapeError("there is no batch to explain")
    return {
        name: Faithfulness(
            tuple(shares),
            tuple((deletion[name] / examples).tolist()),
            tuple((insertion[name] / examples).tolist()),
            examples,
        )
        for name in explainers
    }
