"""Shares of the processes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lfp_snn.data import EpochSampler
from lfp_snn.training.shard import Shard


@given(st.integers(0, 50), st.integers(1, 5), st.booleans())
def test_shards_are_disjoint_and_complete(size: int, world: int, even: bool) -> None:
    shards = [Shard(range(size), rank, world, even=even) for rank in range(world)]
    indices = [list(shard) for shard in shards]
    assert [len(i) for i in indices] == [len(shard) for shard in shards]
    together = sorted(i for shard in indices for i in shard)
    assert together == list(range(size - size % world if even else size))
    if even:
        assert len({len(i) for i in indices}) == 1


def test_processes_share_each_batch() -> None:
    order = EpochSampler(20, seed=1)
    whole = list(order)
    shards = [list(Shard(order, rank, 2)) for rank in range(2)]
    for k in range(5):
        assert {*shards[0][2 * k : 2 * k + 2], *shards[1][2 * k : 2 * k + 2]} == set(whole[4 * k : 4 * k + 4])


def test_epochs_reach_the_order() -> None:
    shard = Shard(EpochSampler(20, seed=1))
    first = list(shard)
    shard.set_epoch(1)
    assert list(shard) != first
    shard.set_epoch(0)
    assert list(shard) == first
