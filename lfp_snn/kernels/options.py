"""How the kernels are compiled (numba)."""

from __future__ import annotations

from typing import Any

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
"""Of all kernels: they release the interpreter lock, and divide as numpy does."""

SUMS: dict[str, Any] = {**OPTIONS, "fastmath": {"reassoc", "contract", "nsz"}}
"""Of long sums, whose order the compiler may choose; NaN and infinity stay what they are."""
