"""What a configuration can name: per section, the things it knows and the arguments each of them takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import torch

from lfp_snn import data, methods, models, rewards, rules
from lfp_snn.errors import ConfigError, suggest
from lfp_snn.training.schedules import SCHEDULES


def _optimizers() -> dict[str, Callable[..., Any]]:
    """Return the optimisers of torch by class name (LBFGS wants a closure: not for this loop)."""
    known = vars(torch.optim).items()
    return {
        name: cls
        for name, cls in known
        if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and name not in ("Optimizer", "LBFGS")
    }


# Section -> what it names; for data, the registry and the options are those of `lfp_snn.data`.
REGISTRIES: dict[str, Mapping[str, Any]] = {
    "data": data.REGISTRY,
    "model": models.MODELS,
    "encoder": data.ENCODERS,
    "method": methods.METHODS,
    "rule": rules.RULES,
    "reward": rewards.REWARDS,
    "optimizer": _optimizers(),
    "schedule": SCHEDULES,
}
# The arguments of a builder that the loop itself supplies.
_SUPPLIED = {
    "model": {"input_shape", "classes"},
    "encoder": {"steps", "generator"},
    "method": {"lfp", "homeostasis", "seed"},
    "rule": {"epsilon"},
    "optimizer": {"params", "lr"},
    "schedule": {"optimizer", "steps"},
}
_WHAT = {"data": "data set", "optimizer": "optimiser"}


def check_name(section: str, name: str) -> None:
    """Check that a section can name this.

    Raises
    ------
    ConfigError
        If nothing has that name, with the closest one that exists.
    """
    if name not in REGISTRIES[section]:
        raise ConfigError(suggest(name, REGISTRIES[section], _WHAT.get(section, section)))


def builder(section: str, name: str) -> Callable[..., Any]:
    """Return what `name` means in a section (other than data, see `lfp_snn.data.load`).

    Raises
    ------
    ConfigError
        If nothing has that name, with the closest one that exists.

    Examples
    --------
    >>> builder("optimizer", "Adam")
    <class 'torch.optim.adam.Adam'>
    """
    check_name(section, name)
    found: Callable[..., Any] = REGISTRIES[section][name]
    return found


def arguments(section: str, name: str) -> dict[str, Any]:
    """Return the arguments that a configuration may give to `name`, each with its type annotation.

    A builder that takes any keyword adds the entry ``"**"``.

    Raises
    ------
    ConfigError
        If nothing has that name.

    Examples
    --------
    >>> arguments("schedule", "cosine")
    {'warmup': <class 'float'>, 'final': <class 'float'>}
    """
    check_name(section, name)
    if section == "data":
        return data.builder_options(name)
    target = builder(section, name)
    parameters = inspect.signature(target).parameters
    try:
        hints = get_type_hints(vars(target).get("__init__", target) if isinstance(target, type) else target)
    except (NameError, TypeError, AttributeError):
        hints = {}
    supplied = _SUPPLIED.get(section, set())
    found = {k: hints.get(k, Any) for k, p in parameters.items() if k not in supplied and p.kind is not p.VAR_KEYWORD}
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        found["**"] = Any
    return found
