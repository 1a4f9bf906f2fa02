"""Keeping freed memory for the next training step."""

from __future__ import annotations

import ctypes
import sys

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_memory() -> bool:
    """Ask the C library to keep the memory that tensors free, instead of giving it back to the system.

    By default glibc maps every large tensor afresh, and the system clears its pages again in every training step: for a
    spiking CNN on the CPU that is half of the time. The peak of memory does not change; after it, memory is kept until
    the process ends. ``lfp-snn`` does this by itself; call it once at the start of a program of your own.

    Returns
    -------
    bool
        Whether it was done; it is for glibc, the C library of most Linux systems, only.

    Examples
    --------
    >>> import lfp_snn
    >>> done = lfp_snn.keep_memory()
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26))
    return all(libc.mallopt(*setting) == 1 for setting in settings)
