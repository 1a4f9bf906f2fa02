"""What is measured, against what a slow, obvious count says."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lfp_snn import LIF, Sequential
from lfp_snn.diagnosis import Diagnosis, diagnose
from lfp_snn.diagnosis.activity import ActivityMeter
from lfp_snn.diagnosis.learning import Lesson
from lfp_snn.diagnosis.message import MessageMeter
from lfp_snn.diagnosis.update import EDGES, updates
from lfp_snn.errors import ConfigError, LfpError
from lfp_snn.training.build import Task, build
from lfp_snn.training.config import Config, apply


def configured(**changes: dict[str, Any]) -> Config:
    small = {"data": {"name": "digits", "batch_size": 32}, "model": {"hidden": [16]}, "encoder": {"steps": 8}}
    return apply(apply(Config(), small), changes)


def test_activity() -> None:
    y = torch.zeros(4, 2, 3)
    y[:, :, 1] = 1
    y[0, 0, 2] = y[3, 0, 2] = 1  # the last is padding
    meter = ActivityMeter(spiking=True)
    meter.add(y, torch.tensor([2, 4]))
    a = meter.result()
    assert a.units == 3
    assert a.rate == pytest.approx(7 / 18)
    assert a.per_step == pytest.approx((3 / 6, 2 / 6, 1 / 3, 1 / 3))
    assert (a.dead, a.saturated, a.healthy) == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_a_unit_of_a_feature_map_is_a_channel() -> None:
    y = torch.zeros(2, 1, 2, 3, 3)
    y[0, 0, 1, 0, 0] = 1
    meter = ActivityMeter(spiking=False)
    meter.add(y, None)
    a = meter.result()
    assert (a.units, a.dead, a.saturated, a.healthy) == (2, 0.5, None, None)
    assert a.rate == pytest.approx(1 / 36)


def test_message() -> None:
    m = torch.zeros(3, 2, 4)
    m[0, 0, 0], m[2, 0, 1] = 0.5, -0.25
    meter = MessageMeter()
    meter.add(m, torch.tensor([3, 1]))
    found = meter.result(output_size=3.0)
    assert found.size == pytest.approx(0.375)
    assert found.ratio == pytest.approx(0.125)
    assert found.mean == pytest.approx(0.75 / 16)
    assert found.per_step == pytest.approx((0.25, 0.0, 0.25))
    assert (found.zero, found.unreached, found.spent) == (14 / 16, 0.5, 0.5)
    assert meter.result(output_size=0.0).ratio is None


def chain(task: Task, bias: bool) -> Task:
    """Return the task with a network whose neurons have no reset."""
    torch.manual_seed(0)
    layers = [nn.Linear(64, 30, bias), LIF(reset="none"), nn.Linear(30, 10, bias), LIF(reset="none")]
    with torch.no_grad():
        for layer in layers[::2]:
            layer.weight.mul_(4)
    return dataclasses.replace(task, network=Sequential(nn.Flatten(), *layers))


def errors(d: Diagnosis) -> list[tuple[float, float]]:
    return [(layer.conservation.neurons, layer.conservation.weights) for layer in d.layers if layer.conservation]


def test_the_conserving_rule_conserves_and_biases_keep_a_share() -> None:
    config = configured(rule={"sharing": "conserving", "epsilon": 1e-9, "homeostasis": 1.0})
    task = build(config)
    conserved = np.array(errors(diagnose(config, chain(task, bias=False), 2)))
    assert conserved.max() < 1e-3
    biased = np.array(errors(diagnose(config, chain(task, bias=True), 2)))
    assert biased[:, 0].max() < 1e-3
    assert biased[:, 1].min() > 1e-3


def test_the_reference_rule_does_not_conserve() -> None:
    # (A constant current it does: membranes then rise steadily, and all terms have one sign.)
    config = configured(rule={"sharing": "reference"}, encoder={"name": "rate"})
    lost = errors(diagnose(config, chain(build(config), bias=False), 2))
    # Without bias, weights hand on all they get.
    assert all(neurons > 0.01 for neurons, _ in lost)
    assert all(weights < 1e-3 for _, weights in lost)


def test_no_conservation_for_gradients_and_no_layer_below_in_a_graph() -> None:
    config = configured(method={"name": "surrogate"})
    assert errors(diagnose(config, build(config), 1)) == []
    config = apply(Config(), {"data": {"name": "digits"}, "model": {"name": "resnet", "channels": [4]}})
    config = apply(config, {"reward": {"name": "softmax"}})
    static = diagnose(config, build(config), 1)
    assert all(weights is None for _, weights in errors(static))
    assert all(layer.activity is None or layer.activity.saturated is None for layer in static.layers)
    *_, output = static.layers
    assert (output.kind, output.output, output.activity) == ("Linear", True, None)


def test_updates_are_those_of_the_optimiser() -> None:
    config = configured(optimizer={"name": "SGD", "lr": 0.5}, method={"name": "surrogate"})
    task = build(config)
    with torch.no_grad():
        task.network[1].weight[0] = 0
    before = {name: p.detach().clone() for name, p in task.network.named_parameters()}
    lesson = Lesson(config, task, task.network, torch.device("cpu"), 1)
    found, diverged = updates(lesson)
    assert not diverged
    assert [u.name for u in found] == list(before)
    for u in found:
        old, new = before[u.name], dict(task.network.named_parameters())[u.name].detach()
        there = old != 0
        relative = ((new - old).abs() / old.abs())[there]
        assert u.shape == tuple(old.shape)
        assert u.step == pytest.approx(float((new - old).norm() / old.norm()), rel=1e-4)
        assert u.change == pytest.approx(float(relative.median()), rel=1e-4)
        assert u.zero == pytest.approx(float((~there).double().mean()))
        assert u.flips == pytest.approx(float((old * new < 0).double().mean()))
        assert u.still == pytest.approx(float((old == new).double().mean()))
        assert sum(u.histogram) == int((relative > 0).sum())
        assert len(u.histogram) == len(EDGES) - 1
    assert found[0].zero == pytest.approx(1 / 16)


def test_the_first_step_does_not_count() -> None:
    # Adam's first step is the learning rate long for every weight, whatever the gradient.
    config = configured(optimizer={"lr": 1e-3})
    task = build(config)
    one = diagnose(config, task, 1).parameters[0]
    several = diagnose(config, task, 5).parameters[0]
    assert one.step is not None
    assert several.step is not None
    assert several.step < 0.95 * one.step


def test_clipping_is_that_of_the_run() -> None:
    config = configured(optimizer={"name": "SGD", "lr": 1.0}, training={"clip_norm": 1e-3})
    steps = [u.step for u in diagnose(config, build(config), 2).parameters]
    assert all(step is not None and step < 1e-3 for step in steps)


def test_variable_lengths_and_static_inputs_and_encoders() -> None:
    for encoder in ({"name": "constant", "steps": 5}, {"name": "rate", "steps": 5}):
        config = configured(encoder=encoder)
        d = diagnose(config, build(config), 2)
        assert all(layer.activity is not None and len(layer.activity.per_step) == 5 for layer in d.layers)
        assert d.examples == 64


def test_errors() -> None:
    config = configured()
    task = build(config)
    with pytest.raises(ConfigError, match="at least one batch"):
        diagnose(config, task, 0)
    with torch.no_grad():
        task.network[1].weight[0, 0] = torch.nan
    with pytest.raises(LfpError, match=r"nothing to diagnose: 1\.weight"):
        diagnose(config, task, 1)
