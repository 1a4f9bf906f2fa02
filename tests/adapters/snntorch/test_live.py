"""snnTorch networks under LFP, as they are."""

from __future__ import annotations

import pytest
import snntorch as snn
import torch
from snntorch import utils
from torch import Tensor, nn

from lfp_snn import LFP, rewards
from lfp_snn.adapters.snntorch import from_snntorch
from lfp_snn.errors import ConfigError
from lfp_snn.neurons import SpikingNeuron
from lfp_snn.rules.sharing import Conserving, Contribution
from tests.adapters.snntorch.networks import AS_THEY_ARE, CONVERTIBLE, inputs, leaky, mlp, run, step

LABELS = torch.tensor([0, 2, 3])


def feedback(net: nn.Module, spikes: Tensor) -> dict[int, Tensor]:
    """Send the reward of spikes back and return what comes to each parameter."""
    net.zero_grad()
    rewards.RateCoded()(spikes, LABELS).backward()
    return {id(p): p.grad.clone() for p in net.parameters() if p.grad is not None}


def far(got: dict[int, Tensor], want: dict[int, Tensor]) -> float:
    """Return the largest relative difference among the parameters, by the norm of each."""
    return max(float((got[k] - value).norm() / value.norm()) for k, value in want.items())


@pytest.mark.parametrize("name", [*CONVERTIBLE, *AS_THEY_ARE])
def test_the_spikes_are_snntorchs_own(name: str) -> None:
    net, x = {**CONVERTIBLE, **AS_THEY_ARE}[name](), inputs(name).float()
    want = run(net, x)
    with LFP().context(net):
        got = run(net, x)
    assert torch.equal(got, want)
    assert want.any()
    assert torch.equal(run(net, x), want)  # and nothing is left behind
    assert all(isinstance(p, nn.Parameter) for p in net.parameters())


@pytest.mark.parametrize("name", CONVERTIBLE)
@pytest.mark.parametrize("sharing", [None, Contribution(), Conserving(epsilon=1e-3)])
def test_feedback_is_that_of_the_converted_network(name: str, sharing: object) -> None:
    net, x = CONVERTIBLE[name]().double(), inputs(name)
    ours, lfp = from_snntorch(net).double(), LFP(sharing=sharing)  # type: ignore[arg-type]
    with lfp.context(net):
        live = feedback(net, run(net, x))
    with lfp.context(ours):
        spikes = ours(x)
        want = feedback(ours, spikes)
    assert torch.equal(spikes, run(net, x))
    assert set(live) == set(want)
    assert {id(p) for p in net.parameters()} == set(live)
    assert far(live, want) < 1e-5
    assert all(value.any() for value in want.values())


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_every_parameter_learns_where_there_is_no_conversion(name: str) -> None:
    net, x = AS_THEY_ARE[name](), inputs(name).float()
    with LFP().context(net):
        messages = feedback(net, run(net, x))
    for parameter_name, p in net.named_parameters():
        assert torch.isfinite(messages[id(p)]).all(), parameter_name
        assert messages[id(p)].any(), parameter_name


def test_alpha_neurons_share_reward_through_both_of_their_currents() -> None:
    """The membrane is a weighted sum of all inputs so far; its share of the reward goes to them by their weights."""
    alpha, beta, T = 0.9, 0.7, 6
    neuron = snn.Alpha(alpha, beta, reset_mechanism="none", init_hidden=True, spike_grad=step).double()
    x = torch.rand(T, 2, 3, dtype=torch.float64, requires_grad=True)
    utils.reset(neuron)
    with LFP(epsilon=0.0).context(neuron):
        spikes = torch.stack([neuron(x_t) for x_t in x])
        message = torch.rand(T, 2, 3, dtype=torch.float64)
        spikes.backward(message)
    tau = float(torch.log(neuron.alpha) / (torch.log(neuron.beta) - torch.log(neuron.alpha)) + 1)
    a, b = float(neuron.alpha), float(neuron.beta)
    lag = (torch.arange(T)[:, None] - torch.arange(T)).double()
    kernel = (tau * (a**lag - b**lag)).tril()
    v = torch.einsum("tk,kbn->tbn", kernel, x.detach())
    before = torch.cat([torch.zeros_like(v[:1]), v[:-1]])
    d = before.abs() + (v - before).abs()
    n = torch.where(d > 0, message / d, 0.0)
    want = torch.einsum("tk,tbn->kbn", kernel, n)
    torch.testing.assert_close(x.grad, want, rtol=1e-5, atol=1e-6)


class HandWritten(nn.Module):
    """A time loop of one's own, with explicit membranes, as in snnTorch's tutorials."""

    def __init__(self, recurrent: bool) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 4)
        self.lif1 = (
            snn.RLeaky(0.8, linear_features=8, spike_grad=step) if recurrent else snn.Leaky(0.8, spike_grad=step)
        )
        self.lif2 = (
            snn.RLeaky(0.8, linear_features=4, spike_grad=step) if recurrent else snn.Leaky(0.8, spike_grad=step)
        )
        self.recurrent = recurrent
        with torch.no_grad():
            self.fc1.weight.mul_(4)
            self.fc2.weight.mul_(4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        one, two = self.lif1.reset_mem(), self.lif2.reset_mem()
        one, two = (one, two) if self.recurrent else ((one,), (two,))
        spikes, membranes = [], []
        for x_t in x:
            s1, m1 = self.lif1(self.fc1(x_t), *one)
            s2, m2 = self.lif2(self.fc2(s1), *two)
            one, two = ((s1, m1), (s2, m2)) if self.recurrent else ((m1,), (m2,))
            spikes.append(s2)
            membranes.append(m2)
        return torch.stack(spikes), torch.stack(membranes)


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_time_loop_inside_the_model(recurrent: bool) -> None:
    net, x = HandWritten(recurrent).double(), inputs("")
    ours = from_snntorch(nn.Sequential(net.fc1, net.lif1, net.fc2, net.lif2)).double()
    lfp = LFP()
    with lfp.context(net):
        live = feedback(net, net(x)[0])
    with lfp.context(ours):
        want = feedback(ours, ours(x))
    assert torch.equal(net(x)[0], ours(x))
    assert far(live, want) < 1e-5


def test_only_the_winner_is_rewarded_for_its_spike() -> None:
    with pytest.warns(UserWarning, match="Inhibition"):
        neuron = snn.Leaky(0.9, init_hidden=True, inhibition=True)
    x = torch.rand(1, 3, 5, requires_grad=True)
    with LFP().context(nn.Sequential(neuron, nn.Linear(5, 4))) as net:
        want = neuron(2 * x[0].detach())
        utils.reset(net)
        net(2 * x[0]).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad[0] != 0, want.bool())


def test_an_snntorch_network_learns() -> None:
    torch.manual_seed(0)
    net, lfp = mlp(leaky(), 32), LFP()
    y = torch.arange(64) % 4
    x = (torch.rand(8, 64, 6) < torch.where(torch.rand(4, 6) < 0.5, 0.1, 0.9)[y]).float()
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        with lfp.context(net):
            rewards.RateSoftmax()(run(net, x), y).backward()
        optimizer.step()
    assert float((run(net, x).sum(0).argmax(1) == y).float().mean()) > 0.8


def test_what_needs_all_steps_is_refused() -> None:
    net = mlp(leaky())
    with LFP(homeostasis=rewards.Homeostasis(0.1, 0.2)).context(net), pytest.raises(ConfigError, match="convert"):
        run(net, inputs("").float())
    with LFP(record=True).context(net), pytest.raises(ConfigError, match="record"):
        run(net, inputs("").float())


def test_without_gradients_nothing_is_touched() -> None:
    net, x = mlp(leaky()), inputs("").float()
    with LFP().context(net), torch.no_grad():
        assert not run(net, x).requires_grad


def test_a_surrogate_gradient_of_snntorch_is_left_alone_outside() -> None:
    net, x = mlp(lambda n: snn.Leaky(0.8, init_hidden=True)), inputs("").float()
    run(net, x).sum().backward()
    want = net[0].weight.grad.clone()
    with LFP().context(net):
        pass
    net.zero_grad()
    run(net, x).sum().backward()
    assert torch.equal(net[0].weight.grad, want)
    assert not any(isinstance(m, SpikingNeuron) for m in net.modules())
