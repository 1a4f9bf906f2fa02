"""From names to objects."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lfp_snn.data import Rate
from lfp_snn.errors import ConfigError
from lfp_snn.rules import Conserving, Gamma
from lfp_snn.training.build import build, optimizer, propagator, scheduler
from lfp_snn.training.config import Config, OptimizerConfig, RuleConfig, ScheduleConfig, apply
from lfp_snn.training.monitor import SpikeMonitor


def config(**layers: dict[str, Any]) -> Config:
    base = {"data": {"name": "digits"}, "model": {"hidden": [30]}, "encoder": {"steps": 6}}
    return apply(apply(Config(), base), layers)


def test_static_input_to_a_spiking_network_runs_for_the_steps_of_the_encoder() -> None:
    task = build(config())
    x = task.splits.train.__getitems__([0, 1, 2]).x
    assert not task.temporal
    assert task.run(task.encode(x)).shape == (6, 3, 10)
    torch.testing.assert_close(task.run(x), task.network(x.expand(6, *x.shape)))


def test_an_encoder_gives_the_input_time() -> None:
    task = build(config(encoder={"name": "rate", "gain": 0.5}))
    assert task.encoder == Rate(6, gain=0.5)
    x = task.splits.train.__getitems__([0, 1, 2]).x
    assert task.temporal
    assert set(task.encode(x).unique().tolist()) == {0.0, 1.0}
    assert task.run(task.encode(x)).shape == (6, 3, 10)


def test_networks_without_time_get_the_picture() -> None:
    task = build(config(model={"name": "mlp", "hidden": [30]}, reward={"name": "softmax"}))
    x = task.splits.train.__getitems__([0, 1, 2]).x
    assert task.run(task.encode(x)).shape == (3, 10)


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_fresh_weights_fire_at_the_start_rate(rate: float) -> None:
    task = build(config(model={"start_rate": rate}))
    monitor = SpikeMonitor(task.network)
    with monitor.watch():
        task.run(task.splits.train.__getitems__(list(range(len(task.splits.train)))).x)
    assert list(monitor.rates().values()) == pytest.approx([rate, rate], abs=0.05)


def test_the_seed_decides_the_weights() -> None:
    weights = [build(config(training={"seed": seed})).network[1].weight for seed in (0, 0, 1)]  # type: ignore[index]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_method_decides_the_criterion() -> None:
    for method in ("lfp", "surrogate"):
        task = build(config(method={"name": method}))
        output, target = torch.zeros(6, 2, 10, requires_grad=True), torch.tensor([1, 2])
        task.criterion(output, target, None).backward()
        assert output.grad is not None
        # Of silent outputs, the reward asks the true class for a spike; the gradient also says which others to lower.
        others = output.grad[:, 0, [0, 2, 3]]
        assert bool((others == 0).all()) == (method == "lfp")


def test_propagator() -> None:
    rule = apply(Config(), {"rule": {"name": "gamma", "gamma": 0.5, "sharing": "conserving", "epsilon": 1e-3}}).rule
    lfp = propagator(rule)
    assert lfp.rule == Gamma(epsilon=1e-3, gamma=0.5)
    assert lfp.sharing == Conserving(1e-3)
    assert lfp.homeostasis is None
    assert propagator(RuleConfig(name="zero")).rule.epsilon == 0


def test_optimizer_and_schedule() -> None:
    network = nn.Linear(2, 2)
    built = optimizer(OptimizerConfig("SGD", 0.5, {"momentum": 0.9}), network)
    assert isinstance(built, torch.optim.SGD)
    assert built.defaults["fused"]
    assert not optimizer(OptimizerConfig("SGD", 0.5, {"foreach": True}), network).defaults["fused"]
    assert "fused" not in optimizer(OptimizerConfig("RMSprop"), network).defaults
    assert (built.param_groups[0]["lr"], built.param_groups[0]["momentum"]) == (0.5, 0.9)
    scheduler(ScheduleConfig("cosine", {"warmup": 0.5}), built, 3)
    assert built.param_groups[0]["lr"] == pytest.approx(0.5 / 3)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"data": {"name": "event-digits"}}, r"has time steps of its own: \[encoder\] is for pictures"),
        ({"data": {"name": "event-digits"}, "model": {"name": "mlp"}}, "has a time axis and model 'mlp' has none"),
        ({"model": {"neuron_kind": "liff"}}, r"\[model\] lif-mlp refuses .*unknown neuron 'liff': did you mean 'lif'"),
        ({"model": {"neuron_options": {"bta": 1}}}, r"\[model\] lif-mlp refuses .*bta"),
        ({"encoder": {"name": "latency", "threshold": 2.0}}, "threshold must lie between 0 and 1, got 2.0"),
        ({"rule": {"homeostasis": 1.0, "rate_low": 0.5}}, "rate_low 0.5 is above rule.rate_high 0.2"),
        ({"rule": {"name": "alpha-beta", "alpha": 5.0}}, r"\[rule\] alpha-beta refuses"),
        ({"method": {"name": "surrogate"}, "reward": {"name": "correct"}}, "a loss, which reward 'correct' has no"),
        (
            {
                "model": {"name": "lif-cnn", "batch_norm": True, "kernel": 3, "channels": [4]},
                "training": {"checkpoint_steps": 3},
            },
            "batch normalisation takes its statistics over all steps",
        ),
        ({"reward": {"name": "judged"}}, "unknown reward 'judged'"),
    ],
)
def test_parts_that_do_not_fit(layers: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(config(**layers))
