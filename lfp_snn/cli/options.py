"""Options with a dot, ``--model.hidden 256``: every key of the configuration, as a layer on top of the rest."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lfp_snn.errors import ConfigError
from lfp_snn.training.config import Config
from lfp_snn.training.values import Text


def subject_of(tokens: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """Return what a command is about, if its first token says so, and the tokens after it.

    Examples
    --------
    >>> subject_of(["study.toml", "--training.epochs", "2"])
    ('study.toml', ['--training.epochs', '2'])
    >>> subject_of(["--training.epochs", "2"])
    (None, ['--training.epochs', '2'])
    """
    if tokens and not tokens[0].startswith("-"):
        return tokens[0], tokens[1:]
    return None, tokens


def dotted(tokens: Iterable[str], handy: Iterable[str] = ()) -> dict[str, Any]:
    """Read ``--section.key value`` options as a layer for `lfp_snn.training.config.apply`.

    Parameters
    ----------
    tokens : iterable of str
        What the command line has besides the options that the command itself knows.
    handy : iterable of str
        The options the command knows, for a "did you mean".

    Returns
    -------
    dict
        Section -> key -> `Text`. A deeper key (``--data.augment.shift 2``) makes a table in the table.

    Raises
    ------
    ConfigError
        If a token is not such an option.

    Examples
    --------
    >>> dotted(["--model.hidden", "256", "--training.tensorboard"])
    {'model': {'hidden': '256'}, 'training': {'tensorboard': 'true'}}
    """
    layer: dict[str, Any] = {}
    for name, value in _pairs(list(tokens), list(handy)):
        *path, key = name.split(".")
        table = layer
        for part in path:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"--{name}: {part} was already given a value")
        table[key] = Text(value)
    return layer


def _pairs(tokens: list[str], handy: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each option; one without a value is switched on."""
    position = 0
    while position < len(tokens):
        name, equals, value = tokens[position].partition("=")
        position += 1
        if not name.startswith("--"):
            raise ConfigError(f"unexpected {name!r}: options begin with --")
        if "." not in name or "" in name[2:].split("."):
            raise ConfigError(_unknown(name, handy))
        if not equals:
            if position < len(tokens) and not tokens[position].startswith("--"):
                value = tokens[position]
                position += 1
            else:
                value = "true"
        yield name[2:], value


def _unknown(name: str, handy: list[str]) -> str:
    """Word the error for an option nobody knows: perhaps a misspelt one, perhaps a key without its section."""
    close = difflib.get_close_matches(name, [*handy, *keys()], n=1)
    inside = [full for full in keys() if full.rpartition(".")[2] == name[2:].replace("-", "_")]
    hint = next(iter([*inside, *close]), None)
    return f"unknown option {name}" + (f": did you mean {hint}?" if hint else ": see --help")


def keys() -> list[str]:
    """Return the options of all fields of the configuration.

    Examples
    --------
    >>> keys()[0]
    '--data.name'
    """
    config = Config()
    sections = [(s.name, getattr(config, s.name)) for s in dataclasses.fields(config)]
    return [f"--{name}.{f.name}" for name, value in sections for f in dataclasses.fields(value) if f.name != "options"]
