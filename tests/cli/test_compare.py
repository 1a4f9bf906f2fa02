"""``lfp-snn compare`` and ``lfp-snn sweep``: from options and files to what is done, and how they say what is wrong."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from lfp_snn.cli import main
from lfp_snn.compare.folder import ComparisonFolder
from lfp_snn.compare.lock import locked
from lfp_snn.training.config import load_config
from tests.compare.inline import Inline

Out = pytest.CaptureFixture[str]
SMALL = ["--data.name", "digits", "--model.hidden", "8", "--encoder.steps", "4", "--training.epochs", "1"]
STUDY = '[tune]\ntrials = 2\n[network.n]\npreset = "event-digits"\n[network.m]\npreset = "mnist-mlp"\nseeds = 1\n'


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    Path("study.toml").write_text(STUDY)
    Path("search.toml").write_text('preset = "mnist-mlp"\n[space]\n"optimizer.lr" = "0.1..0.2"\n')


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Inline:
    """Let the work be done in this process."""
    inline = Inline()
    for module in ("runs", "sweep"):
        monkeypatch.setattr(f"lfp_snn.compare.{module}.Processes", lambda workers, threads: inline)
    return inline


def dry(capsys: Out, *arguments: str) -> dict[str, dict[str, object]]:
    assert main([*arguments, "--dry-run"]) == 0
    return tomllib.loads(capsys.readouterr().out)


def test_compares(executor: Inline, capsys: Out) -> None:
    options = ["--preset", "mnist-mlp", "--methods", "lfp", "--seeds", "2", "--title", "Two", *SMALL]
    assert main(["compare", *options]) == 0
    out = Path("runs/compare/mnist-mlp").absolute()
    assert capsys.readouterr().out == f"{out}/report.md\n{out}/report.html\n"
    assert (out / "report.md").read_text().startswith("# Two\n")
    assert [folder.relative_to(out).as_posix() for folder in executor.done] == [
        "runs/mnist-mlp/lfp/seed0",
        "runs/mnist-mlp/lfp/seed1",
    ]
    assert load_config(executor.done[1] / "config.toml").training.seed == 1


def test_options_make_a_study(capsys: Out) -> None:
    options = ["--preset", "mnist-mlp", "--preset", "event-digits,mnist-cnn", "--methods", "lfp,ottt", "--seeds", "3,7"]
    options += ["--trials", "5", "--tune-epochs", "1", "--workers", "2", "--data-root", "there", "--training.epochs=4"]
    study = dry(capsys, "compare", *options)
    assert list(study["network"]) == ["mnist-mlp", "event-digits", "mnist-cnn"]
    assert (study["methods"], study["seeds"], study["workers"]) == (["lfp", "ottt"], [3, 7], 2)
    for network in study["network"].values():
        assert isinstance(network, dict)
        assert (network["tune"]["trials"], network["tune"]["epochs"]) == (5, 1)
        assert (network["training"]["epochs"], network["data"]["root"]) == (4, "there")
    assert not Path("runs").exists()


def test_without_options_there_is_something_to_compare(capsys: Out) -> None:
    study = dry(capsys, "compare")
    assert (list(study["network"]), study["seeds"]) == (["event-digits"], [0, 1, 2])
    assert study["methods"] == ["lfp", "surrogate", "scaled-gradient"]


def test_options_change_a_file(capsys: Out) -> None:
    study = dry(capsys, "compare", "study.toml", "--training.clip_norm", "1", "--tune-epochs", "7", "--seeds", "2")
    networks = study["network"]
    assert [networks[n]["seeds"] for n in ("n", "m")] == [[0, 1], [0, 1]]  # type: ignore[index]
    assert [networks[n]["tune"]["epochs"] for n in ("n", "m")] == [7, 7]  # type: ignore[index]
    assert [networks[n]["training"]["clip_norm"] for n in ("n", "m")] == [1.0, 1.0]  # type: ignore[index]
    Path("again.toml").write_text(Path("study.toml").read_text())
    assert dry(capsys, "compare", "again.toml") == dry(capsys, "compare", "study.toml")


def test_interrupted(executor: Inline, capsys: Out) -> None:
    def interrupt(folder: Path) -> None:
        raise KeyboardInterrupt

    executor.before = interrupt
    assert main(["compare", "study.toml"]) == 130
    assert "interrupted; the same command goes on from here" in capsys.readouterr().err


def test_sweeps(executor: Inline, capsys: Out) -> None:
    options = [
        "--space",
        "optimizer.lr=0.01..0.1:log",
        "--space",
        "model.hidden=[8],[16]",
        "--trials",
        "2",
        "--epochs",
        "1",
    ]
    assert main(["sweep", *SMALL, *options, "--method", "surrogate", "--out", "out"]) == 0
    best = load_config("out/best.toml")
    printed = capsys.readouterr().out
    assert printed.startswith(f"best: optimizer.lr {best.optimizer.lr}, model.hidden {best.model.options['hidden']}   ")
    assert printed.endswith("out/best.toml\n")
    assert (best.method.name, best.training.epochs) == ("surrogate", 1)
    assert [folder.name for folder in executor.done] == ["trial0", "trial1"]


def test_a_sweep_of_a_file_and_options(capsys: Out) -> None:
    table = dry(capsys, "sweep", "search.toml", "--space", "training.clip_norm=0..5", "--trials", "3")
    assert table["trials"] == 3
    assert table["data"]["name"] == "mnist"
    assert table["space"] == {
        "optimizer.lr": {"low": 0.1, "high": 0.2, "log": False},
        "training.clip_norm": {"low": 0.0, "high": 5.0, "log": False},
    }


@pytest.mark.parametrize("command", ["compare", "sweep"])
def test_help(command: str, capsys: Out) -> None:
    assert main([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in (f"Usage: lfp-snn {command}", "mnist-mlp", "scaled-gradient", "--workers", "a process of its own"):
        assert words in text


WRONG: dict[str, tuple[list[str], str]] = {
    "unknown option": (["compare", "--seed", "3"], "unknown option --seed: did you mean --training.seed?"),
    "unknown method": (["compare", "--methods", "lpf"], "unknown method 'lpf': did you mean 'lfp'"),
    "unknown preset": (["compare", "--preset", "mnist"], "unknown preset 'mnist': did you mean 'mnist-"),
    "seeds": (["compare", "--seeds", "many"], "seeds: expected an integer or a list of integers, got 'many'"),
    "seed twice": (["compare", "--seeds", "1,1"], "seeds: a number of at least 1, or a list of different ones"),
    "negative trials": (["compare", "--trials", "-1"], "trials: must be at least 0, got -1"),
    "missing file": (["compare", "none.toml"], "cannot read the configuration file none.toml"),
    "networks twice": (["compare", "study.toml", "--preset", "mnist-mlp"], "the networks stand in study.toml: drop"),
    "key of no section": (["compare", "--training.epoch", "3"], "command line: [training] unknown key 'epoch'"),
    "in use": (["compare", "--out", "busy"], "another process is at work in busy"),
    "not a comparison": (["compare", "--out", "."], ". is neither empty nor the folder of a comparison"),
    "no ray": (["compare", "--ray"], "ray is needed here and not installed: pip install 'lfp-snn[ray]'"),
    "no space": (["sweep"], "nothing is searched: name keys and their values in [space], or by --space"),
    "half a space": (["sweep", "--space", "optimizer.lr"], "--space optimizer.lr: write KEY=VALUES"),
    "key of the space": (["sweep", "--space", "optimizer.rl=0..1"], "[optimizer] unknown key 'rl': Known: "),
    "empty range": (["sweep", "--space", "optimizer.lr=1..0"], "[space] optimizer.lr: 1..0 is empty"),
    "sweep in use": (["sweep", "--space", "optimizer.lr=0..1", "--out", "busy"], "another process is at work in busy"),
}


@pytest.mark.parametrize("case", WRONG)
def test_says_what_is_wrong(case: str, executor: Inline, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    executor.before = lambda folder: pytest.fail(f"{folder} was begun")
    arguments, message = WRONG[case]
    with locked(ComparisonFolder("busy").lock_file):
        assert main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("error:")
    assert printed.out == ""
