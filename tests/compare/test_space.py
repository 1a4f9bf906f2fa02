"""Spaces of a search, as they are typed and as TOML has them."""

from __future__ import annotations

from typing import Any

import pytest

from lfp_snn.compare.space import Choice, Range, layer, parse_space
from lfp_snn.errors import ConfigError

RIGHT: dict[str, tuple[Any, Range | Choice]] = {
    "logarithmic": ("1e-4..1e-1:log", Range(1e-4, 1e-1, log=True)),
    "linear": ("-0.5 .. .5", Range(-0.5, 0.5)),
    "integers": ("2..8", Range(2, 8)),
    "words": ("reference,conserving", Choice(("reference", "conserving"))),
    "lists": ("[256],[512,64]", Choice(([256], [512, 64]))),
    "numbers": ("16, 32", Choice((16, 32))),
    "numbers and words": ("16, none", Choice((16, "none"))),
    "truth": ("true,false", Choice((True, False))),
    "list of TOML": ([1, 2.5], Choice((1, 2.5))),
    "table of TOML": ({"low": 1, "high": 3, "log": True}, Range(1, 3, log=True)),
}


@pytest.mark.parametrize("case", RIGHT)
def test_reads(case: str) -> None:
    text, expected = RIGHT[case]
    found = parse_space({"model.key": text})["model.key"]
    assert found == expected
    if isinstance(found, Range):
        assert found.integer == (case in ("integers", "table of TOML"))


def test_tables_in_tables_are_dotted_keys() -> None:
    space = parse_space({"model": {"neuron_options": {"beta": "0.5..0.9"}, "hidden": [[1], [2]]}})
    assert list(space) == ["model.neuron_options.beta", "model.hidden"]
    assert layer({"model.neuron_options.beta": 0.5, "model.hidden": [1]}) == {
        "model": {"neuron_options": {"beta": 0.5}, "hidden": [1]}
    }


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("3..1", "3..1 is empty"),
        ("0..1:log", "log needs a LOW above 0"),
        ("a..b", "a range is LOW..HIGH or LOW..HIGH:log with numbers, got 'a..b'"),
        ("1..2:lin", "a range is LOW..HIGH or LOW..HIGH:log"),
        ("1", "there is nothing to choose between [1]"),
        ("1,1", "there is nothing to choose between [1, 1]"),
        ("", "there is nothing to choose between []"),
        (3, "write LOW..HIGH, LOW..HIGH:log, or values separated by commas, not 3"),
        ({"low": 1}, "a range is low, high and perhaps log; see high"),
        ({"low": 1, "high": 2, "step": 1}, "a range is low, high and perhaps log; see step"),
        ({"low": "1", "high": 2}, "a range is between numbers, got '1'"),
    ],
)
def test_says_what_is_wrong(entry: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_space({"optimizer.lr": entry})
    assert message in str(error.value)
    assert "space optimizer.lr" in str(error.value)


def test_knows_what_lies_in_it() -> None:
    assert 3 in Range(1, 3)
    assert 3.5 not in Range(1, 4)
    assert True not in Range(0, 3)
    assert 2 in Range(1.0, 3.0)
    assert [1] in Choice(([1], [2]))
    assert [3] not in Choice(([1], [2]))
