"""One process at a time: a lock on a file that the system takes back when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lfp_snn.errors import ConfigError


@contextmanager
def locked(path: Path, *, refuse: str = "") -> Iterator[None]:
    """Hold a lock inside.

    Parameters
    ----------
    path : path
        The file that stands for what is locked; it is made if need be, and left behind.
    refuse : str
        What to say if another process holds the lock. Default: wait until it does not.

    Raises
    ------
    ConfigError
        With the text `refuse`, if there is one, when another process holds the lock.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, locked(Path(folder) / "lock"):
    ...     with locked(Path(folder) / "lock", refuse="somebody is here"):
    ...         pass
    Traceback (most recent call last):
    lfp_snn.errors.ConfigError: somebody is here
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refuse else 0))
        except BlockingIOError:
            raise ConfigError(refuse) from None
        yield
