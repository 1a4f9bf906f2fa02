"""Who takes part: as seen from the messages themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lfp_snn import LI, LIF, Sequential, rewards
from lfp_snn.methods import METHODS
from lfp_snn.training.participation import Participation


@pytest.mark.parametrize("method", ["lfp", "surrogate"])
def test_a_weight_takes_part_where_input_and_message_meet(method: str) -> None:
    net = Sequential(nn.Linear(8, 10), LIF(), nn.Linear(10, 3), LI())
    net[0].weight.data *= 2
    seen = []

    def keep(module: nn.Module, inputs: tuple[torch.Tensor], y: torch.Tensor) -> None:
        y.retain_grad()
        seen.append((inputs[0].detach(), y))

    for layer in (net[0], net[2]):
        layer.register_forward_hook(keep)
    x, way, reward = (torch.rand(6, 1, 8) < 0.1).float(), METHODS[method](), rewards.Softmax()
    participation = Participation(net)
    with way.attach(net) as learner:
        learner.learn(x, torch.tensor([1]), criterion=reward if way.takes_reward else reward.loss)
    participation.add()
    met = []
    for x, y in seen:
        assert y.grad is not None
        met.append(torch.einsum("tbi,tbj->ji", (x != 0).double(), (y.grad != 0).double()) > 0)
    shares = participation.shares()
    assert shares["weights"] == pytest.approx(sum(int(m.sum()) for m in met) / 110)
    assert shares["neurons"] == pytest.approx(sum(int(m.any(1).sum()) for m in met) / 13)
    assert 0 < shares["weights"] < 1


def test_channels_are_neurons_and_recurrent_weights_are_weights() -> None:
    net = Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(2, 3), LIF(recurrent=3))
    participation = Participation(net)
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    net[0].weight.grad[1, 0, 0, 1] = -0.5  # type: ignore[union-attr,index]
    net[3].recurrent.grad[0] = 1.0  # type: ignore[union-attr,index]
    net[2].bias.grad.fill_(1.0)  # type: ignore[union-attr,operator]
    participation.add()
    assert participation.shares() == pytest.approx({"weights": 4 / (8 + 6 + 9), "neurons": 1 / 5})


def test_steps_are_averaged_and_no_gradient_is_no_part() -> None:
    net = nn.Linear(2, 2)
    participation = Participation(net)
    participation.add()
    assert participation.shares() == {"weights": 0.0, "neurons": 0.0}
    net.weight.grad = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    participation.add()
    assert participation.shares() == {"weights": 1 / 8, "neurons": 1 / 4}
    participation.reset()
    assert participation.shares() == {"weights": 0.0, "neurons": 0.0}
