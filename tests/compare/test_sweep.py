"""Sweeps: what is searched, in which order, what comes out, and that a break changes nothing."""

from __future__ import annotations

import csv
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lfp_snn.compare.sweep import Sweep, sweep
from lfp_snn.errors import ConfigError, LfpError
from lfp_snn.training.config import load_config
from tests.compare.inline import TINY, Inline

SPACE = {"optimizer.lr": "1e-3..1e-1:log", "model.hidden": "[8],[16]", "rule.sharing": "reference,conserving"}


def tiny(**changes: Any) -> Sweep:
    return Sweep.of({**TINY, "trials": 3, "space": SPACE, **changes})


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("sweep") / "out"
    return out, sweep(tiny(), out, executor=Inline())


def test_writes_trials_and_the_best_configuration(searched: tuple[Path, dict[str, Any]]) -> None:
    out, best = searched
    results = json.loads((out / "results.json").read_text())
    trials = results["trials"]
    assert [t["trial"] for t in trials] == [0, 1, 2]
    assert trials[0]["values"] == {"optimizer.lr": 0.01, "model.hidden": [16], "rule.sharing": "reference"}
    assert best == results["best"] == max(trials, key=lambda t: t["val_accuracy"])
    config = load_config(out / "best.toml")
    assert config.optimizer.lr == best["values"]["optimizer.lr"]
    assert config.model.options["hidden"] == best["values"]["model.hidden"]
    assert config.rule.sharing == best["values"]["rule.sharing"]
    assert config.training.figures
    rows = list(csv.reader((out / "trials.csv").read_text().splitlines()))
    assert rows[0] == ["trial", "optimizer.lr", "model.hidden", "rule.sharing", "val_accuracy"]
    assert [float(row[-1]) for row in rows[1:]] == [t["val_accuracy"] for t in trials]
    assert not list(out.rglob("summary.json"))  # where the test accuracy would be


def test_is_gone_on_with_to_the_same_trials(searched: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(searched[0], out)
    shutil.rmtree(out / "trials" / "trial1")
    executor = Inline()
    sweep(tiny(workers=2), out, executor=executor)  # drawn one ahead, as at the first start
    assert [folder.name for folder in executor.done] == ["trial1"]
    for name in ("results.json", "trials.csv", "best.toml"):
        assert (out / name).read_text() == (searched[0] / name).read_text()


def test_other_trials_are_refused(searched: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match=r"trial0 holds a run with training.epochs = 1, and 2 is asked for now"):
        sweep(tiny(training={"epochs": 2}), searched[0], executor=Inline())


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="neither empty nor the folder of a sweep"):
        sweep(tiny(), tmp_path, executor=Inline())


def test_failures_are_listed(tmp_path: Path) -> None:
    broken = Sweep.of({"preset": "mnist-mlp", "data": {"root": "no"}, "trials": 1, "space": SPACE})
    with pytest.raises(LfpError, match="1 of 1 did not come to an end"):
        sweep(broken, tmp_path / "out", executor=Inline())


def test_the_resolved_sweep_is_the_same_sweep() -> None:
    found = tiny(workers=3, sampler_seed=4)
    again = Sweep.of(tomllib.loads(found.to_toml()))
    assert again == found
    assert (again.ahead, again.workers, again.trials, again.sampler_seed) == (3, 3, 3, 4)


def test_options_come_on_top_of_a_file(tmp_path: Path) -> None:
    text = 'preset = "event-digits"\ntrials = 7\n[space]\n"optimizer.lr" = { low = 0.1, high = 0.2 }\n'
    (tmp_path / "sweep.toml").write_text(text)
    found = Sweep.read(
        tmp_path / "sweep.toml", {"training": {"epochs": 2}}, trials=9, space={"training.clip_norm": "0..5"}
    )
    assert (found.config.data.name, found.config.training.epochs, found.trials) == ("event-digits", 2, 9)
    assert list(found.space) == ["optimizer.lr", "training.clip_norm"]
    assert found.first() == {"training.clip_norm": 0.0}  # the preset's learning rate lies outside


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"preset": "event-digits"}, "sweep: nothing is searched"),
        ({"preset": "event-digits", "space": {}}, "sweep: nothing is searched"),
        ({"preset": "event-digits", "space": 3}, "sweep: nothing is searched"),
        ({"space": SPACE}, 'sweep: needs a preset = "NAME"'),
        ({"preset": "event-digits", "trial": 3, "space": SPACE}, "unknown key 'trial': did you mean 'trials'"),
        ({"preset": "event-digits", "trials": 0, "space": SPACE}, "trials: must be at least 1, got 0"),
        (
            {"preset": "event-digits", "space": {"optimizer.rl": "0..1"}},
            "sweep: [space]: [optimizer] unknown key 'rl'",
        ),
        ({"preset": "event-digits", "space": {"optimizer.lr": "-1..1"}}, "[optimizer] lr: must be at least 0, got -1"),
        ({"preset": "event-digits", "space": {"rule.sharing": "reference,wrong"}}, "unknown value 'wrong'"),
        ({"preset": "event-digits", "space": {"lr": "0..1"}}, "[space] lr is not searched"),
        ({"preset": "event-digits", "space": {"training.seed": "0..9"}}, "[space] training.seed is not searched"),
    ],
)
def test_says_what_is_wrong(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Sweep.of(table)
    assert message in str(error.value)
