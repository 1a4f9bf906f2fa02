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

# Feedback of the first batch, from as many processes as the configuration says; the first one saves it.
FEEDBACK = """
import sys, torch
from lfp_snn.data import loader
from lfp_snn.training.build import build
from lfp_snn.training.config import load_config
from lfp_snn.training.fabric import make_fabric
from lfp_snn.training.shard import Shard

config = load_config(sys.argv[1])
task = build(config)
fabric = make_fabric(config)
fabric.launch()
model = fabric.setup(task.network)
task.lfp.attach(task.network)
shard = Shard(range(len(task.splits.train)), fabric.global_rank, fabric.world_size, even=True)
batch = next(iter(loader(task.splits.train, config.data.batch_size // fabric.world_size, sampler=shard)))
loss = task.criterion(task.run(batch.x, model), batch.target, batch.lengths)
fabric.backward(loss)
if fabric.is_global_zero:
    torch.save({name: p.grad for name, p in task.network.named_parameters()}, sys.argv[2])
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
        "training": {"epochs": 2, "devices": devices, "accelerator": "cpu"},
    }
    return apply(apply(Config(), base), layers)


@pytest.mark.parametrize("precision", ["64", "32"])
def test_two_processes_give_the_feedback_of_the_whole_batch(tmp_path: Path, precision: str) -> None:
    script = tmp_path / "feedback.py"
    script.write_text(FEEDBACK)
    feedback = []
    for devices in (1, 2):
        file = tmp_path / f"{devices}.toml"
        file.write_text(config(devices, training={"precision": precision}).to_toml())
        command = [sys.executable, str(script), str(file), str(tmp_path / f"{devices}.pt")]
        done = subprocess.run(
            command, capture_output=True, check=False, env=environment() | {"PYTHONPATH": os.getcwd()}
        )
        assert done.returncode == 0, done.stderr.decode()
        feedback.append(torch.load(tmp_path / f"{devices}.pt", weights_only=True))
    for name, whole in feedback[0].items():
        assert whole.norm() > 0
        assert (feedback[1][name] - whole).norm() <= 1e-6 * whole.norm(), name


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
