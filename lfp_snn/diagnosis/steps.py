"""Means over examples, step by step, where examples may have fewer steps than others."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_steps(steps: int, batch: int, lengths: Tensor | None, device: torch.device) -> Tensor:
    """Return which steps of which examples are no padding, bool ``[T, B]``.

    Examples
    --------
    >>> valid_steps(3, 2, torch.tensor([1, 3]), torch.device("cpu")).int().tolist()
    [[1, 1], [0, 1], [0, 1]]
    """
    if lengths is None or steps == 1:
        return torch.ones(steps, batch, dtype=torch.bool, device=device)
    return torch.arange(steps, device=device)[:, None] < lengths.to(device)


class StepMean:
    """The mean of a quantity at each step over the examples that have that step.

    Examples
    --------
    >>> mean = StepMean()
    >>> mean.add(torch.tensor([[2.0, 4.0], [9.0, 5.0]]), torch.tensor([[True, True], [False, True]]))
    >>> mean.add(torch.tensor([[6.0]]), torch.tensor([[True]]))
    >>> mean.values()
    (4.0, 5.0)
    """

    def __init__(self) -> None:
        self._sums: list[float] = []
        self._counts: list[float] = []

    def add(self, values: Tensor, valid: Tensor) -> None:
        """Add values ``[T, B]``, of which only the valid ones count."""
        sums = torch.where(valid, values, 0).sum(1, dtype=torch.float64).tolist()
        counts = valid.sum(1).tolist()
        missing = max(0, len(sums) - len(self._sums))
        self._sums += [0.0] * missing
        self._counts += [0.0] * missing
        for t, (total, count) in enumerate(zip(sums, counts, strict=True)):
            self._sums[t] += total
            self._counts[t] += count

    def values(self) -> tuple[float, ...]:
        """Return the means ``[T]``."""
        return tuple(total / max(count, 1) for total, count in zip(self._sums, self._counts, strict=True))
