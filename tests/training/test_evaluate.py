"""Scoring: the same as counting by hand, and the same again from the run folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from lfp_snn.data import loader
from lfp_snn.errors import CheckpointError, ConfigError
from lfp_snn.rewards import scores
from lfp_snn.training import RunFolder, train
from lfp_snn.training.build import build
from lfp_snn.training.config import Config, apply
from lfp_snn.training.evaluate import evaluate
from lfp_snn.training.monitor import SpikeMonitor
from lfp_snn.training.rerun import evaluate_run, load_run

CONFIG = apply(
    Config(),
    {
        "data": {"name": "digits", "batch_size": 50},
        "model": {"hidden": [20], "dropout": 0.5},
        "encoder": {"name": "rate", "steps": 5},
        "training": {"epochs": 1, "figures": False},
    },
)


def test_as_counted_by_hand() -> None:
    task = build(apply(CONFIG, {"encoder": {"name": "constant"}}))
    task.network.train()
    result = evaluate(task, loader(task.splits.val, 32), SpikeMonitor(task.network), Fabric(accelerator="cpu"))
    assert task.network.training
    task.network.eval()
    batch = task.splits.val.__getitems__(list(range(len(task.splits.val))))
    with torch.no_grad():
        output = task.run(batch.x)
    decided = scores(output).argmax(-1)
    assert result.examples == len(task.splits.val)
    assert result.accuracy == pytest.approx(float((decided == batch.target).double().mean()))
    assert result.reward == pytest.approx(-float(task.reward(output, batch.target, None).detach()), abs=1e-5)
    assert result.confusion[3][4] == int(((batch.target == 3) & (decided == 4)).sum())
    assert sum(map(sum, result.confusion)) == result.examples
    readout = list(result.spike_rate)[-1]
    assert result.spike_rate[readout] == pytest.approx(float(output.detach().mean()))
    assert result.dead_units[readout] == int((output.sum((0, 1)) == 0).sum())
    assert result.units[readout] == 10


def test_a_run_scores_the_same_again(tmp_path: Path) -> None:
    summary = train(CONFIG, tmp_path / "run")
    result, names = evaluate_run(tmp_path / "run")
    assert result.accuracy == summary["test_accuracy"]
    assert result.spike_rate == summary["spike_rate"]
    assert names == tuple("0123456789")
    val, _ = evaluate_run(tmp_path / "run", split="val", checkpoint="last")
    assert val.accuracy == RunFolder(tmp_path / "run").metrics()[-1]["val_accuracy"]

    config, task = load_run(tmp_path / "run", data_root=str(tmp_path))
    assert config.data.root == str(tmp_path)
    saved = torch.load(tmp_path / "run" / "checkpoints" / "best.pt", weights_only=True)["network"]
    torch.testing.assert_close(task.network.state_dict(), saved, rtol=0, atol=0)


def test_what_cannot_be_scored(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not the folder of a run"):
        evaluate_run(tmp_path)
    RunFolder.create(tmp_path / "run", CONFIG)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        evaluate_run(tmp_path / "run")
    with pytest.raises(ConfigError, match="unknown checkpoint 'bets': did you mean 'best'"):
        evaluate_run(tmp_path / "run", checkpoint="bets")
    with pytest.raises(ConfigError, match="unknown split 'tset': did you mean 'test'"):
        evaluate_run(tmp_path / "run", split="tset")
