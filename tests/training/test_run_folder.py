"""The folder of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lfp_snn.errors import ConfigError
from lfp_snn.training.config import Config, apply
from lfp_snn.training.run_folder import RunFolder, default_path, environment, plain

CONFIG = apply(Config(), {"training": {"epochs": 7, "seed": 3}})


def test_create_and_open(tmp_path: Path) -> None:
    created = RunFolder.create(tmp_path / "a" / "b", CONFIG)
    assert created.checkpoints.is_dir()
    opened = RunFolder.open(tmp_path / "a" / "b")
    assert opened.config() == CONFIG
    assert opened.metrics() == []
    assert opened.summary() is None


def test_an_empty_folder_may_be_used_a_full_one_not(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, CONFIG)
    with pytest.raises(ConfigError, match="is not empty: choose another --out, or go on with that run by --resume"):
        RunFolder.create(tmp_path, CONFIG)
    with pytest.raises(ConfigError, match="is not empty"):
        RunFolder.create(tmp_path / "config.toml", CONFIG)


def test_a_folder_without_config_is_no_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError, match="is not the folder of a run"):
            RunFolder.open(path)


def test_metrics_survive_a_half_written_line_and_are_cut(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, CONFIG)
    for epoch in (1, 2, 3):
        folder.append_metrics({"epoch": epoch, "loss": float("nan") if epoch == 2 else 0.5, "rate": {"1": 0.25}})
    with folder.metrics_file.open("a") as f:
        f.write('{"epoch": 4, "lo')
    assert [row["epoch"] for row in folder.metrics()] == [1, 2, 3]
    assert folder.metrics()[1]["loss"] is None
    folder.cut_metrics(2)
    assert [json.loads(line)["epoch"] for line in folder.metrics_file.read_text().splitlines()] == [1, 2]


def test_leftovers_of_a_kill_are_cleared(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, CONFIG)
    (folder.checkpoints / ".last.pt.x1y2.tmp").write_bytes(b"half")
    folder.cut_metrics(0)
    assert list(folder.checkpoints.iterdir()) == []


def test_summary_round_trip(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, CONFIG)
    folder.write_summary({"test_accuracy": 0.5, "worst": float("inf"), "config": CONFIG.to_dict()})
    assert folder.summary() == {"test_accuracy": 0.5, "worst": None, "config": CONFIG.to_dict()}
    assert not list(tmp_path.glob("*.tmp"))


def test_environment_says_what_computed(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, CONFIG)
    folder.write_env()
    written = json.loads(folder.env_file.read_text())
    assert written == json.loads(json.dumps(environment()))
    assert written["versions"]["torch"]
    assert written["torch_threads"] >= 1


def test_default_path() -> None:
    assert default_path(CONFIG, "mnist-mlp").match("runs/mnist-mlp/*-*-seed3")
    assert default_path(CONFIG).match("runs/event-digits/*-*-seed3")


def test_plain() -> None:
    assert plain({1: (float("-inf"), [2.5])}) == {"1": [None, [2.5]]}


def test_asking_what_computed_changes_nothing_about_it() -> None:
    # numba's own question starts its thread pool, which sets the threads of torch as well.
    code = "import torch; torch.set_num_threads(1); from lfp_snn.training.run_folder import environment; "
    code += "environment(); assert torch.get_num_threads() == 1, torch.get_num_threads()"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"NUMBA_NUM_THREADS": "2"})
