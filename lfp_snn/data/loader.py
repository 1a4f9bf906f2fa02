"""Batches in an order that depends on (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from lfp_snn.data.batch import Batch
from lfp_snn.data.splits import BatchDataset
from lfp_snn.errors import ConfigError


class EpochSampler(Sampler[int]):
    """All indices, in an order that depends on (seed, epoch) alone.

    Parameters
    ----------
    size : int
        Number of examples.
    seed : int
        Of the order.

    Examples
    --------
    >>> sampler = EpochSampler(4, seed=0)
    >>> first = list(sampler)
    >>> sampler.set_epoch(1)
    >>> sorted(sampler) == sorted(first)
    True
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size, self.seed, self.epoch = size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of examples."""
        return self.size

    def __iter__(self) -> Iterator[int]:
        """Yield the indices in this epoch's order."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % 2**63)
        yield from torch.randperm(self.size, generator=generator).tolist()


def loader(
    dataset: BatchDataset,
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
    *,
    num_workers: int = 0,
    drop_last: bool = False,
    pin_memory: bool = False,
    sampler: Sampler[int] | None = None,
) -> DataLoader[Batch]:
    """Make a loader of batches. The data set makes a whole batch at once.

    Call `set_epoch` at the beginning of each epoch: the order, and the augmentation, then depend on (seed, epoch)
    alone, however often the run was interrupted.

    Parameters
    ----------
    dataset : BatchDataset
        A part of a `Splits`.
    batch_size : int
        Examples in a batch; the last one may be smaller.
    shuffle : bool
        Another order in each epoch.
    seed : int
        Of the order.
    num_workers : int
        Processes that make batches; 0, the default, makes them here, which is fast enough for data in memory.
    drop_last : bool
        Leave out a last batch that is not full.
    pin_memory : bool
        Put batches into page-locked memory, for a faster copy to a GPU.
    sampler : Sampler, optional
        Another order, for example a ``torch.utils.data.DistributedSampler``; ``shuffle`` and ``seed`` are then its own
        matter.

    Returns
    -------
    DataLoader
        Of `Batch`.

    Raises
    ------
    ConfigError
        If a number is impossible.

    Examples
    --------
    >>> from lfp_snn.data import load
    >>> batches = loader(load("digits").test, batch_size=100)
    >>> next(iter(batches)).x.shape
    torch.Size([100, 1, 8, 8])
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
    if num_workers < 0:
        raise ConfigError(f"num_workers must be at least 0, got {num_workers}")
    if not len(dataset):
        raise ConfigError("the data set is empty")
    if sampler is None and shuffle:
        sampler = EpochSampler(len(dataset), seed)
    return DataLoader(
        _as_torch(dataset),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=_same,
        drop_last=drop_last,
        pin_memory=pin_memory,
    )


def _as_torch(dataset: Any) -> Dataset[Any]:
    out: Dataset[Any] = dataset
    return out


def _same(batch: Any) -> Any:
    return batch


def set_epoch(batches: DataLoader[Any], epoch: int) -> None:
    """Say which epoch begins, to the order and to the augmentation.

    Parameters
    ----------
    batches : DataLoader
        From `loader`, or wrapped by Lightning Fabric.
    epoch : int
        Number of the epoch.
    """
    parts: tuple[Any, ...] = (batches.sampler, getattr(batches.batch_sampler, "sampler", None), batches.dataset)
    for part in parts:
        if hasattr(part, "set_epoch"):
            part.set_epoch(epoch)
