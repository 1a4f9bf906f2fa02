"""``lfp-snn doctor``: runs, configurations and presets; what it prints and writes; what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lfp_snn.cli import main

SMALL = ["--data.name", "digits", "--model.hidden", "16", "--encoder.steps", "6", "--training.figures", "false"]
Out = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def run() -> Path:
    assert main(["train", *SMALL, "--training.epochs", "1", "--out", "run", "--optimizer.lr", "0.01"]) == 0
    return Path("run")


def test_a_run_is_looked_at_with_its_trained_weights(run: Path, capsys: Out) -> None:
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    capsys.readouterr()
    assert main(["doctor", "run", "--json", "--batches", "2", "--checkpoint", "last"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert main(["doctor", "run/config.toml", "--json", "--batches", "2"]) == 0
    fresh = json.loads(capsys.readouterr().out)
    assert trained["accuracy"] > fresh["accuracy"] + 0.2
    assert trained["config"] == fresh["config"]
    assert [layer["name"] for layer in trained["layers"]] == ["2", "4"]
    assert (trained["batches"], trained["examples"]) == (2, 64)
    assert before == {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}


def test_options_change_what_is_looked_at(run: Path, capsys: Out) -> None:
    capsys.readouterr()
    lost = []
    for sharing in ("reference", "conserving"):
        assert main(["doctor", "run", "--json", "--rule.sharing", sharing]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["config"]["rule"]["sharing"] == sharing
        lost.append(found["layers"][0]["conservation"]["neurons"])
    assert lost[0] != lost[1]
    assert main(["doctor", "run", "--json", "--method.name", "surrogate"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layers"][0]["conservation"] is None
    assert main(["doctor", "run", "--model.hidden", "17"]) == 2
    assert "checkpoint" in capsys.readouterr().err


def test_tables_advice_and_folder(capsys: Out) -> None:
    options = ["--preset", "event-digits", "--model.hidden", "32", "--optimizer.lr", "1", "--batches", "2"]
    assert main(["doctor", *options, "--out", "seen"]) == 0
    printed = capsys.readouterr().out
    for words in (
        "Activity",
        "Reward of an example",
        "lost in neurons",
        "steps of Adam",
        "why:",
        "try: --optimizer.lr",
    ):
        assert words in printed
    assert "nothing stands out" not in printed
    written = json.loads(Path("seen/diagnosis.json").read_text())
    assert written["advice"][0]["options"][0].startswith("--optimizer.lr")
    assert {file.name for file in Path("seen").iterdir()} == {
        "diagnosis.json",
        "message.png",
        "rate.png",
        "update.png",
    }
    assert main(["doctor", "--preset", "event-digits", "--batches", "2"]) == 0
    assert "nothing stands out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say what to look at"),
        (["nowhere"], "neither the folder of a run nor a TOML"),
        (["nowhere.toml"], "cannot read"),
        (["."], "not the folder of a run"),
        (["--preset", "event-digit"], "did you mean 'event-digits'"),
        (["--preset", "event-digits", "--checkpoint", "last"], "no trained weights"),
        (["--preset", "event-digits", "--batches", "0"], "at least one batch"),
        (["--preset", "event-digits", "--rule.sharing", "conservin"], "did you mean 'conserving'"),
        (["--preset", "event-digits", "--batch", "3"], "--batches"),
    ],
)
def test_what_it_refuses(arguments: list[str], words: str, capsys: Out) -> None:
    assert main(["doctor", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_run_has_a_configuration_of_its_own(run: Path, capsys: Out) -> None:
    assert main(["doctor", "run", "--preset", "event-digits"]) == 2
    assert "drop --preset event-digits" in capsys.readouterr().err
