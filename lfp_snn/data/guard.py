"""What every reader does first and last: see whether the file is there, and turn failures into a `DataError`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lfp_snn.errors import DataError, LfpError, MissingDataError


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
        if not isinstance(e, Exception) and type(e).__name__ != "PanicException":
            raise
        reason = (str(e).splitlines() or [type(e).__name__])[0]
        raise DataError(f"{path}: cannot be read as {what}: {reason}") from e
