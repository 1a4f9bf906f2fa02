"""Tables: what they say is what the runs measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lfp_snn.compare.results import read_comparison
from lfp_snn.compare.table import (
    Cell,
    Table,
    accuracy_table,
    activity_table,
    learning_rate_table,
    paired_table,
    percent,
    pruning_table,
    quantity,
    training_table,
)
from tests.compare.synthetic import run_path, write_comparison, write_failure


def look_up(table: Table | None, method: str, column: str) -> Cell:
    assert table is not None
    (row,) = [row for row in table.rows if row[0].text == method]
    return row[table.columns.index(column)]


def test_accuracy_of_every_method_on_every_network(tmp_path: Path) -> None:
    comparison = read_comparison(write_comparison(tmp_path))
    table = accuracy_table(comparison)
    assert table.columns == ("method", "mlp", "cnn", "rank")
    for label, network in comparison.networks.items():
        for method, results in network.methods.items():
            values = 100 * np.array(list(results.accuracies.values()))
            words = f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
            assert look_up(table, method, label).text.removeprefix("↑ ").removeprefix("↓ ") == words
    assert [look_up(table, m, "mlp").bold for m in comparison.methods] == [False, True, False]
    assert [look_up(table, m, "rank").text for m in comparison.methods] == ["2.0", "1.0", "3.0"]


def test_significant_differences_are_marked(tmp_path: Path) -> None:
    comparison = read_comparison(write_comparison(tmp_path, ["mlp"]))
    table, tests = accuracy_table(comparison), paired_table(comparison.networks["mlp"])
    assert look_up(table, "attached", "mlp").text.startswith("↓")
    assert look_up(tests, "attached", "minus lfp / points").bold
    other = accuracy_table(comparison, baseline="attached")
    assert look_up(other, "lfp", "mlp").text.startswith("↑")
    assert look_up(other, "attached", "mlp").text[0].isdigit()


def test_fewer_runs_than_seeds_are_said(tmp_path: Path) -> None:
    write_failure(write_comparison(tmp_path, ["mlp"]), "mlp", "lfp", 1, "diverged")
    (run_path(tmp_path, "mlp", "surrogate", 2) / "measures.json").unlink()
    for seed in range(3):
        write_failure(tmp_path, "mlp", "attached", seed, "diverged")
    comparison = read_comparison(tmp_path)
    table = accuracy_table(comparison)
    assert look_up(table, "lfp", "mlp").text.endswith("(n = 2, 1 failed)")
    assert look_up(table, "surrogate", "mlp").text.endswith("(n = 2)")
    assert look_up(table, "attached", "mlp") == Cell("– (n = 0, 3 failed)")
    assert look_up(table, "attached", "rank").text == "3.0"
    assert look_up(paired_table(comparison.networks["mlp"]), "surrogate", "pairs").text == "1"


def test_a_method_that_a_network_has_not(tmp_path: Path) -> None:
    study = write_comparison(tmp_path, ["mlp"]) / "study.toml"
    study.write_text(study.read_text() + '[network.own]\nmethods = ["dfa"]\n')
    table = accuracy_table(read_comparison(tmp_path))
    assert look_up(table, "dfa", "mlp") == Cell("")
    assert look_up(table, "dfa", "own") == Cell("– (n = 0)")
    assert look_up(table, "dfa", "rank") == Cell("–")


def test_details_of_a_network(tmp_path: Path) -> None:
    network = read_comparison(write_comparison(tmp_path)).networks["mlp"]
    run = network.methods["surrogate"].runs[1]
    training, activity = training_table(network), activity_table(network)
    assert look_up(training, "surrogate", "lr").text == "0.002"
    assert look_up(training, "surrogate", "training / s").text == f"{run.train_seconds:.3g}"
    assert look_up(training, "surrogate", "SynOps of inference").text == "25 k"
    assert look_up(training, "surrogate", "SynOps of training").text == quantity(50e3 + 50e3 * 1.3)
    assert look_up(training, "surrogate", "peak memory / MB").text == "200"
    assert look_up(activity, "surrogate", "hidden rate / %").text == f"{100 * run.layer_rates['1']:.3g}"
    assert look_up(activity, "surrogate", "dead units / %").text == "10"
    assert look_up(activity, "surrogate", "weights updated / %").text == f"{40 / 1.3:.3g}"
    assert look_up(activity, "surrogate", "synapses taking part / %").text == f"{5 / 1.3:.3g}"


def test_columns_without_any_measurement_are_left_out(tmp_path: Path) -> None:
    write_comparison(tmp_path, ["mlp"])
    for path in tmp_path.rglob("measures.json"):
        path.write_text("{}")
    network = read_comparison(tmp_path).networks["mlp"]
    assert activity_table(network).columns == ("method", "hidden rate / %", "dead units / %")
    assert pruning_table(network) is None


def test_pruning(tmp_path: Path) -> None:
    network = read_comparison(write_comparison(tmp_path)).networks["mlp"]
    table = pruning_table(network)
    assert table is not None
    assert table.columns == ("method", "0 % removed", "50 % removed", "90 % removed")
    left = [100 * run.pruning[0.5] for run in network.methods["lfp"].runs]
    assert look_up(table, "lfp", "50 % removed").text == f"{np.mean(left):.2f} ± {np.std(left, ddof=1):.2f}"


def test_learning_rates(tmp_path: Path) -> None:
    network = read_comparison(write_comparison(tmp_path)).networks["mlp"]
    table = learning_rate_table(network)
    assert look_up(table, "lfp", "chosen") == Cell("0.002", bold=True)
    assert look_up(table, "lfp", "tried").text == "0.0007: 87.0, 0.002: 96.0, 0.006: –"
    assert learning_rate_table(read_comparison(write_comparison(tmp_path / "no", tuned=False)).networks["mlp"]) is None


def test_markdown_keeps_the_shape_of_the_table() -> None:
    table = Table("T", ("a|b", "c"), ((Cell("x|y"), Cell("1", bold=True)), (Cell(""), Cell("2"))), "Note.")
    lines = table.markdown().splitlines()
    assert lines == ["**T.** Note.", "", r"| a\|b | c |", "| --- | ---: |", r"| x\|y | **1** |", "|  | 2 |"]


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0"), (999, "999"), (1000, "1 k"), (1.234e7, "12.3 M"), (5e9, "5 G"), (2e13, "20 T")]
)
def test_quantities(value: float, words: str) -> None:
    assert quantity(value) == words


def test_nothing_is_a_dash() -> None:
    assert percent(None) == "–"
