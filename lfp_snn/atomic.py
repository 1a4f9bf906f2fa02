"""Files that are written in one step: what was there stays until the new one is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield where to write; it takes the place of ``path`` at the end, and is removed if something goes wrong.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with whole_file(file) as temporary:
    ...     _ = temporary.write_text("1 2 3")
    >>> file.read_text(), [found.name for found in file.parent.iterdir()]
    ('1 2 3', ['numbers.txt'])
    """
    temporary = path.with_name(f".tmp.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
