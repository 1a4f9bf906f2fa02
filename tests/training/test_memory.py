"""Memory: what is taken shows, and the peak stays."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from lfp_snn.training import memory

SIZE = 200_000_000


PROGRAM = f"""
import torch
from lfp_snn.training.memory import in_use, most
cpu = torch.device("cpu")
before = in_use(cpu)
block = torch.ones({SIZE}, dtype=torch.uint8)
during, peak = in_use(cpu), most(cpu)
del block
print(during - before, in_use(cpu) - before, peak / during, most(cpu) / peak)
"""


def test_what_is_taken_shows_and_the_peak_stays() -> None:
    """In a process of its own: the command line, which other tests call, keeps freed memory."""
    output = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True).stdout
    taken, left, reached, stays = map(float, output.split())
    assert taken == pytest.approx(SIZE, rel=0.1)
    assert left < SIZE / 10
    assert reached > 0.99  # Linux counts in steps
    assert stays > 0.99


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a peak only")
def test_the_peak_is_not_that_of_the_parent() -> None:
    block = torch.ones(4 * SIZE, dtype=torch.uint8)
    code = f"import runpy, torch; print(runpy.run_path({memory.__file__!r})['most'](torch.device('cpu')))"
    peak = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 0 < peak < len(block)
