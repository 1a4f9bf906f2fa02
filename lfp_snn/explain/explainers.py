"""Ways to say what of an input mattered: LFP's relevance, and what it has to be better than.

All are called alike, ``explainer(x, target, lengths)``, and return a relevance of the shape of ``x``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from lfp_snn.errors import ConfigError
from lfp_snn.explain.relevance import Against, contrast, explain
from lfp_snn.forward import mode
from lfp_snn.neurons.ambient import Ambient, surrounded
from lfp_snn.neurons.surrogate import ATan, Surrogate
from lfp_snn.propagation import LFP
from lfp_snn.rewards import scores


class Explainer(Protocol):
    """Says what of an input mattered for a class."""

    def __call__(self, x: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the relevance of ``x`` ``[T, B, ...]`` for the classes ``[B]``, of the shape of ``x``."""
        ...


@dataclass
class Relevance:
    """LFP's relevance of the class's score (:func:`lfp_snn.explain.explain`).

    Parameters
    ----------
    network : nn.Module
        Explained.
    lfp : LFP, optional
        The rules; by default those of `explain`.
    against : Against
        Whose score is subtracted, as for `explain`.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential
    >>> Relevance(Sequential(nn.Linear(4, 3), LIF()))(torch.ones(5, 2, 4), torch.tensor([0, 1])).shape
    torch.Size([5, 2, 4])
    """

    network: nn.Module
    lfp: LFP | None = None
    against: Against = None

    def __call__(self, x: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the relevance; see `Explainer`."""
        return explain(self.network, x, target, against=self.against, lengths=lengths, lfp=self.lfp).relevance


@dataclass
class GradientTimesInput:
    """The input times the gradient of the class's score, with a surrogate derivative of the spike.

    (Simonyan et al. 2014, arXiv 1312.6034; times the input: Shrikumar et al. 2017, arXiv 1704.02685.)

    Parameters
    ----------
    network : nn.Module
        Explained.
    surrogate : Surrogate
        Derivative of the spike.
    against : Against
        Whose score is subtracted, as for `explain`.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential
    >>> GradientTimesInput(Sequential(nn.Linear(4, 3), LIF()))(torch.ones(5, 2, 4), torch.tensor([0, 1])).shape
    torch.Size([5, 2, 4])
    """

    network: nn.Module
    surrogate: Surrogate = field(default_factory=ATan)
    against: Against = None

    def __call__(self, x: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the product; see `Explainer`."""
        x = x.detach().clone().requires_grad_()
        with mode(self.network, False), torch.enable_grad(), surrounded(Ambient(surrogate=self.surrogate)):
            z = scores(self.network(x), lengths)
            explained = (z * contrast(z, target, self.against)).sum()
            (g,) = torch.autograd.grad(explained, x, allow_unused=True)
        return torch.zeros_like(x) if g is None else x.detach() * g


@dataclass
class Occlusion:
    """How far the class's score falls when a block of the input is taken out, shared evenly by what was in the block.

    (Zeiler and Fergus 2014, arXiv 1311.2901, over space and time.)

    Parameters
    ----------
    network : nn.Module
        Explained.
    block : tuple of int
        Steps, and then as many sizes as an example has axes of space (all channels at once): ``(5, 7, 7)`` for
        ``[T, B, P, H, W]``, ``(5, 70)`` for ``[T, B, N]``.

    Raises
    ------
    ConfigError
        If the block does not have the axes of the input.

    Examples
    --------
    >>> from lfp_snn import LIF, Sequential
    >>> net = Sequential(nn.Linear(4, 3), LIF())
    >>> Occlusion(net, (5, 2))(torch.ones(5, 2, 4), torch.tensor([0, 1])).shape
    torch.Size([5, 2, 4])
    """

    network: nn.Module
    block: tuple[int, ...]

    def __call__(self, x: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the falls of the score; see `Explainer`."""
        axes = [0, *range(max(2, x.dim() - 2), x.dim())]
        if len(self.block) != len(axes) or min(self.block) < 1:
            raise ConfigError(f"a block of {len(axes)} positive sizes is needed (steps, space), got {self.block}")
        relevance = torch.zeros_like(x)
        with mode(self.network, False), torch.no_grad():
            whole = self._score(x, target, lengths)
            for place in torch.cartesian_prod(
                *(torch.arange(0, x.shape[axis], size) for axis, size in zip(axes, self.block, strict=True))
            ):
                where: list[slice] = [slice(None)] * x.dim()
                for axis, size, start in zip(axes, self.block, place.tolist(), strict=True):
                    where[axis] = slice(start, start + size)
                part = x[tuple(where)]
                without = x.clone()
                without[tuple(where)] = 0
                fall = whole - self._score(without, target, lengths)
                size_of = part.abs().sum([k for k in range(x.dim()) if k != 1]).clamp(min=1)
                shape = [-1 if k == 1 else 1 for k in range(x.dim())]
                relevance[tuple(where)] = part.abs() * (fall / size_of).reshape(shape)
        return relevance

    def _score(self, x: Tensor, target: Tensor, lengths: Tensor | None) -> Tensor:
        return scores(self.network(x), lengths).gather(1, target[:, None])[:, 0]


@dataclass
class Random:
    """Nothing but chance, the least that an explanation has to beat.

    Parameters
    ----------
    seed : int
        Of the draw.

    Examples
    --------
    >>> Random()(torch.ones(5, 2, 4), torch.tensor([0, 1])).shape
    torch.Size([5, 2, 4])
    """

    seed: int = 0

    def __call__(self, x: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return draws from [0, 1); see `Explainer`."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.rand(x.shape, generator=generator).to(x.device)
