"""What NIR cannot say, and what is not NIR."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import snntorch
import torch
from torch import nn

from lfp_snn import ALIF, LI, LIF, CubaLIF, Residual, Sequential
from lfp_snn.adapters.nir import Graph, from_nir, to_nir
from lfp_snn.adapters.nir.graph import INPUT
from lfp_snn.errors import ConfigError, DataError, MissingDataError, MissingExtraError, ShapeError
from lfp_snn.neurons.on_current import Bias

IMAGE = (2, 8, 8)


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("module", "shape", "why"),
    [
        (ALIF(), 4, "ALIF.*no adaptive threshold"),
        (nn.MaxPool2d(2), IMAGE, "MaxPool2d.*not by maximum"),
        (nn.ReLU(), 4, "ReLU.*its nodes are for Linear, Conv1d"),
        (Own(), 4, "Own.*forward pass of its own"),
        (snntorch.Leaky(0.9), 4, "Leaky.*convert it first"),
        (nn.Dropout(0.5), 4, r"Dropout.*network\.eval\(\)"),
        (nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)), IMAGE, r"1 \(BatchNorm2d\).*network\.eval\(\)"),
        (nn.Sequential(LIF(), nn.BatchNorm2d(2)).eval(), IMAGE, "BatchNorm2d.*right before it"),
        (nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)).eval(), IMAGE, "statistics"),
        (nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), IMAGE, "pads with 'circular'"),
        (nn.AvgPool2d(3, ceil_mode=True), IMAGE, "ceil_mode"),
        (nn.AvgPool2d(3, padding=1, count_include_pad=False), IMAGE, "count_include_pad"),
        (nn.AvgPool2d(3, divisor_override=2), IMAGE, "divisor_override=2"),
        (nn.Linear(8, 2), IMAGE, "flatten first"),
        (Sequential(Residual(LIF(), merge="max")), 4, r"0 \(Residual\).*by 'max'"),
        (LIF(torch.tensor([0.5, 1.0])), 2, "beta is 1 in some"),
        (CubaLIF(beta=1.0), 2, "beta is 1 in some"),
        (Sequential(Bias(nn.Parameter(torch.ones(2))), LIF()), 2, "0 .Bias.*bias of a layer"),
    ],
)
def test_what_has_no_node_is_refused_by_name(module: nn.Module, shape: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        to_nir(module, input_shape=shape)


@pytest.mark.parametrize("reset", ["subtract", "none"])
def test_a_portable_graph_resets_to_zero(reset: Any) -> None:
    with pytest.raises(ConfigError, match=rf"1 \(LIF\).*reset='{reset}'.*use reset='zero'"):
        to_nir(Sequential(nn.Linear(2, 2), LIF(reset=reset)), portable=True)


def test_the_input_shape_must_be_known_and_fit() -> None:
    with pytest.raises(ShapeError, match=r"starts with Conv2d.*input_shape="):
        to_nir(Sequential(nn.Conv2d(2, 4, 3), LIF()))
    with pytest.raises(ShapeError, match=r"1 \(Linear\) cannot take an input of shape \(3,\)"):
        to_nir(Sequential(nn.Linear(2, 3), nn.Linear(4, 2)))


@pytest.mark.parametrize("dt", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_step_is_positive(dt: float) -> None:
    with pytest.raises(ConfigError, match="dt must be positive"):
        to_nir(nn.Linear(2, 2), dt=dt)
    with pytest.raises(ConfigError, match="dt must be positive"):
        from_nir(to_nir(nn.Linear(2, 2)), dt=dt)


def lif(n: int = 2, **changed: Any) -> nir.LIF:
    values = {"tau": 2.0, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, **changed}
    return nir.LIF(**{key: np.full(n, value) for key, value in values.items()})


@dataclass(eq=False)
class Unheard(nir.NIRNode):
    def __post_init__(self) -> None:
        self.input_type, self.output_type = {"input": np.array([2])}, {"output": np.array([2])}


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (nir.Delay(np.ones(2)), "delay: nothing here does what NIR's Delay does"),
        (Unheard(), "unheard: .*NIR's Unheard"),
        (lif(v_reset=-0.5), "lif: v_reset is not v_leak"),
        (lif(r=-1.0), "lif: resistance and input weight must be positive"),
        (lif(tau=0.5), r"lif: steps of dt=1 are too long for its time constants, 0\.5 to 0\.5"),
        (nir.LI(np.full(2, 2.0), np.ones(2), np.ones(2)), "li: v_leak is not 0"),
        (nir.Threshold(np.array([0.1, 0.2])), "threshold: its thresholds differ"),
        (nir.Linear(np.ones((2, 2, 2))), "linear: weights of shape"),
    ],
)
def test_what_cannot_be_read_is_named(node: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        from_nir(nir.NIRGraph.from_list(node, type_check=False), dt=1.0)


def test_a_graph_in_continuous_time_needs_a_step() -> None:
    with pytest.raises(ConfigError, match=r"lif \(LIF\).*from_nir\(graph, dt="):
        from_nir(nir.NIRGraph.from_list(lif()))
    assert isinstance(from_nir(nir.NIRGraph.from_list(nir.Linear(np.ones((2, 2))))), Sequential)


def wired(*edges: tuple[str, str], **nodes: Any) -> nir.NIRGraph:
    ends = {"input": nir.Input([2]), "output": nir.Output([2])}
    return nir.NIRGraph({**ends, **nodes}, list(edges), type_check=False)


@pytest.mark.parametrize(
    ("graph", "why"),
    [
        (
            wired(("input", "a"), ("a", "b"), ("b", "a"), ("b", "output"), a=lif(), b=lif()),
            "cycle, (a -> b -> a|b -> a)",
        ),
        (wired(("input", "output"), ("a", "output"), a=lif()), "nothing leads to a"),
        (wired(("input", "a"), a=lif()), "nothing leads to <output>"),
        (wired(("input", "output"), a=nir.Input([2])), r"2 Input nodes \(input, a\)"),
    ],
)
def test_a_graph_that_cannot_be_run_is_refused(graph: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        from_nir(graph, dt=1.0)


def test_a_broken_graph_says_where() -> None:
    with pytest.raises(DataError, match="'nowhere' which does not exist"):
        from_nir(wired(("input", "nowhere"), ("input", "output")))
    with pytest.raises(ConfigError, match="got LIF"):
        from_nir(lif())


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no file .*nothing\.nir"):
        from_nir(tmp_path / "nothing.nir")
    text = tmp_path / "text.nir"
    text.write_text("not HDF5")
    with pytest.raises(DataError, match=r"text\.nir does not hold a graph"):
        from_nir(text)
    empty = tmp_path / "empty.nir"
    h5py.File(empty, "w").close()
    with pytest.raises(DataError, match=r"empty\.nir does not hold a graph"):
        from_nir(str(empty))
    unheard = tmp_path / "unheard.nir"
    to_nir(Sequential(nn.Linear(2, 2), LI()), unheard)
    with h5py.File(unheard, "r+") as f:
        del f["node/nodes/1/type"]
        f["node/nodes/1/type"] = "Izhikevich"
    with pytest.raises(DataError, match=r"unheard\.nir.*no node type Izhikevich"):
        from_nir(unheard)


def test_a_graph_needs_its_sources_in_order() -> None:
    with pytest.raises(ConfigError, match=r"a needs sources that come before it, got \['b'\]"):
        Graph({"a": LIF(), "b": LIF()}, {"a": ["b"], "b": [INPUT]}, ["a"])
    with pytest.raises(ShapeError, match="3 parts, the network 1"):
        Graph({"a": LIF()}, {"a": [INPUT]}, ["a"]).run(torch.zeros(2, 1, 3), (None, None, None))


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [m for m in sys.modules if m.startswith("lfp_snn.adapters.nir")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lfp-snn\[nir\]'"):
        import lfp_snn.adapters.nir  # noqa: F401
