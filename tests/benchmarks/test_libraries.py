"""The comparison of libraries: every contender trains the same network, or the comparison says that it does not."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("snntorch")
pytest.importorskip("norse")
pytest.importorskip("spikingjelly")

from benchmarks.libraries import __main__ as libraries
from benchmarks.libraries.contenders import traffic
from benchmarks.libraries.report import table
from benchmarks.libraries.workloads import Workload, mlp

SMALL = Workload("small", mlp(20, 30, 4), (20,), 6, 8, 0.3, rate=0.2)
CONVOLUTIONS = Workload(
    "convolutions",
    (("conv", 1, 3, 3), ("lif",), ("pool", 2), ("flatten",), ("linear", 27, 4), ("lif",)),
    (1, 8, 8),
    6,
    5,
)
RECURRENT = Workload(
    "recurrent", (("linear", 20, 16), ("recurrent", 16), ("linear", 16, 4), ("lif",)), (20,), 6, 8, 0.3
)
PEERS = [
    "lfp_snn LFP",
    "lfp_snn LFP, bfloat16",
    "lfp_snn surrogate",
    "snntorch",
    "norse",
    "spikingjelly",
    "dense products",
    "memory",
]


def measure(workload: Workload, names: list[str]) -> dict[str, Any]:
    return libraries.measure(workload, names, rounds=2, threads=1, lfprop="")


def test_all_libraries_fire_the_same_spikes_and_are_timed() -> None:
    found = measure(SMALL, PEERS)
    assert list(found) == PEERS
    for each in found.values():
        assert len(each["seconds"]) == 2
        assert min(each["seconds"]) > 0
        assert each["memory"] >= 0
        assert each["other_spikes"] == 0.0
    rows = table("small", found).splitlines()
    assert len(rows) == 4 + len(PEERS)


@pytest.mark.parametrize(
    ("workload", "peer"), [(CONVOLUTIONS, "spikingjelly"), (RECURRENT, "snntorch")], ids=lambda v: str(v)[:20]
)
def test_convolutions_and_recurrent_weights(workload: Workload, peer: str) -> None:
    assert list(measure(workload, ["lfp_snn LFP", peer])) == ["lfp_snn LFP", peer]


def test_bytes_of_a_step() -> None:
    neurons, weights = 6 * 8 * (30 + 4), 20 * 30 + 30 * 4
    assert traffic(SMALL, SMALL.inputs(), SMALL.weights()) == 36 * neurons + 4 * 6 * 8 * 20 + 44 * weights
    maps, weights = 6 * 5 * 3 * 6 * 6, 3 * 9 + 27 * 4
    expected = 20 * maps + 36 * 6 * 5 * 4 + 4 * 5 * 64 + 44 * weights
    assert traffic(CONVOLUTIONS, CONVOLUTIONS.inputs(), CONVOLUTIONS.weights()) == expected


def test_what_a_library_cannot_do_is_left_out() -> None:
    assert list(measure(RECURRENT, ["lfp_snn LFP", "norse"])) == ["lfp_snn LFP"]


def test_other_spikes_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(libraries.RESET, "spikingjelly", {"reset": "none"})
    with pytest.raises(RuntimeError, match=r"spikingjelly on small: .*% of the spikes are not the reference's"):
        measure(SMALL, ["lfp_snn LFP", "spikingjelly"])
