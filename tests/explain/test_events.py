from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lfp_snn.data import ByCount, ByEvents, ByWindow, bin_events, make_events
from lfp_snn.errors import DataError, ShapeError
from lfp_snn.explain.events import bins_of, relevance_of_events

BINNINGS = [
    ByCount(7),
    ByCount(5, binary=True),
    ByWindow(130),
    ByWindow(90, max_steps=4),
    ByWindow(100, start_us=250),
    ByEvents(9),
    ByEvents(4, max_steps=3),
]


def recording(seed: int, size: tuple[int, int, int], n: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(100, 1100, n))
    return make_events(rng.integers(0, size[0], n), rng.integers(0, size[1], n), t, rng.integers(0, 2, n))


@pytest.mark.parametrize("binning", BINNINGS, ids=str)
@given(seed=st.integers(0, 10**6), group=st.sampled_from([1, 2, 3]), size=st.sampled_from([(6, 5, 2), (9, 1, 1)]))
@settings(max_examples=20, deadline=None)
def test_events_are_in_the_bins_that_counted_them(binning: object, seed: int, group: int, size: tuple) -> None:
    events = recording(seed, size)
    x = bin_events(events, size, binning, group=group)
    bins = bins_of(events, size, binning, group=group)
    counts = np.bincount(bins[bins >= 0], minlength=x.numel())
    if binning.binary:
        counts = np.minimum(counts, 1)
    np.testing.assert_array_equal(counts, x.flatten().numpy())


@pytest.mark.parametrize("binning", BINNINGS, ids=str)
def test_the_shares_add_up(binning: object) -> None:
    size = (6, 5, 2)
    events = recording(3, size)
    x = bin_events(events, size, binning)
    relevance = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) * (x != 0)
    shared = relevance_of_events(events, relevance, size, binning)
    np.testing.assert_allclose(shared["relevance"].sum(), relevance.sum(), rtol=1e-4)
    for name in ("x", "y", "t", "p"):
        np.testing.assert_array_equal(shared[name], events[name])
    bins = bins_of(events, size, binning)
    for k in np.unique(bins[bins >= 0]):  # equal within a bin, and the bin's own
        share = shared["relevance"][bins == k]
        assert len(set(share.tolist())) == 1
        np.testing.assert_allclose(share.sum(), relevance.flatten()[k], rtol=1e-5)


def test_what_belongs_to_no_step_has_no_relevance() -> None:
    events = make_events([0, 1, 2], 0, [0, 50, 200], True)
    shared = relevance_of_events(events, torch.ones(1, 4), (4, 1, 1), ByWindow(100, max_steps=1))
    assert shared["relevance"].tolist() == [1, 1, 0]


def test_no_events() -> None:
    none = make_events([], [], [], [])
    assert len(relevance_of_events(none, torch.ones(3, 2, 4, 4), (4, 4, 2), ByWindow(10))) == 0


def test_another_recording_s_relevance_is_refused() -> None:
    events = recording(0, (6, 5, 2))
    with pytest.raises(ShapeError, match=r"these events need \[T, 2, 5, 6\] with at least 7 steps"):
        relevance_of_events(events, torch.ones(3, 2, 5, 6), (6, 5, 2), ByCount(7))
    with pytest.raises(ShapeError, match="relevance has shape"):
        relevance_of_events(events, torch.ones(7, 2, 6, 5), (6, 5, 2), ByCount(7))
    with pytest.raises(DataError, match="outside the sensor"):
        relevance_of_events(events, torch.ones(7, 2, 2, 2), (2, 2, 2), ByCount(7))
