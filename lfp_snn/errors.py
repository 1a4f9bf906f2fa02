"""Every error and warning the package raises on purpose, and two helpers that word them well.

All derive from `LfpError`, so a caller (the command line, for one) can catch what is the user's to fix and let
real bugs through. Each also derives from the built-in exception it refines, so ``except ValueError`` still works.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class LfpError(Exception):
    """Base of all errors of the package."""

    def __str__(self) -> str:
        """Return the message as written (a `FileNotFoundError` base must not turn it into an errno)."""
        return " ".join(str(a) for a in self.args)


class DataError(LfpError, ValueError):
    """Input data are malformed: unsorted times, coordinates outside the sensor, a truncated file, NaN."""


class MissingDataError(LfpError, FileNotFoundError):
    """A data set is not where it was looked for; the message says what to download and where to put it."""


class ShapeError(LfpError, ValueError):
    """A tensor has the wrong shape, dtype or number of dimensions."""


class NonFiniteError(LfpError, ValueError):
    """NaN or infinity came to a neuron or to a reward: the input held it, or training has diverged."""


class ConfigError(LfpError, ValueError):
    """An option, a name or a configuration key is wrong."""


class UnknownLayerError(LfpError, TypeError):
    """A parametrised layer has no rule."""


class CheckpointError(LfpError, RuntimeError):
    """A checkpoint cannot be read or does not fit the model."""


class DivergenceError(LfpError, ArithmeticError):
    """Training came to NaN or infinity; the message says in which epoch, and what is left."""


class MissingExtraError(LfpError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class RewardWarning(UserWarning):
    """A reward was given where it is not shared out as a reward."""


class SilenceWarning(UserWarning):
    """Neurons that never fire: no reward passes through them."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Parameters
    ----------
    module : str
        Dotted name of the module, for example ``"tonic.transforms"``.
    extra : str
        The extra of this package that installs it.

    Returns
    -------
    ModuleType
        The imported module.

    Raises
    ------
    MissingExtraError
        If the module's top-level package is not installed.

    Examples
    --------
    >>> require("json", "events").loads("[1]")
    [1]
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        package = module.partition(".")[0]
        if e.name is None or e.name.partition(".")[0] != package:
            raise  # something the package itself needs is missing: not ours to reword
        raise MissingExtraError(f"{package} is needed here and not installed: pip install 'lfp-snn[{extra}]'") from e


def suggest(name: str, known: Iterable[str], what: str = "name") -> str:
    """Word the message for an unknown name, with the closest known one.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        What exists.
    what : str
        The kind of thing, in the singular.

    Returns
    -------
    str
        The message.

    Examples
    --------
    >>> suggest("nmist", ["mnist", "nmnist"], "data set")
    "unknown data set 'nmist': did you mean 'nmnist'? Known: mnist, nmnist"
    """
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    hint = f" did you mean {close[0]!r}?" if close else ""
    return f"unknown {what} {name!r}:{hint} Known: {', '.join(names) or 'none'}"
