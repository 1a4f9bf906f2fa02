"""What every reader and writer does first and last: see whether the file is there, turn failures into a `DataError`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lfp_snn.errors import ConfigError, DataError, LfpError, MissingDataError


def check_whole(name: str, value: int, least: int = 1) -> None:
    """Check a whole number.

    Parameters
    ----------
    name : str
        What to call it in the error.
    value : int
        The number.
    least : int
        The smallest that is right.

    Raises
    ------
    ConfigError
        If it is not a whole number, or smaller.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} must be a whole number of at least {least}, got {value!r}")


def existing_file(path: str | Path) -> Path:
    """Check that a file is there and not empty.

    Parameters
    ----------
    path : path
        Of the file; ``~`` is expanded.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    MissingDataError
        If there is no such file.
    DataError
        If it is a folder, or empty.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a file")
    if not path.is_file():
        raise MissingDataError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    return path


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a library raises while it reads a file into a `DataError` that names the file.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        The format, as a person says it.

    Raises
    ------
    DataError
        For every exception but the package's own. The panic of a reader written in Rust is one too, though Python
        sees it as something outside `Exception`, like an interrupt.
    """
    try:
        yield
    except LfpError:
        raise
    except BaseException as e:
        raise DataError(f"{path}: cannot be read as {what}: {_reason(e)}") from e


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Write a file in one step: what is there stays until the new one is whole.

    Parameters
    ----------
    path : Path
        The file, overwritten if it exists.

    Yields
    ------
    Path
        Where to write; it becomes the file afterwards, and is removed if something goes wrong.

    Raises
    ------
    DataError
        As in `reading`.
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
            temporary = Path(folder) / f"new{path.suffix.lower()}"
            yield temporary
            os.replace(temporary, path)
    except LfpError:
        raise
    except BaseException as e:
        raise DataError(f"{path} cannot be written: {_reason(e)}") from e


def _reason(error: BaseException) -> str:
    """Return the first line of what a library says; an interrupt goes on as one."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text.splitlines() or [type(error).__name__])[0]
