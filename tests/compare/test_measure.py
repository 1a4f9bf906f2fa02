"""What is measured of a finished run, against the run itself and against counts of its own network."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lfp_snn.compare.measure import BINS, histogram, measure_run
from lfp_snn.data import loader
from lfp_snn.errors import ConfigError
from lfp_snn.training import train
from lfp_snn.training.config import Config, apply
from lfp_snn.training.rerun import load_run

SMALL = {
    "data": {"name": "digits", "batch_size": 50},
    "model": {"name": "lif-mlp", "hidden": [32]},
    "encoder": {"steps": 4},
    "optimizer": {"lr": 0.01},
    "training": {"epochs": 1, "figures": False},
}
METHODS: dict[str, dict[str, Any]] = {
    "lfp": {},
    "surrogate": {"method": {"name": "surrogate"}},
    # Chance in data and network, batches that are summed, and a network that runs step by step.
    "ottt": {
        "method": {"name": "ottt"},
        "model": {"hidden": [32], "dropout": 0.2},
        "encoder": {"name": "rate", "steps": 4},
        "training": {"accumulate": 2},
    },
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Any], dict[str, Any]]]:
    """Train by each method; return the folder, the summary and what is measured."""
    made = {}
    for name, layers in METHODS.items():
        folder = tmp_path_factory.mktemp("runs") / name
        summary = train(apply(apply(Config(), SMALL), layers), folder)
        made[name] = folder, summary, measure_run(folder, (0.5, 0.95))
    return made


@pytest.mark.parametrize("method", METHODS)
def test_measures_of_a_run(runs: dict[str, Any], method: str) -> None:
    folder, summary, measures = runs[method]
    assert json.loads(json.dumps(measures)) == measures
    assert list(measures["pruning"]) == ["0.0", "0.5", "0.95"]
    assert measures["pruning"]["0.0"] == summary["test_accuracy"]
    assert measures["pruning"]["0.95"] < measures["pruning"]["0.0"]
    inference, training = measures["synops"]["inference"], measures["synops"]["training"]
    assert 0 < inference["effective_acs"] + inference["effective_macs"] < inference["dense"]
    assert 0 < training["forward"] < training["dense"]
    assert training["feedback"] > 0
    assert training["below"] > 0
    assert all(0 < share <= 1 for share in measures["participation"].values())
    assert measures["participation"].keys() == {"weights", "neurons", "synapses"}
    _, task = load_run(folder)
    for name, p in task.network.named_parameters():
        assert sum(measures["weights"][name]["counts"]) == p.numel()


def test_the_same_again_and_the_run_is_left_as_it_was(runs: dict[str, Any]) -> None:
    folder, _, measures = runs["ottt"]
    before = {f: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.rglob("*") if f.is_file()}
    assert measure_run(folder, (0.5, 0.95)) == measures
    assert {f: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.rglob("*") if f.is_file()} == before


def test_inference_is_counted_over_the_test_split(runs: dict[str, Any]) -> None:
    folder, _, measures = runs["lfp"]
    _, task = load_run(folder)
    net, events = task.network.eval(), 0
    assert isinstance(net, nn.Sequential)
    for batch in loader(task.splits.test, 64):
        with torch.no_grad():
            spikes, _ = net[2](net[1](net[0](batch.x)), steps=4)
        events += int(batch.x.count_nonzero()) * 32 + int(spikes.sum()) * 10
    inference = measures["synops"]["inference"]
    total = (inference["effective_macs"] + inference["effective_acs"]) * len(task.splits.test)
    assert total == pytest.approx(events)


def test_reward_touches_less_than_the_gradient(runs: dict[str, Any]) -> None:
    reward, gradient = (runs[method][2] for method in ("lfp", "surrogate"))
    assert reward["participation"]["synapses"] < gradient["participation"]["synapses"]
    assert reward["synops"]["training"]["below"] < gradient["synops"]["training"]["below"]


def test_histogram_has_a_bin_of_zero() -> None:
    found = histogram(torch.tensor([[0.0, 1e-4, -0.5], [2.0, 0.3, -0.0]]))
    assert (len(found["counts"]), len(found["edges"])) == (BINS, BINS + 1)
    assert found["counts"][BINS // 2] == 3
    assert np.allclose(found["edges"], -np.array(found["edges"][::-1]))
    assert sum(histogram(torch.zeros(4))["counts"]) == 4


def test_refuses_a_share_out_of_range_and_a_folder_of_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="share of weights"):
        measure_run(tmp_path, (0.5, 1.5))
    with pytest.raises(ConfigError, match="not the folder of a run"):
        measure_run(tmp_path)
