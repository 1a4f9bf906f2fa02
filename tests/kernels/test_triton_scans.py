"""The kernels for a GPU compile, for every form of the neuron and every formula, whether there is a GPU or not."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from lfp_snn.neurons.surrogate import SURROGATES, Heaviside
from lfp_snn.rules import Conserving, Contribution, Reference

triton = pytest.importorskip("triton", reason="Triton comes with torch for CUDA, on Linux")
import triton.language as tl  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from lfp_snn.kernels import triton_scans as scans  # noqa: E402
from lfp_snn.kernels.formula import compiled  # noqa: E402
from lfp_snn.kernels.gpu import EXACT  # noqa: E402

NUMBERS = ("rows", "features", "steps", "stride", "each", "end", "first", "x_stride", "y_stride")
WIDTHS = {"fp32": tl.float32, "fp64": tl.float64, "bf16": tl.float32}
FORMS = [
    {"TO_ZERO": reset == "zero", "SUBTRACT": reset == "subtract", "DELAYED": delayed, "ADAPTIVE": adaptive}
    for reset, delayed, adaptive in itertools.product(("subtract", "zero", "none"), (True, False), (False, True))
]


def assembly(kernel: Any, width: str, **options: Any) -> str:
    """Compile a kernel for an H100 and return its PTX."""
    function = kernel.fn
    names = function.arg_names
    given = {k: v for k, v in {**options, "BLOCK": 128, "WIDE": WIDTHS[width]}.items() if k in names}
    types = {n: "constexpr" if n in given else "i32" if n in NUMBERS else f"*{width}" for n in names}
    constants = {(names.index(n),): v for n, v in given.items()}
    source = ASTSource(fn=function, signature=types, constexprs=constants)
    return str(triton.compile(source, target=GPUTarget("cuda", 90, 32), options=EXACT).asm["ptx"])


@pytest.mark.parametrize("width", WIDTHS)
def test_forward(width: str) -> None:
    for form, keep in itertools.product(FORMS, (True, False)):
        ptx = assembly(scans.forward, width, KEEP=keep, **form)
        assert "st.global" in ptx
        assert "fma.rn" not in ptx  # a product and a sum are rounded each


@pytest.mark.parametrize("rule", [Reference, Contribution, Conserving])
def test_backward_lfp(rule: Any) -> None:
    how = {"DENOMINATOR": compiled(rule.denominator), "EPSILON": 1e-6}
    for form, (readout, static) in zip(
        itertools.cycle(FORMS), itertools.product((True, False), repeat=2), strict=False
    ):
        assert "st.global" in assembly(scans.backward_lfp, "fp32", READOUT=readout, STATIC=static, **how, **form)
    for form in FORMS:
        ptx = assembly(scans.backward_lfp, "bf16", READOUT=False, STATIC=False, **how, **form)
        assert ".f64" not in ptx  # a literal number does not make it calculate in double precision


@pytest.mark.parametrize("surrogate", [*SURROGATES.values(), Heaviside])
def test_backward_surrogate(surrogate: Any) -> None:
    how = {"DERIVATIVE": compiled(surrogate.derivative), "SLOPE": 2.0}
    for form, attach in zip(FORMS, itertools.cycle((True, False)), strict=False):
        ptx = assembly(scans.backward_surrogate, "fp32", ATTACH=attach, STATIC=not attach, **how, **form)
        assert "st.global" in ptx
        assert ".f64" not in ptx


@pytest.mark.parametrize("width", WIDTHS)
def test_filter(width: str) -> None:
    for total in (True, False):
        assert "st.global" in assembly(scans.filter_scan, width, SUM=total)
