"""Memory: what is taken shows, and the peak stays."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from lfp_snn.training import memory
from lfp_snn.training.memory import in_use, most

CPU = torch.device("cpu")
SIZE = 200_000_000


def test_what_is_taken_shows_and_the_peak_stays() -> None:
    before = in_use(CPU)
    block = torch.ones(SIZE, dtype=torch.uint8)
    during, peak = in_use(CPU), most(CPU)
    assert during - before == pytest.approx(SIZE, rel=0.1)
    assert peak > 0.99 * during  # Linux counts in steps
    del block
    assert in_use(CPU) - before < SIZE / 10
    assert most(CPU) > 0.99 * peak


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a peak only")
def test_the_peak_is_not_that_of_the_parent() -> None:
    block = torch.ones(4 * SIZE, dtype=torch.uint8)
    code = f"import runpy, torch; print(runpy.run_path({memory.__file__!r})['most'](torch.device('cpu')))"
    peak = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 0 < peak < len(block)
