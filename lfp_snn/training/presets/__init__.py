"""Presets: named configurations, one TOML file each in this folder."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from lfp_snn.errors import ConfigError, suggest


def names() -> list[str]:
    """Return the names of all presets.

    Examples
    --------
    >>> "event-digits" in names()
    True
    """
    return sorted(f.name.removesuffix(".toml") for f in files(__package__).iterdir() if f.name.endswith(".toml"))


def text(name: str) -> str:
    """Return the TOML text of a preset; its first line is a comment that says what it is.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in names():
        raise ConfigError(suggest(name, names(), "preset"))
    return files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def read(name: str) -> dict[str, Any]:
    """Return a preset as a layer for `lfp_snn.training.config.apply`.

    Raises
    ------
    ConfigError
        If there is none of that name.

    Examples
    --------
    >>> read("event-digits")["data"]["name"]
    'event-digits'
    """
    return tomllib.loads(text(name))


def title(name: str) -> str:
    """Return the line that says what a preset is."""
    return text(name).splitlines()[0].lstrip("# ")
