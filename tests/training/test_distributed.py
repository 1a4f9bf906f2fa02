"""Several processes: DDP over gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lfp_snn.training import RunFolder, train
from lfp_snn.training.checkpoint import load_checkpoint
from lfp_snn.training.config import Config, apply

# The feedback of one batch, shared by two processes, and again by the first one alone.
FEEDBACK = """
import sys, torch
from lfp_snn.data import loader
from lfp_snn.training.build import build
from lfp_snn.training.config import load_config
from lfp_snn.training.fabric import make_fabric
from lfp_snn.training.shard import Shard

config = load_config(sys.argv[1])
fabric = make_fabric(config)
fabric.launch()

def feedback(rank, world, wrap, backward):
    task = build(config)
    model = wrap(task.network)
    task.lfp.attach(task.network)
    shard = Shard(range(len(task.splits.train)), rank, world, even=True)
    batch = next(iter(loader(task.splits.train, config.data.batch_size // world, sampler=shard)))
    backward(task.criterion(task.run(batch.x, model), batch.target, batch.lengths))
    return {name: p.grad for name, p in task.network.named_parameters()}

shared = feedback(fabric.global_rank, fabric.world_size, fabric.setup, fabric.backward)
if fabric.is_global_zero:
    whole = feedback(0, 1, lambda network: network, torch.Tensor.backward)
    torch.save({"world": fabric.world_size, "shared": shared, "whole": whole}, sys.argv[2])
fabric.barrier()
"""


def environment() -> dict[str, str]:
    """Return an environment in which no process has been started by a launcher yet, with one thread each."""
    hidden = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "RANK")
    return {k: v for k, v in os.environ.items() if k not in hidden} | {"OMP_NUM_THREADS": "1"}


def config(devices: int, **layers: dict[str, object]) -> Config:
    base = {
        "data": {"name": "digits", "batch_size": 64},
        "model": {"name": "lif-mlp", "hidden": [40]},
        "encoder": {"steps": 5},
        "training": {"epochs": 2, "figures": False, "devices": devices, "accelerator": "cpu"},
    }
    return apply(apply(Config(), base), layers)


def test_two_processes_give_the_feedback_of_the_whole_batch(tmp_path: Path) -> None:
    (tmp_path / "feedback.py").write_text(FEEDBACK)
    (tmp_path / "config.toml").write_text(config(2).to_toml())
    command = [sys.executable, *(str(tmp_path / name) for name in ("feedback.py", "config.toml", "feedback.pt"))]
    done = subprocess.run(command, capture_output=True, check=False, env=environment() | {"PYTHONPATH": os.getcwd()})
    assert done.returncode == 0, done.stderr.decode()
    feedback = torch.load(tmp_path / "feedback.pt", weights_only=True)
    assert feedback["world"] == 2
    for name, whole in feedback["whole"].items():
        assert whole.norm() > 0
        assert (feedback["shared"][name] - whole).norm() <= 1e-6 * whole.norm(), name


def test_the_command_trains_with_two_processes_and_resumes(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(config(2).to_toml())
    out = tmp_path / "run"
    command = [sys.executable, "-m", "lfp_snn", "train", "--config", str(tmp_path / "config.toml"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().count("test accuracy") == 1
    assert done.stderr.decode().count("epoch 1/2") == 1

    folder = RunFolder.open(out)
    train(config(1), tmp_path / "one")
    one = RunFolder.open(tmp_path / "one")
    # The same batches, shared: the same training, but for the last few examples that two cannot share, and rounding.
    for row, expected in zip(folder.metrics(), one.metrics(), strict=True):
        assert row["step"] == expected["step"]
        assert row["train_accuracy"] == pytest.approx(expected["train_accuracy"], abs=0.02)
        assert row["val_accuracy"] == pytest.approx(expected["val_accuracy"], abs=0.05)
        assert row["synops"] == pytest.approx(expected["synops"], rel=0.05)
        assert row["participation"] == pytest.approx(expected["participation"], abs=0.05)
    summary = folder.summary()
    assert summary is not None
    assert sum(row["epoch"] for row in folder.metrics()) == 3

    # As if killed before the end: it goes on from its last checkpoint, in two processes again.
    folder.summary_file.unlink()
    again = subprocess.run(
        [sys.executable, "-m", "lfp_snn", "train", "--resume", str(out)],
        capture_output=True,
        check=False,
        env=environment(),
    )
    assert again.returncode == 0, again.stderr.decode()
    resumed = folder.summary()
    assert resumed is not None
    assert resumed["test_accuracy"] == summary["test_accuracy"]
    assert load_checkpoint(folder.last)["state"]["epoch"] == 2


def test_an_error_is_said_once_and_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lfp_snn", "train", "--data", "digits", "--devices", "2", "--encoder.steps", "4"]
    command += ["--data.batch_size", "33", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, check=False, env=environment(), timeout=120)
    assert done.returncode == 2
    assert done.stderr.decode().count("cannot be shared by 2 devices equally") == 1
    assert not (tmp_path / "run").exists()
