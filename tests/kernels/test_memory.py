"""Freed memory is kept: page faults are counted, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from lfp_snn.kernels.memory import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
def use():
    torch.ones(1 << 24)  # 64 MB
for _ in range(20):  # until the allocator has found its places
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="for glibc")
def test_pages_are_not_mapped_again() -> None:
    run = [sys.executable, "-c", PROGRAM]
    faults = [int(subprocess.check_output([*run, how], text=True)) for how in ("default", "keep")]
    assert faults[1] < faults[0] / 2, faults
