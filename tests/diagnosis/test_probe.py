"""What the probe sees is what LFP and autograd send."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import LFP, LI, LIF, Sequential, rewards
from lfp_snn.diagnosis.probe import Probe
from lfp_snn.methods import OnlineFeedback

TARGET = torch.tensor([0, 2, 1, 0])


def events() -> Tensor:
    return (torch.rand(6, 4, 5) < 0.4).float()


def spiking(readout: nn.Module, **options: int) -> Sequential:
    return Sequential(nn.Linear(5, 8), LIF(**options), nn.Linear(8, 3), readout)


@pytest.mark.parametrize("options", [{}, {"recurrent": 8}])
def test_rewards_are_those_that_neurons_record(options: dict[str, int]) -> None:
    net = spiking(LIF(), **options)
    with LFP(record=True).context(net), Probe(net) as probe:
        rewards.RateCoded()(net(events()), TARGET).backward()
    hidden, output = probe.layers()
    assert (hidden.name, output.name) == ("1", "3")
    given = rewards.RateCoded().reward(output.output(4), TARGET)
    torch.testing.assert_close(output.message(4, reward=True), given)
    if not options:  # a recurrent neuron's record has what its fellows sent, too
        torch.testing.assert_close(hidden.message(4, reward=True), 4 * net[1].relevance)


def test_reward_of_a_membrane_is_the_reward_given() -> None:
    net = spiking(LI())
    with LFP().context(net), Probe(net) as probe:
        rewards.Softmax()(net(events()), TARGET).backward()
    *_, output = probe.layers()
    given = rewards.Softmax().reward(output.output(4), TARGET)
    torch.testing.assert_close(output.message(4, reward=True), given, atol=1e-4, rtol=1e-3)


def test_gradients_are_those_of_autograd() -> None:
    net, kept = spiking(LI()), []
    net[1].register_forward_hook(lambda m, x, y: (kept.append(y[0]), y[0].retain_grad())[-1])
    with Probe(net) as probe:
        rewards.Softmax().loss(net(events()), TARGET).backward()
    torch.testing.assert_close(probe.layers()[0].message(4, reward=False), 4 * kept[0].grad)


def test_the_last_linear_layer_counts_where_it_is_the_output() -> None:
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    with LFP().context(net), Probe(net) as probe:
        rewards.Softmax()(net(torch.rand(4, 5)), TARGET).backward()
    assert [(layer.name, layer.output(4).shape) for layer in probe.layers()] == [("1", (1, 4, 8)), ("2", (1, 4, 3))]
    given = rewards.Softmax().reward(probe.layers()[1].output(4)[0], TARGET)
    torch.testing.assert_close(probe.layers()[1].message(4, reward=True), given[None], atol=1e-4, rtol=1e-3)


def test_steps_that_run_one_after_the_other_are_put_together() -> None:
    net, x = spiking(LIF()), events()
    with Probe(net) as probe, OnlineFeedback(window=2).attach(net) as learner:
        learner.learn(x, TARGET, criterion=rewards.RateCoded())
    hidden, output = probe.layers()
    assert len(hidden.calls) == 3
    torch.testing.assert_close(output.output(4), net(x))
    message = hidden.message(4, reward=True)
    assert message is not None
    assert message.shape == (6, 4, 8)


def test_time_folded_into_the_batch_is_unfolded() -> None:
    net = Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), LIF(), nn.Flatten(), nn.Linear(8, 3), LIF())
    with Probe(net) as probe:
        net(torch.rand(6, 4, 1, 4, 4)).sum().backward()
    assert [layer.output(4).shape[:3] for layer in probe.layers()] == [(6, 4, 2), (6, 4, 2), (6, 4, 3)]
    with Probe(net) as probe:
        net(torch.rand(4, 1, 4, 4), steps=6).sum().backward()
    assert [layer.output(4).shape[:3] for layer in probe.layers()] == [(1, 4, 2), (6, 4, 2), (6, 4, 3)]
