"""Formulas in plain arithmetic, read for Triton."""

from __future__ import annotations

import pytest

pytest.importorskip("triton", reason="Triton comes with torch for CUDA, on Linux")

from lfp_snn.kernels.formula import compiled
from lfp_snn.neurons.surrogate import SigmoidDerivative
from lfp_snn.rules import Reference, Sharing


class Mine(Sharing):
    @staticmethod
    def denominator(w, i, beta, reset, adapt, v):  # type: ignore[no-untyped-def]
        """Say something."""
        x = w**2
        return x + i


SHORT = lambda w, i, beta, reset, adapt, v: v - adapt  # noqa: E731


def test_what_triton_reads() -> None:
    assert compiled(Reference.denominator).src.splitlines() == [
        "def Reference_denominator(w, i, beta, reset, adapt, u):",
        "    return tl.abs(w) + tl.abs(i - w + beta * w) + tl.abs(adapt)",
    ]
    lines = compiled(SigmoidDerivative.derivative).src.splitlines()
    assert lines[1] == "    u = tl.exp(-slope * tl.abs(x) * 1.0)"
    assert compiled(Reference.denominator) is compiled(Reference.denominator)


def test_what_it_cannot_read() -> None:
    with pytest.raises(ValueError, match="only a number can be raised to a power in a kernel, not w"):
        compiled(Mine.denominator)
    with pytest.raises(ValueError, match="must be written with def"):
        compiled(SHORT)
    with pytest.raises(OSError, match="source"):
        compiled(eval("lambda w, i, beta, reset, adapt, v: v"))
