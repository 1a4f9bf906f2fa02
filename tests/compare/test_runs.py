"""Comparisons, without processes: what is run, what is not run again, what is refused, what is said of failures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lfp_snn.compare.folder import ComparisonFolder
from lfp_snn.compare.lock import locked
from lfp_snn.compare.runs import Tuning, compare, plan
from lfp_snn.compare.study import Study
from lfp_snn.errors import ConfigError, LfpError
from lfp_snn.training import RunFolder
from lfp_snn.training.config import load_config
from tests.compare.inline import TINY, Inline


def study(**changes: Any) -> Study:
    base = {"seeds": 2, "methods": ["lfp", "surrogate"], "measure": {"prune": [0.5]}, "network": {"tiny": TINY}}
    return Study.of({**base, **changes})


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return the folder of a comparison with a search, and the order in which its work was done."""
    out = tmp_path_factory.mktemp("tuned") / "out"
    executor = Inline()
    compare(study(tune={"trials": 4, "epochs": 1}, seeds=1), out, executor=executor)
    return out, [str(folder.relative_to(out)) for folder in executor.done]


def test_searches_then_runs_then_reports(tuned: tuple[Path, list[str]]) -> None:
    out, order = tuned
    assert order == [
        *(f"tune/tiny/lfp/trial{k}" for k in range(4)),
        "runs/tiny/lfp/seed0",
        *(f"tune/tiny/surrogate/trial{k}" for k in range(4)),
        "runs/tiny/surrogate/seed0",
    ]
    for method in ("lfp", "surrogate"):
        found = json.loads((out / "tune" / "tiny" / method / "tuned.json").read_text())
        assert [round(t["lr"], 6) for t in found["trials"][:3]] == [0.01, 0.03, 0.003333]
        assert 0.001 <= found["trials"][3]["lr"] <= 0.1
        best = max(found["trials"], key=lambda t: t["val_accuracy"])
        assert found["lr"] == best["lr"]
        run = out / "runs" / "tiny" / method / "seed0"
        config = load_config(run / "config.toml")
        assert (config.optimizer.lr, config.method.name, config.training.seed) == (found["lr"], method, 0)
        assert json.loads((run / "measures.json").read_text())["pruning"].keys() == {"0.0", "0.5"}
        trial = load_config(out / "tune" / "tiny" / method / "trial1" / "config.toml")
        assert (trial.training.seed, trial.optimizer.lr) == (1000, 0.03)
    assert Study.read(out / "study.toml").to_toml() == (out / "study.toml").read_text()
    assert {"report.html", "report.md", "results.json"} <= {file.name for file in out.iterdir()}


def test_a_trial_does_not_look_at_the_test_split(tuned: tuple[Path, list[str]]) -> None:
    trial = tuned[0] / "tune" / "tiny" / "lfp" / "trial0"
    assert json.loads((trial / "trial.json").read_text()) == {
        "val_accuracy": max(row["val_accuracy"] for row in RunFolder.open(trial).metrics())
    }
    assert not (trial / "summary.json").exists()


def test_a_search_is_gone_on_with_to_the_same_values(tuned: tuple[Path, list[str]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(tuned[0] / "tune" / "tiny", out / "tune" / "tiny")
    before = {file: file.read_text() for file in out.rglob("*.json")}
    for k in (2, 3):
        shutil.rmtree(out / "tune" / "tiny" / "lfp" / f"trial{k}")
    (out / "tune" / "tiny" / "lfp" / "tuned.json").unlink()
    shutil.copy(tuned[0] / "study.toml", out)
    executor = Inline()
    compare(study(tune={"trials": 4, "epochs": 1}, seeds=1), out, executor=executor)
    assert [folder.name for folder in executor.done] == ["trial2", "trial3", "seed0", "seed0"]
    assert {file: file.read_text() for file in before} == before


def test_a_study_may_grow(tuned: tuple[Path, list[str]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(tuned[0], out)
    executor = Inline()
    compare(study(tune={"trials": 4, "epochs": 1}, seeds=[0, 5], methods=["lfp"]), out, executor=executor)
    assert [folder.relative_to(out).as_posix() for folder in executor.done] == ["runs/tiny/lfp/seed5"]


def test_a_diverged_trial_counts_as_nothing(tmp_path: Path) -> None:
    folder = ComparisonFolder(tmp_path)
    some = study(tune={"trials": 2, "epochs": 1})
    tuning = Tuning(some, some.networks[0], "lfp", folder.tune("tiny", "lfp"))
    for job, (name, content) in zip(
        tuning.jobs, [("failed.json", {"error": "NaN"}), ("trial.json", {"val_accuracy": 0.3})], strict=True
    ):
        assert tuning.lr() is None
        assert job.ready()
        assert not job.done()
        RunFolder.create(job.folder, job.config)
        (job.folder / name).write_text(json.dumps(content))
        assert job.done()
    assert tuning.jobs[0].result() == "lr 0.01: validation 0.00 % (diverged)"
    assert tuning.lr() == pytest.approx(0.03)
    written = json.loads((folder.tune("tiny", "lfp") / "tuned.json").read_text())
    assert [t["val_accuracy"] for t in written["trials"]] == [0.0, 0.3]


def test_a_run_that_diverges_is_a_result(tmp_path: Path) -> None:
    wild = {"lfp": {"optimizer": {"name": "SGD", "lr": 1e38}}}
    out = tmp_path / "out"
    compare(study(method=wild, methods=["lfp"], seeds=1), out, executor=Inline())
    error = json.loads((out / "runs" / "tiny" / "lfp" / "seed0" / "failed.json").read_text())["error"]
    assert "training stopped in epoch 1" in error
    executor = Inline()
    compare(study(method=wild, methods=["lfp"], seeds=1), out, executor=executor)
    assert executor.done == []


def test_a_run_killed_in_its_first_epoch_begins_anew(tmp_path: Path) -> None:
    some = study(methods=["lfp"], seeds=1)
    (job,) = plan(some, ComparisonFolder(tmp_path))
    folder = RunFolder(tmp_path / "runs" / "tiny" / "lfp" / "seed0")
    folder.figures.mkdir(parents=True)
    folder.config_file.write_text("[trai")
    assert not job.done()
    executor = Inline()
    (tmp_path / "study.toml").write_text(some.to_toml())
    compare(some, tmp_path, executor=executor)
    assert (folder.path / "measures.json").exists()


def test_other_runs_are_refused(tuned: tuple[Path, list[str]]) -> None:
    out, _ = tuned
    changed = study(tune={"trials": 4, "epochs": 1}, network={"tiny": {**TINY, "model": {"hidden": [17]}}})
    study_file = (out / "study.toml").read_text()
    with pytest.raises(
        ConfigError, match=r"trial0 holds a run with model.hidden = \[16\], and \[17\] is asked for now"
    ):
        compare(changed, out, executor=Inline())
    assert (out / "study.toml").read_text() == study_file


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="neither empty nor the folder of a comparison"):
        compare(study(), tmp_path, executor=Inline())


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with (
        locked(ComparisonFolder(tmp_path / "out").lock_file),
        pytest.raises(ConfigError, match="another process is at work in"),
    ):
        compare(study(), tmp_path / "out", executor=Inline())


def test_failures_are_listed_and_tried_again(tmp_path: Path) -> None:
    def no_space(folder: Path) -> None:
        if "surrogate" in str(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.write_text("in the way")

    some, out = study(seeds=1), tmp_path / "out"
    with pytest.raises(LfpError) as error:
        compare(some, out, executor=Inline(before=no_space))
    first, second, third = str(error.value).splitlines()
    assert first == "1 of 2 did not come to an end; the same command tries again:"
    assert second.startswith("  tiny surrogate seed 0: ")
    assert third == f"The report of the others: {out / 'report.html'}"
    assert "lfp" in (out / "report.md").read_text()

    (out / "runs" / "tiny" / "surrogate" / "seed0").unlink()
    executor = Inline()
    compare(some, out, executor=executor)
    assert [folder.parent.name for folder in executor.done] == ["surrogate"]


def test_missing_data_are_no_divergence(tmp_path: Path) -> None:
    some = Study.of({"seeds": 1, "methods": ["lfp"], "network": {"n": {"preset": "mnist-mlp", "data": {"root": "no"}}}})
    with pytest.raises(LfpError, match="data set 'mnist' is not there"):
        compare(some, tmp_path / "out", executor=Inline())
    assert not list((tmp_path / "out").rglob("failed.json"))
