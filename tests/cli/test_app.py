"""The program: what works, and how it says what does not."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from lfp_snn.cli import main
from lfp_snn.data import make_events
from lfp_snn.data.recordings import Recording, write_recording
from lfp_snn.training import RunFolder
from lfp_snn.training.config import Config

SMALL = ["--data", "digits", "--model.hidden", "20", "--encoder.steps", "4", "--training.figures", "false"]
Out = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("LFP_SNN_DATA", raising=False)


def test_train_then_eval(capsys: Out) -> None:
    assert main(["train", *SMALL, "--epochs", "1", "--seed", "3", "--out", "run", "--optimizer.lr=0.01"]) == 0
    printed = capsys.readouterr()
    summary = RunFolder.open("run").summary()
    assert summary is not None
    assert printed.out == f"test accuracy {100 * summary['test_accuracy']:.2f} %   run\n"
    assert "epoch 1/1" in printed.err
    assert (summary["seed"], summary["config"]["optimizer"]["lr"]) == (3, 0.01)
    assert summary["config"]["model"]["hidden"] == [20]

    assert main(["eval", "run"]) == 0
    printed = capsys.readouterr()
    assert f"test accuracy {100 * summary['test_accuracy']:.2f} %" in printed.out
    assert "most often taken for" in printed.out
    assert "firing rate" in printed.out
    assert main(["eval", "run", "--split", "val", "--checkpoint", "last", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["accuracy"] == summary["best_val_accuracy"]

    assert main(["train", "--resume", "run"]) == 0
    assert capsys.readouterr().out == f"test accuracy {100 * summary['test_accuracy']:.2f} %   run\n"


def test_default_folder_is_named_after_the_data_and_the_seed() -> None:
    assert main(["train", *SMALL, "--epochs", "0", "--seed", "2"]) == 0
    (run,) = Path("runs/digits").iterdir()
    assert run.name.endswith("-seed2")


def dry(capsys: Out, *arguments: str) -> dict[str, dict[str, object]]:
    assert main(["train", *arguments, "--dry-run"]) == 0
    return tomllib.loads(capsys.readouterr().out)


def test_later_layers_win(capsys: Out) -> None:
    assert dry(capsys)["data"]["name"] == "event-digits"
    Path("mine.toml").write_text("[training]\nepochs = 41\nseed = 5\n[data]\nbatch_size = 7\n")
    table = dry(capsys, "--preset", "mnist-mlp", "--config", "mine.toml", "--seed", "6", "--training.clip_norm", "2")
    assert table["data"]["name"] == "mnist"
    assert table["data"]["batch_size"] == 7
    assert table["encoder"]["steps"] == 8
    assert (table["training"]["epochs"], table["training"]["seed"]) == (41, 6)
    assert table["training"]["clip_norm"] == 2.0
    assert list(Path().iterdir()) == [Path("mine.toml")]


def test_handy_options_stand_for_keys(capsys: Out) -> None:
    options = ["--data", "mnist", "--model", "lif-cnn", "--method", "surrogate", "--epochs", "3", "--seed", "4"]
    table = dry(capsys, *options, "--devices", "2", "--data-root", "there", "--rule", "gamma")
    assert (table["data"]["name"], table["data"]["root"], table["model"]["name"]) == ("mnist", "there", "lif-cnn")
    assert (table["method"]["name"], table["rule"]["name"]) == ("surrogate", "gamma")
    assert (table["training"]["epochs"], table["training"]["seed"], table["training"]["devices"]) == (3, 4, 2)
    table = dry(capsys, "--rule", "conserving")
    assert (table["rule"]["name"], table["rule"]["sharing"]) == ("epsilon", "conserving")


def test_a_dry_run_is_a_config_file(capsys: Out) -> None:
    assert main(["train", "--preset", "fsdd-alif", "--dry-run"]) == 0
    Path("mine.toml").write_text(capsys.readouterr().out)
    assert dry(capsys, "--config", "mine.toml") == dry(capsys, "--preset", "fsdd-alif")


@pytest.mark.parametrize("command", [[], ["train"], ["eval"], ["data"], ["data", "show"], ["show"], ["convert"]])
def test_help(command: list[str], capsys: Out) -> None:
    assert main([*command, "--help"]) == 0
    assert "Usage: lfp-snn" in capsys.readouterr().out


def test_help_names_presets_models_and_rules(capsys: Out) -> None:
    main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name in ("fsdd-recurrent", "lif-cnn", "reference", "alpha-beta", "lfp-snn train --preset mnist-mlp"):
        assert name in text


def _full() -> None:
    RunFolder.create("run", Config())


def _no_checkpoint() -> None:
    RunFolder.create("run", Config())


def _truncated_checkpoint() -> None:
    RunFolder.create("run", Config()).best.write_bytes(b"PK\x03\x04")


def _bad_toml() -> None:
    Path("bad.toml").write_text("epochs == 3")


def _truncated_recording() -> None:
    Path("bad.aedat4").write_bytes(b"#!AER-DAT4.0\r\n")


WRONG: dict[str, tuple[list[str], str]] = {
    "unknown command": (["trian"], 'Unknown command "trian"'),
    "unknown option": (["train", "--epoch", "3"], "unknown option --epoch: did you mean --epochs?"),
    "key without section": (["train", "--lr", "0.1"], "unknown option --lr: did you mean --optimizer.lr?"),
    "unknown key": (
        ["train", "--model.hiden", "3"],
        "command line: [model] unknown key 'hiden': did you mean 'hidden'",
    ),
    "unknown section": (["train", "--modle.hidden", "3"], "unknown section 'modle': did you mean 'model'"),
    "wrong type": (["train", "--training.epochs", "many"], "[training] epochs: expected an integer, got 'many'"),
    "wrong type of a handy option": (["train", "--epochs", "many"], 'unable to convert "many" into int'),
    "missing value": (["train", "--preset"], "requires an argument"),
    "stray argument": (["train", "mnist"], "unexpected 'mnist'"),
    "unknown preset": (["train", "--preset", "mnist"], "unknown preset 'mnist': did you mean 'mnist-"),
    "unknown data set": (["train", "--data", "mnits"], "unknown data set 'mnits': did you mean 'mnist'"),
    "unknown model": (["train", "--model", "lif-mpl"], "unknown model 'lif-mpl': did you mean 'lif-mlp'"),
    "unknown rule": (["train", "--rule", "conservng"], "unknown rule 'conservng': did you mean 'conserving'"),
    "unknown optimiser": (["train", "--optimizer.name", "Adan"], "unknown optimiser 'Adan': did you mean 'Adam'"),
    "negative epochs": (["train", "--epochs", "-1"], "epochs: must be at least 0, got -1"),
    "no devices": (["train", "--devices", "0"], "devices: must be at least 1, got 0"),
    "missing file": (["train", "--config", "none.toml"], "cannot read the configuration file none.toml"),
    "bad file": (["train", "--config", "bad.toml"], "bad.toml is not valid TOML"),
    "folder in use": (["train", "--out", "run"], "run is not empty: choose another --out"),
    "resume of no run": (["train", "--resume", "none"], "none is not the folder of a run"),
    "resume with options": (
        ["train", "--resume", "run", "--epochs", "3"],
        "keeps its configuration: drop --training.epochs",
    ),
    "missing data": (["train", "--preset", "nmnist-mlp", "--data-root", "no"], "data set 'nmnist' is not there"),
    "eval without run": (["eval"], "requires an argument"),
    "eval of no run": (["eval", "none"], "none is not the folder of a run"),
    "eval of an unfinished run": (["eval", "run"], "there is no checkpoint run/checkpoints/best.pt"),
    "eval of a truncated checkpoint": (["eval", "run"], "best.pt is truncated or not a checkpoint"),
    "eval of an unknown split": (["eval", "run", "--split", "tests"], "Choose from"),
    "show of an unknown data set": (["data", "show", "nmnits"], "unknown data set 'nmnits': did you mean 'nmnist'"),
    "show of a missing recording": (["data", "show", "none.raw"], "there is no file none.raw"),
    "show of a truncated recording": (["data", "show", "bad.aedat4"], "bad.aedat4"),
    "show of a missing sample": (["data", "show", "digits", "--sample", "99999"], "--sample must lie between 0 and"),
    "option of another section": (["data", "show", "digits", "--model.hidden", "3"], "only options of the data set"),
    "prepare of missing data": (["data", "prepare", "shd", "--data-root", "no"], "data set 'shd' is not there"),
}
PREPARE: dict[str, Callable[[], None]] = {
    "bad file": _bad_toml,
    "folder in use": _full,
    "resume with options": _full,
    "eval of an unfinished run": _no_checkpoint,
    "eval of a truncated checkpoint": _truncated_checkpoint,
    "show of a truncated recording": _truncated_recording,
}


@pytest.mark.parametrize("case", WRONG)
def test_says_what_is_wrong(case: str, capsys: Out) -> None:
    PREPARE.get(case, lambda: None)()
    arguments, message = WRONG[case]
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("error:")
    assert printed.err.count("\n") <= 3
    assert printed.out == ""


def test_interrupted(capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lfp_snn.training.loop.Run.train_epoch", interrupt)
    assert main(["train", *SMALL, "--out", "run"]) == 130
    assert "interrupted; go on with: lfp-snn train --resume run" in capsys.readouterr().err


def test_data_list(capsys: Out) -> None:
    assert main(["data", "list"]) == 0
    text = capsys.readouterr().out
    for name in ("event-digits", "nmnist", "fsdd", "n_bins: an integer"):
        assert name in text


def test_data_show(capsys: Out) -> None:
    assert main(["data", "show", "event-digits", "--data.n_bins", "6", "--sample", "2", "--out", "all.png"]) == 0
    text = capsys.readouterr().out
    assert "1438" not in text  # a tenth of the training part is for validation
    assert "359" in text
    assert "6 steps of 2 x 20 x 20" in text
    assert "@" in text
    assert Path("all.png").stat().st_size > 1000


def test_data_prepare(capsys: Out) -> None:
    assert main(["data", "prepare", "digits"]) == 0
    assert "359 test examples read" in capsys.readouterr().out


def test_show_a_recording(capsys: Out) -> None:
    events = make_events([0, 3, 3, 1], [1, 1, 1, 0], [10, 20, 30, 2_000_010], [True, True, False, True])
    write_recording("four.npz", Recording(events, (4, 2, 2), "npz"))
    assert main(["data", "show", "four.npz", "--out", "four.png"]) == 0
    text = capsys.readouterr().out
    for words in ("4 x 2, 2 polarities", "2 s", "2 events/s", "75.0 % ON, 25.0 % OFF", "3 of 8 pixels"):
        assert words in text
    assert text.splitlines()[-3:-1] == ["  :::", "@@    @@"] or "@@" in text
    assert Path("four.png").stat().st_size > 1000
