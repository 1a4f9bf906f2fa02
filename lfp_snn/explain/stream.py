"""A recording seen as it comes: the evidence for each class step by step, why, and a stop as soon as it is enough.

The evidence is the sum of the network's output so far. The class in front is the decision of the moment; to stop when
it leads the next by a margin is the sequential test of Wald (1945, doi 10.1214/aoms/1177731118) on spikes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lfp_snn.containers import Sequential, State
from lfp_snn.data.guard import check_whole
from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.explain.relevance import Explanation, explain
from lfp_snn.forward import mode
from lfp_snn.rewards.base import check


@dataclass(frozen=True)
class Moment:
    """What a network holds for true at one step.

    Attributes
    ----------
    step : int
        From 0.
    evidence : Tensor
        Sum of the output so far, ``[B, C]``.
    """

    step: int
    evidence: Tensor

    @property
    def choice(self) -> Tensor:
        """The class in front, ``[B]``."""
        return self.evidence.argmax(-1)

    @property
    def lead(self) -> Tensor:
        """By how much it leads the next, ``[B]``."""
        first, second = self.evidence.topk(2).values.unbind(-1)
        return first - second


def watch(network: Sequential, frames: Iterable[Tensor], *, margin: float | None = None) -> Iterator[Moment]:
    """Feed a network step by step and say what it decides, until its decisions lead by the margin.

    Parameters
    ----------
    network : Sequential
        Run as in evaluation.
    frames : iterable of Tensor
        Each step ``[B, ...]`` as it comes; a tensor ``[T, B, ...]`` will do.
    margin : float, optional
        Stop as soon as every example's class in front leads by this. Default: at the end.

    Yields
    ------
    Moment
        After each step.

    Raises
    ------
    ShapeError
        If the network's output is not ``[T, B, C]`` with at least two classes.

    Examples
    --------
    >>> from torch import nn
    >>> from lfp_snn import LI
    >>> net = Sequential(nn.Linear(2, 2, bias=False), LI(beta=1.0))
    >>> _ = nn.init.eye_(net[0].weight)
    >>> frames = torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]]])
    >>> [(moment.step, moment.choice.item(), moment.lead.item()) for moment in watch(net, frames, margin=3)]
    [(0, 0, 0.0), (1, 1, 1.0), (2, 1, 3.0)]
    """
    state, evidence = None, None
    for step, frame in enumerate(frames):
        output, state = _step(network, frame, state)
        if output.dim() != 3 or output.shape[-1] < 2:
            raise ShapeError(f"evidence needs an output [T, B, classes], got shape {list(output.shape)}")
        evidence = output[0] if evidence is None else evidence + output[0]
        moment = Moment(step, evidence)
        yield moment
        if margin is not None and bool((moment.lead >= margin).all()):
            return


def _step(network: Sequential, frame: Tensor, state: State) -> tuple[Tensor, State]:
    """Run one step ``[B, ...]`` as in evaluation."""
    with mode(network, False), torch.no_grad():
        return network.run(frame[None], state)


def explanations(
    network: Sequential, frames: Iterable[Tensor], window: int, *, every: int = 1, **options: Any
) -> Iterator[tuple[int, Explanation]]:
    """Feed a network step by step, and explain again and again what it decided in the steps just seen.

    However long the recording, memory is that of the window. An explanation is of the output in the window, and of its
    input; what the output owes to the time before, which the neurons' states hold, is not shared out further.

    Parameters
    ----------
    network : Sequential
        Run as in evaluation.
    frames : iterable of Tensor
        Each step ``[B, ...]`` as it comes; a tensor ``[T, B, ...]`` will do.
    window : int
        Steps that an explanation looks back.
    every : int
        Steps from one explanation to the next.
    **options
        See :func:`~lfp_snn.explain.explain`: ``target``, ``against``, ``lfp``.

    Yields
    ------
    tuple of int and Explanation
        The step (from 0) and what there is to say after it, after each ``every`` steps and after the last one.

    Raises
    ------
    ConfigError
        If a number of steps is not positive.

    Examples
    --------
    >>> from torch import nn
    >>> from lfp_snn import LIF
    >>> net = Sequential(nn.Linear(4, 2), LIF())
    >>> [(step, why.relevance.shape[0]) for step, why in explanations(net, torch.rand(25, 1, 4), window=10, every=8)]
    [(7, 8), (15, 10), (23, 10), (24, 10)]
    """
    check_whole("window", window)
    check_whole("every", every)
    seen: deque[tuple[Tensor, State]] = deque(maxlen=window)  # each frame, and the state that it found
    state, step, told = None, -1, -1
    for step, frame in enumerate(frames):
        seen.append((frame, state))
        _, state = _step(network, frame, state)
        if (step + 1) % every == 0:
            told = step
            yield step, _look_back(network, seen, options)
    if told < step:
        yield step, _look_back(network, seen, options)


def _look_back(network: Sequential, seen: deque[tuple[Tensor, State]], options: dict[str, Any]) -> Explanation:
    return explain(network, torch.stack([frame for frame, _ in seen]), state=seen[0][1], **options)


@dataclass(frozen=True)
class Exits:
    """Where decisions would have stopped.

    Attributes
    ----------
    step : Tensor
        ``[B]``, the step after which each decision was made; the last where the margin was never reached.
    choice : Tensor
        ``[B]``, what was decided.
    """

    step: Tensor
    choice: Tensor


@dataclass(frozen=True)
class Decisions:
    """How the decisions of a batch came about.

    Parameters
    ----------
    output : Tensor
        Of a network, ``[T, B, C]``.
    lengths : Tensor, optional
        ``[B]``, the valid steps.

    Raises
    ------
    ShapeError
        If the output has no time, or not two classes.

    Examples
    --------
    >>> output = torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]]])
    >>> decisions = Decisions(output)
    >>> decisions.choice[:, 0].tolist(), decisions.latency(torch.tensor([1])).tolist()
    ([0, 1, 1, 1], [1])
    >>> decisions.exits(margin=2).step.tolist()
    [2]
    """

    output: Tensor
    lengths: Tensor | None = None

    def __post_init__(self) -> None:
        """Check the shapes."""
        check(self.output, self.lengths)
        if self.output.dim() != 3 or self.output.shape[-1] < 2:
            raise ShapeError(f"decisions need an output [T, B, classes], got shape {list(self.output.shape)}")

    @property
    def last(self) -> Tensor:
        """The last valid step, ``[B]``."""
        steps, batch = self.output.shape[:2]
        return (torch.full((batch,), steps) if self.lengths is None else self.lengths.cpu()) - 1

    @property
    def evidence(self) -> Tensor:
        """Sum of the output so far, ``[T, B, C]``."""
        return self.output.detach().cumsum(0).cpu()

    @property
    def choice(self) -> Tensor:
        """The class in front at each step, ``[T, B]``."""
        return self.evidence.argmax(-1)

    @property
    def lead(self) -> Tensor:
        """By how much it leads the next, ``[T, B]``."""
        first, second = self.evidence.topk(2).values.unbind(-1)
        return first - second

    def latency(self, target: Tensor) -> Tensor:
        """Return the step from which on the decision is right and stays right, ``[B]``; -1 where it ends wrong."""
        wrong = (self.choice != target.cpu()) & self._valid()
        steps = torch.arange(len(wrong))[:, None]
        first = torch.where(wrong, steps + 1, 0).amax(0)
        return torch.where(first > self.last, -1, first)

    def exits(self, margin: float) -> Exits:
        """Stop each example as soon as its class in front leads by the margin.

        Raises
        ------
        ConfigError
            If the margin is negative.
        """
        if not margin >= 0:
            raise ConfigError(f"a margin must not be negative, got {margin}")
        reached = (self.lead >= margin) & self._valid()
        first = torch.where(reached.any(0), reached.to(torch.uint8).argmax(0), self.last)
        return Exits(first, self.choice.gather(0, first[None])[0])

    def _valid(self) -> Tensor:
        return torch.arange(len(self.output))[:, None] <= self.last
