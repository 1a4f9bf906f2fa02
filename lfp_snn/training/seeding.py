"""Seeds and determinism.

Nothing random survives from one epoch to the next: every epoch begins with generators seeded from (seed, epoch,
process). An epoch is therefore the same whether the run came to it without a break or was resumed there, and no
generator state has to be kept in a checkpoint.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def derive(seed: int, *position: int) -> int:
    """Derive an independent 32-bit seed for a place in a run.

    Parameters
    ----------
    seed : int
        The run's seed.
    *position : int
        What the seed is for: (epoch, process), for example.

    Examples
    --------
    >>> derive(0, 1) == derive(0, 1), derive(0, 1) == derive(0, 2)
    (True, False)
    """
    return int(np.random.SeedSequence(seed, spawn_key=position).generate_state(1)[0])


def seed_all(seed: int, *position: int) -> None:
    """Seed the generators of Python, numpy and torch (CPU and GPU) for a place in a run."""
    value = derive(seed, *position)
    random.seed(value)
    np.random.seed(value)  # noqa: NPY002 - libraries below (tonic) draw from the global generator
    torch.manual_seed(value)


@contextmanager
def determinism(on: bool = True) -> Iterator[None]:
    """Let torch choose deterministic algorithms inside, and put its settings back afterwards.

    An operation that has none warns instead of stopping.
    """
    mode, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill, benchmark = memory.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
        torch.use_deterministic_algorithms(True, warn_only=True)
        memory.fill_uninitialized_memory = False  # a debugging aid that costs time
        torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode, warn_only=warn)
        memory.fill_uninitialized_memory = fill
        torch.backends.cudnn.benchmark = benchmark
