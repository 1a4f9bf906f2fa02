"""What lies in the folder of a comparison is read as it is, and what is broken is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lfp_snn.compare.results import Trial, read_comparison
from lfp_snn.compare.study import Study
from lfp_snn.errors import ConfigError, DataError
from tests.compare.synthetic import run_path, write, write_comparison, write_failure


def test_everything_is_found(tmp_path: Path) -> None:
    comparison = read_comparison(write_comparison(tmp_path))
    assert comparison.title == "Digits <with> & without |time|"
    assert list(comparison.networks) == ["mlp", "cnn"]
    assert comparison.methods == ("lfp", "surrogate", "attached")
    assert (len(comparison.runs), comparison.missing) == (18, 0)
    cell = comparison.networks["cnn"].methods["surrogate"]
    assert [run.seed for run in cell.runs] == [0, 1, 2]
    run = cell.runs[1]
    summary = json.loads((run_path(tmp_path, "cnn", "surrogate", 1) / "summary.json").read_text())
    assert run.test_accuracy == summary["test_accuracy"] == cell.accuracies[1]
    assert (run.lr, run.epochs, run.peak_memory) == (0.002, 4, 2e8)
    assert cell.tuning is not None
    assert Trial(0.006, None) in cell.tuning.trials


def test_costs_add_up_over_the_epochs(tmp_path: Path) -> None:
    run = read_comparison(write_comparison(tmp_path)).networks["mlp"].methods["lfp"].runs[2]
    assert run.cost("epoch") == [1, 2, 3, 4]
    seconds = run.cost("seconds")
    assert seconds is not None
    assert seconds[-1] == pytest.approx(run.train_seconds)
    assert run.cost("synops") == pytest.approx([(k + 1) * run.metrics[0]["synops"] for k in range(4)])


def test_costs_that_were_not_measured(tmp_path: Path) -> None:
    file = run_path(write_comparison(tmp_path), "mlp", "lfp", 0) / "metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "synops"}) + "\n" for row in rows))
    assert read_comparison(tmp_path).networks["mlp"].methods["lfp"].runs[0].cost("synops") is None


def test_the_readout_is_no_hidden_layer(tmp_path: Path) -> None:
    folder = run_path(write_comparison(tmp_path), "mlp", "lfp", 0)
    run = read_comparison(tmp_path).networks["mlp"].methods["lfp"].runs[0]
    assert run.hidden_layers == ("1",)
    assert run.hidden_rate() == run.layer_rates["1"]
    assert run.dead_share == 0.1
    summary = json.loads((folder / "summary.json").read_text())
    write(folder / "summary.json", summary | {"units": {"1": 100, "3": 300}})
    run = read_comparison(tmp_path).networks["mlp"].methods["lfp"].runs[0]
    assert run.hidden_layers == ("1", "3")
    assert run.hidden_rate() == pytest.approx(0.25 * run.layer_rates["1"] + 0.75 * run.layer_rates["3"])


def test_what_an_older_version_did_not_measure_is_none(tmp_path: Path) -> None:
    folder = run_path(write_comparison(tmp_path), "mlp", "lfp", 0)
    write(folder / "summary.json", {"test_accuracy": 0.5, "epochs": 4})
    write(folder / "measures.json", {})
    run = read_comparison(tmp_path).networks["mlp"].methods["lfp"].runs[0]
    assert (run.val_accuracy, run.hidden_rate(), run.dead_share, run.peak_memory) == (None, None, None, None)
    assert (run.synops_training, run.synops_inference, run.participation("weights")) == (None, None, None)
    assert (run.pruning, run.weights) == ({}, {})


def test_failed_and_missing_runs(tmp_path: Path) -> None:
    write_failure(write_comparison(tmp_path), "mlp", "lfp", 1, "loss became NaN")
    (run_path(tmp_path, "mlp", "lfp", 2) / "measures.json").unlink()
    comparison = read_comparison(tmp_path)
    cell = comparison.networks["mlp"].methods["lfp"]
    assert [(failure.seed, failure.error) for failure in cell.failures] == [(1, "loss became NaN")]
    assert cell.missing == (2,)
    assert (len(comparison.runs), comparison.missing) == (16, 1)


def test_a_network_with_methods_and_seeds_of_its_own(tmp_path: Path) -> None:
    study = write_comparison(tmp_path) / "study.toml"
    own = '[network.own]\nmethods = ["dfa"]\nseeds = [4, 7]\n'
    study.write_text(study.read_text() + own)
    comparison = read_comparison(tmp_path)
    assert comparison.methods == ("lfp", "surrogate", "attached", "dfa")
    assert comparison.networks["own"].methods["dfa"].missing == (4, 7)


def test_a_study_as_the_comparison_writes_it(tmp_path: Path) -> None:
    network = {"preset": "event-digits", "methods": ["lfp", "attached"], "seeds": [3, 5], "tune": {"trials": 4}}
    method = {"name": "surrogate", "attach_reset": True}
    study = Study.of({"title": "T", "method": {"attached": method}, "network": {"a": network, "event-digits": {}}})
    (tmp_path / "study.toml").write_text(study.to_toml())
    comparison = read_comparison(tmp_path)
    assert comparison.title == "T"
    for asked in study.networks:
        cells = comparison.networks[asked.label].methods
        assert tuple(cells) == asked.methods
        assert all(cell.missing == asked.seeds for cell in cells.values())
    assert comparison.study["network"]["a"]["tune"]["trials"] == 4
    assert comparison.study["method"]["attached"]["name"] == "surrogate"


def test_not_the_folder_of_a_comparison(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no .*study\.toml"):
        read_comparison(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]", "\x00", "nonsense = = 1"])
@pytest.mark.parametrize(
    "file", ["study.toml", "config.toml", "summary.json", "measures.json", "metrics.jsonl", "env.json", "tuned.json"]
)
def test_a_broken_file_is_named(tmp_path: Path, file: str, content: str) -> None:
    write_comparison(tmp_path, ["mlp"], ["lfp"], 1)
    (path,) = tmp_path.rglob(file)
    if file.endswith("toml") and content == "[1]":
        content = "[1"
    path.write_text(content)
    with pytest.raises(DataError, match=file):
        read_comparison(tmp_path)


@pytest.mark.parametrize("trials", [[{"val_accuracy": 0.9}], [{"lr": "fast"}], [3]])
def test_a_trial_without_learning_rate_is_named(tmp_path: Path, trials: list[object]) -> None:
    write_comparison(tmp_path, ["mlp"], ["lfp"], 1)
    (path,) = tmp_path.rglob("tuned.json")
    write(path, {"lr": 0.1, "trials": trials})
    with pytest.raises(DataError, match=r"tuned\.json"):
        read_comparison(tmp_path)
