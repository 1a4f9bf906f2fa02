"""Run a compiled kernel over the batch on several threads.

The kernels release the interpreter lock, so plain threads suffice. (numba's own thread pools crash under concurrent use
from several Python threads and do not survive a fork; data loader workers need both.)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch

GRAIN = 1 << 15
"""Elements below which a second thread costs more than it brings."""


@lru_cache(maxsize=4)
def _pool(pid: int, workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="lfp_snn")


def parts_of(batch: int, elements: int) -> int:
    """Return into how many parts to split a call over ``batch`` that works on so many elements in all."""
    return min(torch.get_num_threads(), batch, max(1, elements // GRAIN))


def in_parts(work: Callable[[int, int, int], Any], batch: int, parts: int) -> None:
    """Call ``work(part, first, last)`` for so many slices that cover ``range(batch)``, each on a thread."""
    edges = [batch * k // parts for k in range(parts + 1)]
    if parts == 1:
        work(0, 0, batch)
        return
    pool = _pool(os.getpid(), parts)
    others = [pool.submit(work, k, edges[k], edges[k + 1]) for k in range(1, parts)]
    work(0, 0, edges[1])
    for other in others:
        other.result()


def over_batch(kernel: Callable[..., Any], batch: int, elements: int, *args: Any) -> None:
    """Call ``kernel(*args, first, last)`` on slices that cover ``range(batch)``, as many as torch has threads.

    Parameters
    ----------
    kernel : callable
        A compiled function that releases the interpreter lock.
    batch : int
        Size of the batch.
    elements : int
        How many elements the whole call works on; small calls stay on the calling thread.
    """
    in_parts(lambda part, first, last: kernel(*args, first, last), batch, parts_of(batch, elements))
