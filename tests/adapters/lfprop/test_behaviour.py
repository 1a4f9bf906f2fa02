"""What the reference's interface does beyond the reference's own numbers."""

from __future__ import annotations

from typing import Any

import pytest
import snntorch as snn
import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn
from zennit.attribution import Gradient
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import LayerMapComposite
from zennit.rules import Gamma, Pass

from lfp_snn import LFP, input_relevance, rewards
from lfp_snn.adapters.lfprop import (
    propagator_lxt,
    propagator_regression,
    propagator_snn,
    propagator_vit,
    propagator_zennit,
    reward_functions,
)
from lfp_snn.adapters.lfprop.composites import Composite
from lfp_snn.errors import ConfigError
from lfp_snn.rules import Epsilon


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Linear(16, 4)).double()


def spiking(**options: Any) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(6, 30),
        snn.Leaky(0.9, init_hidden=True, **options),
        nn.Linear(30, 4),
        snn.Leaky(0.9, init_hidden=True, output=True, **options),
    )
    nn.init.normal_(net[2].weight, 0.1, 0.1)
    return net


def step(composite: Composite, model: nn.Module, inputs: Tensor, reward: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the reward at the input and the feedback of every parameter."""
    with composite.context(model) as modified:
        inputs = inputs.detach().requires_grad_(True)
        outputs = modified(inputs)
        (input_reward,) = torch.autograd.grad((outputs,), (inputs,), grad_outputs=(reward,))
    return input_reward, [p.feedback for p in model.parameters()]


def spiking_step(model: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return spikes and feedback of a step of the reference's notebook, which resets nothing."""
    with propagator_snn.LFPSNNEpsilonComposite().context(model) as modified:
        inputs = inputs.detach().requires_grad_(True)
        spikes = torch.stack([modified(x)[0] for x in inputs])
        reward = reward_functions.SnnCorrectClassRewardSpikesRateCoded("cpu")(spikes, labels) / len(spikes)
        torch.autograd.grad((spikes,), (inputs,), grad_outputs=(reward,))
    return spikes.detach(), [p.feedback for p in model.parameters()]


def test_feedback_and_reward_are_those_of_plain_lfp() -> None:
    net, x, reward = mlp(), torch.randn(5, 6).double(), torch.randn(5, 4).double()
    input_reward, feedback = step(propagator_lxt.LFPEpsilonComposite(), net, x, reward)
    assert all(p.grad is None for p in net.parameters())
    x.requires_grad_()
    with LFP().context(net):
        (rewards.Given()(net(x), reward) * 5).backward()
    torch.testing.assert_close(input_reward, input_relevance(x))
    for theirs, parameter in zip(feedback, net.parameters(), strict=True):
        torch.testing.assert_close(theirs, parameter.feedback)


def test_backward_leaves_feedback_in_grad() -> None:
    net, x, reward = mlp(), torch.randn(5, 6).double(), torch.randn(5, 4).double()
    with propagator_lxt.LFPEpsilonComposite().context(net) as modified:
        modified(x).backward(reward)
    assert all(torch.equal(p.grad, -p.feedback) for p in net.parameters())


def test_the_zennit_flavour_averages_feedback_over_the_batch() -> None:
    net, x, reward = mlp(), torch.randn(5, 6).double(), torch.randn(5, 4).double()
    at_input, feedback = step(propagator_lxt.LFPEpsilonComposite(), net, x, reward)
    at_input_too, mean = step(propagator_zennit.LFPEpsilonComposite(), net, x, reward)
    torch.testing.assert_close(at_input_too, at_input)
    for a, b in zip(mean, feedback, strict=True):
        torch.testing.assert_close(a, b / 5)


def test_the_zennit_flavour_takes_canonizers() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    composite = propagator_zennit.LFPEpsilonComposite(canonizers=[SequentialMergeBatchNorm()])
    _, feedback = step(composite, net, torch.randn(2, 1, 4, 4), torch.randn(2, 3))
    assert all(bool(torch.isfinite(f).all()) for f in feedback)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_gamma_is_zennit_s() -> None:
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4)).double()
    x, reward = torch.randn(5, 6).double(), torch.randn(5, 4).double()
    composite = LayerMapComposite([(nn.ReLU, Pass()), (nn.Linear, Gamma(0.25, stabilizer=1e-9))])
    with Gradient(net, composite) as attributor:
        _, expected = attributor(x.clone(), reward)
    ours, _ = step(propagator_lxt.LFPGammaComposite(epsilon=1e-9, gamma=0.25), net, x, reward)
    assert float((ours - expected).norm() / expected.norm()) < 1e-6


@pytest.mark.parametrize("options", [{"reset_mechanism": "zero"}, {"reset_mechanism": "none"}, {"reset_delay": False}])
def test_resets_that_the_reference_does_not_have_are_those_of_plain_lfp(options: dict[str, Any]) -> None:
    net, x, labels = spiking(**options), 1.3 * torch.rand(12, 5, 6), torch.arange(5) % 4
    spikes, feedback = spiking_step(net, x, labels)
    with LFP().context(net):
        ours = torch.stack([net(x_t)[0] for x_t in x])
        (rewards.RateCoded()(ours, labels) * 5).backward()
    assert torch.equal(ours, spikes)
    assert bool(spikes.any())
    for f, parameter in zip(feedback, net.parameters(), strict=True):
        assert float(f.abs().sum()) > 0
        torch.testing.assert_close(f, -parameter.grad)


def test_no_state_is_left_between_batches() -> None:
    net, x, labels = spiking(), 2 * torch.rand(8, 5, 6), torch.arange(5) % 4
    spikes, feedback = spiking_step(net, x, labels)
    spiking_step(net, x[:, :3], labels[:3])
    again, feedback_again = spiking_step(net, x, labels)
    assert torch.equal(spikes, again)
    assert all(torch.equal(a, b) for a, b in zip(feedback, feedback_again, strict=True))
    assert not any(bool(m.mem.any()) for m in net if isinstance(m, snn.Leaky))


class Explicit(nn.Module):
    """A spiking layer whose state goes in and out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.lif = nn.Linear(6, 4), snn.Leaky(0.9)

    def forward(self, x: Tensor, mem: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.lif(self.fc(x), self.lif.reset_mem() if mem is None else mem)  # type: ignore[no-any-return]


def test_state_that_goes_out_and_in_again() -> None:
    """Its way through the boundary changes nothing."""
    net, x, labels = Explicit(), 3 * torch.rand(8, 5, 6), torch.arange(5) % 4
    hidden = nn.Sequential(net.fc, snn.Leaky(0.9, init_hidden=True, output=True))
    expected_spikes, expected = spiking_step(hidden, x, labels)
    with propagator_snn.LFPSNNEpsilonComposite().context(net) as modified:
        inputs, mem, record = x.detach().requires_grad_(True), None, []
        for x_t in inputs:
            spikes, mem = modified(x_t, mem)
            record.append(spikes)
        out = torch.stack(record)
        reward = reward_functions.SnnCorrectClassRewardSpikesRateCoded("cpu")(out, labels) / len(out)
        torch.autograd.grad((out,), (inputs,), grad_outputs=(reward,))
    assert torch.equal(out, expected_spikes)
    for parameter, feedback in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.feedback, feedback)


def test_a_reward_for_the_membrane() -> None:
    """The second output takes a reward, too. At rest, the membrane is the current; a neuron divides by its size."""
    net, x, reward = Explicit(), torch.rand(5, 6), torch.randn(5, 4)
    with propagator_snn.LFPSNNEpsilonComposite().context(net) as modified:
        inputs = x.detach().requires_grad_(True)
        _, mem = modified(inputs)
        (input_reward,) = torch.autograd.grad((mem,), (inputs,), grad_outputs=(reward,))
    expected, _ = step(propagator_lxt.LFPEpsilonComposite(), net.fc, x, reward * net.fc(x).detach().sign())
    torch.testing.assert_close(input_reward, expected, rtol=1e-3, atol=1e-4)


def test_regression_learns() -> None:
    data, target = load_diabetes(return_X_y=True)
    X = torch.tensor(data / data.std(0)).float()
    t = torch.tensor((target - target.mean()) / target.std()).float()[:, None]
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    composite = propagator_regression.LFPEpsilonRegressionComposite()
    for _ in range(100):
        with composite.context(net) as modified:
            inputs = X.detach().requires_grad_(True)
            outputs = modified(inputs)
            torch.autograd.grad((outputs,), (inputs,), grad_outputs=(t,))
        for parameter in net.parameters():
            parameter.grad = -parameter.feedback / len(X)
        optimizer.step()
    assert float(nn.functional.mse_loss(net(X), t).detach()) < 0.7  # the mean alone: 1


def test_a_transformer_block_gets_its_epsilons() -> None:
    composite, net = propagator_vit.LFPEpsilonComposite(), nn.Linear(6, 4).double()
    assert composite.propagator.rule == Epsilon(1e-6)
    x, reward = torch.randn(5, 6).double(), torch.randn(5, 4).double()
    _, (weight, _) = step(composite, net, x, reward)
    z = net(x).detach()
    density = reward / (z + z.sign())
    torch.testing.assert_close(weight, net.weight.detach().abs() * (density.T @ x))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MaximizeSingleNeuron", rewards.Maximise()),
        ("MinimizeSingleNeuron", rewards.Minimise()),
        ("SigmoidLossReward", rewards.Sigmoid()),
        ("SoftmaxLossReward", rewards.Softmax()),
        ("BoundedSoftmaxReward", rewards.BoundedSoftmax()),
        ("CorrectclassificationReward", rewards.CorrectClass()),
        ("MisclassificationReward", rewards.Misclassification()),
    ],
)
def test_rewards_are_tensors(name: str, kind: rewards.Reward) -> None:
    z, labels = torch.randn(5, 4, requires_grad=True), torch.arange(5) % 4
    reward = getattr(reward_functions, name)("cpu")(z, labels)
    assert not reward.requires_grad
    torch.testing.assert_close(reward, kind.reward(z.detach(), labels))


def test_other_rewards() -> None:
    z, labels = torch.randn(5, 1), torch.randint(0, 2, (5,))
    reward = reward_functions.BinarySigmoidLossReward("cpu")(z, labels)
    torch.testing.assert_close(reward, z * (labels[:, None] - z.sigmoid()))
    spikes = (torch.rand(6, 5, 4) < 0.5).float()
    rate = reward_functions.SnnCorrectClassRewardSpikesRateCoded("cpu")
    assert torch.equal(rate.get_predictions(spikes), spikes.sum(0).argmax(-1))
    options = {"lower_bound": 0.1, "higher_bound": 0.6, "logit_sign_only": True}
    bounded = reward_functions.BoundedSoftmaxReward("cpu", **options)(torch.tensor([[9.0, 0.0]]), torch.tensor([1]))
    assert bounded.tolist() == [[-1.0, 0.0]]


def test_the_model_comes_back_as_it_was() -> None:
    net, x = mlp(), torch.randn(5, 6).double()
    before = net(x)
    composite = propagator_lxt.LFPEpsilonComposite()
    with pytest.raises(RuntimeError, match="stop"), composite.context(net):
        raise RuntimeError("stop")
    assert torch.equal(net(x), before)
    assert not net._forward_pre_hooks
    assert not net._forward_hooks
    composite.register(net)
    composite.register(net[0])
    assert not net._forward_pre_hooks
    composite.remove()
    composite.remove()


def test_evaluation_inside_the_context() -> None:
    net, x = mlp(), torch.randn(5, 6).double()
    composite = propagator_lxt.LFPEpsilonComposite()
    with composite.context(net, verbose=True, dummy_inputs={"input": x}) as modified, torch.no_grad():
        assert torch.equal(modified(x), net(x))


def test_norm_backward_is_refused() -> None:
    with pytest.raises(ConfigError, match="norm_backward"):
        propagator_snn.LRPRewardPropagator(norm_backward=True)
