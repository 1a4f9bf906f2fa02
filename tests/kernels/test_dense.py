"""Dense products by oneDNN: the same as torch's, taken where they pay."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lfp_snn.kernels import dense
from lfp_snn.synapses import product, use

offered = hasattr(torch.ops.mkldnn, "_linear_pointwise") and torch.backends.mkldnn.is_available()
needs_onednn = pytest.mark.skipif(not offered, reason="torch was built without oneDNN")


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all products be oneDNN's, on any processor."""
    monkeypatch.setattr(dense, "LEAST_WORK", 0)
    monkeypatch.setattr(dense, "_held_back", lambda: True)


def cpuinfo(vendor: str, folder: Path) -> Path:
    file = folder / "cpuinfo"
    file.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\n")
    return file


@needs_onednn
@pytest.mark.parametrize(
    ("vendor", "vectors", "mkl", "expected"),
    [
        ("AuthenticAMD", "AVX512", True, True),
        ("GenuineIntel", "AVX512", True, False),
        ("AuthenticAMD", "AVX2", True, False),
        ("AuthenticAMD", "AVX512", False, False),
    ],
)
def test_only_where_mkl_holds_a_processor_back(vendor, vectors, mkl, expected, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch._C, "has_mkl", mkl)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: vectors)
    monkeypatch.setattr(dense, "_CPU", cpuinfo(vendor, tmp_path))
    dense._held_back.cache_clear()
    large, small = torch.zeros(2000, 2000), torch.zeros(2, 2)
    try:
        assert dense.faster(2**30, large) is expected
        assert not dense.faster(8, small)
        assert not dense.faster(2**30, large.double())
        torch._C._set_mkldnn_enabled(False)
        assert not dense.faster(2**30, large)
        torch._C._set_mkldnn_enabled(True)
        monkeypatch.setattr(dense, "_CPU", tmp_path / "there is none")
        dense._held_back.cache_clear()
        assert not dense.faster(2**30, large)
    finally:
        torch._C._set_mkldnn_enabled(True)
        dense._held_back.cache_clear()


@needs_onednn
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (3, 5, 2), (128, 70, 33)])
def test_products_are_those_of_torch(always, rows: int, inputs: int, outputs: int) -> None:
    x, w, b = torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(outputs)
    torch.testing.assert_close(dense.linear(x, w, b), nn.functional.linear(x, w, b))
    torch.testing.assert_close(dense.matmul(x, w.t()), x @ w.t())
    torch.testing.assert_close(dense.matmul(x.t(), dense.linear(x, w)), x.t() @ (x @ w.t()))


@needs_onednn
@pytest.mark.parametrize("binary", [True, False])
def test_a_layer_learns_the_same(always, binary: bool) -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(70, 40), torch.randn(50, 4, 70)
    x = (x > 0).float() if binary else x
    x.requires_grad_()
    with torch.no_grad():  # enough work for bits to be looked for
        x = x.repeat(10, 1, 1).requires_grad_()
    want = nn.functional.linear(x, layer.weight, layer.bias)
    ours = product(nn.functional.linear, x, layer.weight, layer.bias)
    assert type(ours.grad_fn).__name__ == "DenseLinearBackward"
    torch.testing.assert_close(ours, want)
    g, sources = torch.randn_like(want), (x, layer.weight, layer.bias)
    for a, b in zip(torch.autograd.grad(ours, sources, g), torch.autograd.grad(want, sources, g), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@needs_onednn
def test_a_message_can_be_differentiated_again_or_says_that_it_cannot(always) -> None:
    w = torch.randn(40, 70, requires_grad=True)

    def second(x: torch.Tensor, function) -> torch.Tensor:
        (g,) = torch.autograd.grad(function(x).square().sum(), w, create_graph=True)
        return torch.autograd.grad(g.square().sum(), w)[0]

    x = torch.randn(800, 70)
    ours, torchs = (lambda x: product(nn.functional.linear, x, w, None)), (lambda x: nn.functional.linear(x, w))
    torch.testing.assert_close(second(x, ours), second(x, torchs), rtol=1e-3, atol=1e-1)
    spikes = (x > 0).float()
    with pytest.raises(RuntimeError, match="spikes cannot be differentiated twice"):
        second(spikes, ours)
    with use("dense"):
        torch.testing.assert_close(second(spikes, ours), second(spikes, torchs), rtol=1e-3, atol=1e-1)
