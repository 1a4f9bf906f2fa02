"""What every data set here is: labelled examples, some of which may be selected, made into batches epoch by epoch."""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lfp_snn.data.batch import Batch


class Examples(Dataset[tuple[Tensor, int]]):
    """Base class of the data sets; a subclass gives ``__getitems__`` and ``_set_changes``.

    Parameters
    ----------
    labels : ndarray
        int64 [N].
    seed : int
        Of augmentation, with the epoch and an example's number.

    Attributes
    ----------
    indices : ndarray
        Numbers of the examples selected, in all that there are.
    labels : ndarray
        Their labels.
    """

    _one: ClassVar[str] = "example"
    """What an example is called in messages."""
    _batch_axis: ClassVar[int] = 0

    def __init__(self, labels: NDArray[np.int64], seed: int) -> None:
        self.indices: NDArray[np.int64] = np.arange(len(labels))
        self.labels: NDArray[np.int64] = np.asarray(labels, np.int64)
        self._all_labels, self._epoch, self.seed = self.labels, 0, seed

    @property
    def independent(self) -> bool:
        """Whether batches may be made on another thread: they draw from no generator that others draw from."""
        return True

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.indices)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; augmentation draws from (seed, epoch, index)."""
        self._epoch = epoch

    def subset(self, indices: NDArray[np.int64], **changes: Any) -> Self:
        """Select some of the examples, by their place in this data set, with another augmentation (none by default)."""
        part = copy.copy(self)
        part.indices, part.labels = self.indices[indices], self.labels[indices]
        part._set_changes(**changes)
        return part

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one example, without the batch axis, and its label."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"no {self._one} {index}: there are {len(self)}")
        batch = self.__getitems__([index])
        return batch.x.select(self._batch_axis, 0), int(batch.target[0])

    def __getitems__(self, indices: list[int]) -> Batch:
        """Make a batch of these examples at once."""
        raise NotImplementedError

    def _set_changes(self, *args: Any, **changes: Any) -> None:
        """Check and take the augmentation."""
        raise NotImplementedError

    def _targets(self, chosen: NDArray[np.int64]) -> Tensor:
        """Return the labels of examples by their numbers in all that there are."""
        return torch.from_numpy(self._all_labels[chosen])
