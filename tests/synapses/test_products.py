"""Event-driven products against torch's dense ones: outputs and all messages, over random sizes and activities."""

from __future__ import annotations

from threading import Thread

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lfp_snn import LFP, LIF, Sequential, rewards
from lfp_snn.kernels import event_conv, events
from lfp_snn.kernels.bits import find
from lfp_snn.models import lif_cnn, lif_mlp
from lfp_snn.synapses import Way, mark, product, use
from lfp_snn.synapses import way as way_now
from lfp_snn.synapses.choice import LEAST_ROWS, LEAST_WORK, convolution_limits, linear_limit
from lfp_snn.synapses.products import only_spikes
from tests.learning import learned

few = settings(max_examples=40)
seeds = st.integers(0, 2**16)
activities = st.sampled_from([0.0, 0.02, 0.3, 1.0])


def spikes(*shape: int, activity: float, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    strength = torch.randint(1, 4, shape, generator=g)  # counts, as in binned events
    return (strength * (torch.rand(*shape, generator=g) < activity)).to(dtype)


def messages(y: Tensor, *sources: Tensor | None) -> list[Tensor]:
    g = torch.rand(y.shape, generator=torch.Generator().manual_seed(7), dtype=y.dtype) - 0.5
    return list(torch.autograd.grad(y, [s for s in sources if s is not None], g))


def assert_same(x: Tensor, weight: Tensor, bias: Tensor | None, marked: bool, f, *rest, way: Way = "events") -> None:
    """Compare output and messages; those of a marked input count where it is not 0."""
    x, weight = x.requires_grad_(), weight.requires_grad_()
    dense = f(x, weight, bias, *rest)
    with use(way):
        ours = product(f, mark(x.view_as(x)) if marked else x, weight, bias, *rest)
    assert type(ours.grad_fn).__name__.startswith("Event")
    torch.testing.assert_close(ours, dense)
    theirs, own = messages(dense, x, weight, bias), messages(ours, x, weight, bias)
    if marked:
        theirs[0] = theirs[0] * (x != 0)
    torch.testing.assert_close(own, theirs)


@few
@given(
    rows=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    inputs=st.integers(1, 30),
    outputs=st.integers(1, 30),
    activity=activities,
    biased=st.booleans(),
    marked=st.booleans(),
    seed=seeds,
)
def test_linear(rows, inputs, outputs, activity, biased, marked, seed) -> None:
    g = torch.Generator().manual_seed(seed)
    weight = torch.rand(outputs, inputs, generator=g, dtype=torch.float64) - 0.5
    bias = torch.rand(outputs, generator=g, dtype=torch.float64).requires_grad_() if biased else None
    assert_same(spikes(*rows, inputs, activity=activity, seed=seed), weight, bias, marked, F.linear)


@few
@given(
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(3, 9), st.integers(3, 9)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    activity=activities,
    biased=st.booleans(),
    marked=st.booleans(),
    seed=seeds,
)
def test_convolution(sizes, kernel, padding, activity, biased, marked, seed) -> None:
    batch, channels, outputs, height, width = sizes
    g = torch.Generator().manual_seed(seed)
    weight = torch.rand(outputs, channels, *kernel, generator=g, dtype=torch.float64) - 0.5
    bias = torch.rand(outputs, generator=g, dtype=torch.float64).requires_grad_() if biased else None
    x = spikes(batch, channels, height, width, activity=activity, seed=seed)
    assert_same(x, weight, bias, marked, F.conv2d, 1, padding)


def test_single_precision_is_dense_to_rounding() -> None:
    torch.manual_seed(0)
    x = spikes(200, 300, activity=0.1, dtype=torch.float32)
    assert_same(x, torch.randn(100, 300), torch.randn(100).requires_grad_(), False, F.linear)
    x = spikes(70, 3, 12, 12, activity=0.1, dtype=torch.float32)
    assert_same(x, torch.randn(20, 3, 5, 5), None, True, F.conv2d)


@pytest.mark.parametrize("outputs", [64, 60])
def test_more_messages_than_fit_the_cache_at_once(outputs: int) -> None:
    """With 64 outputs the rows are read where they are, with 60 they are copied."""
    torch.manual_seed(0)
    x = spikes(5000, 50, activity=0.05)
    assert 5000 * outputs * 8 > events.BLOCK_BYTES
    assert_same(x, torch.randn(outputs, 50, dtype=torch.float64), None, True, F.linear)


@pytest.mark.parametrize("options", [(2,), (1, 0, 2), (1, 0, 1, 3), (1, "same")], ids=str)
def test_other_convolutions_stay_dense(options: tuple) -> None:
    groups = options[3] if len(options) > 3 else 1
    x, weight = spikes(2, 3, 8, 8, activity=0.2), torch.rand(3, 3 // groups, 3, 3, dtype=torch.float64)
    with use("events"):
        y = product(F.conv2d, x, weight.requires_grad_(), None, *options)
    assert "Event" not in type(y.grad_fn).__name__
    assert torch.equal(y, F.conv2d(x, weight, None, *options))


def chosen(x: Tensor, weight: Tensor, f) -> bool:
    """Whether a product runs event-driven by itself."""
    return type(product(f, x, weight.requires_grad_(), None).grad_fn).__name__.startswith("Event")


def test_the_way_is_chosen_by_activity_and_size() -> None:
    wide = 40
    many = LEAST_ROWS
    assert many * 500 * wide > LEAST_WORK > many * 500 * 10
    for factor, expected in ((0.5, True), (2, False)):
        x = spikes(many, 500, activity=factor * linear_limit(wide))
        assert chosen(x, torch.rand(wide, 500, dtype=torch.float64), F.linear) is expected
        x = spikes(many, 2, 16, 16, activity=factor * convolution_limits(2, wide, 3)[1])
        assert chosen(x, torch.rand(wide, 2, 3, 3, dtype=torch.float64), F.conv2d) is expected
    x = spikes(many, 500, activity=0.05)
    assert chosen(x, torch.rand(wide, 500, dtype=torch.float64), F.linear)
    assert not chosen(x, torch.rand(10, 500, dtype=torch.float64), F.linear)
    assert not chosen(x[: many - 1], torch.rand(wide, 500, dtype=torch.float64), F.linear)
    with use("dense"):
        assert not chosen(x, torch.rand(wide, 500, dtype=torch.float64), F.linear)
    with pytest.raises(ValueError, match=r"way of synapses 'event'.*'events'"), use("event"):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize("marked", [False, True])
def test_convolution_dense_forwards_and_by_events_backwards(marked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    forwards, backwards = convolution_limits(2, 40, 3)
    x = spikes(LEAST_ROWS, 2, 16, 16, activity=(forwards + backwards) / 2)
    weight = torch.rand(40, 2, 3, 3, dtype=torch.float64)
    assert forwards < (x != 0).double().mean() < backwards
    assert_same(x, weight, None, marked, F.conv2d, way="auto")
    monkeypatch.setattr(event_conv, "conv2d", None)
    assert torch.equal(product(F.conv2d, x, weight, None), F.conv2d(x, weight))
    monkeypatch.setattr(events, "listed", None)  # without a backward pass nothing is listed
    with torch.no_grad():
        assert torch.equal(product(F.conv2d, x, weight, None), F.conv2d(x, weight))


def test_half_precision_and_mixed_precision_stay_dense() -> None:
    x, weight = spikes(100, 50, activity=0.1, dtype=torch.bfloat16), torch.rand(20, 50, dtype=torch.bfloat16)
    assert not chosen(x, weight, F.linear)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not chosen(x.float(), weight.detach().float(), F.linear)


NETWORKS = {
    "mlp": (lambda: lif_mlp((60,), 20, hidden=(40, 30)), (20, 6, 60)),
    "cnn": (lambda: lif_cnn((2, 20, 20), 20, channels=(16, 20), kernel=3), (20, 6, 2, 20, 20)),
    "dropout": (lambda: lif_mlp((60,), 20, hidden=(40, 30), dropout=0.5), (20, 6, 60)),
    "currents": (lambda: lif_cnn((2, 20, 20), 20, channels=(16, 20), kernel=3, pool="currents"), (20, 6, 2, 20, 20)),
    "alif": (lambda: lif_mlp((60,), 20, hidden=(40, 30), neuron_kind="alif"), (20, 6, 60)),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("lfp", [True, False], ids=["lfp", "surrogate"])
def test_a_network_learns_the_same_both_ways(network: str, lfp: bool) -> None:
    make, shape = NETWORKS[network]
    torch.manual_seed(0)
    net = make().double()
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(3)  # enough drive for all layers to fire
    x, y = spikes(*shape, activity=0.2), torch.arange(6)
    results = []
    for way in ("dense", "events"):
        torch.manual_seed(1)
        with use(way):  # type: ignore[arg-type]
            results.append(learned(net, x, y, lfp))
    assert results[0][0].mean() > 0.01
    assert all(g.abs().sum() > 0 for g in results[0][1:])
    torch.testing.assert_close(results[1], results[0])


def test_reward_below_is_worked_out_at_spikes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard of the speed, in counts and not in seconds: LFP's three products touch no silent input."""
    torch.manual_seed(0)
    net = Sequential(nn.Linear(100, 100), LIF(), nn.Flatten(), nn.Dropout(0.0), nn.Linear(100, 60), LIF()).double()
    x = spikes(60, 4, 100, activity=0.08)
    hidden = net[:2](x)
    assert 0 < hidden.mean() < linear_limit(60)
    calls: list[tuple[str, int]] = []
    rows, dots = events.weighted_rows, events.dots
    monkeypatch.setattr(events, "weighted_rows", lambda e, *a: (calls.append(("rows", len(e.index))), rows(e, *a))[1])
    monkeypatch.setattr(events, "dots", lambda e, *a: (calls.append(("dots", len(e.index))), dots(e, *a))[1])
    with LFP().context(net):
        rewards.RateCoded()(net(x), torch.arange(4)).backward()
    n_x, n_hidden = int(x.count_nonzero()), int(hidden.count_nonzero())
    assert calls == [("rows", n_x), ("rows", n_hidden), ("dots", n_hidden), ("rows", n_hidden), ("rows", n_x)]


def test_only_spikes_are_marked() -> None:
    net, x = Sequential(nn.Linear(4, 3), LIF(threshold=-9.0), nn.Linear(3, 2)), torch.rand(2, 3, 4)
    seen: list[bool] = []
    net[2].register_forward_pre_hook(lambda m, a: seen.append(only_spikes(a[0])))
    net(x)
    with LFP().context(net):
        net(x)
    assert seen == [False, True]


def test_spikes_that_are_written_to_are_no_longer_marked() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.lif, self.last = nn.Linear(4, 8), LIF(), nn.Linear(8, 20)

        def forward(self, x: Tensor) -> Tensor:
            z = self.first(x)
            spikes, _ = self.lif(z)
            spikes -= z  # a message at a silent neuron now belongs to z
            return self.last(spikes)

    torch.manual_seed(0)
    net, x, results = Skip().double(), torch.rand(5, 3, 4).double(), []
    for way in ("dense", "events"):
        net.zero_grad()
        with use(way), LFP().context(net):  # type: ignore[arg-type]
            rewards.Softmax()(net(x), torch.arange(3)).backward()
        results.append([p.grad for p in net.parameters()])
    torch.testing.assert_close(*results)


def test_saves_the_list_and_not_the_input() -> None:
    """What is kept for the backward pass is 12 bytes an event (in double precision) and 8 a row."""
    x, weight = spikes(1000, 200, activity=0.05), torch.rand(50, 200, dtype=torch.float64, requires_grad=True)
    y = product(F.linear, x, weight, None)
    kept = y.grad_fn.events  # type: ignore[union-attr]
    size = kept.start.nbytes + kept.index.nbytes + kept.value.nbytes
    assert size == 8 * 1001 + 12 * int(x.count_nonzero()) < x.nbytes / 8
    assert y.grad_fn.saved_tensors == (weight,)  # type: ignore[union-attr]


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"foreach": False}], ids=str)
@pytest.mark.parametrize("lfp", [True, False], ids=["lfp", "surrogate"])
def test_weights_that_an_optimiser_changed_are_seen(options: dict, lfp: bool) -> None:
    """A fused step does not even count as a change in torch's version of the tensor."""
    x, y, reward = spikes(20, 6, 60, activity=0.2), torch.arange(6), rewards.RateCoded()
    results = []
    for way in ("dense", "events"):
        torch.manual_seed(0)
        net = lif_mlp((60,), 20, hidden=(40, 30)).double()
        with torch.no_grad():
            for p in net.parameters():
                p.mul_(3)
        optimizer = torch.optim.SGD(net.parameters(), 0.1, **options)
        attachment = LFP().attach(net) if lfp else None
        outputs = []
        with use(way):  # type: ignore[arg-type]
            for _ in range(4):
                optimizer.zero_grad()
                out = net(x)
                (reward if lfp else reward.loss)(out, y).backward()
                optimizer.step()
                with torch.no_grad():
                    outputs.append(net(x))
        if attachment is not None:
            attachment.remove()
        results.append([*outputs, *(p.detach() for p in net.parameters())])
    assert not torch.equal(results[0][0], results[0][3])
    torch.testing.assert_close(*results)


def test_the_message_is_differentiated_once() -> None:
    x, weight = spikes(100, 50, activity=0.1), torch.rand(20, 50, dtype=torch.float64, requires_grad=True)
    with use("events"):
        (g,) = torch.autograd.grad(product(F.linear, x, weight, None).square().sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_more_rows_of_weights_than_a_block_holds() -> None:
    """The events of a row are taken in pieces, one for each block of the weights."""
    torch.manual_seed(0)
    x, weight = (torch.rand(3, 5000) < 0.02).double(), torch.randn(5000, 70, dtype=torch.double)
    x[1] = 0
    found = events.listed(find(x), x)
    torch.testing.assert_close(events.weighted_rows(found, weight), x @ weight)
    wide = (torch.rand(4000, 6) < 0.3).double()
    listed = events.listed(find(wide), wide).transposed()
    message = torch.randn(4000, 150, dtype=torch.double)
    torch.testing.assert_close(events.weighted_rows(listed, message), wide.t() @ message)


@pytest.mark.parametrize("outputs", [512, 600, 10], ids=["blocks of columns", "rows", "one block"])
def test_threads_share_out_columns_or_rows(outputs: int) -> None:
    x, weight = spikes(200, 300, activity=0.2, dtype=torch.float32), torch.rand(300, outputs) - 0.5
    few, before = events.listed(find(x), x), torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            bias = torch.rand(outputs)
            torch.testing.assert_close(events.weighted_rows(few, weight, bias), x @ weight + bias)
            turned = events.weighted_rows(few.transposed(), torch.ones(200, outputs))
            torch.testing.assert_close(turned, x.t() @ torch.ones(200, outputs))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("way", ["events", "dense", "auto"])
@pytest.mark.parametrize(
    "bias",
    [torch.randn(256, 3)[:, 0], torch.randn(1).expand(256), torch.randn(1), torch.randn(512)[::2]],
    ids=["column", "expanded", "one for all", "every second"],
)
def test_a_bias_as_it_lies_in_memory(way: Way, bias: Tensor) -> None:
    x, w = spikes(300, 100, activity=0.1, dtype=torch.float32), torch.randn(256, 100)
    with use(way):
        torch.testing.assert_close(product(F.linear, x, w, bias), F.linear(x, w, bias))
        with pytest.raises(RuntimeError):
            product(F.linear, x, w, torch.randn(100))


def test_a_way_is_that_of_a_thread() -> None:
    seen: list[Way] = []
    with use("events"):
        other = Thread(target=lambda: seen.append(way_now()))
        other.start()
        other.join()
        seen.append(way_now())
    assert seen == ["auto", "events"]
