"""The ready-made networks, and the start at a wished firing rate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import LFP, LI, LIF, Residual, Sequential, SpikingNeuron, rewards
from lfp_snn.errors import ShapeError, SilenceWarning
from lfp_snn.models import MODELS, calibrate, lif_mlp, recurrent_snn
from lfp_snn.models.parts import neuron

SPIKING = ["lif-mlp", "lif-cnn", "deep-snn", "residual-snn", "recurrent-snn", "spikformer"]
SMALL: dict[str, dict[str, Any]] = {
    "lif-mlp": {"hidden": [20]},
    "lif-cnn": {"channels": [3, 4]},
    "deep-snn": {"channels": [3, 4, 4, 4, 4]},
    "residual-snn": {"channels": [3, 4, 4, 4]},
    "recurrent-snn": {"hidden": [12]},
    "spikformer": {"width": 16, "depth": 1},
    "vgg": {"stages": [[4], [4]]},
    "resnet": {"channels": [4, 8]},
    "mlp": {"hidden": [20], "dropout": 0.1},
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_every_model_trains_a_step_under_lfp(name: str, shape: tuple[int, ...]) -> None:
    net = MODELS[name](shape, 10, **SMALL.get(name, {}))
    x, y = torch.rand(2, *shape) * 4, torch.tensor([3, 7])
    with LFP(scale_floor=0.01, homeostasis=rewards.Homeostasis(0.05, 0.5)).context(net):
        out = net(x, steps=4) if name in SPIKING else net(x)
        spikes = name in SPIKING and name not in ("recurrent-snn", "spikformer")
        (rewards.RateSoftmax() if spikes else rewards.Softmax())(out, y).backward()
    assert out.shape == ((4, 2, 10) if name in SPIKING else (2, 10))
    for parameter_name, p in net.named_parameters():
        assert p.grad is not None, parameter_name
        assert torch.isfinite(p.grad).all(), parameter_name


def test_the_sizes_are_those_of_the_paper() -> None:
    assert sum(p.numel() for p in MODELS["lif-mlp"]((28, 28), 10).parameters()) == 784 * 1000 + 1000 + 10_000 + 10
    cnn = MODELS["lif-cnn"]((1, 28, 28), 10)
    assert [m.out_channels for m in cnn if isinstance(m, nn.Conv2d)] == [12, 64]
    assert cnn[-2].in_features == 64 * 4 * 4
    deep = MODELS["deep-snn"]((3, 32, 32), 10)
    assert [m.out_channels for m in deep if isinstance(m, nn.Conv2d)] == [30, 150, 250, 200, 100]
    residual = MODELS["residual-snn"]((3, 32, 32), 10)
    assert sum(isinstance(m, Residual) for m in residual) == 1


def test_options_reach_the_neurons() -> None:
    net = lif_mlp((4,), 2, hidden=[3], neuron_kind="alif", neuron_options={"kappa": 0.7}, readout="li", dropout=0.5)
    assert float(net[2].kappa) == pytest.approx(0.7)
    assert isinstance(net[-1], LI)
    assert any(isinstance(m, nn.Dropout) for m in net)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_calibrate_reaches_the_rate_in_every_layer(rate: float) -> None:
    torch.manual_seed(0)
    block = Residual(Sequential(nn.Linear(60, 60), LIF()), merge="max")
    net = Sequential(
        nn.Linear(200, 60), LIF(), Sequential(nn.Linear(60, 60), LIF(recurrent=60)), block, nn.Linear(60, 5), LI()
    )
    x = (torch.rand(20, 16, 200) < 0.02).float()
    rates: dict[str, float] = {}
    for name, module in net.named_modules():
        if isinstance(module, SpikingNeuron):
            module.register_forward_hook(
                lambda m, a, out, name=name: rates.update({name: out[0].detach().mean().item()})
            )
    net(x)
    assert max(rates.values()) < 0.01  # sparse events through a default initialisation: nearly silent
    before = {n: p.clone() for n, p in net.named_parameters()}
    calibrate(net, x, rate)
    net(x)
    assert all(abs(r - rate) < 0.25 * rate + 0.01 for r in rates.values()), rates
    for n, p in net.named_parameters():
        ratio = p / before[n]
        assert torch.allclose(ratio, ratio.flatten()[0].expand_as(ratio), rtol=1e-3), n  # only scaled
    assert net.training


def test_calibrate_reaches_weights_with_pooling_between_them_and_the_neuron() -> None:
    net = Sequential(
        nn.Conv2d(1, 6, 3), nn.MaxPool2d(2), LIF(), nn.Conv2d(6, 8, 3), nn.AvgPool2d(2), nn.Flatten(), LIF()
    )
    x = torch.rand(16, 1, 14, 14)
    calibrate(net, x, 0.1, steps=20)
    with torch.no_grad():
        hidden = net[:3](x, steps=20)
        rates = float(hidden.mean()), float(net[3:](hidden).mean())
    assert rates == pytest.approx((0.1, 0.1), abs=0.02)


def test_calibrate_leaves_normalised_layers_alone() -> None:
    net = Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), LIF())
    before = net[0].weight.clone()
    calibrate(net, torch.rand(5, 4, 6), 0.1)
    assert torch.equal(net[0].weight, before)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: MODELS["lif-cnn"]((784,), 10), ShapeError, "channels, height, width"),
        (lambda: MODELS["lif-cnn"]((1, 8, 8), 10), ShapeError, "too small"),
        (lambda: lif_mlp((4,), 2, neuron_kind="lyf"), ValueError, "did you mean 'lif'"),
        (lambda: lif_mlp((4,), 2, neuron_options={"gamma": 1}), TypeError, "gamma"),
        (lambda: MODELS["mlp"]((4,), 2, activation="rel"), ValueError, "did you mean 'relu'"),
        (lambda: neuron("elif"), ValueError, "unknown neuron"),
        (lambda: calibrate(Sequential(), torch.zeros(1, 1, 1), 1.5), ValueError, r"\(0, 1\)"),
    ],
)
def test_wrong_use(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def test_the_gain_of_recurrent_weights_scales_an_orthogonal_matrix() -> None:
    torch.manual_seed(0)
    layer = recurrent_snn((6,), 3, hidden=(16,), recurrent_gain=2.0)[2]
    torch.testing.assert_close(layer.recurrent @ layer.recurrent.t(), 4 * torch.eye(16))


def test_calibrate_takes_a_module_of_ones_own() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.pool, self.hidden = nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), LIF()
            self.linear, self.last = nn.Linear(4 * 4 * 4, 20), LIF(recurrent=20)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            first, _ = self.hidden(self.pool(self.conv(x.flatten(0, 1))).unflatten(0, x.shape[:2]))
            last, _ = self.last(self.linear(first.flatten(2)))
            return first, last

    torch.manual_seed(0)
    net, x = Net(), (torch.rand(15, 8, 2, 10, 10) < 0.05).float()
    calibrate(net, x, 0.1)
    with torch.no_grad():
        assert [float(s.mean()) for s in net(x)] == pytest.approx([0.1, 0.1], abs=0.03)
    with pytest.raises(ValueError, match="no spiking neurons of this package"):
        calibrate(nn.Linear(3, 3), torch.rand(2, 3))


def test_calibrate_follows_the_current() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.aside, self.neuron = nn.Linear(20, 30), nn.Linear(20, 5), LIF()

        def forward(self, x: Tensor) -> Tensor:
            current = self.layer(x)
            self.aside(x)
            spikes: Tensor = self.neuron(x=current)[0]
            return spikes

    torch.manual_seed(0)
    net, x = Net(), torch.rand(15, 8, 20)
    before = net.aside.weight.clone()
    calibrate(net, x, 0.1)
    assert torch.equal(net.aside.weight, before)
    with torch.no_grad():
        assert float(net(x).mean()) == pytest.approx(0.1, abs=0.02)


def test_calibrate_leaves_what_cannot_fire() -> None:
    net = Sequential(nn.Linear(6, 4, bias=False), LIF())
    before = net[0].weight.clone()
    with pytest.warns(SilenceWarning, match="LIF does not fire on this batch, whatever its weights"):
        calibrate(net, torch.zeros(5, 2, 6))
    assert torch.equal(net[0].weight, before)


def test_calibrate_scales_a_layer_once_for_all_that_it_feeds() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.first, self.second, self.last = nn.Linear(20, 30), LIF(), LIF(beta=0.5), nn.Linear(30, 30)
            self.readout = LIF()

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            current = self.layer(x)
            first, second = self.first(current)[0], self.second(current)[0]
            return first, second, self.readout(self.last(second))[0]

    torch.manual_seed(0)
    net, x = Net(), torch.rand(15, 8, 20)
    calibrate(net, x, 0.1)
    with torch.no_grad():
        rates = [float(spikes.mean()) for spikes in net(x)]
    assert rates[0] == pytest.approx(0.1, abs=0.02)
    assert 0 < rates[1] < rates[0]
    assert rates[2] == pytest.approx(0.1, abs=0.02)
