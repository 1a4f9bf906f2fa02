"""Options with a dot."""

from __future__ import annotations

import pytest

from lfp_snn.cli.options import dotted, keys
from lfp_snn.errors import ConfigError
from lfp_snn.training.config import Config, apply

HANDY = ["--epochs", "--data-root"]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], {}),
        (["--model.hidden", "256"], {"model": {"hidden": "256"}}),
        (["--model.hidden=256"], {"model": {"hidden": "256"}}),
        (
            ["--model.hidden", "[64, 32]", "--optimizer.lr", "-1"],
            {"model": {"hidden": "[64, 32]"}, "optimizer": {"lr": "-1"}},
        ),
        (["--training.tensorboard", "--training.epochs", "2"], {"training": {"tensorboard": "true", "epochs": "2"}}),
        (["--data.augment.shift", "2", "--data.augment.flip"], {"data": {"augment": {"shift": "2", "flip": "true"}}}),
        (["--training.epochs", "2", "--training.epochs", "3"], {"training": {"epochs": "3"}}),
        (["--data.root=a=b"], {"data": {"root": "a=b"}}),
    ],
)
def test_reads(tokens: list[str], expected: dict[str, object]) -> None:
    assert dotted(tokens) == expected


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["--epoch", "3"], r"unknown option --epoch: did you mean --epochs\?"),
        (["--lr", "3"], r"unknown option --lr: did you mean --optimizer\.lr\?"),
        (["--batch-size", "3"], r"unknown option --batch-size: did you mean --data\.batch_size\?"),
        (["--xyzzy"], "unknown option --xyzzy: see --help"),
        (["mnist"], "unexpected 'mnist': options begin with --"),
        (["-x", "3"], "unexpected '-x'"),
        (["--model.", "3"], r"unknown option --model\."),
        (["--data.augment", "1", "--data.augment.shift", "2"], "augment was already given a value"),
    ],
)
def test_refuses(tokens: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dotted(tokens, HANDY)


def test_every_field_of_the_configuration_can_be_given() -> None:
    tokens = []
    for key in keys():
        section, name = key[2:].split(".")
        value = getattr(getattr(Config(), section), name)
        tokens += [key, str(value).lower() if isinstance(value, bool) else str(value)]
    assert apply(Config(), dotted(tokens)) == Config()
