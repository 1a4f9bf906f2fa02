from __future__ import annotations

import pytest
import torch
from torch import nn

from lfp_snn import LI, LIF, Sequential
from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.explain import explain
from lfp_snn.explain.stream import Decisions, explanations, watch


def network() -> Sequential:
    torch.manual_seed(0)
    return Sequential(nn.Linear(5, 8), LIF(), nn.Dropout(0.5), nn.Linear(8, 3), LI())


def test_step_by_step_is_the_whole() -> None:
    net, x = network(), 2 * torch.rand(9, 4, 5)
    moments = list(watch(net, x))
    decisions = Decisions(net.eval()(x))
    assert [m.step for m in moments] == list(range(9))
    torch.testing.assert_close(torch.stack([m.evidence for m in moments]), decisions.evidence)
    assert torch.equal(torch.stack([m.choice for m in moments]), decisions.choice)
    torch.testing.assert_close(torch.stack([m.lead for m in moments]), decisions.lead)


def test_watching_stops_where_the_decision_would_and_asks_for_no_more_frames() -> None:
    net, x = network(), 2 * torch.rand(9, 1, 5)
    net.train()
    margin = float(Decisions(net.eval()(x)).lead[4, 0]) - 1e-4
    asked = []

    def frames():
        for t, frame in enumerate(x):
            asked.append(t)
            yield frame

    net.train()
    moments = list(watch(net, frames(), margin=margin))
    exits = Decisions(net.eval()(x)).exits(margin)
    assert moments[-1].step == exits.step.item() <= 4
    assert len(asked) == len(moments)
    assert moments[-1].choice.item() == exits.choice.item()


def test_an_explanation_of_the_steps_just_seen_is_that_part_of_the_whole() -> None:
    net, x = network(), 2 * torch.rand(9, 4, 5)
    target = torch.tensor([0, 2, 1, 0])
    asked = []

    def frames():
        for t, frame in enumerate(x):
            asked.append(t)
            yield frame

    found = {}
    for step, why in explanations(net, frames(), 3, every=4, target=target):
        assert asked[-1] == step  # nothing is read ahead
        found[step] = why
    assert list(found) == [3, 7, 8]
    whole = explain(net, x, target)
    for step, why in found.items():
        seen = slice(step - 2, step + 1)
        torch.testing.assert_close(why.output, whole.output[seen])
        torch.testing.assert_close(why.x, x[seen])
        # The same reward given to a run from the start: what the window's input gets of it.
        reward = torch.zeros_like(whole.reward)
        reward[seen] = why.reward
        over_all = explain(net, x[: step + 1], target, reward=reward[: step + 1])
        torch.testing.assert_close(why.relevance, over_all.relevance[seen])
        torch.testing.assert_close(why.layers["1"].relevance, over_all.layers["1"].relevance[seen])
        assert over_all.relevance[: step - 2].abs().max() > 0


def test_a_window_as_long_as_the_recording_explains_all_of_it() -> None:
    net, x = network(), 2 * torch.rand(6, 2, 5)
    ((step, why),) = explanations(net, x, 100, every=100, against="next")
    assert step == 5
    torch.testing.assert_close(why.relevance, explain(net, x, against="next").relevance)
    for wrong in ({"window": 0}, {"window": 3, "every": 0}):
        with pytest.raises(ConfigError, match="must be a whole number"):
            next(explanations(net, x, **wrong))  # type: ignore[arg-type]
    assert list(explanations(net, [], 3)) == []


def test_latency_and_exits() -> None:
    votes = torch.tensor([[0, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 0]])  # [T, B]
    output = nn.functional.one_hot(votes, 3).float()
    decisions = Decisions(output)
    assert decisions.choice[-1].tolist() == [1, 1, 0]
    # 0: leads until 1 has two votes; 1: from the start; 2: ends with another class
    assert decisions.latency(torch.tensor([1, 1, 1])).tolist() == [2, 0, -1]
    assert decisions.exits(0).step.tolist() == [0, 0, 0]
    assert decisions.exits(2).step.tolist() == [3, 1, 3]
    assert decisions.exits(2).choice.tolist() == [1, 1, 0]
    never = decisions.exits(100)
    assert never.step.tolist() == [3, 3, 3]
    assert never.choice.tolist() == [1, 1, 0]


def test_padding_does_not_count() -> None:
    votes = torch.tensor([[0], [0], [1], [1], [1]])
    output = nn.functional.one_hot(votes, 2).float()
    decisions = Decisions(output, torch.tensor([2]))
    assert decisions.latency(torch.tensor([0])).tolist() == [0]
    assert decisions.latency(torch.tensor([1])).tolist() == [-1]
    assert decisions.exits(50).step.tolist() == [1]
    assert decisions.exits(50).choice.tolist() == [0]


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"\[T, B, classes\], got shape \[4, 3\]"):
        Decisions(torch.rand(4, 3))
    with pytest.raises(ShapeError, match=r"got shape \[4, 3, 1\]"):
        Decisions(torch.rand(4, 3, 1))
    with pytest.raises(ConfigError, match="must not be negative"):
        Decisions(torch.rand(4, 3, 2)).exits(-1)
    with pytest.raises(ShapeError, match="evidence needs an output"):
        list(watch(Sequential(nn.Linear(3, 1), LI()), torch.rand(2, 1, 3)))
