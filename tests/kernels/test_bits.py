"""Bits of a matrix: which elements are not zero, and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lfp_snn.kernels.bits import find
from lfp_snn.kernels.events import listed

sizes = {"rows": st.integers(0, 6), "columns": st.integers(1, 200), "seed": st.integers(0, 2**16)}


@settings(max_examples=60)
@given(activity=st.sampled_from([0.0, 0.1, 0.5, 1.0]), double=st.booleans(), **sizes)
def test_spikes_come_back(rows: int, columns: int, activity: float, double: bool, seed: int) -> None:
    dtype = torch.float64 if double else torch.float32
    x = (torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed)) < activity).to(dtype)
    bits = find(x)
    assert bits.binary
    assert bits.counts.tolist() == x.count_nonzero(1).tolist()
    assert bits.total == int(x.count_nonzero())
    assert torch.equal(bits.spread(dtype), x)
    part = bits.rows(1, rows)
    assert torch.equal(part.spread(dtype), x[1:])
    assert part.total == int(x[1:].count_nonzero())


@settings(max_examples=60)
@given(**sizes)
def test_lists_hold_other_values_too(rows: int, columns: int, seed: int) -> None:
    x = torch.randint(-1, 3, (rows, columns), generator=torch.Generator().manual_seed(seed)).float()
    bits = find(x)
    assert bits.binary == bool(((x == 0) | (x == 1)).all())
    events = listed(bits, x)
    dense = torch.zeros(rows, columns)
    for r in range(rows):
        at = slice(events.start[r], events.start[r + 1])
        assert events.index[at].tolist() == x[r].nonzero().flatten().tolist()
        dense[r, events.index[at]] = torch.from_numpy(events.value[at])
    assert torch.equal(dense, x)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -0.5])
@pytest.mark.parametrize("column", [3, 70])
def test_what_is_neither_0_nor_1_is_seen(value: float, column: int) -> None:
    x = torch.zeros(2, 71)
    x[1, column] = value
    bits = find(x)
    assert not bits.binary
    assert bits.counts.tolist() == [0, 1]


def test_views_are_read_as_they_are_seen() -> None:
    x = (torch.rand(70, 4) < 0.5).float()
    assert torch.equal(find(x.t()).spread(), x.t())
    assert torch.equal(find(torch.ones(1, 1).expand(3, 100)).spread(), torch.ones(3, 100))
