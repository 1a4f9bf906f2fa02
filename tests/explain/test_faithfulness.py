from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lfp_snn import LI, Sequential
from lfp_snn.data import Batch
from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.explain import Random, faithfulness
from lfp_snn.explain.faithfulness import Faithfulness, rank, take


@given(seed=st.integers(0, 10**6), counts=st.booleans(), share=st.sampled_from([0.1, 0.25, 0.5, 0.8]))
@settings(max_examples=40, deadline=None)
def test_the_most_relevant_are_first_in_each_example(seed: int, counts: bool, share: float) -> None:
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 4, (5, 3, 2, 3), generator=g).float()
    if not counts:
        x = x * 0.3
    relevance = torch.randn(x.shape, generator=g)
    position, value, place = rank(x, relevance)
    torch.testing.assert_close(take(x, torch.ones_like(place, dtype=torch.bool), position, value), x)
    chosen, rest = (take(x, mask, position, value) for mask in (place < share, place >= share))
    torch.testing.assert_close(chosen + rest, x)
    for b in range(3):
        of_event = relevance[:, b] / (x[:, b] if counts else 1)
        events = (x[:, b] if counts else (x[:, b] != 0)).sum()
        taken = (chosen[:, b] if counts else (chosen[:, b] != 0)).sum()
        assert abs(float(taken) - share * float(events)) <= 1
        inside, outside = of_event[chosen[:, b] > 0], of_event[rest[:, b] > 0]
        if len(inside) and len(outside):
            assert inside.min() >= outside.max() - 1e-6


def test_a_relevance_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"relevance has shape \[2, 1\], the input \[2, 1, 3\]"):
        rank(torch.ones(2, 1, 3), torch.ones(2, 1))


class Marked:
    """Knows which inputs count."""

    def __init__(self, sign: float) -> None:
        self.sign = sign

    def __call__(self, x: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        mine = torch.arange(x.shape[-1]) == target[:, None]
        return self.sign * x * mine


def counting() -> tuple[Sequential, Batch]:
    """Decide for the channel with the most events; the class's own channel is all that counts."""
    net = Sequential(nn.Linear(4, 4, bias=False), LI(beta=1.0))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(4))
    x = torch.ones(5, 8, 4)
    target = torch.arange(8) % 4
    x[:, torch.arange(8), target] += 2
    return net, Batch(x, target, None)


def test_who_knows_does_better_than_chance_and_who_knows_the_contrary_worse() -> None:
    net, batch = counting()
    shares = (0.0, 0.25, 0.5, 1.0)
    found = faithfulness(net, [batch], {"knows": Marked(1), "contrary": Marked(-1), "chance": Random()}, shares=shares)
    knows, contrary, chance = found["knows"], found["contrary"], found["chance"]
    assert knows.examples == 8
    assert knows.shares == shares
    assert knows.deletion[0] == 1
    assert knows.insertion[-1] == 1
    assert knows.deletion[0] == contrary.deletion[0]
    assert knows.deletion[-1] == contrary.deletion[-1] == 0.25
    assert knows.deletion[2] < chance.deletion[2]
    assert contrary.deletion[2] == 1
    assert knows.insertion[1] == 1 > contrary.insertion[1]
    assert knows.area() > chance.area() > contrary.area()
    assert knows.fall(0.5) == 1 - knows.deletion[2]
    with pytest.raises(ConfigError, match=r"not at 0\.3"):
        knows.fall(0.3)


def test_area() -> None:
    assert Faithfulness((0.0, 0.5, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 1.0), 1).area() == pytest.approx(0.5)


def test_errors() -> None:
    net, batch = counting()
    for shares in ((0.0, 0.5), (0.1, 1.0), (0.0, 0.5, 0.2, 1.0), (0.0,)):
        with pytest.raises(ConfigError, match="shares ascend from 0 to 1, got"):
            faithfulness(net, [batch], {"chance": Random()}, shares=shares)
    with pytest.raises(ShapeError, match="no batch to explain"):
        faithfulness(net, [], {"chance": Random()})
