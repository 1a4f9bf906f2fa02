"""Our graphs in other libraries, and theirs here."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import nir
import norse.torch as norse
import pytest
import snntorch as snn
import torch
from packaging.version import Version
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir
from torch import Tensor, nn

from lfp_snn import LFP, LI, LIF, SpikingNeuron, rewards
from lfp_snn import Sequential as Net
from lfp_snn.adapters.nir import from_nir, to_nir
from lfp_snn.data import load, loader
from tests.adapters.nir.networks import NETWORKS, events, loud, network, over_time, run

Reader = Callable[[Any], nn.Module]


def in_snntorch(graph: Any) -> nn.Module:
    with contextlib.redirect_stdout(io.StringIO()):  # (it prints that it scales the threshold)
        return import_from_nir(graph)


def in_norse(graph: Any) -> nn.Module:
    return norse.from_nir(graph, dt=1e-4, ignore_warnings=True)


def in_spikingjelly(graph: Any) -> nn.Module:
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(graph, dt=1e-4)


READERS: dict[str, Reader] = {"snntorch": in_snntorch, "norse": in_norse, "spikingjelly": in_spikingjelly}


def stepwise(net: nn.Module, x: Tensor) -> Tensor:
    """Run a network of another library step by step."""
    state, outputs = None, []
    with torch.no_grad():
        for x_t in x:
            y, state = net(x_t) if state is None else net(x_t, state)
            outputs.append(y)
    return torch.stack(outputs)


def one_by_one(read: Reader, make: Callable[[], Any], x: Tensor) -> Tensor:
    """Run each sample on its own: snnTorch and norse would flatten the batch with the features."""
    return torch.cat([stepwise(read(make()), x[:, k : k + 1]).reshape(len(x), 1, -1) for k in range(x.shape[1])], 1)


def reset_to_zero(net: nn.Module) -> nn.Module:
    for module in net.modules():
        if isinstance(module, SpikingNeuron):
            module.reset = "zero"
    return net


# What snnTorch's own reader and writer of NIR could not do before 1.0.
OLD_SNNTORCH = Version(version("snntorch")) < Version("1.0")
NOT_IN_OLD = ("recurrent", "recurrent-cuba", "residual", "conv1d", "rleaky")


def skip_old_snntorch(library: str, name: str) -> None:
    if OLD_SNNTORCH and library == "snntorch" and name in NOT_IN_OLD:
        pytest.skip("snnTorch's own reader and writer of NIR cannot do this before 1.0")


READ = {
    "snntorch": ["lif", "cuba", "cuba-to-zero", "recurrent", "recurrent-cuba", "residual", "conv1d"],
    "norse": ["lif", "lif-each-its-own", "if", "cuba", "cuba-to-zero", "recurrent", "recurrent-if", "recurrent-cuba"],
    "spikingjelly": ["lif", "if", "cuba", "recurrent", "recurrent-if", "recurrent-cuba", "residual", "conv1d"],
}


@pytest.mark.parametrize(("library", "name"), [(library, name) for library, names in READ.items() for name in names])
def test_with_resets_to_zero_others_give_the_same_spikes(library: str, name: str) -> None:
    skip_old_snntorch(library, name)
    net, shape = reset_to_zero(network(name)), NETWORKS[name][1]
    x = events(shape, steps=60)
    want = run(net, x)
    got = one_by_one(READERS[library], lambda: to_nir(net, input_shape=shape, portable=True), x)
    assert want.any()
    assert torch.equal(got, want)


@pytest.mark.parametrize("library", READERS)
def test_others_do_not_look_at_the_metadata(library: str) -> None:
    net = network("lif")
    x = events([6], steps=60)
    got = stepwise(READERS[library](to_nir(net)), x)
    assert torch.equal(got, run(reset_to_zero(net), x))


@pytest.mark.parametrize("library", READERS)
def test_a_trained_network_runs_elsewhere(library: str, trained: nn.Module) -> None:
    shape = (2, 20, 20)
    recordings = next(iter(loader(load("event-digits").test, batch_size=359)))
    want = run(trained, recordings.x)
    assert (want.sum(0).argmax(-1) == recordings.target).float().mean() > 0.7
    assert torch.equal(run(from_nir(to_nir(trained, input_shape=shape)), recordings.x), want)
    some = recordings.x[:, :40]
    got = one_by_one(READERS[library], lambda: to_nir(trained, input_shape=shape, portable=True), some)
    # The same equations, but products of one sample at a time may round otherwise than those of all.
    assert (got != want[:, :40]).float().mean() <= 1e-3


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """Return a network that has learnt event digits for four epochs."""
    torch.manual_seed(0)
    net = Net(nn.Flatten(), nn.Linear(800, 64), LIF(0.9, reset="zero"), nn.Linear(64, 10), LIF(0.9, reset="zero"))
    loud(net, 2)
    reward, optimizer = rewards.RateCoded(), torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(4):
        for part in loader(load("event-digits").train, batch_size=64, shuffle=True):
            with LFP().context(net):
                reward(net(part.x), part.target).backward()
            optimizer.step()
            optimizer.zero_grad()
    return net


ONES = torch.ones(8)
SNNTORCH: dict[str, Callable[[], nn.Module]] = {
    "leaky": lambda: snn.Leaky(0.9 * ONES, threshold=ONES, init_hidden=True, reset_mechanism="zero"),
    "synaptic": lambda: snn.Synaptic(
        0.5 * ONES, 0.9 * ONES, threshold=ONES, init_hidden=True, reset_mechanism="zero", reset_delay=False
    ),
    "rleaky": lambda: snn.RLeaky(0.9, linear_features=8, init_hidden=True, reset_mechanism="zero", reset_delay=False),
}


def trains(net: nn.Module, x: Tensor) -> bool:
    """Take one step of LFP and tell whether every layer has moved."""
    model = over_time(net)
    with LFP().context(model):
        rewards.RateCoded()(model(x), torch.arange(x.shape[1])).backward()
    return all(p.grad is not None and bool(p.grad.any()) for p in model.parameters() if p.dim() > 1)


@pytest.mark.parametrize("name", SNNTORCH)
def test_snntorch_networks_are_read(name: str) -> None:
    skip_old_snntorch("snntorch", name)
    torch.manual_seed(0)
    last = snn.Leaky(0.8 * ONES[:5], threshold=ONES[:5], init_hidden=True, reset_mechanism="zero")
    theirs = loud(nn.Sequential(nn.Linear(6, 8), SNNTORCH[name](), nn.Linear(8, 5), last))
    x = events([6], steps=60)
    graph = export_to_nir(theirs, x[0, :1], ignore_dims=[0])
    for module in theirs.modules():
        if hasattr(module, "reset_mem"):
            module.reset_mem()
    with torch.no_grad():
        want = torch.stack([theirs(x_t) for x_t in x])
    ours = from_nir(graph, dt=1e-4)
    assert want.any()
    assert torch.equal(run(ours, x), want)
    assert trains(ours, x)


NORSE: dict[str, Callable[[], nn.Module]] = {
    "lif-box": lambda: norse.SequentialState(nn.Linear(6, 8), norse.LIFBoxCell(), nn.Linear(8, 5), norse.LIFBoxCell()),
    "iaf": lambda: norse.SequentialState(nn.Linear(6, 8), norse.IAFCell(), nn.Linear(8, 5), norse.IAFCell()),
    "li-box": lambda: norse.SequentialState(nn.Linear(6, 8), norse.LIFBoxCell(), nn.Linear(8, 5), norse.LIBoxCell()),
}


@pytest.mark.parametrize("name", NORSE)
def test_norse_networks_are_read(name: str) -> None:
    """Norse multiplies its time constants by its ``dt`` where it should not; with 1 they are in seconds."""
    torch.manual_seed(0)
    theirs = loud(NORSE[name](), 12)
    x = events([6], steps=60)
    graph = norse.to_nir(theirs, x[0], dt=1.0)
    ours = from_nir(graph, dt=1.0 if name == "iaf" else 1e-3)
    want = stepwise(theirs, x)
    assert want.any()
    torch.testing.assert_close(run(ours, x), want, rtol=1e-5, atol=1e-5)
    assert trains(ours, x)


def test_norse_lif_is_read_as_norse_reads_it() -> None:
    """Its own ``LIFCell`` is another equation than the graph that it writes for it."""
    torch.manual_seed(0)
    theirs = loud(norse.SequentialState(nn.Linear(6, 8), norse.LIFCell(), nn.Linear(8, 5), norse.LIFCell()), 30)
    x = events([6], steps=60)
    graph = norse.to_nir(theirs, x[0], dt=1.0)
    want = stepwise(norse.from_nir(graph, dt=1e-3), x)
    assert want.any()
    assert torch.equal(run(from_nir(graph, dt=1e-3), x), want)
    assert not torch.equal(stepwise(theirs, x), want)


def test_flat_cycles_are_read_as_recurrent_weights() -> None:
    net = network("recurrent")
    inner = to_nir(net).nodes
    loop = inner["1"].nodes
    nodes = {"in": inner["input"], "fc": inner["0"], "lif": loop["lif"], "rec": loop["w_rec"], "out": nir.Output([8])}
    edges = [("in", "fc"), ("fc", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "out")]
    x = events([6])
    assert torch.equal(run(from_nir(nir.NIRGraph(nodes, edges), dt=1e-4), x), run(net[:2], x))


def test_membranes_of_a_readout_are_volts_of_ours() -> None:
    node = to_nir(Net(nn.Linear(2, 3), LI(0.75)), dt=0.5).nodes["1"]
    assert (node.tau == 2).all()
    assert (node.r == 4).all()
