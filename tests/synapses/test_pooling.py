"""Max pooling against torch's: values, the element that wins, sizes that do not divide, NaN."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lfp_snn.synapses import max_pool2d


@settings(max_examples=40)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=2),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    double=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_like_torch(shape, window, size, double, seed) -> None:
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(-1, 2, (*shape, *size), generator=g).to(torch.float64 if double else torch.float32)  # many ties
    x.requires_grad_()
    ours, theirs = max_pool2d(x, window), F.max_pool2d(x, window)
    assert type(ours.grad_fn).__name__ == "MaxPool2dBackward"
    assert torch.equal(ours, theirs)
    message = torch.rand(ours.shape, generator=g).to(x.dtype)
    assert torch.equal(*(torch.autograd.grad(y, x, message)[0] for y in (ours, theirs)))


def test_nan_is_passed_on() -> None:
    x = torch.tensor([[[0.0, torch.nan], [2.0, 1.0]], [[torch.nan, 3.0], [2.0, 1.0]]])
    assert max_pool2d(x, 2).isnan().all()


@pytest.mark.parametrize("options", [{"stride": 1}, {"padding": 1}, {"dilation": 2}, {"ceil_mode": True}], ids=str)
def test_other_poolings_are_left_to_torch(options: dict) -> None:
    x = torch.rand(2, 3, 7, 7)
    assert torch.equal(max_pool2d(x, 2, **options), F.max_pool2d(x, 2, **options))


def test_indices_are_left_to_torch() -> None:
    x = torch.rand(2, 3, 6, 6)
    assert all(map(torch.equal, max_pool2d(x, 2, return_indices=True), F.max_pool2d(x, 2, return_indices=True)))


@pytest.mark.parametrize("window", [(16, 16), (17, 17), (1, 300), (2,)])
def test_large_windows(window: tuple[int, ...]) -> None:
    x = torch.randn(2, 34, 600, requires_grad=True)
    ours, theirs = max_pool2d(x, window), F.max_pool2d(x, window)
    message = torch.rand_like(theirs)
    assert torch.equal(ours, theirs)
    assert torch.equal(*(torch.autograd.grad(y, x, message)[0] for y in (ours, theirs)))
