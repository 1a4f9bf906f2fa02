"""Connections counted by convolutions of masks, against connections counted one by one."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lfp_snn import LIF, Residual, Sequential
from lfp_snn.training.connections import Synapses, find_synapses


def listed(layer: nn.Module, shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """List the connections of a layer as (input, output, weight): each weight alone tells which pairs it connects."""
    found = []
    weight: Tensor = layer.weight  # type: ignore[assignment]
    kept = weight.detach().clone()
    size = torch.Size(shape).numel()
    one_hot = torch.eye(size).reshape(size, *shape)
    with torch.no_grad():
        for k in range(weight.numel()):
            weight.zero_().view(-1)[k] = 1.0
            response = layer(one_hot).flatten(1)
            for i, j in response.nonzero().tolist():
                found += [(i, j, k)] * round(float(response[i, j]))  # circular padding may meet an input twice
        weight.copy_(kept)
    return found


@st.composite
def layers(draw: Any) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a small layer without a bias, and the shape of its input."""
    dims = draw(st.integers(0, 3))
    if dims == 0:
        n_in, n_out = draw(st.integers(1, 5)), draw(st.integers(1, 5))
        return nn.Linear(n_in, n_out, bias=False), (n_in,)
    groups = draw(st.integers(1, 2))
    n_in, n_out = (groups * draw(st.integers(1, 2)) for _ in range(2))
    size = draw(st.integers(3, 4)) if dims < 3 else 3
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](
        n_in,
        n_out,
        kernel_size=draw(st.integers(1, 2)),
        stride=draw(st.integers(1, 2)),
        padding=draw(st.integers(0, 1)),
        dilation=draw(st.integers(1, 2)),
        groups=groups,
        bias=False,
        padding_mode=draw(st.sampled_from(["zeros", "circular"])) if dims < 3 else "zeros",
    )
    return layer, (n_in, *[size] * dims)


@given(layers(), st.integers(0, 1000))
def test_as_counted_one_by_one(made: tuple[nn.Module, tuple[int, ...]], seed: int) -> None:
    layer, shape = made
    generator = torch.Generator().manual_seed(seed)
    synapses = Synapses(layer, "weight")
    with torch.no_grad():
        synapses.weight[torch.rand(synapses.weight.shape, generator=generator) < 0.3] = 0.0
    x = torch.rand(2, *shape, generator=generator) < 0.4
    y = torch.rand(layer(x.float()).shape, generator=generator) < 0.4
    connections, weight = listed(layer, shape), synapses.weight.flatten()
    a, b = x.flatten(1), y.flatten(1)
    assert synapses.total(x) == len(x) * len(connections)
    assert synapses.leaving(x) == sum(int(a[r, i]) for r, (i, _, k) in product(range(2), connections) if weight[k] != 0)
    assert synapses.between(x, y) == sum(int(a[r, i] & b[r, j]) for r, (i, j, _) in product(range(2), connections))
    assert synapses.arriving(x, y) == sum(int(b[r, j]) for r, (_, j, _) in product(range(2), connections))


def test_time_and_batch_are_rows() -> None:
    synapses = Synapses(nn.Linear(3, 2), "weight")
    assert synapses.rows(torch.zeros(5, 4, 3)).shape == (20, 3)
    assert synapses.rows(torch.zeros(4, 3)).shape == (4, 3)
    assert Synapses(nn.Conv2d(2, 1, 3), "weight").rows(torch.zeros(5, 4, 2, 6, 6)).shape == (20, 2, 6, 6)


def test_large_counts_are_exact() -> None:
    synapses = Synapses(nn.Linear(5001, 5003), "weight")
    nn.init.ones_(synapses.weight)
    x, y = torch.ones(3, 5001, dtype=torch.bool), torch.ones(3, 5003, dtype=torch.bool)
    assert synapses.between(x, y) == synapses.arriving(x, y) == synapses.total(x) == synapses.leaving(x)
    assert synapses.total(x) == 3 * 5001 * 5003  # beyond what float32 counts


def test_finds_layers_and_recurrent_weights() -> None:
    block = Residual(Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), LIF()), nn.Conv2d(4, 4, 1))
    net = Sequential(nn.Conv2d(1, 4, 3), LIF(), block, nn.Flatten(), nn.Linear(16, 3), LIF(recurrent=3))
    names = [name for name, _ in find_synapses(net)]
    assert names == ["0.weight", "2.body.0.weight", "2.shortcut.weight", "4.weight", "5.recurrent"]
    assert all(dict(net.named_parameters())[name] is synapses.weight for name, synapses in find_synapses(net))
