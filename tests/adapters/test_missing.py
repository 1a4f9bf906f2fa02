"""A library that is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["snntorch", "norse", "spikingjelly", "nir", "zennit"])
def test_a_missing_library_names_its_extra(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; import lfp_snn; import lfp_snn.adapters.{package}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"lfp-snn[{package}]" in done.stderr
    assert "MissingExtraError" in done.stderr
