"""Batches made on a thread while the one before is trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(batches: Iterable[T]) -> Iterator[T]:
    """Yield the same batches, each asked for when the one before is handed out.

    An error of the source is raised where its batch is due. Nothing is left running when the iteration is given up.

    Examples
    --------
    >>> list(prefetch([1, 2, 3]))
    [1, 2, 3]
    """
    source = iter(batches)
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        coming = thread.submit(next, source, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, source, None)
            yield batch
