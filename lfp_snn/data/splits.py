"""Data sets by name: the parts of one, the list of all, and the validation split."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lfp_snn.data.augment import GOLDEN, mix
from lfp_snn.data.batch import Batch
from lfp_snn.data.root import data_root
from lfp_snn.errors import ConfigError, suggest


class BatchDataset(Sized, Protocol):
    """What a data set must be able to do: make a whole batch at once, in a state that depends on the epoch only."""

    labels: NDArray[np.int64]

    def __getitems__(self, indices: list[int]) -> Batch:
        """Make one batch of these examples."""

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; augmentation draws from (seed, epoch, index)."""


@dataclass(frozen=True)
class Splits:
    """A data set in its three parts.

    Attributes
    ----------
    name : str
        Of the data set.
    train, val, test : BatchDataset
        The parts; ``train`` is augmented if that was asked for, the others never are.
    shape : tuple of int
        Of one example, without time and batch.
    classes : int
        Number of classes.
    temporal : bool
        Whether examples have a time axis ([T, B, ...]) or not ([B, ...]).
    class_names : tuple of str
        A name for each class.
    """

    name: str
    train: BatchDataset
    val: BatchDataset
    test: BatchDataset
    shape: tuple[int, ...]
    classes: int
    temporal: bool
    class_names: tuple[str, ...]


Builder = Callable[..., Splits]
"""``builder(root: Path, *, val_fraction: float, seed: int, **options) -> Splits``."""

REGISTRY: dict[str, str | Builder] = {
    "event-digits": "lfp_snn.data.event_digits:event_digits",
    "digits": "lfp_snn.data.static:digits",
    "mnist": "lfp_snn.data.static:mnist",
    "fashion-mnist": "lfp_snn.data.static:fashion_mnist",
    "cifar10": "lfp_snn.data.static:cifar10",
    "nmnist": "lfp_snn.data.tonic_sets:nmnist",
    "dvs-gesture": "lfp_snn.data.tonic_sets:dvs_gesture",
    "cifar10-dvs": "lfp_snn.data.tonic_sets:cifar10_dvs",
    "shd": "lfp_snn.data.hdf5:shd",
    "ssc": "lfp_snn.data.hdf5:ssc",
    "fsdd": "lfp_snn.data.hdf5:fsdd",
    "hdf5": "lfp_snn.data.hdf5:hdf5",
}
"""Name of a data set -> its builder, or ``"module:function"`` that is imported when the data set is first asked for.
Add your own: ``REGISTRY["mine"] = my_builder``."""


def load(
    name: str, root: str | Path | None = None, *, val_fraction: float = 0.1, seed: int = 0, **options: Any
) -> Splits:
    """Load a data set by name.

    Parameters
    ----------
    name : str
        One of `REGISTRY`.
    root : path, optional
        Folder of the data; see `lfp_snn.data.data_root` for the default.
    val_fraction : float
        Part of the training examples that is set aside for validation, stratified by class. A data set that has its
        own validation part keeps it.
    seed : int
        Of the validation split and of augmentation.
    **options
        Options of the data set: `builder_options(name)` lists them.

    Returns
    -------
    Splits
        Its parts.

    Raises
    ------
    ConfigError
        For an unknown name or option (with the closest known one) or an impossible value.
    MissingDataError
        If the data are not there; says what to download and where to put it.

    Examples
    --------
    >>> splits = load("digits")
    >>> splits.shape, splits.classes
    ((1, 8, 8), 10)
    """
    known = builder_options(name)
    for option in options:
        if option not in known:
            raise ConfigError(suggest(option, known, f"option of data set {name!r}"))
    if isinstance(val_fraction, bool) or not isinstance(val_fraction, int | float) or not 0.0 < val_fraction < 1.0:
        raise ConfigError(f"val_fraction must lie between 0 and 1, got {val_fraction!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"seed must be a whole number of at least 0, got {seed!r}")
    return _builder(name)(data_root(root), val_fraction=val_fraction, seed=seed, **options)


def _builder(name: str) -> Builder:
    if name not in REGISTRY:
        raise ConfigError(suggest(name, REGISTRY, "data set"))
    entry = REGISTRY[name]
    if isinstance(entry, str):
        module, _, function = entry.partition(":")
        entry = typing.cast(Builder, getattr(importlib.import_module(module), function))
    return entry


def builder_options(name: str) -> dict[str, Any]:
    """List the options of a data set.

    Parameters
    ----------
    name : str
        Of the data set.

    Returns
    -------
    dict
        Name of each option -> its type. Those of ``**options: Unpack[SomeTypedDict]`` are included.

    Raises
    ------
    ConfigError
        For an unknown name.

    Examples
    --------
    >>> "n_bins" in builder_options("event-digits")
    True
    """
    found: dict[str, Any] = {}
    builder = _builder(name)
    hints = typing.get_type_hints(builder)
    for p in inspect.signature(builder).parameters.values():
        if p.kind is p.VAR_KEYWORD and typing.get_origin(hints.get(p.name)) is typing.Unpack:
            found |= typing.get_type_hints(typing.get_args(hints[p.name])[0])
        elif p.kind is p.KEYWORD_ONLY and p.name not in ("val_fraction", "seed"):
            found[p.name] = hints.get(p.name, Any)
    return found


def stratified_split(labels: ArrayLike, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split examples in two, each class in the same proportion.

    Parameters
    ----------
    labels : array_like
        Class of each example, [N].
    fraction : float
        Part of each class that goes to the second part; at least one example of a class that has two or more.
    seed : int
        The same seed gives the same split, everywhere.

    Returns
    -------
    tuple of ndarray
        Indices of the first and the second part, each ascending.

    Raises
    ------
    ConfigError
        If the fraction does not lie between 0 and 1, or a part would be empty.

    Examples
    --------
    >>> first, second = stratified_split([0] * 10 + [1] * 20, 0.1, seed=0)
    >>> len(first), len(second)
    (27, 3)
    """
    if not 0.0 < fraction < 1.0:
        raise ConfigError(f"the fraction of a split must lie between 0 and 1, got {fraction}")
    y = np.asarray(labels)
    # Not NumPy's generator, whose numbers may change from version to version: a split stays as it is.
    order = mix(mix(np.array([seed & (2**64 - 1)], np.uint64)) + np.arange(len(y), dtype=np.uint64) * GOLDEN)
    second = np.zeros(len(y), bool)
    for c in np.unique(y):
        members = np.flatnonzero(y == c)
        n = min(max(round(fraction * len(members)), 1), len(members) - 1)
        second[members[np.argsort(order[members])[:n]]] = True
    if not second.any() or second.all():
        raise ConfigError(f"{len(y)} examples are too few to set {fraction:.0%} of each class aside")
    return np.flatnonzero(~second), np.flatnonzero(second)
