"""Run a compiled kernel over the batch on several threads.

The kernels release the interpreter lock, so any threads will do. They are OpenMP's own where torch runs on OpenMP: its
threads spin for a while after each of torch's operations, and other threads would have to share the cores with them
(half of the speed of a training step on two cores). Elsewhere, and in forked processes, which OpenMP does not support,
they are plain threads. (numba's own pools crash under concurrent use from several Python threads.)
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch

GRAIN = 1 << 15
"""Elements below which a second thread costs more than it brings."""

Work = Callable[[int, int, int], Any]

_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_loaded_in = os.getpid()


@lru_cache
def _openmp() -> Any:
    """Return the OpenMP library that torch has loaded, or ``None``."""
    if os.name != "posix" or "OpenMP" not in torch.__config__.parallel_info():
        return None
    library = ctypes.CDLL(None)
    if not all(hasattr(library, name) for name in ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")):
        return None
    library.GOMP_parallel.argtypes = (_BODY, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    library.GOMP_parallel.restype = None
    return library


@lru_cache(maxsize=4)
def _pool(pid: int, workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="lfp_snn")


def parts_of(batch: int, elements: int) -> int:
    """Return into how many parts to split a call over ``batch`` that works on so many elements in all."""
    return max(1, min(torch.get_num_threads(), batch, elements // GRAIN))


def in_parts(work: Work, batch: int, parts: int) -> None:
    """Call ``work(part, first, last)`` for so many slices that cover ``range(batch)``, each on a thread.

    Examples
    --------
    >>> seen = []
    >>> in_parts(lambda part, first, last: seen.append((part, first, last)), batch=5, parts=2)
    >>> sorted(seen)
    [(0, 0, 2), (1, 2, 5)]
    """
    edges = [batch * k // parts for k in range(parts + 1)]
    if parts == 1:
        work(0, 0, batch)
    elif _openmp() is not None and os.getpid() == _loaded_in:
        _on_openmp(work, edges, parts)
    else:
        pool = _pool(os.getpid(), parts)
        others = [pool.submit(work, k, edges[k], edges[k + 1]) for k in range(1, parts)]
        work(0, 0, edges[1])
        for other in others:
            other.result()


def _on_openmp(work: Work, edges: list[int], parts: int) -> None:
    openmp, raised = _openmp(), []

    def body(_: Any) -> None:
        try:
            # A limit on threads may give fewer than were asked for.
            for part in range(openmp.omp_get_thread_num(), parts, openmp.omp_get_num_threads()):
                work(part, edges[part], edges[part + 1])
        except BaseException as error:  # nothing may leave a callback
            raised.append(error)

    openmp.GOMP_parallel(_BODY(body), None, parts, 0)
    if raised:
        raise raised[0]


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
