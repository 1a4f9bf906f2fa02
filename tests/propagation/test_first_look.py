"""What is looked at once: silent neurons, foreign backward passes, spikes with two uses."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lfp_snn import LFP, LI, LIF, Sequential, models, register_function, rewards
from lfp_snn.errors import SilenceWarning, UnknownLayerError

X, Y = 4 * torch.rand(7, 3, 6), torch.arange(3)


def learn(net: nn.Module, x: Tensor = X) -> None:
    with LFP().context(net):
        out = net(x)
        rewards.Softmax()(out, Y).backward()


def quiet(hidden: float, readout: nn.Module) -> Sequential:
    torch.manual_seed(0)
    return Sequential(nn.Linear(6, 8), LIF(threshold=hidden), nn.Linear(8, 3), readout)


def test_hidden_neurons_that_are_silent_are_named_once() -> None:
    net = quiet(1e3, LI())
    with pytest.warns(SilenceWarning, match=r"no neuron of 1 fired .*models\.calibrate\(network, x\)"):
        learn(net)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn(net)
        calibrated = quiet(1e3, LI())
        models.calibrate(calibrated, X)
        learn(calibrated)


def test_a_silent_readout_is_told_to_fire() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn(quiet(0.1, LIF(threshold=1e3)))


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).float()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g * torch.exp(-(ctx.saved_tensors[0] ** 2))


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return 2 * g


class Net(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.first, self.last, self.function = nn.Linear(6, 8), nn.Linear(8, 3), function

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self.first(x)))


def test_functions_with_a_backward_pass_of_their_own_are_refused() -> None:
    with pytest.raises(UnknownLayerError, match="Spike is an autograd function with a backward pass of its own"):
        learn(Net(Spike.apply))
    with pytest.raises(UnknownLayerError, match="CheckpointFunction"):
        learn(Net(lambda x: checkpoint(torch.relu, x, use_reentrant=True)))
    with pytest.raises(UnknownLayerError, match=r"torch\.jit"):
        learn(nn.Sequential(torch.jit.script(nn.Linear(6, 3))))


def test_linear_functions_can_be_registered() -> None:
    register_function(Double, "structure")
    torch.manual_seed(0)
    net, plain = Net(Double.apply), Net(lambda x: 2 * x)
    plain.load_state_dict(net.state_dict())
    learn(net)
    learn(plain)
    torch.testing.assert_close(net.first.weight.grad, plain.first.weight.grad, rtol=0.01, atol=1e-3)


def test_spikes_with_two_uses_are_refused() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.lif = nn.Linear(6, 8), nn.Linear(8, 3), LIF(threshold=0.1)

        def forward(self, x: Tensor) -> Tensor:
            first, _ = self.lif(self.a(x))
            second, _ = self.lif(self.b(first))
            return torch.cat([first, second], -1)

    with pytest.raises(UnknownLayerError, match="are also the input of another layer"):
        learn(Both())
