"""What every test stands on: seeds, threads, and the folders with data and golden tensors."""

from __future__ import annotations

import os
import random
from pathlib import Path

import matplotlib as mpl
import numba
import numpy as np
import pytest
import torch
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

mpl.use("Agg")
# The same examples on every run, and no deadline: a first call compiles a kernel.
settings.register_profile("deterministic", derandomize=True, deadline=None, database=None)
settings.load_profile("deterministic")

if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    # The workers share the cores, so that they do not each start a thread on all of them.
    threads = max(1, torch.get_num_threads() // workers)
    numba.set_num_threads(max(1, numba.config.NUMBA_NUM_THREADS // workers))
    torch.set_num_threads(threads)  # after numba, whose start of its own threads puts torch's number back


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - tonic's transforms draw from numpy's global generator
    torch.manual_seed(0)


def _folder(variable: str, default: Path, what: str) -> Path:
    """Return the folder that an environment variable names; a missing one fails if it was asked for, else skips."""
    asked = os.environ.get(variable)
    folder = Path(asked) if asked else default
    if folder.is_dir():
        return folder.resolve()
    if asked:
        pytest.fail(f"{variable}={asked} is not a folder; it should hold {what}")
    pytest.skip(f"set {variable} to the folder that holds {what}")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the folder of the data sets (LFP_SNN_DATA)."""
    return _folder("LFP_SNN_DATA", REPOSITORY.parent / "shared" / "data", "the data sets")


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Return the folder of the golden tensors (LFP_SNN_GOLDEN)."""
    return _folder("LFP_SNN_GOLDEN", REPOSITORY.parent / "shared" / "golden", "the golden tensors (*.npz)")
