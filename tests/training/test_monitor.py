"""Firing rates and silent units."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lfp_snn import LIF, Sequential
from lfp_snn.training.monitor import SpikeMonitor


def network() -> Sequential:
    """Two units that follow their inputs, a third that never fires; then one that sums all three."""
    first, second = nn.Linear(3, 3, bias=False), nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.diag(torch.tensor([2.0, 2.0, 0.0])))
        second.weight.fill_(2.0)
    return Sequential(first, LIF(beta=0.0, reset="none"), second, LIF(beta=0.0, reset="none"))


def test_counts_what_fires() -> None:
    net = network()
    monitor = SpikeMonitor(net)
    x = torch.zeros(4, 2, 3)
    x[0, 0, 0] = x[1, 0, 0] = x[3, 1, 1] = 1.0
    with monitor.watch():
        net(x)
    assert monitor.rates() == pytest.approx({"1": 3 / 24, "3": 3 / 8})
    assert monitor.dead_units() == {"1": 1, "3": 0}
    assert monitor.units() == {"1": 3, "3": 1}


def test_padded_steps_do_not_count() -> None:
    net = network()
    monitor = SpikeMonitor(net)
    x = torch.zeros(4, 2, 3)
    x[0, 0, 0] = x[3, 1, 1] = 1.0
    with monitor.watch(torch.tensor([4, 2])):
        net(x)
    assert monitor.rates() == pytest.approx({"1": 1 / 18, "3": 1 / 6})
    assert monitor.dead_units() == {"1": 2, "3": 0}


def test_batches_add_up_whatever_their_lengths() -> None:
    net = network()
    monitor = SpikeMonitor(net)
    x = (torch.rand(6, 5, 3) < 0.3).float()
    with monitor.watch():
        net(x)
    whole = monitor.rates(), monitor.dead_units()
    monitor.reset()
    for part in (x[:, :2], x[:, 2:]):
        with monitor.watch():
            net(part)
    assert monitor.rates() == pytest.approx(whole[0])
    assert monitor.dead_units() == whole[1]


def test_sees_nothing_outside_watch_and_after_remove() -> None:
    net = network()
    monitor = SpikeMonitor(net)
    net(torch.ones(2, 1, 3))
    assert monitor.rates() == {}
    monitor.remove()
    with monitor.watch():
        net(torch.ones(2, 1, 3))
    assert monitor.rates() == {}


def test_convolutions_and_static_inputs() -> None:
    net = Sequential(nn.Conv2d(1, 2, 3), LIF(beta=0.9), nn.Flatten(), nn.Linear(8, 5), LIF(beta=0.9))
    monitor = SpikeMonitor(net)
    with monitor.watch():
        net(torch.rand(3, 1, 4, 4), steps=6)
    assert monitor.units() == {"1": 8, "4": 5}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.0, 0.0, 0.0], "layer 1 fired no spike"),
        ([2.0, 2.0, 2.0], "layer 1 fires at almost every step"),
        ([2.0, 0.0, 0.0], "layer 1: 2 of 3 units never fired"),
    ],
)
def test_warnings_name_the_layer(weights: list[float], message: str) -> None:
    net = network()
    with torch.no_grad():
        net[0].weight.copy_(torch.diag(torch.tensor(weights)))
    monitor = SpikeMonitor(net)
    with monitor.watch():
        net(torch.ones(4, 2, 3))
    assert any(text.startswith(message) for text in monitor.warnings())


def test_no_warning_for_healthy_rates() -> None:
    net = network()
    with torch.no_grad():
        net[0].weight.copy_(2 * torch.eye(3))
    monitor = SpikeMonitor(net)
    x = torch.zeros(4, 3, 3)
    x[0, 0, 0] = x[1, 1, 1] = x[2, 2, 2] = 1.0
    with monitor.watch():
        net(x)
    assert monitor.warnings() == []
