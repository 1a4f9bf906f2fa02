"""Values against type annotations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfp_snn.training.values import Text, conform, describe


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (0.5, float, 0.5),
        (True, bool, True),
        ("a", str, "a"),
        ("rate", Literal["rate", "latency"], "rate"),
        (None, int | None, None),
        (3, float | int, 3),
        (3, int | float, 3),
        ([1, 2], list[int], [1, 2]),
        ([1, 2], Sequence[int], [1, 2]),
        ([1, 2], tuple[float, ...], (1.0, 2.0)),
        ([1, 2], tuple[int, float], (1, 2.0)),
        ([1, "a"], Iterable, [1, "a"]),
        ({"a": 1}, Mapping[str, float], {"a": 1.0}),
        ({"a": [1]}, dict, {"a": [1]}),
        ({"a": 1}, Path | dict[str, Any] | None, {"a": 1}),
        ([1], Any, [1]),
    ],
)
def test_accepts(value: object, hint: object, expected: object) -> None:
    result = conform(value, hint)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("text", "hint", "expected"),
    [
        ("3", int, 3),
        ("-3", int, -3),
        ("3", float, 3.0),
        ("1e-3", float, 1e-3),
        ("3", str, "3"),
        ("true", bool, True),
        ("False", bool, False),
        ("none", int | None, None),
        ("64", int | Sequence[int], 64),
        ("64", Sequence[int], [64]),
        ("64,32", Sequence[int], [64, 32]),
        ("[64, 32]", int | list[int], [64, 32]),
        ("0.9, 0.99", tuple[float, float], (0.9, 0.99)),
        ("a word", int | str, "a word"),
        ("12", Any, 12),
        ("word", Any, "word"),
        ("rate", Literal["rate", "latency"], "rate"),
        ("2", Literal[1, 2], 2),
        ("{ shift = 2 }", dict[str, int], {"shift": 2}),
    ],
)
def test_reads_text(text: str, hint: object, expected: object) -> None:
    result = conform(Text(text), hint)
    assert result == expected
    assert type(result) is type(expected)


def test_reads_text_inside_tables() -> None:
    assert conform({"shift": Text("2"), "name": Text("x")}, dict[str, Any] | None) == {"shift": 2, "name": "x"}


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        (0.5, int, "expected an integer, got 0.5"),
        (True, int, "expected an integer, got True"),
        (1, bool, "expected true or false, got 1"),
        (True, float, "expected a number, got True"),
        ("3", int, "expected an integer, got '3'"),
        (3, str, "expected a text, got 3"),
        ([1, "a"], list[int], "expected an integer, got 'a'"),
        ("ab", Sequence[str], "expected a list of texts, got 'ab'"),
        ([1, 2, 3], tuple[int, int], "expected 2 values, got 3"),
        ("fast", Literal["rate", "latency"], "expected one of 'rate', 'latency'"),
        (None, int | float, "expected an integer or a number, got None"),
        (3, Path, "expected Path, got 3"),
        (Text("abc"), int, "expected an integer, got 'abc'"),
        (Text("1,a"), list[int], "expected a list of integers, got '1,a'"),
    ],
)
def test_refuses(value: object, hint: object, message: str) -> None:
    with pytest.raises(TypeError) as error:
        conform(value, hint)
    assert message in str(error.value)


@given(st.text(), st.sampled_from([int, float, bool, str, list[int], int | None, dict[str, float], Any]))
def test_any_text_is_read_or_refused(text: str, hint: Any) -> None:
    with contextlib.suppress(TypeError):  # nothing else may come
        conform(Text(text), hint)


def test_describe_names_nested_types() -> None:
    assert describe(int | Sequence[float] | None) == "an integer or a list of numbers or nothing"
    assert describe(dict[str, int]) == "a table"
