"""How much memory this process takes."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch


def in_use(device: torch.device) -> int:
    """Return the bytes in use now: of this process, or of its tensors if they are on a GPU.

    Examples
    --------
    >>> 0 < in_use(torch.device("cpu")) <= most(torch.device("cpu"))
    True
    """
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else _resident("VmRSS")


def most(device: torch.device) -> int:
    """Return the most bytes that were in use since the process began."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _resident("VmHWM")


def _resident(field: str) -> int:
    """Return resident memory as Linux has it, or the peak where there is no such file.

    Linux's ``ru_maxrss`` will not do: a process starts with that of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
