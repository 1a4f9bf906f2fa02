"""The configuration: layers, types, TOML, and what is refused."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lfp_snn.errors import ConfigError
from lfp_snn.training.config import Config, apply, load_config, read_toml

MLP = {"model": {"name": "lif-mlp"}}


def test_layers_go_on_top_of_each_other() -> None:
    config = apply(Config(), {"training": {"epochs": 3, "seed": 4}, "optimizer": {"weight_decay": 0.1}})
    config = apply(config, {"training": {"epochs": 5}})
    assert (config.training.epochs, config.training.seed) == (5, 4)
    assert config.optimizer.options == {"weight_decay": 0.1}
    assert config.data == Config().data


def test_options_stay_where_the_new_name_has_them_and_go_where_it_has_not() -> None:
    config = apply(Config(), {"optimizer": {"name": "Adam", "weight_decay": 0.1, "betas": [0.5, 0.6]}})
    config = apply(config, {"optimizer": {"name": "SGD", "momentum": 0.9}})
    assert config.optimizer.options == {"weight_decay": 0.1, "momentum": 0.9}


def test_name_is_applied_before_its_options_whatever_the_order() -> None:
    config = apply(Config(), {"optimizer": {"momentum": 0.9, "name": "SGD"}})
    assert config.optimizer.options == {"momentum": 0.9}


def test_round_trip_through_toml(tmp_path: Path) -> None:
    layer = {
        "data": {"name": "event-digits", "n_bins": 7, "augment": {"shift": 2}},
        "optimizer": {"name": "SGD", "lr": 3, "momentum": 0.9},
        "schedule": {"name": "cosine", "warmup": 0.1},
        "training": {"precision": "bf16-mixed", "tensorboard": True},
    }
    config = apply(Config(), layer)
    (tmp_path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    assert load_config(tmp_path / "config.toml") == config
    assert tomllib.loads(config.to_toml()) == config.to_dict()
    assert apply(Config(), config.to_dict()) == config


def test_every_field_has_a_help_text_and_says_it_in_toml() -> None:
    text = Config().to_toml()
    for section in dataclasses.fields(Config):
        for f in dataclasses.fields(getattr(Config(), section.name)):
            assert f.metadata["help"]
            if f.name != "options":
                assert f.metadata["help"] in text


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown section": ({"trainig": {"epochs": 1}}, "unknown section 'trainig': did you mean 'training'?"),
    "section that is a value": ({"training": 3}, r"training is a section: write \[training\] and a key"),
    "unknown key": ({"training": {"epochz": 1}}, r"\[training\] unknown key 'epochz': did you mean 'epochs'"),
    "unknown option": (
        {"optimizer": {"weight_decy": 1}},
        r"\[optimizer\] unknown key 'weight_decy': did you mean 'weight_d",
    ),
    "unknown data option": ({"data": {"n_bin": 1}}, r"\[data\] unknown key 'n_bin': did you mean 'n_bins'"),
    "option of another thing": ({"optimizer": {"name": "SGD", "betas": [0, 1]}}, "unknown key 'betas'"),
    "unknown data set": ({"data": {"name": "nmist"}}, r"unknown data set 'nmist': did you mean 'nmnist'"),
    "unknown model": ({"model": {"name": "lif-mpl"}}, "unknown model 'lif-mpl': did you mean 'lif-mlp'"),
    "unknown rule": ({"rule": {"name": "epsilom"}}, "unknown rule 'epsilom': did you mean 'epsilon'"),
    "unknown sharing rule": (
        {"rule": {"sharing": "referense"}},
        "sharing: unknown value 'referense': did you mean 'reference'",
    ),
    "option of another rule": ({"rule": {"gamma": 0.1}}, "unknown key 'gamma'"),
    "unknown method": ({"method": {"name": "lpf"}}, r"\[method\] unknown method 'lpf': did you mean 'lfp'"),
    "unknown reward": ({"reward": {"name": "rates"}}, "unknown reward 'rates': did you mean 'rate'"),
    "unknown optimiser": ({"optimizer": {"name": "adam"}}, "unknown optimiser 'adam': did you mean 'Adam'"),
    "optimiser for closures": ({"optimizer": {"name": "LBFGS"}}, "unknown optimiser 'LBFGS'"),
    "unknown schedule": ({"schedule": {"name": "cosin"}}, "unknown schedule 'cosin': did you mean 'cosine'"),
    "unknown precision": ({"training": {"precision": "16"}}, "precision: unknown value '16'"),
    "precision as number": ({"training": {"precision": 32}}, "precision: expected a text, got 32"),
    "text for a number": ({"training": {"epochs": "three"}}, "epochs: expected an integer, got 'three'"),
    "fraction of an epoch": ({"training": {"epochs": 1.5}}, "epochs: expected an integer, got 1.5"),
    "boolean for a number": ({"optimizer": {"lr": True}}, "lr: expected a number, got True"),
    "number for a boolean": ({"training": {"deterministic": 1}}, "deterministic: expected true or false, got 1"),
    "option of a wrong type": ({"optimizer": {"weight_decay": "much"}}, "weight_decay: expected a number, got 'much'"),
    "negative epochs": ({"training": {"epochs": -1}}, "epochs: must be at least 0, got -1"),
    "no devices": ({"training": {"devices": 0}}, "devices: must be at least 1, got 0"),
    "empty batches": ({"data": {"batch_size": 0}}, "batch_size: must be at least 1, got 0"),
    "no training data": ({"data": {"val_fraction": 1.0}}, "val_fraction: must be from 0.01 to 0.9, got 1.0"),
    "NaN": ({"optimizer": {"lr": float("nan")}}, "lr: must be at least 0, got nan"),
    "negative clip": ({"training": {"clip_norm": -1}}, "clip_norm: must be at least 0, got -1.0"),
    "negative seed": ({"training": {"seed": -1}}, "seed: must be at least 0, got -1"),
    "the options as a key": ({"optimizer": {"options": {}}}, "unknown key 'options'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refuses(case: str) -> None:
    layer, message = WRONG[case]
    with pytest.raises(ConfigError, match=message) as error:
        apply(Config(), layer, "mine.toml")
    assert str(error.value).startswith("mine.toml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration file .*none\.toml: No such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot read the configuration file"):
        read_toml(tmp_path)
    (tmp_path / "bad.toml").write_text("[training\nepochs = 3", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.toml is not valid TOML: .*line 1"):
        read_toml(tmp_path / "bad.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        read_toml(tmp_path / "binary.toml")
