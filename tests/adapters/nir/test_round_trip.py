"""Out to NIR and back: the same spikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lfp_snn import LFP, LI, LIF, CubaLIF, Residual, Sequential, rewards
from lfp_snn.adapters.nir import Graph, from_nir, to_nir
from tests.adapters.nir.networks import NETWORKS, batch_normalised, events, loud, network, over_time, run


@pytest.mark.parametrize("name", NETWORKS)
def test_the_output_is_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    net, shape, file = network(name), NETWORKS[name][1], tmp_path / "net.nir"
    x = events(shape)
    want = run(net, x)
    written = to_nir(net, file, input_shape=shape, dt=1e-3)
    assert 0 < want.count_nonzero() < want.numel() or name in ("plain-sequential", "readout", "integrator", "graph")
    for graph in (written, file, str(file)):
        ours = from_nir(graph)
        assert torch.equal(run(ours, x), want)
        assert torch.equal(ours(x[0], steps=9), over_time(net)(x[0], steps=9))


@pytest.mark.parametrize("name", NETWORKS)
def test_what_was_read_can_be_written_again(name: str) -> None:
    shape = NETWORKS[name][1]
    once = from_nir(to_nir(network(name), input_shape=shape))
    again = from_nir(to_nir(once, input_shape=shape))
    x = events(shape)
    assert torch.equal(run(again, x), run(once, x))


# 1 - dt/tau in double precision does not resolve smaller decays to the last bit of single precision.
DECAYS = st.just(0.0) | st.floats(2**-27, 1 - 2**-24, width=32)


@settings(max_examples=30)
@given(
    beta=DECAYS | st.just(1.0),
    alpha=DECAYS,
    threshold=st.floats(-1, 10, width=32),
    reset=st.sampled_from(["subtract", "zero", "none"]),
    delay=st.booleans(),
    dt=st.floats(1e-6, 1e3),
)
def test_any_parameter_and_any_step_come_back(
    beta: float, alpha: float, threshold: float, reset: Literal["subtract", "zero", "none"], delay: bool, dt: float
) -> None:
    net = Sequential(LIF(beta, threshold, reset, delay), LI(alpha), CubaLIF(alpha, min(beta, 0.99), threshold, reset))
    x = 2 * events([3]) - 0.5
    assert torch.equal(from_nir(to_nir(net, input_shape=3, dt=dt))(x), net(x))


def test_modules_keep_their_names_and_form() -> None:
    net = network("recurrent")
    ours = from_nir(to_nir(net))
    assert isinstance(ours, Sequential)
    assert repr(ours) == repr(net)
    assert list(ours.state_dict()) == list(net.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), net.state_dict().values(), strict=True))


def test_parameters_come_back_in_their_smallest_form() -> None:
    beta = torch.tensor([0.5, 0.75]).reshape(2, 1, 1)
    each = torch.rand(2, 3, 4)
    net = Sequential(LIF(beta, 1.5, reset="zero"), LIF(each, 1.5))
    first, second = from_nir(to_nir(net, input_shape=(2, 3, 4)))
    assert torch.equal(first.beta, beta)
    assert first.threshold.shape == ()
    assert torch.equal(second.beta, each)


def test_skips_become_edges() -> None:
    graph = to_nir(Sequential(nn.Linear(4, 4), LIF(), Residual(Sequential(nn.Linear(4, 4), LIF())), nn.Linear(4, 2)))
    assert [a for a, b in graph.edges if b == "3"] == ["2.body.1", "1"]
    assert isinstance(from_nir(graph), Graph)


def test_batch_normalisation_is_folded() -> None:
    torch.manual_seed(0)
    net = loud(batch_normalised()).eval()
    graph = to_nir(net, input_shape=(2, 8, 8))
    assert [type(node).__name__ for node in graph.nodes.values()] == (
        ["Input", "Conv2d", "LIF", "Flatten", "Affine", "LIF", "Output"]
    )
    ours = from_nir(graph)
    x = torch.rand(3, 2, 8, 8)
    torch.testing.assert_close(ours[0](x), net[1](net[0](x)))
    spikes = run(net, events([2, 8, 8]))
    assert spikes.any()
    assert (run(ours, events([2, 8, 8])) == spikes).float().mean() > 0.999


def test_a_graph_runs_in_chunks_and_inside_a_chain() -> None:
    net = from_nir(to_nir(network("residual")))
    assert isinstance(net, Graph)
    x = events([6])
    whole = net(x)
    first, state = net.run(x[:11])
    rest, _ = net.run(x[11:], state)
    assert torch.equal(torch.cat([first, rest]), whole)
    chain = Sequential(net, nn.Linear(5, 3), LI())
    assert torch.equal(chain(x), chain[1:](whole))


@pytest.mark.parametrize("name", ["cnn", "recurrent-cuba", "residual", "nested-residual", "recurrent-bias"])
def test_what_was_read_trains_as_the_original(name: str) -> None:
    net, shape = network(name), NETWORKS[name][1]
    ours = from_nir(to_nir(net, input_shape=shape))
    x, labels = events(shape), torch.tensor([0, 1, 2, 3])
    reward = rewards.RateCoded()
    totals = []
    for model in (net, ours):
        with LFP().context(model):
            reward(model(x), labels).backward()
        totals.append([p.grad for p in model.parameters() if p.grad is not None and p.grad.any()])
    assert len(totals[0]) == len(totals[1]) > 2
    for want in totals[0]:
        assert any(got.shape == want.shape and torch.allclose(got, want, rtol=1e-4, atol=1e-7) for got in totals[1])


def test_every_neuron_equation_of_nir_is_forward_euler() -> None:
    """A loop over NIR's own equations, with leak potentials, resistances and input weights of all kinds."""
    rng = np.random.default_rng(0)
    n, dt = 7, 0.5

    def draw(low: float, high: float) -> Any:
        return rng.uniform(low, high, n)

    common = {"r": draw(0.5, 2), "v_leak": draw(-0.5, 0.5)}
    fires = {**common, "v_threshold": draw(0.5, 1), "v_reset": common["v_leak"]}
    rest = np.zeros(n)
    nodes = {
        "i": nir.I(draw(0.5, 2)),
        "if": nir.IF(draw(0.5, 2), draw(0.5, 1)),
        "li": nir.LI(draw(1, 5), draw(0.5, 2), rest),
        "lif": nir.LIF(draw(1, 5), **fires),
        "cuba-li": nir.CubaLI(draw(1, 5), draw(1, 5), draw(0.5, 2), rest, draw(0.5, 2)),
        "cuba-lif": nir.CubaLIF(draw(1, 5), draw(1, 5), **fires, w_in=draw(0.5, 2)),
    }
    x = rng.uniform(0, 2, (40, n))
    for name, node in nodes.items():
        leak = getattr(node, "v_leak", rest)
        v, i, want = leak.copy(), np.zeros(n), []
        for x_t in x:
            if hasattr(node, "tau_syn"):
                i = i + dt / node.tau_syn * (-i + node.w_in * x_t)
                v = v + dt / node.tau_mem * (leak - v + node.r * i)
            elif hasattr(node, "tau"):
                v = v + dt / node.tau * (leak - v + node.r * x_t)
            else:
                v = v + dt * node.r * x_t
            if hasattr(node, "v_threshold"):
                spikes = v > node.v_threshold
                v = np.where(spikes, node.v_reset, v)
                want.append(spikes.astype(float))
            else:
                want.append(v)
        net = from_nir(nir.NIRGraph.from_list(node), dt=dt)
        got = net(torch.tensor(x, dtype=torch.float32)[:, None])[:, 0]
        np.testing.assert_allclose(got, np.stack(want), rtol=1e-5, atol=1e-5, err_msg=name)
        assert np.any(want)


def test_subgraphs_and_names_of_all_kinds_are_read() -> None:
    """A subgraph of two layers beside a skip, one of nothing, and names that modules cannot have."""
    torch.manual_seed(0)
    weights = [torch.randn(4, 4) for _ in range(2)]
    first, second = (nir.Linear(w.numpy()) for w in weights)
    ends = {"in": nir.Input([4]), "out": nir.Output([4])}
    block = nir.NIRGraph({**ends, "keys": first, "run": second}, [("in", "keys"), ("keys", "run"), ("run", "out")])
    nothing = nir.NIRGraph(dict(ends), [("in", "out")])
    nodes = {**ends, "forward": block, "a.b": nothing, "training": nir.Linear(weights[0].numpy())}
    edges = [("in", "forward"), ("in", "a.b"), ("in", "training"), ("forward", "training"), ("a.b", "training")]
    net = from_nir(nir.NIRGraph(nodes, [*edges, ("training", "out")]))
    assert list(net.layers) == ["forward_keys", "forward_run", "training_"]
    x = torch.rand(3, 2, 4)
    want = (x @ weights[0].T @ weights[1].T + 2 * x) @ weights[0].T
    torch.testing.assert_close(net(x), want)
    chain = nir.NIRGraph({**ends, "run": first, "type": second}, [("in", "run"), ("run", "type"), ("type", "out")])
    assert [name for name, _ in from_nir(chain).named_children()] == ["run_", "type_"]


def test_a_network_on_many_axes_and_in_double_precision() -> None:
    net = Sequential(nn.Conv1d(2, 3, 3), LIF(torch.tensor([0.5, 0.6, 0.7])[:, None]), LI(0.5)).double()
    graph = to_nir(net, input_shape=(2, 9))
    assert graph.nodes["0"].weight.dtype == np.float64
    assert graph.nodes["1"].tau.shape == (3, 7)
