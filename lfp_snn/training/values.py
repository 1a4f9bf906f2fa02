"""Check a value against a type annotation: what a configuration file or the command line may give.

TOML brings integers, floats, booleans, strings, lists and tables; the command line brings text. `conform` turns either
into what an annotation asks for, or raises `TypeError` saying what was expected.
"""

from __future__ import annotations

import collections.abc
import tomllib
import types
import typing
from typing import Any, Literal, Union, get_args, get_origin

_SEQUENCES = (list, tuple, collections.abc.Sequence, collections.abc.Iterable)
_MAPPINGS = (dict, collections.abc.Mapping)
_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a text", type(None): "nothing"}


class Text(str):
    """A value as typed on the command line, not yet read as a number, a list or a word."""

    __slots__ = ()


def describe(hint: Any) -> str:
    """Word what a type annotation accepts.

    Examples
    --------
    >>> describe(list[int])
    'a list of integers'
    >>> describe(float | None)
    'a number or nothing'
    """
    origin, args = get_origin(hint), get_args(hint)
    if hint in _NAMES:
        return _NAMES[hint]
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in args)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(a) for a in args)
    if (origin or hint) in _SEQUENCES:
        items = {describe(a) for a in args if a is not Ellipsis and not isinstance(a, typing.TypeVar)}
        return "a list" if len(items) != 1 else f"a list of {items.pop().split(maxsplit=1)[-1]}s"
    if (origin or hint) in _MAPPINGS:
        return "a table"
    return str(getattr(hint, "__name__", hint))


def conform(value: Any, hint: Any) -> Any:
    """Return `value` as the type that `hint` asks for.

    An integer is taken for a float; nothing else is converted, except `Text`, which is read as TOML (``3``, ``0.5``,
    ``true``, ``[64, 32]``, also without the brackets) wherever the annotation is not ``str``.

    Parameters
    ----------
    value : Any
        A value from TOML, or `Text`.
    hint : Any
        A type annotation built from bool, int, float, str, None, Literal, unions, sequences and mappings.

    Raises
    ------
    TypeError
        If the value does not fit; the message says what was expected.

    Examples
    --------
    >>> conform(3, float)
    3.0
    >>> conform(Text("64,32"), list[int])
    [64, 32]
    """
    if isinstance(value, Text):
        return _conform_text(value, hint)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return value
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        # The exact type first, so that 3 stays an integer in ``float | int``.
        for option in sorted(args, key=lambda a: a is not type(value)):
            try:
                return conform(value, option)
            except TypeError:
                continue
    elif origin is Literal:
        if value in args:
            return value
    elif origin in _SEQUENCES:
        if isinstance(value, list | tuple):
            return _conform_items(value, origin, args)
    elif origin in _MAPPINGS:
        if isinstance(value, dict):
            return {k: conform(v, args[1]) if args else v for k, v in value.items()}
    elif hint is None or hint is type(None):
        if value is None:
            return None
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif type(value) is hint:
        return value
    raise TypeError(f"expected {describe(hint)}, got {value!r}")


def _conform_items(value: list[Any] | tuple[Any, ...], origin: Any, args: tuple[Any, ...]) -> Any:
    """Check every item of a list."""
    if origin is tuple and args and args[-1] is not Ellipsis:
        if len(value) != len(args):
            raise TypeError(f"expected {len(args)} values, got {len(value)}: {list(value)}")
        return tuple(conform(v, a) for v, a in zip(value, args, strict=True))
    items = [conform(v, args[0] if args else Any) for v in value]
    return tuple(items) if origin is tuple else items


def _conform_text(text: Text, hint: Any) -> Any:
    """Read text: as it stands where a string is wanted, else as TOML."""
    raw = str(text)
    readings = []
    for candidate in (raw, f"[{raw}]"):
        try:
            readings.append(tomllib.loads(f"value = {candidate}")["value"])
        except tomllib.TOMLDecodeError:
            continue
    lowered = raw.strip().lower()
    if lowered in ("true", "false"):
        readings.insert(0, lowered == "true")
    if lowered == "none":
        readings.insert(0, None)
    if hint is str:
        return raw
    for reading in [*readings, raw]:
        try:
            return conform(reading, hint)
        except TypeError:
            continue
    raise TypeError(f"expected {describe(hint)}, got {raw!r}")
