"""Data sets by name, and the validation split."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfp_snn.data import REGISTRY, EventOptions, Splits, builder_options, load, stratified_split
from lfp_snn.errors import ConfigError


def test_every_entry_can_be_imported_and_lists_its_options() -> None:
    for name in REGISTRY:
        options = builder_options(name)
        assert options, name
        assert "val_fraction" not in options


def test_event_data_sets_share_their_options() -> None:
    for name in ("event-digits", "nmnist", "shd", "ssc", "fsdd", "dvs-gesture", "cifar10-dvs", "hdf5"):
        assert EventOptions.__annotations__.keys() <= builder_options(name).keys()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("event-digit", {}, "unknown data set 'event-digit': did you mean 'event-digits'"),
        ("nmist", {}, "did you mean '(n)?mnist'"),
        ("zzz", {}, "unknown data set 'zzz': Known: cifar10, "),
        ("event-digits", {"n_bin": 5}, "unknown option of data set 'event-digits' 'n_bin': did you mean 'n_bins'"),
        ("digits", {"normalize": True}, "did you mean 'normalise'"),
        ("digits", {"n_bins": 5}, "Known: augment, normalise"),
        ("digits", {"val_fraction": 0.0}, "val_fraction must lie between 0 and 1, got 0.0"),
        ("digits", {"val_fraction": 1.0}, "val_fraction must"),
        ("digits", {"val_fraction": "a tenth"}, "val_fraction must"),
        ("digits", {"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ("digits", {"seed": 0.5}, "seed must"),
    ],
)
def test_bad_names_and_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(name, **options)


def test_a_data_set_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def mine(root: Path, *, val_fraction: float, seed: int, size: int = 3, **options: Unpack[EventOptions]) -> Splits:
        assert (root, val_fraction, seed, size, options) == (tmp_path, 0.3, 5, 4, {"n_bins": 2})
        return load("digits")

    monkeypatch.setitem(REGISTRY, "mine", mine)
    assert builder_options("mine")["size"] is int
    assert load("mine", tmp_path, val_fraction=0.3, seed=5, size=4, n_bins=2).name == "digits"


@given(st.lists(st.integers(0, 4), min_size=10, max_size=200), st.floats(0.05, 0.95), st.integers(0, 2**40))
def test_split_is_stratified(labels: list[int], fraction: float, seed: int) -> None:
    y = np.array(labels)
    if max(np.bincount(y)) < 2:
        return
    first, second = stratified_split(y, fraction, seed)
    assert sorted([*first, *second]) == list(range(len(y)))
    assert (np.diff(first) > 0).all()
    for c in np.unique(y):
        n = int((y == c).sum())
        got = int((y[second] == c).sum())
        assert abs(got - fraction * n) <= 1
        assert got >= (n >= 2)
        assert got <= max(n - 1, 0)


def test_split_depends_on_the_seed_alone() -> None:
    y = np.arange(100) % 10
    assert (stratified_split(y, 0.2, 1)[1] == stratified_split(y, 0.2, 1)[1]).all()
    assert (stratified_split(y, 0.2, 1)[1] != stratified_split(y, 0.2, 2)[1]).any()


@pytest.mark.parametrize(
    ("labels", "fraction"), [([0, 0], 0.0), ([0, 0], 1.0), ([0, 0], -1.0), ([0, 1], 0.5), ([], 0.5)]
)
def test_impossible_splits(labels: list[int], fraction: float) -> None:
    with pytest.raises(ConfigError, match=r"between 0 and 1|too few"):
        stratified_split(labels, fraction, 0)


def test_validation_split_follows_the_seed() -> None:
    a, b, c = (load("digits", seed=s).val.labels for s in (0, 0, 1))
    assert (a == b).all()
    assert (a != c).any()
    assert abs(len(load("digits", val_fraction=0.25).val) - 1438 * 0.25) < 6
