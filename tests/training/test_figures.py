"""Figures: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import torch

from lfp_snn.training.build import build
from lfp_snn.training.config import Config, apply
from lfp_snn.training.figures import accuracy, explain, firing_rates, raster, reward_at_input

ROWS = [
    {
        "epoch": k,
        "train_accuracy": 0.2 * k,
        "val_accuracy": 0.1 * k,
        "train_loss": -0.1 * k,
        "spike_rate": {"1": 0.1 * k, "3": 0.2},
        "dead_units": {"1": 3 - k, "3": 0},
    }
    for k in (1, 2, 3)
]


def test_accuracy_curves() -> None:
    axes = accuracy(ROWS).axes
    lines = {line.get_label(): line.get_ydata() for line in axes[0].lines}
    assert np.allclose(lines["train"], [20, 40, 60])
    assert np.allclose(lines["val"], [10, 20, 30])
    assert np.allclose(axes[1].lines[0].get_ydata(), [-0.1, -0.2, -0.3])


def test_firing_rates_of_each_layer_in_its_own_style() -> None:
    top, bottom = firing_rates(ROWS).axes
    assert np.allclose(top.lines[0].get_ydata(), [10, 20, 30])
    assert np.allclose(bottom.lines[0].get_ydata(), [2, 1, 0])
    assert len({(line.get_linestyle(), line.get_marker()) for line in top.lines}) == 2


def test_raster_draws_every_spike_once() -> None:
    spikes = (torch.rand(6, 2, 3, 4) < 0.2).float()
    figure = raster({"layer 1": spikes, "layer 3": torch.zeros(6, 5)}, "title")
    assert len(figure.axes) == 2
    drawn = {(int(t), int(unit)) for t, unit in figure.axes[0].collections[0].get_offsets()}
    assert drawn == {(int(t), int(u)) for t, u in spikes.flatten(1).nonzero()}
    assert len(figure.axes[1].collections[0].get_offsets()) == 0


def test_reward_over_space_and_time() -> None:
    relevance = torch.randn(5, 2, 4, 3)
    figure = reward_at_input(relevance)
    assert np.allclose(figure.axes[0].images[0].get_array(), relevance.sum((0, 1)))
    bars = [bar.get_height() for bar in figure.axes[1].patches]
    assert np.allclose(np.reshape(bars, (2, 5)).sum(0), relevance.sum((1, 2, 3)), atol=1e-5)


def test_reward_of_every_kind_of_input() -> None:
    for shape, axes in (((5, 7), 2), ((5, 2, 4, 4), 2), ((3, 4, 4), 1), ((7,), 1)):
        figure = reward_at_input(torch.randn(shape))
        assert len([axis for axis in figure.axes if axis.get_label() != "<colorbar>"]) == axes
        figure = reward_at_input(torch.zeros(shape))
        assert np.allclose(figure.axes[0].images[0].get_array(), 0)


def test_explain_leaves_the_network_as_it_was() -> None:
    config = apply(Config(), {"data": {"name": "digits"}, "model": {"hidden": [20]}, "encoder": {"steps": 4}})
    task = build(config)
    task.network.train()
    batch = task.splits.test.__getitems__([3])
    hooks = [len(m._forward_hooks) for m in task.network.modules()]
    spikes, relevance, decision = explain(task, batch)
    assert [len(m._forward_hooks) for m in task.network.modules()] == hooks
    assert task.network.training
    assert all(p.grad is None for p in task.network.parameters())
    assert [y.shape for y in spikes.values()] == [(4, 20), (4, 10)]
    assert relevance.shape == (1, 8, 8)
    # Where nothing was shown nothing was earned.
    assert not relevance[batch.x[0] == 0].any()
    assert relevance.abs().sum() > 0
    assert 0 <= decision < 10
