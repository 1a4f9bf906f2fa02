"""How the kernels are compiled (numba)."""

from __future__ import annotations

import tempfile
from typing import Any

from numba import config, njit

try:
    njit(cache=True)(lambda: None)
except RuntimeError:  # neither the package's folder nor the user's can be written to, and numba refuses to compile then
    config.CACHE_DIR = tempfile.mkdtemp(prefix="numba-")  # type: ignore[attr-defined]

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
"""Of all kernels: they release the interpreter lock, and divide as numpy does."""

SUMS: dict[str, Any] = {**OPTIONS, "fastmath": {"reassoc", "contract", "nsz"}}
"""Of long sums, whose order the compiler may choose; NaN and infinity stay what they are."""
