"""What a loader yields."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """A batch of examples.

    Attributes
    ----------
    x : Tensor
        float32 [T, B, ...] over time (time first, padded with zeros at the end), or [B, ...] without time.
    target : Tensor
        int64 [B], the classes.
    lengths : Tensor or None
        int64 [B], valid steps of each example; None if every example has all T (or there is no time).

    Examples
    --------
    >>> import torch
    >>> batch = Batch(torch.zeros(20, 8, 2, 34, 34), torch.zeros(8, dtype=torch.int64), None)
    >>> len(batch.target)
    8
    """

    x: Tensor
    target: Tensor
    lengths: Tensor | None
