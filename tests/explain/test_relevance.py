from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lfp_snn import ALIF, LFP, LI, LIF, CubaLIF, Sequential, input_relevance, rewards
from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.explain import explain
from lfp_snn.rules.sharing import Conserving, Reference

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_golden import build, error, golden_cases


def events(steps: int, batch: int, *features: int, seed: int = 0, rate: float = 0.4) -> Tensor:
    return (torch.rand(steps, batch, *features, generator=torch.Generator().manual_seed(seed)) < rate).float()


def network(*, bias: bool = True, last: nn.Module | None = None) -> Sequential:
    torch.manual_seed(1)
    layers = [nn.Linear(6, 12, bias=bias), LIF(), nn.Linear(12, 8, bias=bias), LIF(), nn.Linear(8, 3, bias=bias)]
    return louder(Sequential(*layers, LIF() if last is None else last))


def louder(net: Sequential) -> Sequential:
    """Scale the weights so that all layers fire."""
    with torch.no_grad():
        for module in net:
            if isinstance(module, nn.Linear):
                module.weight.mul_(2.5)
    return net


@pytest.mark.parametrize("path", golden_cases(), ids=lambda p: p.stem)
def test_golden_input_relevance(path: Path) -> None:
    with np.load(path) as file:
        case = dict(file)
    net, x = build(case), torch.from_numpy(case["input"])
    steps: dict[str, Any] = {}
    if "timesteps" in case and len(x) == len(case["labels"]) and len(x) != int(case["timesteps"]):
        steps = {"steps": int(case["timesteps"])}
    lfp = LFP(epsilon=float(case["epsilon"]))
    why = explain(net, x, reward=torch.from_numpy(case["reward"]), lfp=lfp, training=True, **steps)
    relevance = why.relevance.sum(0) if steps else why.relevance
    assert error(relevance, case["input_relevance"]) < 1e-5


def test_relevance_adds_up_to_the_score_where_nothing_is_kept() -> None:
    torch.manual_seed(1)
    layers = [nn.Linear(6, 12, bias=False), LIF(reset="none"), nn.Linear(12, 3, bias=False), LIF(reset="none")]
    net, x = louder(Sequential(*layers)), events(9, 5, 6)
    why = explain(net, x, lfp=LFP(1e-9, sharing=Conserving(1e-9)))
    score = why.scores.gather(1, why.target[:, None])[:, 0]
    assert score.min() > 0
    torch.testing.assert_close(why.relevance.sum((0, 2)), score, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(why.layers["1"].relevance.sum((0, 2)), score, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(why.layers["3"].relevance.sum((0, 2)), score, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(why.over_time().sum(0), score, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(why.over_space().sum(1), score, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(why.missing(), torch.zeros(5), rtol=0, atol=1e-4)
    with torch.no_grad():
        for module in (0, 2):
            net[module].bias = nn.Parameter(torch.full((net[module].out_features,), 0.2))
    why = explain(net, x, lfp=LFP(1e-9, sharing=Conserving(1e-9)))  # biases keep what was theirs
    assert (why.missing() > 0.01).all()
    torch.testing.assert_close(why.reward.sum((0, 2)) * (1 - why.missing()), why.relevance.sum((0, 2)))


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("kind", [LIF, ALIF])
def test_membrane_threshold_and_what_it_carried(reset: str, delay: bool, kind: type) -> None:
    """Against a loop that runs the neuron and shares its reward out, term by term."""
    torch.manual_seed(2)
    neuron = kind(beta=0.8, threshold=0.7, reset=reset, reset_delay=delay)
    net, x = Sequential(nn.Linear(5, 4), neuron), events(12, 3, 5)
    reward = torch.randn(12, 3, 4, generator=torch.Generator().manual_seed(3))
    layer = explain(net, x, reward=reward, lfp=LFP(sharing=Reference(1e-6))).layers["1"]
    current, beta, theta = net[0](x).detach(), 0.8, 0.7
    kappa, rho = (float(neuron.kappa), float(neuron.rho)) if kind is ALIF else (0.0, 0.0)
    v, s, a = torch.zeros(3, 4), torch.zeros(3, 4), torch.zeros(3, 4)
    terms = []
    for t in range(12):
        w = v
        subtracted = torch.zeros(3, 4)
        if reset == "zero":
            w = v * (1 - s)
        elif reset == "subtract" and delay:
            subtracted = s * theta
        elif reset == "subtract":
            w = v - s * theta
        v = beta * w + current[t] - subtracted
        s = (v > theta + kappa * a).float()
        terms.append((w, v, s, theta + kappa * a, current[t], kappa * a))
        a = rho * a + s
    q, g_a = torch.zeros(3, 4), torch.zeros(3, 4)
    for t in range(11, -1, -1):
        w, v, s, threshold, i, adapt = terms[t]
        d = w.abs() + (i - (1 - beta) * w).abs() + adapt.abs()
        n = (reward[t] + q + s * g_a) / (d + 1e-6)
        q, g_a = beta * w * n, rho * g_a - kappa * n
        torch.testing.assert_close(layer.carried[t], q, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(layer.membrane[t], v, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(layer.threshold[t], threshold, rtol=1e-5, atol=1e-6)
        assert torch.equal(layer.output[t], s)


@pytest.mark.parametrize(
    "neuron", [lambda: CubaLIF(alpha=0.6, recurrent=12), lambda: ALIF(recurrent=12), lambda: CubaLIF(alpha=0.6)]
)
def test_what_other_neurons_carried(neuron: Any) -> None:
    """The membrane of a step owes to the one before what the density of its terms says, whatever drives it."""
    torch.manual_seed(4)
    net = Sequential(nn.Linear(6, 12), neuron(), nn.Linear(12, 3), LI())
    layer = explain(net, events(10, 2, 6)).layers["1"]
    assert layer.membrane.shape == layer.carried.shape == (10, 2, 12)
    assert torch.equal(layer.output, (layer.membrane > layer.threshold).float())
    assert torch.equal(layer.carried[0], torch.zeros(2, 12))  # it began at rest
    assert layer.carried[1:].abs().sum() > 0


def test_targets() -> None:
    net, x = network(), events(10, 4, 6)
    why = explain(net, x)
    assert torch.equal(why.target, net(x).mean(0).argmax(-1))
    assert why.target.unique().numel() > 1
    classes = torch.tensor([2, 0, 1, 1])
    one, other = explain(net, x, 1), explain(net, x, classes)
    assert torch.equal(one.target, torch.full((4,), 1))
    torch.testing.assert_close(other.relevance[:, 2:], one.relevance[:, 2:])
    against = explain(net, x, 1, against=classes.clamp(max=0) + 2)
    torch.testing.assert_close(against.relevance, one.relevance - explain(net, x, 2).relevance, rtol=1e-4, atol=1e-5)


def test_against_the_next_best() -> None:
    net, x = network(), events(10, 4, 6)
    why = explain(net, x, against="next")
    second = why.scores.topk(2).indices[:, 1]
    torch.testing.assert_close(why.relevance, explain(net, x, against=second).relevance)
    with pytest.raises(ConfigError, match="'next', 'rest' or None, got 'best'"):
        explain(net, x, against="best")  # type: ignore[arg-type]


def test_against_the_rest() -> None:
    net, x = network(), events(10, 4, 6)
    rest = explain(net, x, 0, against="rest").relevance
    each = [explain(net, x, k).relevance for k in range(3)]
    torch.testing.assert_close(rest, each[0] - (each[1] + each[2]) / 2, rtol=1e-4, atol=1e-5)


def test_a_reward_of_the_training_is_explained_too() -> None:
    net, x, target = network(last=LI()), events(10, 4, 6), torch.tensor([0, 1, 2, 1])
    reward = rewards.Softmax()
    why = explain(net, x, target, reward=reward)
    given = explain(net, x, reward=reward.reward(why.output, target))
    torch.testing.assert_close(why.relevance, given.relevance)


def test_padding_has_no_relevance() -> None:
    net, x, lengths = network(), events(10, 2, 6), torch.tensor([10, 4])
    why = explain(net, x, lengths=lengths)
    assert why.relevance[4:, 1].abs().sum() == 0 < why.relevance[4:, 0].abs().sum()
    alone = explain(net, x[:4, 1:], target=int(why.target[1]))
    torch.testing.assert_close(why.relevance[:4, 1:], alone.relevance, rtol=1e-5, atol=1e-7)


def test_a_batch_is_its_examples() -> None:
    net, x = network(), events(10, 3, 6)
    why = explain(net, x, 1)
    for k in range(3):
        alone, mine = explain(net, x[:, k : k + 1], 1), why.sample(k)
        torch.testing.assert_close(mine.relevance, alone.relevance, rtol=1e-5, atol=1e-7)
        for name in ("1", "3", "5"):
            for a, b in zip(vars(mine.layers[name]).values(), vars(alone.layers[name]).values(), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
    with pytest.raises(IndexError, match="no example 3 in a batch of 3"):
        why.sample(3)


def test_a_static_input_is_explained_step_by_step() -> None:
    net, x = network(), torch.rand(2, 6, generator=torch.Generator().manual_seed(0))
    lfp = LFP(sharing=Reference(1e-6))
    why = explain(net, x, steps=7, lfp=lfp)
    assert why.relevance.shape == (7, 2, 6)
    assert why.relevance.sum((1, 2)).unique().numel() > 3
    static = x.clone().requires_grad_()
    with lfp.context(net):
        output = net(static, steps=7)
        rewards.Given()(output, output.detach() * F.one_hot(why.target, 3) / 7).backward()
    assert torch.equal(why.output, output)
    torch.testing.assert_close(why.relevance.sum(0), 2 * input_relevance(static), rtol=1e-4, atol=1e-6)
    with pytest.raises(ShapeError, match="steps must be at least 1"):
        explain(net, x, steps=0)


def test_a_network_without_time() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False))
    why = explain(net, torch.rand(4, 6), 2, lfp=LFP(1e-9))
    assert not why.temporal
    torch.testing.assert_close(why.relevance.sum(1), why.scores[:, 2], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(why.layers["1"].relevance.sum(1), why.scores[:, 2], rtol=1e-4, atol=1e-6)
    assert why.layers["1"].output.shape == (4, 8)


def test_the_network_is_left_as_it_was() -> None:
    net = network()
    net.train()
    net[1].eval()
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    before = copy.deepcopy(net.state_dict())
    explain(net, events(6, 2, 6))
    assert net.training
    assert not net[1].training
    assert net[3].training
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in net.parameters())
    assert not any(hasattr(p, "feedback") for p in net.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(m.record is None for m in net if isinstance(m, LIF))
    with torch.no_grad():  # where gradients are off, too
        assert explain(net, events(6, 2, 6)).relevance.abs().sum() > 0


def test_time_in_pieces_gives_the_same() -> None:
    net, x = network(), events(11, 2, 6)
    whole = explain(net, x, 1)
    net.checkpoint_steps = 4
    pieces = explain(net, x, 1)
    torch.testing.assert_close(pieces.relevance, whole.relevance)
    for name in ("1", "3"):
        for a, b in zip(vars(pieces.layers[name]).values(), vars(whole.layers[name]).values(), strict=True):
            torch.testing.assert_close(a, b)


def test_adapting_thresholds_do_not_make_relevance_grow() -> None:
    torch.manual_seed(1)
    net = Sequential(nn.Linear(6, 12, bias=False), ALIF(kappa=0.5), nn.Linear(12, 3, bias=False), LI())
    why = explain(louder(net), events(60, 8, 6))
    assert (why.relevance.abs().sum((0, 2)) <= 3 * why.explained().abs()).all()
    # The conserving rule, which is the default elsewhere, has no bound here.
    assert not explain(net, why.x, lfp=LFP(sharing="conserving")).relevance.abs().max() < 1e3


def test_it_says_in_a_line_what_it_is_of() -> None:
    why = explain(network(), events(10, 2, 6), target=1)
    assert repr(why) == "Explanation(x=[10, 2, 6], target=[1, 1], layers=['1', '3', '5'])"
    torch.testing.assert_close(why.explained() * (1 - why.missing()), why.arrived())


def test_a_silent_network_has_no_reasons() -> None:
    net, x = network(), torch.zeros(5, 2, 6)
    nn.init.constant_(net[0].bias, -1.0)
    why = explain(net, x)
    assert why.relevance.abs().sum() == 0
    assert set(why.layers) == {"1", "3", "5"}


def test_networks_of_snntorch() -> None:
    import snntorch as snn
    from snntorch import utils

    from lfp_snn.adapters.snntorch import from_snntorch

    torch.manual_seed(0)
    theirs = nn.Sequential(nn.Linear(6, 8), snn.Leaky(beta=0.9, init_hidden=True), nn.Linear(8, 3))
    ours = from_snntorch(theirs)
    x = events(8, 2, 6)

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = theirs

        def forward(self, x: Tensor) -> Tensor:
            utils.reset(self.net)
            return torch.stack([self.net(x_t) for x_t in x])

    lfp = LFP(sharing=Reference(1e-6))
    live, converted = explain(Loop(), x, 1, lfp=lfp), explain(ours, x, 1, lfp=lfp)
    torch.testing.assert_close(live.relevance, converted.relevance, rtol=1e-4, atol=1e-6)
    assert converted.layers["1"].relevance.abs().sum() > 0


def test_errors() -> None:
    net, x = network(), events(5, 2, 6)
    with pytest.raises(ShapeError, match=r"class numbers must lie in 0..2"):
        explain(net, x, 3)
    with pytest.raises(ShapeError, match="targets must be class numbers"):
        explain(net, x, torch.tensor([1]))
    with pytest.raises(ShapeError, match="must be the output's"):
        explain(net, x, reward=torch.ones(2, 3))

    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    with pytest.raises(ShapeError, match="return its output alone, got tuple"):
        explain(Two(), x)
