"""Presets."""

from __future__ import annotations

import pytest

from lfp_snn.errors import ConfigError
from lfp_snn.training import presets
from lfp_snn.training.config import Config, apply

REQUIRED = {
    "event-digits", "mnist-mlp", "mnist-cnn", "fashion-mnist-mlp", "fashion-mnist-cnn",
    "nmnist-mlp", "nmnist-cnn", "fsdd-recurrent", "fsdd-alif", "cifar10-deep",
}  # fmt: skip


def test_all_are_there() -> None:
    assert set(presets.names()) >= REQUIRED


@pytest.mark.parametrize("name", presets.names())
def test_each_is_a_valid_configuration_and_says_what_it_is(name: str) -> None:
    config = apply(Config(), presets.read(name), name)
    assert config.training.epochs >= 1
    assert len(presets.title(name)) > 20
    assert presets.text(name).startswith("# ")


def test_unknown() -> None:
    with pytest.raises(ConfigError, match="unknown preset 'mnist-mpl': did you mean 'mnist-mlp'"):
        presets.read("mnist-mpl")
