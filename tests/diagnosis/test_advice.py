"""A network made sick on purpose gets the advice that belongs to it, and a healthy one none."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lfp_snn.cli.options import dotted
from lfp_snn.diagnosis import Advice, Diagnosis, diagnose
from lfp_snn.training.build import Task, build
from lfp_snn.training.config import Config, apply
from lfp_snn.training.presets import read


def configured(**changes: dict[str, Any]) -> Config:
    small = {"data": {"name": "digits"}, "model": {"hidden": [30, 20]}, "encoder": {"steps": 8}}
    small["data"]["batch_size"] = 64
    return apply(apply(Config(), small), changes)


def advised(config: Config, task: Task, batches: int = 4) -> list[Advice]:
    """Return the advice, after having checked that its options are options of this configuration."""
    found = diagnose(config, task, batches).advice()
    for advice in found:
        assert advice.finding
        assert advice.why
        assert advice.options
        for option in advice.options:
            assert apply(config, dotted(option.split())) != config
    return found


def weights(task: Task) -> list[nn.Linear]:
    return [m for m in task.network.modules() if isinstance(m, nn.Linear)]


@pytest.mark.parametrize("method", ["lfp", "surrogate", "scaled-gradient", "dfa", "online-lfp", "ottt", "r-stdp"])
def test_nothing_stands_out_in_a_fresh_network(method: str) -> None:
    config = configured(method={"name": method})
    assert advised(config, build(config)) == []


def test_nothing_stands_out_in_a_trained_preset() -> None:
    config = apply(Config(), read("event-digits"))
    task = build(config)
    learn(task, config, 45)
    diagnosis = diagnose(config, task)
    assert diagnosis.accuracy > 0.6
    assert diagnosis.advice() == []


def learn(task: Task, config: Config, steps: int) -> None:
    optimizer = torch.optim.Adam(task.network.parameters(), lr=config.optimizer.lr)
    with task.method.attach(task.network) as learner:
        for k in range(steps):
            size = len(task.splits.train)
            picked = [(64 * k + i) % size for i in range(64)]
            x, target, lengths = task.splits.train.__getitems__(picked)
            learner.learn(task.encode(x), target, lengths, criterion=task.criterion, steps=task.steps)
            optimizer.step()
            optimizer.zero_grad()


def test_silent_layer() -> None:
    config = configured()
    task = build(config)
    with torch.no_grad():
        weights(task)[0].weight.mul_(1e-3)
        weights(task)[0].bias.zero_()
    first, *_ = advised(config, task)
    assert (first.severity, first.where) == ("serious", "layer 2")
    assert "none of its 30 units" in first.finding
    assert first.options == ("--rule.homeostasis 0.1", "--model.start_rate 0.2")
    # The layers above are silent because this one is.
    assert not [a for a in advised(config, task) if a.where in ("layer 4", "layer 6", "reward at the output")]


def test_many_dead_units() -> None:
    config = configured(rule={"homeostasis": 0.1})
    task = build(config)
    with torch.no_grad():
        weights(task)[1].weight[:8] = -1.0
    (only,) = [a for a in advised(config, task) if a.where == "layer 4"]
    assert only.severity == "warning"
    assert "40 % of its 20 units" in only.finding
    assert only.options[0] == "--rule.homeostasis 1"


def test_saturated_layer() -> None:
    config = configured()
    task = build(config)
    with torch.no_grad():
        weights(task)[1].bias.fill_(3.0)
    (only,) = [a for a in advised(config, task) if a.where == "layer 4"]
    assert only.severity == "serious"
    assert "fired at nearly every step" in only.finding
    assert "--rule.homeostasis 0.1" in only.options


@pytest.mark.parametrize(("share", "severity"), [(0.3, "warning"), (1.0, "serious")])
def test_zero_weights_cannot_be_moved_by_scaled_feedback(share: float, severity: str) -> None:
    config = configured()
    task = build(config)
    matrix = weights(task)[2].weight
    with torch.no_grad():
        matrix[torch.rand_like(matrix) < share] = 0
    (only,) = [a for a in advised(config, task) if a.where == "5.weight"]
    assert only.severity == severity
    assert "exactly 0" in only.finding
    assert only.options == ("--rule.scale_floor 1e-3",)


def test_zero_weights_are_no_harm_where_they_can_move() -> None:
    for change in ({"rule": {"scale_floor": 1e-3}}, {"method": {"name": "surrogate"}}):
        config = configured(**change)
        task = build(config)
        with torch.no_grad():
            weights(task)[2].weight[:, ::3] = 0
        assert advised(config, task) == []


def test_large_learning_rate() -> None:
    config = configured(optimizer={"lr": 0.5})
    (only,) = [a for a in advised(config, build(config)) if "step" in a.finding]
    assert only.severity == "serious"
    (option,) = only.options
    assert float(option.removeprefix("--optimizer.lr ")) <= 0.1


def test_divergence() -> None:
    config = configured(optimizer={"name": "SGD", "lr": 1e38}, method={"name": "surrogate"})
    (only,) = [a for a in advised(config, build(config)) if a.where == "optimiser"]
    assert only.severity == "serious"
    assert "NaN" in only.finding
    assert "--training.clip_norm 1" in only.options


def test_small_learning_rate() -> None:
    config = configured(optimizer={"lr": 1e-8})
    (only,) = advised(config, build(config))
    assert only.severity == "warning"
    assert "hardly" in only.why
    (option,) = only.options
    assert 1e-6 < float(option.removeprefix("--optimizer.lr ")) < 1e-4


def test_learning_rate_of_nothing() -> None:
    config = configured(optimizer={"lr": 0.0})
    (only,) = advised(config, build(config))
    assert (only.severity, only.options) == ("serious", ("--optimizer.lr 1e-3",))


def test_no_gradient_passes_a_step() -> None:
    config = configured(method={"name": "step-gradient"}, model={"readout": "li"}, reward={"name": "softmax"})
    (only,) = advised(config, build(config))
    assert (only.severity, only.where) == ("serious", "layer 2")
    assert only.options == ("--method.name surrogate", "--method.name lfp")


def test_reward_vanishes() -> None:
    config = configured(rule={"epsilon": 1e5})
    (only,) = [a for a in advised(config, build(config)) if "arrives" in a.finding]
    assert (only.severity, only.where) == ("serious", "layer 4")
    assert "the neurons of layer 6 keep 100 % of theirs" in only.finding
    assert "--rule.epsilon 1e-6" in only.options


def test_reward_explodes() -> None:
    config = configured()
    healthy = diagnose(config, build(config), 2)
    low, *others = healthy.layers
    assert low.message is not None
    large = dataclasses.replace(low, message=dataclasses.replace(low.message, size=1e9))
    (only,) = dataclasses.replace(healthy, layers=(large, *others)).advice()
    assert (only.severity, only.where) == ("warning", "layer 2")
    assert "--training.clip_norm 1" in only.options


def test_learnt_already() -> None:
    few = {"data": {"val_fraction": 0.9}, "model": {"hidden": [100]}}
    config = configured(**few, encoder={"steps": 30}, optimizer={"lr": 5e-3})
    task = build(config)
    learn(task, config, 300)
    diagnosis = diagnose(config, task, 4)
    assert diagnosis.accuracy > 0.95
    spent = [a for a in diagnosis.advice() if a.where == "reward at the output"]
    assert [(a.severity, a.options) for a in spent] == [("note", ("--reward.name rate-softmax",))]
    assert "learnt" in spent[0].why


def test_a_reward_that_teaches_nothing() -> None:
    # It rewards what is decided right, and this network always decides for 9.
    config = configured(reward={"name": "correct"}, model={"readout": "li"})
    task = build(config)
    with torch.no_grad():
        weights(task)[2].bias[9] = 100.0
    train = task.splits.train
    others = train.subset(np.flatnonzero(train.labels != 9))
    task = dataclasses.replace(task, splits=dataclasses.replace(task.splits, train=others))
    (only,) = [a for a in advised(config, task) if a.where == "reward at the output"]
    assert (only.severity, only.options) == ("serious", ("--reward.name softmax",))
    assert "0 % are decided right" in only.finding


def test_the_most_serious_comes_first() -> None:
    config = configured(optimizer={"lr": 0.02}, rule={"homeostasis": 0.0})
    task = build(config)
    with torch.no_grad():
        weights(task)[0].weight[:12] = -1.0
        weights(task)[2].weight.zero_()
    found = advised(config, task)
    order = ["serious", "warning", "note"]
    assert len({a.severity for a in found}) > 1
    assert [a.severity for a in found] == sorted((a.severity for a in found), key=order.index)


def test_static_network() -> None:
    config = apply(Config(), {"data": {"name": "digits"}, "model": {"name": "mlp", "hidden": [30]}})
    config = apply(config, {"reward": {"name": "softmax"}})
    task = build(config)
    assert advised(config, task) == []
    with torch.no_grad():
        weights(task)[0].bias.fill_(-100.0)
    first, *_ = advised(config, task)
    assert (first.severity, first.where) == ("serious", "layer 2")
    assert "--model.activation silu" in first.options


def test_the_network_is_left_as_it_was() -> None:
    config = configured(optimizer={"lr": 0.1})
    task = build(config)
    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    first: Diagnosis = diagnose(config, task, 2)
    assert all(torch.equal(before[name], value) for name, value in task.network.state_dict().items())
    assert all(p.grad is None for p in task.network.parameters())
    assert not any(m._forward_hooks for m in task.network.modules())
    assert diagnose(config, task, 2) == first
