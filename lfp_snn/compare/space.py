"""The space of a search: which values a key of the configuration may take, as text or as TOML."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lfp_snn.errors import ConfigError
from lfp_snn.training.values import Text

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*(:log)?\s*")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; integers if both are."""

    low: float
    high: float
    log: bool = False

    @property
    def integer(self) -> bool:
        """Whether only integers are in it."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __contains__(self, value: object) -> bool:
        kinds = int if self.integer else int | float
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high

    def suggest(self, trial: Any, key: str) -> Any:
        """Let an optuna trial choose."""
        if self.integer:
            return trial.suggest_int(key, self.low, self.high, log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)

    def parameter(self, value: Any) -> Any:
        """Return a value of the range as optuna keeps it."""
        return value

    def edges(self) -> list[Any]:
        """Return values such that all others are allowed if these are."""
        return [self.low, self.high]


@dataclass(frozen=True)
class Choice:
    """Some values."""

    values: tuple[Any, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.values

    def suggest(self, trial: Any, key: str) -> Any:
        """Let an optuna trial choose."""
        by_name = {self.parameter(v): v for v in self.values}
        return by_name[trial.suggest_categorical(key, list(by_name))]

    def parameter(self, value: Any) -> Any:
        """Return a value of the choice as optuna keeps it: it takes no lists, so each is named by its text."""
        return str(value) if isinstance(value, str) else json.dumps(value)

    def edges(self) -> list[Any]:
        """Return values such that all others are allowed if these are."""
        return list(self.values)


Space = Mapping[str, Range | Choice]
"""Dotted key of the configuration -> values."""


def parse_space(entries: Mapping[str, Any], where: str = "space") -> dict[str, Range | Choice]:
    """Read the space of a search.

    Parameters
    ----------
    entries : mapping
        Key -> ``"1e-4..1e-1:log"``, ``"2..8"``, ``"reference,conserving"``, a list of values, or a table
        with ``low``, ``high`` and perhaps ``log``. Keys are dotted, or the tables of TOML.
    where : str
        Where it comes from, for the error messages.

    Raises
    ------
    ConfigError
        If an entry is none of these.

    Examples
    --------
    >>> parse_space({"optimizer.lr": "1e-4..1e-1:log", "model": {"hidden": "[256],[512]"}})
    {'optimizer.lr': Range(low=0.0001, high=0.1, log=True), 'model.hidden': Choice(values=([256], [512]))}
    """
    space: dict[str, Range | Choice] = {}
    for key, entry in entries.items():
        at = f"{where} {key}"
        if isinstance(entry, Mapping) and "low" not in entry:
            space |= {f"{key}.{name}": found for name, found in parse_space(entry, at).items()}
        elif isinstance(entry, Mapping):
            if unknown := [*(entry.keys() - {"low", "high", "log"}), *({"low", "high"} - entry.keys())]:
                raise ConfigError(f"{at}: a range is low, high and perhaps log; see {', '.join(sorted(unknown))}")
            space[key] = _range(entry["low"], entry["high"], bool(entry.get("log", False)), at)
        elif isinstance(entry, list):
            space[key] = _choice(entry, at)
        elif isinstance(entry, str):
            space[key] = _parse(entry, at)
        else:
            raise ConfigError(f"{at}: write LOW..HIGH, LOW..HIGH:log, or values separated by commas, not {entry!r}")
    return space


def _parse(text: str, where: str) -> Range | Choice:
    """Read an entry that is a text."""
    if found := _RANGE.fullmatch(text):
        low, high, log = found.groups()
        return _range(_number(low), _number(high), log is not None, where)
    if ".." in text:
        raise ConfigError(f"{where}: a range is LOW..HIGH or LOW..HIGH:log with numbers, got {text!r}")
    try:
        return _choice(tomllib.loads(f"values = [{text}]")["values"], where)
    except tomllib.TOMLDecodeError:  # words without quotes
        return _choice([_word(word.strip()) for word in text.split(",") if word.strip()], where)


def _word(text: str) -> Any:
    """Return a value as TOML has it, or a text without quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return Text(text)


def _number(text: str) -> float:
    """Return an integer where the text is one, else a float."""
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def _range(low: Any, high: Any, log: bool, where: str) -> Range:
    """Make a range, if it is one."""
    for value in (low, high):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"{where}: a range is between numbers, got {value!r}")
    if low >= high or (log and low <= 0):
        raise ConfigError(f"{where}: {low}..{high} is empty" if low >= high else f"{where}: log needs a LOW above 0")
    return Range(low, high, log)


def _choice(values: list[Any], where: str) -> Choice:
    """Make a choice, if there is one."""
    if len(values) < 2 or any(value in values[:k] for k, value in enumerate(values)):
        raise ConfigError(f"{where}: there is nothing to choose between {values}")
    return Choice(tuple(values))


def layer(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted keys and values as a layer for `lfp_snn.training.config.apply`.

    Examples
    --------
    >>> layer({"optimizer.lr": 0.1, "model.neuron_options.beta": 0.9})
    {'optimizer': {'lr': 0.1}, 'model': {'neuron_options': {'beta': 0.9}}}
    """
    tables: dict[str, Any] = {}
    for name, value in values.items():
        *path, key = name.split(".")
        table = tables
        for part in path:
            table = table.setdefault(part, {})
        table[key] = value
    return tables
