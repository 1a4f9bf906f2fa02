"""Means of an epoch."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lfp_snn import data
from lfp_snn.training.metrics import Tally, accuracy

CPU = torch.device("cpu")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40), st.integers(1, 7))
def test_batches_do_not_matter(pairs: list[tuple[int, int]], batch: int) -> None:
    prediction, target = (torch.tensor(v) for v in zip(*pairs, strict=True))
    tally = Tally(4, CPU)
    losses = torch.linspace(-1, 1, len(pairs), dtype=torch.float64)
    for k in range(0, len(pairs), batch):
        part = slice(k, k + batch)
        tally.add(losses[part].mean(), prediction[part], target[part])
    assert tally.examples == len(pairs)
    assert tally.accuracy == sum(p == t for p, t in pairs) / len(pairs)
    assert math.isclose(tally.loss, losses.mean().item(), abs_tol=1e-12)
    for c in range(4):
        of_class = [p == t for p, t in pairs if t == c]
        if of_class:
            assert math.isclose(tally.class_accuracy[c], sum(of_class) / len(of_class))
        else:
            assert math.isnan(tally.class_accuracy[c])


def test_nothing_seen() -> None:
    tally = Tally(2, CPU)
    assert (tally.examples, tally.loss, tally.accuracy) == (0, 0.0, 0.0)


@pytest.mark.parametrize("batch_size", [7, 256])
def test_accuracy_is_that_of_all_examples_at_once(batch_size: int) -> None:
    part = data.load("digits").test
    x, target, _ = part.__getitems__(list(range(len(part))))
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(64, 10))
    want = float((network.eval()(x).argmax(-1) == target).double().mean())
    assert 0 < want < 1
    assert accuracy(network.train(), part, batch_size) == pytest.approx(want)
    assert network.training


def test_accuracy_counts_valid_steps_only() -> None:
    class Padded(data.BatchDataset):
        def __len__(self) -> int:
            return 2

        def __getitems__(self, indices: list[int]) -> data.Batch:
            x = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 9.0], [0.0, 1.0]]])
            return data.Batch(x, torch.tensor([0, 1]), torch.tensor([1, 2]))

    assert accuracy(lambda x: x, Padded()) == 1


def test_accuracy_leaves_modes_as_they_were() -> None:
    splits = data.load("digits")
    net = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(splits.shape), 10), nn.BatchNorm1d(10).eval())
    assert 0 <= accuracy(net, splits.test) <= 1
    assert [m.training for m in net] == [True, True, False]
