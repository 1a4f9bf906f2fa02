"""Synaptic operations: as neurobench counts them, and as counted one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import TorchModel
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lfp_snn import LI, LIF, Sequential, models, rewards
from lfp_snn.compare.pruning import prune_weights
from lfp_snn.methods import METHODS, Method, OnlineFeedback
from lfp_snn.training.work import WorkCounter

Seen = dict[str, tuple[Tensor, Tensor]]


def counted_by_neurobench(network: nn.Module, x: Tensor, time: bool, batch: int) -> dict[str, float]:
    """Run neurobench on examples [B, ...], or on [B, T, ...] of which the network gets [T, B, ...]."""

    class BatchFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.network(x.transpose(0, 1)) if time else self.network(x)
            return y

    data = DataLoader(TensorDataset(x, torch.zeros(len(x))), batch_size=batch)
    found: dict[str, float] = Benchmark(TorchModel(BatchFirst()), data, [], [], [[], [SynapticOperations]]).run(
        quiet=True
    )["SynapticOperations"]
    return found


def poisson(*shape: int, rate: float = 0.3) -> Tensor:
    return (torch.rand(*shape) < rate).float()


CASES = {
    "lif-mlp": (models.lif_mlp((2, 4, 4), 5, hidden=(12,)), poisson(6, 7, 2, 4, 4), True),
    "lif-mlp-counts": (models.lif_mlp((9,), 5, hidden=(12,)), poisson(6, 7, 9) * 3, True),
    "lif-cnn": (models.lif_cnn((2, 12, 12), 4, channels=(3, 4), kernel=3), poisson(6, 5, 2, 12, 12), True),
    "deep-snn": (models.deep_snn((2, 16, 16), 4, channels=(3, 4, 2, 4, 4)), poisson(4, 3, 2, 16, 16), True),
    "lenet": (models.lenet((1, 12, 12), 4), torch.rand(4, 1, 12, 12), False),
    "lenet-step": (models.lenet((1, 12, 12), 4, activation="step"), poisson(4, 1, 12, 12), False),
}


@pytest.mark.parametrize("pruned", [0.0, 0.6])
@pytest.mark.parametrize("name", CASES)
def test_inference_is_what_neurobench_counts(name: str, pruned: float) -> None:
    network, x, time = CASES[name]
    torch.manual_seed(1)
    for p in network.parameters():
        nn.init.uniform_(p, -1, 1)
    prune_weights(network, pruned)
    network.eval()
    work = WorkCounter(network)
    for part in x.split(4):
        with torch.no_grad(), work.watch(len(part)):
            network(part.transpose(0, 1) if time else part)
    found, expected = work.inference(), counted_by_neurobench(network, x, time, batch=4)
    assert found["effective_acs"] == pytest.approx(expected["Effective_ACs"], rel=1e-9)
    assert found["effective_macs"] == pytest.approx(expected["Effective_MACs"], rel=1e-9)
    assert found["dense"] == pytest.approx(expected["Dense"], rel=1e-9)
    assert 0 < found["effective_acs"] + found["effective_macs"] < found["dense"]


def test_a_static_input_is_multiplied_once() -> None:
    network = models.lif_mlp((4, 4), 5, hidden=(12,))
    work = WorkCounter(network)
    with torch.no_grad(), work.watch(3):
        network(torch.rand(3, 4, 4), steps=9)
    assert work.inference()["effective_macs"] == 16 * 12
    assert work.inference()["dense"] == 16 * 12 + 9 * 12 * 5


def looked_at(network: nn.Module) -> Seen:
    """Return input and output of each linear layer by name, once the network has run; the output keeps its message."""
    seen: Seen = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor], y: Tensor) -> None:
            y.retain_grad()
            seen[name] = inputs[0].detach(), y

        return hook

    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(keep(name))
    return seen


def pairs(x: Tensor, g: Tensor) -> int:
    """Count (x, g) that are both not zero, of all-to-all connections."""
    return int(torch.einsum("...i,...j->", (x != 0).double(), (g != 0).double()))


def learn(
    network: nn.Module, method: Method, *, steps: int | None = None, x: Tensor | None = None, lengths: Any = None
) -> tuple[WorkCounter, Tensor]:
    """Let a network learn from four examples and return the count."""
    torch.manual_seed(2)
    if x is None:
        x = torch.rand(4, 8) if steps else poisson(6, 4, 8)
    work, reward = WorkCounter(network, method), rewards.Softmax()
    with method.attach(network) as learner, work.watch(4):
        criterion = reward if method.takes_reward else reward.loss
        learner.learn(x, torch.tensor([0, 1, 2, 0]), lengths, criterion=criterion, steps=steps)
    return work, x


def network() -> Sequential:
    torch.manual_seed(0)
    net = Sequential(nn.Linear(8, 10), LIF(), nn.Linear(10, 7), LIF(), nn.Linear(7, 3), LI())
    for p in net.parameters():
        p.data *= 2
    return net


@pytest.mark.parametrize("method", ["surrogate", "lfp", "lfp-unscaled", "scaled-gradient", "feedback-alignment"])
def test_messages_counted_one_by_one(method: str) -> None:
    net = network()
    seen = looked_at(net)
    work, _ = learn(net, METHODS[method]())
    messages = {name: y.grad for name, (_, y) in seen.items()}
    assert len(messages) == 3
    feedback = below = 0
    for name, (x, _) in seen.items():
        g = messages[name]
        assert g is not None
        feedback += pairs(x, g)
        if name != "0":
            below += pairs(x, g) if "lfp" in method else int(g.count_nonzero()) * x.shape[-1]
    found = work.training()
    assert found["forward"] == sum(pairs(x, torch.ones_like(y)) for x, y in seen.values()) / 4
    assert found["feedback"] == feedback / 4
    assert found["below"] == below / 4
    assert min(found["feedback"], found["below"]) > 0
    dense = 6 * (8 * 10 + 10 * 7 + 7 * 3)
    assert found["dense"] == 2 * dense + 6 * (10 * 7 + 7 * 3)
    assert work.taking_part() == pytest.approx(feedback / 4 / dense)


def test_reward_takes_less_work_than_the_gradient() -> None:
    reward, _ = learn(network(), METHODS["lfp"]())
    gradient, _ = learn(network(), METHODS["surrogate"]())
    assert reward.inference() == gradient.inference()
    assert reward.training()["feedback"] < gradient.training()["feedback"]
    assert reward.training()["below"] < gradient.training()["below"]


@pytest.mark.parametrize("method", ["surrogate", "lfp"])
def test_recurrent_weights(method: str) -> None:
    torch.manual_seed(0)
    net = Sequential(nn.Linear(8, 10), LIF(recurrent=10), nn.Linear(10, 3), LI())
    net[0].weight.data *= 3
    seen = looked_at(net)
    work, _ = learn(net, METHODS[method]())
    (x, y), (spikes, z) = seen["0"], seen["2"]
    assert y.grad is not None
    assert z.grad is not None
    before = torch.cat([torch.zeros_like(spikes[:1]), spikes[:-1]])
    assert before.any()
    inner, outer = pairs(before, y.grad), pairs(spikes, z.grad)
    assert work.counts.acs == pairs(before, torch.ones_like(y)) + pairs(x, torch.ones_like(y)) + pairs(spikes, z + 9)
    assert work.counts.feedback == pairs(x, y.grad) + inner + outer
    if method == "lfp":
        assert work.counts.below == inner + outer
    else:
        assert work.counts.below == int(y.grad[1:].count_nonzero()) * 10 + int(z.grad.count_nonzero()) * 10
    assert work.counts.dense_below == 4 * (5 * 100 + 6 * 30)


def test_recurrent_neurons_go_on_from_their_state() -> None:
    net = Sequential(nn.Linear(8, 10), LIF(recurrent=10), nn.Linear(10, 3), LI())
    net[0].weight.data *= 3
    x = poisson(6, 4, 8)
    whole, parts = WorkCounter(net), WorkCounter(net)
    with torch.no_grad(), whole.watch(4):
        net(x)
    with torch.no_grad(), parts.watch(4):
        state = None
        for part in x.split(2):
            _, state = net.run(part, state)
    assert parts.inference() == whole.inference()


def test_step_by_step_is_as_much_forwards_as_at_once() -> None:
    online, _ = learn(network(), OnlineFeedback(window=2))
    whole, _ = learn(network(), METHODS["lfp"]())
    assert online.inference() == whole.inference()
    assert 0 < online.training()["feedback"] < whole.training()["feedback"]


def test_traces_keep_inputs_active() -> None:
    net = network()
    work, x = learn(net, METHODS["ottt"]())
    assert work.inference()["dense"] == 6 * (8 * 10 + 10 * 7 + 7 * 3)
    # With a surrogate derivative that is nowhere zero, every unit hears something at every step.
    spikes = [x]
    for layer in (0, 2):
        spikes.append(net[layer + 1](net[layer](spikes[-1]))[0])
    traced = [s.cumsum(0).count_nonzero() for s in spikes]
    assert work.counts.feedback == int(traced[0] * 10 + traced[1] * 7 + traced[2] * 3)


def test_direct_feedback_comes_from_the_output() -> None:
    work, _ = learn(network(), METHODS["dfa"]())
    assert work.counts.below == work.counts.dense_below == 4 * 6 * 3 * (10 + 7)


def test_stdp_calls_layers_again_for_the_message_alone() -> None:
    plastic, _ = learn(network(), METHODS["r-stdp"]())
    gradient, _ = learn(network(), METHODS["surrogate"]())
    assert plastic.inference() == gradient.inference()
    assert plastic.training()["below"] == 0
    assert 0 < plastic.taking_part() < 1


def test_static_message_counts_once() -> None:
    work, x = learn(network(), METHODS["surrogate"](), steps=5)
    assert work.counts.macs == 4 * 8 * 10
    assert int(x.count_nonzero()) == 32
    assert work.counts.dense == 4 * (8 * 10 + 5 * (10 * 7 + 7 * 3))
    assert work.counts.dense_feedback == work.counts.dense


@pytest.mark.parametrize("method", sorted(METHODS))
def test_watching_changes_nothing(method: str) -> None:
    grads, x = [], poisson(6, 4, 8)
    for watched in (True, False):
        net, reward, way = network(), rewards.Softmax(), METHODS[method]()
        work = WorkCounter(net, way)
        with way.attach(net) as learner:
            target, criterion = torch.tensor([0, 1, 2, 0]), reward if way.takes_reward else reward.loss
            if watched:
                with work.watch(4):
                    learner.learn(x, target, criterion=criterion)
            else:
                learner.learn(x, target, criterion=criterion)
        grads.append([p.grad for p in net.parameters()])
        if not watched:
            assert work.counts.examples == work.counts.dense == work.counts.feedback == 0
    for a, b in zip(*grads, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


def test_no_hook_is_left_behind() -> None:
    net = network()
    work = WorkCounter(net)
    with work.watch(1):
        net(poisson(6, 1, 8))
    with pytest.raises(KeyError, match="stop"), work.watch(1):
        raise KeyError("stop")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    counted = work.training()
    net(poisson(6, 1, 8)).sum().backward()
    assert work.training() == counted
    work.reset()
    assert work.training() == {"forward": 0, "feedback": 0, "below": 0, "dense": 0}
