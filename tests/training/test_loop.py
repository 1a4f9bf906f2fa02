"""The loop: it learns, it is repeatable, it goes on after a kill, it warns and stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lfp_snn.errors import CheckpointError, ConfigError, LfpError
from lfp_snn.training import RunFolder, resume, train
from lfp_snn.training.build import build
from lfp_snn.training.checkpoint import load_checkpoint
from lfp_snn.training.config import Config, apply

# Real handwritten digits of 8x8 pixels, shown as a constant current for 4 steps: an epoch takes a fraction of a second.
SMALL = {
    "data": {"name": "digits", "batch_size": 50},
    "model": {"name": "lif-mlp", "hidden": [64]},
    "encoder": {"steps": 4},
    "optimizer": {"lr": 0.01},
    "training": {"epochs": 2, "figures": False},
}
CLOCKS = ("seconds", "train_seconds", "compile_seconds", "examples_per_second", "data_wait_share", "folder", "memory")


def small(**layers: dict[str, Any]) -> Config:
    return apply(apply(Config(), SMALL), layers)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [without_clocks(row) for row in RunFolder.open(folder).metrics()]


def without_clocks(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if k not in CLOCKS}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums are rounded differently on another number of threads, so runs that are compared all have one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of three epochs that nobody disturbed."""
    out = tmp_path_factory.mktemp("finished") / "run"
    train(small(training={"epochs": 3, "figures": True}), out)
    return out


def test_learns_and_writes_the_run_folder(finished: Path) -> None:
    folder = RunFolder.open(finished)
    summary = folder.summary()
    assert summary is not None
    assert summary["test_accuracy"] > 0.6
    assert summary["epochs"] == 3
    assert summary["seed"] == 0
    assert summary["config"]["model"]["hidden"] == [64]
    assert summary["train_seconds"] > 0
    assert summary["compile_seconds"] > 0
    assert summary["examples_per_second"] > 0
    assert 0 <= summary["data_wait_share"] < 1
    assert 0 < summary["memory"]["built"] <= summary["memory"]["peak"]
    assert list(summary["spike_rate"]) == list(summary["dead_units"])
    assert all(0 < rate < 1 for rate in summary["spike_rate"].values())
    rows = folder.metrics()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["val_accuracy"] > rows[0]["train_accuracy"]
    assert summary["best_val_accuracy"] == max(row["val_accuracy"] for row in rows)
    assert {p.name for p in finished.iterdir()} == {
        "config.toml", "env.json", "metrics.jsonl", "summary.json", "checkpoints", "figures",
    }  # fmt: skip
    assert {p.name for p in folder.checkpoints.iterdir()} == {"last.pt", "best.pt"}
    assert {p.stem for p in folder.figures.iterdir()} == {"accuracy", "firing_rates", "raster", "reward_at_input"}


@pytest.mark.parametrize(("sample_every", "accumulate"), [(1, 1), (20, 1), (20, 3)])
def test_says_what_an_epoch_takes(tmp_path: Path, sample_every: int, accumulate: int) -> None:
    out = tmp_path / "run"
    config = small(training={"epochs": 1, "sample_every": sample_every, "accumulate": accumulate})
    train(config, out)
    (row,) = rows_of(out)
    examples = len(build(config).splits.train)
    dense = 64 * 64 + 4 * 64 * 10  # a static input is multiplied once
    assert 0.1 * dense < row["synops"] / examples < 3 * dense
    assert all(0 < share <= 1 for share in row["participation"].values())


def test_best_checkpoint_is_of_the_best_epoch(finished: Path) -> None:
    folder = RunFolder.open(finished)
    rows = folder.metrics()
    best = max(rows, key=lambda row: row["val_accuracy"])
    assert load_checkpoint(folder.best)["state"]["epoch"] == best["epoch"]
    assert load_checkpoint(folder.last)["state"]["epoch"] == 3


def test_the_same_seed_gives_the_same_run_and_another_does_not(tmp_path: Path) -> None:
    runs = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(small(training={"seed": seed, "epochs": 1}), tmp_path / name)
        runs[name] = rows_of(tmp_path / name)
    assert runs["a"] == runs["b"]
    assert runs["a"] != runs["c"]


# Trains with the command line, and dies by SIGKILL at the n-th call of a function.
DYING = """
import os, signal, sys, torch
torch.set_num_threads(1)
from lfp_snn.cli import main
owner, name = {target}
original, calls = getattr(owner, name), 0
def dying(*args, **kwargs):
    global calls
    calls += 1
    if calls == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)
setattr(owner, name, dying)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("target", "call", "epochs_done"),
    [
        pytest.param("torch.optim.Adam, 'step'", 10, 0, id="in the first epoch"),
        pytest.param("torch.optim.Adam, 'step'", 60, 2, id="in the middle of the third epoch"),
        # Two checkpoints an epoch, as long as each is the best so far: this is last.pt of the second epoch.
        pytest.param("os, 'fsync'", 4, 1, id="while the second checkpoint is written"),
    ],
)
def test_killed_and_resumed_is_as_if_never_killed(
    finished: Path, tmp_path: Path, target: str, call: int, epochs_done: int
) -> None:
    out = tmp_path / "run"
    (tmp_path / "config.toml").write_text(small(training={"epochs": 3, "figures": True}).to_toml())
    script = DYING.format(target=target, call=call)
    command = [sys.executable, "-c", script, "train", "--config", str(tmp_path / "config.toml"), "--out", str(out)]
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    folder = RunFolder.open(out)
    assert folder.summary() is None
    if folder.last.exists():
        assert load_checkpoint(folder.last)["state"]["epoch"] == epochs_done
    else:
        assert epochs_done == 0

    summary = resume(out)

    expected = RunFolder.open(finished).summary()
    assert expected is not None
    assert without_clocks(json.loads(json.dumps(summary))) == without_clocks(expected)
    assert rows_of(out) == rows_of(finished)
    weights = [load_checkpoint(RunFolder(p).last)["network"] for p in (out, finished)]
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)
    assert {p.name for p in folder.checkpoints.iterdir()} == {"last.pt", "best.pt"}


def test_chance_comes_again_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spikes drawn by an encoder, dropout and augmentation are the same in a resumed epoch."""
    config = small(
        data={"augment": {"shift": 1}, "workers": 1},
        encoder={"name": "rate"},
        model={"dropout": 0.2},
        training={"epochs": 3},
    )
    whole = train(config, tmp_path / "whole")
    step, calls = torch.optim.Adam.step, 0

    def interrupted(self: torch.optim.Adam, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 40:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "run")
    assert without_clocks(resume(tmp_path / "run")) == without_clocks(whole)
    assert rows_of(tmp_path / "run") == rows_of(tmp_path / "whole")


def test_resuming_a_finished_run_changes_nothing(finished: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    assert without_clocks(resume(finished)) == without_clocks(RunFolder.open(finished).summary() or {})
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before


def test_resume_refuses_what_is_no_run_or_has_a_bad_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not the folder of a run"):
        resume(tmp_path)
    folder = RunFolder.create(tmp_path / "run", small())
    folder.last.write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(CheckpointError, match="truncated or not a checkpoint"):
        resume(tmp_path / "run")


def test_resume_refuses_a_checkpoint_of_another_network(finished: Path, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", small(model={"hidden": [16]}))
    folder.last.write_bytes(RunFolder.open(finished).last.read_bytes())
    with pytest.raises(CheckpointError, match=r"is of another network: .* is \[64, 64\] in the checkpoint, \[16, 64\]"):
        resume(tmp_path / "run")


def test_divergence_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, calls = torch.optim.Adam.step, 0

    def poisoned(self: torch.optim.Adam, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        result = step(self, *args, **kwargs)
        if calls == 40:
            self.param_groups[0]["params"][0].data.view(-1)[3] = float("nan")
        return result

    monkeypatch.setattr(torch.optim.Adam, "step", poisoned)
    message = (
        "stopped in epoch 2: .*NaN or infini.*; the checkpoint of epoch 1 is kept in .*last.pt.*lower optimizer.lr"
    )
    with pytest.raises(LfpError, match=message):
        train(small(), tmp_path / "run")
    kept = load_checkpoint(RunFolder(tmp_path / "run").last)
    assert kept["state"]["epoch"] == 1
    assert all(torch.isfinite(v).all() for v in kept["network"].values())


def test_an_error_in_a_reward_is_not_a_divergence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("this reward needs a table of prices")

    monkeypatch.setattr("lfp_snn.rewards.base.Reward.__call__", broken)
    with pytest.raises(ValueError, match=r"^this reward needs a table of prices$"):
        train(small(), tmp_path / "run")


def test_stops_early(tmp_path: Path) -> None:
    # Without learning nothing ever gets better than after the first epoch.
    summary = train(small(optimizer={"lr": 0.0}, training={"epochs": 9, "patience": 2}), tmp_path / "run")
    assert summary["epochs"] == 3
    assert summary["best_epoch"] == 1


def test_no_epochs_scores_the_untrained_network(tmp_path: Path) -> None:
    summary = train(small(training={"epochs": 0}), tmp_path / "run")
    assert summary["epochs"] == 0
    assert summary["best_val_accuracy"] is None
    assert summary["test_accuracy"] < 0.4


def test_warns_of_a_silent_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(
        small(model={"neuron_options": {"threshold": 1e6}, "start_rate": 0.0}, training={"epochs": 1}), tmp_path / "run"
    )
    assert "fired no spike: it gets no reward and cannot learn" in capsys.readouterr().err


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param({"method": {"name": "surrogate"}}, id="surrogate gradient"),
        pytest.param({"rule": {"sharing": "contribution"}}, id="another sharing rule"),
        pytest.param({"rule": {"homeostasis": 0.1}}, id="homeostasis"),
        pytest.param({"training": {"precision": "64"}}, id="double precision"),
        pytest.param({"training": {"precision": "bf16-mixed"}}, id="mixed precision"),
        pytest.param({"data": {"workers": 2}}, id="loader processes"),
        pytest.param({"training": {"clip_norm": 1.0}}, id="clipping"),
        pytest.param({"optimizer": {"name": "SGD", "lr": 1.0, "momentum": 0.9}}, id="another optimiser"),
        pytest.param({"schedule": {"name": "cosine", "warmup": 0.1}}, id="another schedule"),
        pytest.param({"model": {"name": "mlp", "hidden": [32]}, "reward": {"name": "softmax"}}, id="no time"),
        pytest.param({"encoder": {"name": "rate", "steps": 8}}, id="rate code"),
        pytest.param({"encoder": {"name": "latency", "steps": 8}}, id="latency code"),
        pytest.param({"data": {"name": "event-digits"}, "encoder": {"steps": 1}}, id="events"),
    ],
)
def test_other_ways_to_train(tmp_path: Path, layers: dict[str, Any]) -> None:
    summary = train(small(**layers), tmp_path / "run")
    assert summary["test_accuracy"] > 0.4


def test_accumulation_is_a_larger_batch(tmp_path: Path) -> None:
    size = 100
    train(small(data={"batch_size": size}, training={"epochs": 1}), tmp_path / "large")
    train(small(data={"batch_size": size // 2}, training={"epochs": 1, "accumulate": 2}), tmp_path / "small")
    large, accumulated = (load_checkpoint(RunFolder(tmp_path / n).last) for n in ("large", "small"))
    assert large["state"]["step"] == accumulated["state"]["step"]
    for name, value in large["network"].items():
        difference = (accumulated["network"][name] - value).norm() / value.norm().clamp(min=1e-6)
        assert difference < 0.05, name


def test_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(small(training={"tensorboard": True}), tmp_path / "run")
    log = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    log.Reload()
    rows = rows_of(tmp_path / "run")
    assert [e.step for e in log.Scalars("val_accuracy")] == [1, 2]
    assert np.allclose([e.value for e in log.Scalars("val_accuracy")], [row["val_accuracy"] for row in rows])
    layer = next(iter(rows[0]["spike_rate"]))
    assert np.isclose(log.Scalars(f"spike_rate/{layer}")[0].value, rows[0]["spike_rate"][layer])


def test_refuses_before_it_writes_anything(tmp_path: Path) -> None:
    cases = {
        "cannot be shared by 3 devices equally": small(training={"devices": 3}),
        "wants 64 GPUs, torch sees": small(data={"batch_size": 64}, training={"devices": 64, "accelerator": "gpu"}),
        "has a time axis and model 'mlp' has none": small(
            data={"name": "event-digits"}, model={"name": "mlp"}, encoder={"steps": 1}
        ),
        "'16-mixed' needs a GPU": small(training={"precision": "16-mixed", "accelerator": "cpu"}),
        "Adam refuses .*Invalid beta": small(optimizer={"betas": [2.0, 0.9]}),
        "has time steps of its own: .encoder. is for pictures": small(data={"name": "event-digits"}),
    }
    for message, config in cases.items():
        with pytest.raises(ConfigError, match=message):
            train(config, tmp_path / "run")
    assert not os.listdir(tmp_path)
