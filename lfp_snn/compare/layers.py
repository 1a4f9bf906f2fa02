"""What the files of studies and of sweeps have in common: checked fields, and a configuration in layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from lfp_snn.errors import ConfigError, suggest
from lfp_snn.training import presets
from lfp_snn.training.config import Config, apply, read_toml
from lfp_snn.training.values import conform

T = TypeVar("T")
SECTIONS = tuple(f.name for f in dataclasses.fields(Config))
"""The sections of a configuration."""


def fill(defaults: T, values: Any, where: str) -> T:
    """Return a dataclass (fields made by `lfp_snn.training.config.option`) with `values` in place of its own.

    Parameters
    ----------
    defaults : dataclass
        What is below.
    values : mapping
        Field -> value, from TOML.
    where : str
        Where the values come from, for the error messages.

    Raises
    ------
    ConfigError
        For an unknown field, or a value of the wrong type or too small.
    """
    assert dataclasses.is_dataclass(defaults)
    assert not isinstance(defaults, type)
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} is a table, got {values!r}")
    fields = {f.name: f for f in dataclasses.fields(defaults)}
    known_keys(values, fields, where)
    hints = get_type_hints(type(defaults))
    chosen = {}
    for key, value in values.items():
        least = fields[key].metadata.get("least")
        try:
            chosen[key] = conform(value, hints[key])
        except TypeError as e:
            raise ConfigError(f"{where} {key}: {e}") from None
        if least is not None and not chosen[key] >= least:
            raise ConfigError(f"{where} {key}: must be at least {least}, got {value}")
    return dataclasses.replace(defaults, **chosen)


def known_keys(table: Iterable[str], known: Iterable[str], where: str) -> None:
    """Check that all keys of a table mean something.

    Raises
    ------
    ConfigError
        If one does not, with the closest one that does.
    """
    known = list(known)
    for key in table:
        if key not in known:
            raise ConfigError(f"{where} {suggest(key, known, 'key')}")


def resolve(table: Mapping[str, Any], where: str, folder: Path, above: Mapping[str, Any]) -> Config:
    """Return the configuration that a table describes: a preset and/or a file, changed by sections.

    Parameters
    ----------
    table : mapping
        ``preset``, ``file`` and the sections of a configuration.
    where : str
        Where the table comes from, for the error messages.
    folder : path
        What a relative ``file`` is relative to.
    above : mapping
        A last layer, from the command line.

    Raises
    ------
    ConfigError
        For anything wrong in one of the layers, or if nothing says which data to take.

    Examples
    --------
    >>> config = resolve({"preset": "mnist-mlp", "training": {"epochs": 2}}, "here", Path(), {})
    >>> config.data.name, config.training.epochs
    ('mnist', 2)
    """
    config = Config()
    preset, file = table.get("preset"), table.get("file")
    if preset is None and file is None and not any("name" in layer.get("data", {}) for layer in (table, above)):
        raise ConfigError(f'{where} needs a preset = "NAME", a file = "PATH", or data = {{ name = "NAME" }}')
    if preset is not None:
        config = apply(config, presets.read(preset), f"preset {preset}")
    if file is not None:
        config = apply(config, read_toml(folder / file), str(file))
    config = apply(config, {k: v for k, v in table.items() if k not in ("preset", "file")}, where)
    config = apply(config, above, "command line")
    if config.training.devices != 1:
        raise ConfigError(f"{where} training.devices: a run has one process here, take more workers instead")
    return config


def plain_toml(value: Any) -> Any:
    """Return a value without what TOML has not: entries that are None are left out."""
    if isinstance(value, Mapping):
        return {k: plain_toml(v) for k, v in value.items() if v is not None}
    return [plain_toml(v) for v in value] if isinstance(value, list | tuple) else value
