"""How large the optimiser's steps are against the weights, and what they do to them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lfp_snn.diagnosis.learning import Lesson
from lfp_snn.errors import NonFiniteError
from lfp_snn.training import build as parts

TINY = 1e-3
"""A weight is tiny below this multiple of the root mean square of its parameter: LFP's feedback is scaled by it."""
EDGES = tuple(k / 4 for k in range(-32, 9))
"""Edges of the histogram of ``log10(|change| / |weight|)``: 1e-8 to 100."""


@dataclass(frozen=True)
class Update:
    """What a few steps of the run's optimiser did to one parameter.

    Attributes
    ----------
    name : str
        Of the parameter, in the network.
    shape : tuple of int
        Its shape.
    zero : float
        Share of weights that were exactly 0 before.
    tiny : float
        Share of weights that were not 0, but below a thousandth of the parameter's root mean square.
    step : float or None
        Length of a step over length of the parameter before all steps, mean over the steps but the first (which in Adam
        has the same size whatever the gradient); None if the parameter was 0.
    change : float
        Median of ``|change| / |weight|`` after all steps, over weights that were not 0.
    flips : float
        Share of weights that changed their sign.
    still : float
        Share of weights that did not change at all.
    histogram : tuple of int
        Counts of ``log10(|change| / |weight|)`` between :data:`EDGES`, over weights that were not 0 and did change.
    """

    name: str
    shape: tuple[int, ...]
    zero: float
    tiny: float
    step: float | None
    change: float
    flips: float
    still: float
    histogram: tuple[int, ...]


def updates(lesson: Lesson) -> tuple[tuple[Update, ...], bool]:
    """Train a network for the batches of a lesson, each a step at the full learning rate, and compare.

    Parameters
    ----------
    lesson : Lesson
        Its network is changed.

    Returns
    -------
    tuple of Update
        One a trained parameter.
    bool
        Whether training diverged on the way: weights or outputs became NaN or infinite.
    """
    network, config = lesson.network, lesson.config
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    optimizer = parts.optimizer(config.optimizer, network)
    first = {name: p.detach().clone() for name, p in trained.items()}
    lengths: dict[str, list[float]] = {name: [] for name in trained}
    diverged = False
    with lesson.task.method.attach(network) as learner:
        for batch in lesson.batches():
            before = {name: p.detach().clone() for name, p in trained.items()}
            try:
                lesson.learn(learner, batch)
            except NonFiniteError:
                diverged = True
                break
            if config.training.clip_norm:
                nn.utils.clip_grad_norm_(trained.values(), config.training.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            for name, p in trained.items():
                lengths[name].append(float((p.detach() - before[name]).norm()))
            if not all(bool(torch.isfinite(p.detach()).all()) for p in trained.values()):
                diverged = True
                break
    return tuple(_compare(name, first[name], p.detach(), lengths[name]) for name, p in trained.items()), diverged


def _compare(name: str, before: Tensor, after: Tensor, lengths: list[float]) -> Update:
    """Return what happened to a parameter."""
    change = (after - before).abs()
    there = before != 0
    relative = change[there] / before[there].abs()
    moved = relative[(relative > 0) & relative.isfinite()].double().log10().clamp(EDGES[0], EDGES[-1])
    lengths, size = lengths[1:] or lengths, float(before.norm())
    tiny = there & (before.abs() < TINY * before.square().mean().sqrt())

    def share(which: Tensor) -> float:
        return float(which.double().mean())

    return Update(
        name=name,
        shape=tuple(before.shape),
        zero=share(~there),
        tiny=share(tiny),
        step=sum(lengths) / len(lengths) / size if lengths and size else None,
        change=float(relative.median()) if relative.numel() else 0.0,
        flips=share(before * after < 0),
        still=share(change == 0),
        histogram=tuple(int(n) for n in torch.histogram(moved.cpu(), torch.tensor(EDGES, dtype=moved.dtype)).hist),
    )
