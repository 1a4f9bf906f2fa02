"""Loaders: the order, the whole of the data, workers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DistributedSampler

from lfp_snn.data import EVENT_DTYPE, Augment, Batch, ByCount, EpochSampler, EventDataset, Recordings, loader, set_epoch
from lfp_snn.errors import ConfigError


def data(n: int = 25) -> EventDataset:
    """Return n recordings, number i with i + 1 events, labelled with i."""
    recordings = []
    for i in range(n):
        r = np.zeros(i + 1, EVENT_DTYPE)
        r["x"], r["y"], r["t"] = i % 8, i % 6, np.arange(i + 1) * 10
        recordings.append(r)
    return EventDataset(Recordings.join(recordings), np.arange(n), (8, 6, 2), ByCount(3), augment=Augment(shift=1))


def labels(batches: torch.utils.data.DataLoader[Batch]) -> list[int]:
    return torch.cat([b.target for b in batches]).tolist()


def test_batches_are_batches_of_everything_in_order() -> None:
    batches = list(loader(data(), 10))
    assert all(isinstance(b, Batch) for b in batches)
    assert [len(b.target) for b in batches] == [10, 10, 5]
    assert labels(loader(data(), 10)) == list(range(25))
    assert labels(loader(data(), 10, drop_last=True)) == list(range(20))


def test_order_depends_on_seed_and_epoch_alone() -> None:
    batches = loader(data(), 4, shuffle=True, seed=3)
    first, again = labels(batches), labels(batches)
    assert first == again
    assert sorted(first) == list(range(25))
    assert first != list(range(25))
    set_epoch(batches, 1)
    second = labels(batches)
    assert second != first
    fresh = loader(data(), 4, shuffle=True, seed=3)
    set_epoch(fresh, 1)
    torch.rand(5)
    assert labels(fresh) == second
    assert labels(loader(data(), 4, shuffle=True, seed=4)) != first


def test_set_epoch_reaches_the_augmentation() -> None:
    batches = loader(data(), 25)
    a = next(iter(batches)).x
    set_epoch(batches, 1)
    b = next(iter(batches)).x
    assert not torch.equal(a, b)
    set_epoch(batches, 0)
    assert torch.equal(next(iter(batches)).x, a)


def test_workers_make_the_same_batches() -> None:
    alone, two = loader(data(), 6, shuffle=True), loader(data(), 6, shuffle=True, num_workers=2)
    for epoch in (0, 1):
        set_epoch(alone, epoch)
        set_epoch(two, epoch)
        for a, b in zip(alone, two, strict=True):
            assert torch.equal(a.x, b.x)
            assert torch.equal(a.target, b.target)


def test_distributed_samplers_share_the_data() -> None:
    parts = []
    for rank in range(2):
        sampler = DistributedSampler(data(24), num_replicas=2, rank=rank, shuffle=True, seed=1)  # type: ignore[arg-type]
        batches = loader(data(24), 4, sampler=sampler)
        set_epoch(batches, 2)
        assert sampler.epoch == 2
        parts.append(labels(batches))
    assert len(parts[0]) == len(parts[1]) == 12
    assert sorted(parts[0] + parts[1]) == list(range(24))


def test_large_seeds_and_epochs() -> None:
    sampler = EpochSampler(5, seed=2**62)
    sampler.set_epoch(10**9)
    assert sorted(sampler) == list(range(5))
    assert len(sampler) == 5


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "8", True])
def test_bad_batch_sizes(batch_size: object) -> None:
    with pytest.raises(ConfigError, match="batch_size must be"):
        loader(data(), batch_size)  # type: ignore[arg-type]


def test_other_bad_arguments() -> None:
    with pytest.raises(ConfigError, match="num_workers must be"):
        loader(data(), 4, num_workers=-1)
    with pytest.raises(ConfigError, match="the data set is empty"):
        loader(data().subset(np.array([], np.int64)), 4)
