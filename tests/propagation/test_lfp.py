"""The propagator: what equals what, what is left behind, and what it refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lfp_snn import (
    ALIF,
    LFP,
    LI,
    LIF,
    CubaLIF,
    Residual,
    Sequential,
    Step,
    input_relevance,
    register_module,
    rewards,
)
from lfp_snn.errors import ConfigError, UnknownLayerError
from lfp_snn.neurons.ambient import ambient
from lfp_snn.propagation.readout import spiking_sources
from lfp_snn.rewards import Homeostasis
from lfp_snn.rules import AlphaBeta, Conserving, Epsilon, Gamma, Zero, ZPlus


def feedback(net: nn.Module, x: Tensor, y: Tensor, lfp: LFP | None = None, **steps: int) -> dict[str, Tensor]:
    """Return the gradients that one backward pass under LFP leaves."""
    net.zero_grad()
    spikes = isinstance(net, Sequential) and isinstance(net[-1], LIF)
    reward = rewards.RateSoftmax() if spikes else rewards.Softmax()
    with (lfp or LFP(epsilon=1e-9)).context(net):
        reward(net(x, **steps), y).backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def scaled_gradient(net: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Return |w| times the gradient of the cross-entropy."""
    net.zero_grad()
    F.cross_entropy(net(x), y).backward()
    return {name: p.grad * p.detach().abs() for name, p in net.named_parameters() if p.grad is not None}


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor], tolerance: float = 1e-4) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert (a[name] - b[name]).norm() <= tolerance * b[name].norm() + 1e-7, name


class Functional(nn.Module):
    """A residual network that uses functions, operators, shared weights and a skip connection by concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.again = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(16 * 4 * 4, 5)
        self.shift = nn.Parameter(torch.randn(8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm(self.conv(x)))
        g = self.again(h)
        g += h
        h = F.relu(g) - 0.5 * F.relu(self.again(F.relu(g)))
        h = torch.relu(h + self.shift)
        h = torch.cat([F.max_pool2d(h, 2), F.avg_pool2d(h, 2)], 1)
        return self.head(F.dropout(h, 0.2, False).flatten(1))


RELU_NETS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "mlp": (nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 5)), (12,)),
    "conv1d": (
        nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.Linear(8, 5)),
        (2, 9),
    ),
    "conv2d": (
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)),
        (2, 8, 8),
    ),
    "transposed": (
        nn.Sequential(
            nn.ConvTranspose2d(2, 4, 3, 2), nn.ReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(16, 5)
        ),
        (2, 5, 5),
    ),
    "leaky": (nn.Sequential(nn.Linear(12, 20), nn.LeakyReLU(0.2), nn.Linear(20, 5)), (12,)),
    "prelu": (nn.Sequential(nn.Linear(12, 20), nn.PReLU(20), nn.Linear(20, 5)), (12,)),
    "dropout": (nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Dropout(0.0), nn.Linear(20, 5)), (12,)),
    "functional": (Functional(), (3, 8, 8)),
}


@pytest.mark.parametrize("name", RELU_NETS)
def test_piecewise_linear_networks_get_the_gradient_scaled_by_the_weights(name: str) -> None:
    """For a ReLU network with the softmax reward, LFP is gradient descent scaled by |w| (the theory page says so)."""
    net, shape = RELU_NETS[name]
    net = copy.deepcopy(net).double()
    x, y = torch.randn(6, *shape).double(), torch.randint(0, 5, (6,))
    assert_same(feedback(net, x, y), scaled_gradient(net, x, y))


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm(8), nn.GroupNorm(2, 8), nn.RMSNorm(8), nn.InstanceNorm1d(8, affine=True)]
)
def test_normalisation_is_affine_with_a_constant_spread(norm: nn.Module) -> None:
    """The same as a network in which the spread was measured before and is a number."""
    torch.manual_seed(2)
    for p in norm.parameters():
        nn.init.normal_(p)
    shape = (8, 6) if isinstance(norm, nn.InstanceNorm1d) else (8,)
    size = 8 * 6 if isinstance(norm, nn.InstanceNorm1d) else 8
    net = nn.Sequential(copy.deepcopy(norm), nn.Flatten(), nn.Linear(size, 5)).double()
    x, y = torch.randn(4, *shape).double().requires_grad_(), torch.randint(0, 5, (4,))
    given = feedback(net, x, y)
    assert set(given) == {n for n, _ in net.named_parameters()}
    relevance = input_relevance(x)
    with torch.no_grad():
        z = net(x)
        reward = (rewards.Softmax().reward(z, y)).sum() / 4
    # Conservation: reward in = reward at the input + what biases keep (bias * its unscaled density).
    net.zero_grad()
    bias = sum(
        (-g / p.detach().abs() * p.detach()).sum()
        for (n, p), g in zip(net.named_parameters(), given.values(), strict=True)
        if n.endswith("bias")
    )
    torch.testing.assert_close(relevance.sum() + bias, reward, rtol=1e-5, atol=1e-6)


def test_one_step_of_a_spiking_layer_is_a_step_activation() -> None:
    """T = 1: the same network with Step in place of LIF gives the same feedback, up to the neuron's denominator."""
    spiking = Sequential(nn.Linear(6, 8), LIF(beta=0.5, threshold=1e-6), nn.Linear(8, 4)).double()
    static = nn.Sequential(spiking[0], Step(), spiking[2])
    x, y = torch.randn(5, 6).double(), torch.tensor([0, 1, 2, 3, 0])
    assert torch.equal(spiking(x, steps=1)[0], static(x))
    # With u = 0 before, the reference rule divides by |I|, the activation by I: the same for a neuron that fires.
    assert_same(feedback(spiking, x, y, steps=1), feedback(static, x, y))


def test_activations_hand_their_reward_through() -> None:
    for activation in (nn.Tanh(), nn.Sigmoid(), nn.GELU(), nn.SiLU(), nn.ELU(), nn.Softplus(), nn.Hardswish(), Step()):
        net = nn.Sequential(nn.Linear(7, 7, bias=False), activation).double()
        x = torch.randn(3, 7).double().requires_grad_()
        net.zero_grad()
        with LFP(epsilon=1e-12).context(net):
            out = net(x)
            rewards.Given()(out, out.detach() * 0.5 + (out.detach() == 0) * 0).backward()
        torch.testing.assert_close(input_relevance(x).sum(), (net(x) * 0.5).sum() / 3, rtol=1e-6, atol=1e-9)


def spiking_nets() -> dict[str, Sequential]:
    """One network of each make, for events [T, B, 2, 8, 8]."""
    return {
        "conv": Sequential(
            nn.Conv2d(2, 3, 3), LIF(0.8, threshold=0.3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 4), LIF()
        ),
        "residual": Sequential(
            nn.Flatten(),
            nn.Linear(128, 12),
            LIF(threshold=0.3),
            Residual(Sequential(nn.Linear(12, 12), ALIF(threshold=0.3)), merge="max"),
            Residual(Sequential(nn.Linear(12, 12), CubaLIF(threshold=0.3)), nn.Linear(12, 12)),
            nn.Linear(12, 4),
            LI(),
        ),
        "recurrent": Sequential(nn.Flatten(), nn.Linear(128, 9), LIF(0.9, 0.3, recurrent=9), nn.Linear(9, 4), LI()),
        "norm": Sequential(
            nn.Conv2d(2, 3, 3, bias=False),
            nn.BatchNorm2d(3),
            LIF(threshold=0.3),
            nn.Flatten(),
            nn.Linear(108, 4),
            LIF(),
        ),
    }


@pytest.mark.parametrize("name", spiking_nets())
def test_every_parameter_gets_feedback_and_the_forward_pass_stays(name: str) -> None:
    torch.manual_seed(0)
    net, x, y = spiking_nets()[name], (torch.rand(9, 4, 2, 8, 8) < 0.3).float(), torch.tensor([0, 1, 2, 3])
    plain = copy.deepcopy(net)(x)
    with LFP().context(net):
        assert torch.equal(net(x), plain)
    for parameter_name, g in feedback(net, x, y).items():
        assert torch.isfinite(g).all(), parameter_name
        assert g.abs().sum() > 0 or "bias" in parameter_name, parameter_name


def test_nothing_is_left_behind() -> None:
    net, x, y = spiking_nets()["conv"], torch.rand(5, 3, 2, 8, 8), torch.tensor([0, 1, 2])
    before = copy.deepcopy(net)
    expected = _surrogate(before, x, y)
    for how in ("leave", "raise", "nested", "twice"):
        lfp = LFP(rules={"0": Gamma(), nn.Linear: ZPlus()})
        if how == "raise":
            with pytest.raises(RuntimeError), lfp.context(net):
                net(torch.rand(5, 3, 7, 8, 8))  # a wrong number of channels, in the middle of the forward pass
        elif how == "nested":
            with lfp.context(net), LFP(epsilon=1e-3).context(net) as inner:
                inner(x)
        else:
            for _ in range(1 + (how == "twice")):
                with lfp.context(net):
                    rewards.RateCoded()(net(x), y).backward()
        for module in net.modules():
            assert not module._forward_hooks
            assert not module._forward_pre_hooks
        assert net.state_dict().keys() == before.state_dict().keys()
        for a, b in zip(_surrogate(net, x, y), expected, strict=True):
            assert torch.equal(a, b), how


def _surrogate(net: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    net.zero_grad()
    rewards.RateCoded().loss(net(x), y).backward()
    return [p.grad.clone() for p in net.parameters()]


def test_the_innermost_of_nested_contexts_is_in_force() -> None:
    net, x, y = nn.Sequential(nn.Linear(6, 4)), torch.rand(3, 6) - 0.5, torch.tensor([0, 1, 2])
    inner = feedback(net, x, y, LFP(rule=ZPlus()))
    net.zero_grad()
    with LFP(rule=Gamma()).context(net), LFP(rule=ZPlus()).context(net):
        rewards.Softmax()(net(x), y).backward()
    assert_same({n: p.grad for n, p in net.named_parameters()}, inner)


def test_attach_stays_until_removed() -> None:
    net, x, y = nn.Sequential(nn.Linear(6, 4), Step(), nn.Linear(4, 3)), torch.rand(3, 6), torch.tensor([0, 1, 2])
    attachment = LFP().attach(net)
    rewards.Softmax()(net(x), y).backward()
    assert net[0].weight.grad.abs().sum() > 0
    attachment.remove()
    attachment.remove()
    net.zero_grad()
    F.cross_entropy(net(x), y).backward()
    assert net[0].weight.grad is None  # no gradient through a step


def test_gradients_accumulate_and_feedback_is_that_of_the_last_pass() -> None:
    net, x, y = nn.Linear(6, 4), torch.rand(4, 6), torch.tensor([0, 1, 2, 3])
    once = feedback(net, x, y)["weight"]
    net.zero_grad()
    with LFP(epsilon=1e-9).context(net):
        for _ in range(2):
            rewards.Softmax()(net(x), y).backward()
    torch.testing.assert_close(net.weight.grad, 2 * once)
    torch.testing.assert_close(net.weight.feedback, -once)
    halves = torch.zeros_like(once)
    for half in (slice(0, 2), slice(2, 4)):
        halves += feedback(net, x[half], y[half])["weight"] / 2
    torch.testing.assert_close(halves, once)


def test_autocast_gives_nearly_the_same_feedback() -> None:
    net, x, y = spiking_nets()["conv"], torch.rand(5, 3, 2, 8, 8), torch.tensor([0, 1, 2])
    exact = feedback(net, x, y)
    net.zero_grad()
    with LFP().context(net), torch.autocast("cpu", torch.bfloat16):
        out = net(x)
    rewards.RateSoftmax()(out, y).backward()
    for name, p in net.named_parameters():
        assert p.grad.dtype == torch.float32
        cosine = F.cosine_similarity(p.grad.flatten(), exact[name].flatten(), dim=0)
        assert cosine > 0.8, name


def test_scale_floor_moves_zero_parameters() -> None:
    net, x, y = nn.Linear(6, 4), torch.rand(4, 6), torch.tensor([0, 1, 2, 3])
    nn.init.zeros_(net.bias)
    assert feedback(net, x, y)["bias"].abs().sum() == 0
    assert feedback(net, x, y, LFP(scale_floor=0.1))["bias"].abs().sum() > 0


def test_silent_output_neurons_are_rewarded() -> None:
    net = Sequential(nn.Linear(5, 3), LIF(threshold=100.0))
    x, y = torch.rand(2, 5), torch.tensor([1, 1])
    with LFP().context(net):
        out = net(x, steps=6)
        rewards.RateCoded()(out, y).backward()
    assert out.sum() == 0
    assert (net[0].weight.grad[1] < 0).any()
    assert net[0].weight.grad[0].abs().sum() == 0  # a silent wrong class needs no reward


def test_the_reward_enters_at_spikes_however_they_are_moved() -> None:
    class Moved(nn.Module):
        def __init__(self, net: Sequential) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> tuple[Tensor, str]:
            steps, state = [], None
            for x_t in x:
                y, state = self.net.run(x_t[None], state)
                steps.append(y[0])
            return torch.stack(steps), "note"

    net = Sequential(nn.Linear(5, 3), LIF(beta=0.0))  # without memory, so that steps do not depend on each other
    x, reward = torch.rand(4, 2, 5), torch.randn(4, 2, 3)
    grads = []
    for model in (net, Moved(net)):
        net.zero_grad()
        with LFP().context(model):
            out = model(x)
            rewards.Given()(out[0] if isinstance(out, tuple) else out, reward).backward()
        grads.append(net[0].weight.grad.clone())
    torch.testing.assert_close(grads[0], grads[1])


def test_record_keeps_the_reward_of_every_spike() -> None:
    torch.manual_seed(0)
    net, x, y = spiking_nets()["conv"], torch.rand(5, 3, 2, 8, 8), torch.tensor([0, 1, 2])
    with LFP(record=True, sharing=Conserving(1e-9), epsilon=1e-9).context(net):
        out = net(x)
        reward = rewards.RateSoftmax().reward(out.detach(), y)
        rewards.RateSoftmax()(out, y).backward()
    hidden, last = net[1].relevance, net[5].relevance
    assert hidden.shape == (5, 3, 3, 6, 6)
    torch.testing.assert_close(last, reward / 3)
    spikes, _ = net[1](net[0](x.flatten(0, 1)).unflatten(0, (5, 3)))
    assert (hidden[spikes == 0] == 0).all()
    assert hidden.abs().sum() > 0


def test_homeostasis_wakes_the_silent_and_calms_the_loud() -> None:
    torch.manual_seed(0)
    x, y = torch.rand(8, 20), torch.randint(0, 4, (8,))

    def rates(homeostasis: Homeostasis | None) -> Tensor:
        net = Sequential(nn.Linear(20, 30), LIF(), nn.Linear(30, 4), LI())
        with torch.no_grad():
            net[0].weight[:10] = net[0].weight[:10].abs() + 0.1  # loud
            net[0].weight[10:20] = -net[0].weight[10:20].abs()  # silent: no reward reaches them
            net[0].bias[10:20] = -0.1
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(60):
            optimizer.zero_grad()
            with LFP(homeostasis=homeostasis, scale_floor=0.01).context(net):
                rewards.Softmax()(net(x, steps=10), y).backward()
            optimizer.step()
        spikes, _ = net[1](net[0](x), steps=10)
        return spikes.mean((0, 1))

    without, with_it = rates(None), rates(Homeostasis(0.05, 0.3, 10.0))
    assert without[10:20].max() == 0
    assert with_it[10:20].min() > 0
    assert without[:10].mean() > 0.5
    assert with_it[:10].mean() < 0.4


class Unknown(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.lstm = nn.Linear(6, 6), nn.LSTM(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(self.head(x))[0]


class Odd(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(6, 6), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.linear(x))


def test_unknown_layers_are_errors_that_name_them() -> None:
    x = torch.rand(2, 6)
    with pytest.raises(UnknownLayerError, match=r"lstm.*register"), LFP().context(Unknown()) as net:
        net(x)
    with (
        pytest.raises(UnknownLayerError, match=r"cumprod.*register"),
        LFP().context(Odd(lambda z: z.cumprod(0))) as net,
    ):
        net(x)
    with pytest.raises(UnknownLayerError, match="did you mean 'head'"), LFP(rules={"haed": ZPlus()}).context(Unknown()):
        pass


def test_functions_that_carry_no_reward_are_left_alone() -> None:
    def odd(z: Tensor) -> Tensor:
        scale = torch.linalg.norm(z.detach()) + z.shape[0] + len(z) + z.numel()
        return z * torch.erfinv(torch.tensor(0.5)) / scale

    x = torch.rand(2, 6)
    with LFP().context(Odd(odd)) as net:
        rewards.Softmax()(net(x), torch.tensor([0, 1])).backward()
    assert net.linear.weight.grad.abs().sum() > 0


def test_a_module_can_be_declared_an_activation() -> None:
    class Gate(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return (z > 0.1).float() * (z < 5).float()

    register_module(Gate)
    net, x = nn.Sequential(nn.Linear(6, 8), Gate(), nn.Linear(8, 3)), torch.randn(4, 6)
    given = feedback(net, x, torch.tensor([0, 1, 2, 0]))
    assert given["0.weight"].abs().sum() > 0


class Rectify(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return torch.from_numpy(z.detach().numpy().clip(0))


class SameStep(Rectify):
    pass


@pytest.mark.parametrize("gate", [Rectify, SameStep])
def test_registered_modules_are_activations_as_any_other(gate: type[nn.Module]) -> None:
    """With the stabiliser of the layer before, for subclasses, and by keyword."""

    class Net(nn.Module):
        def __init__(self, activation: nn.Module) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.activation, self.last = nn.Linear(6, 8), activation, nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.first(x)
            keyword = not isinstance(self.activation, nn.ReLU)
            return self.last(self.activation(z=hidden) if keyword else self.activation(hidden))

    register_module(Rectify)
    x, y = torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
    found, expected = (feedback(Net(a), x, y, LFP(rules={"first": Epsilon(0.5)})) for a in (gate(), nn.ReLU()))
    for name, f in expected.items():
        torch.testing.assert_close(found[name], f)


@pytest.mark.parametrize(
    "product",
    [
        lambda a, b: torch.mul(a, b),
        lambda a, b: torch.mul(input=a, other=b),
        lambda a, b: torch.einsum("ij,ij->ij", a, b),
        lambda a, b: torch.einsum("ij,ij->ij", [a, b]),
    ],
    ids=["positional", "keywords", "einsum", "einsum of a list"],
)
def test_products_of_signals_conserve(product: Callable[[Tensor, Tensor], Tensor]) -> None:
    a, b = (torch.rand(2, 3).double().requires_grad_() for _ in range(2))

    class Net(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return product(a, b)

    net = Net()
    with LFP(epsilon=0).context(net):
        out = net(a, b)
        rewards.Given()(out, torch.ones_like(out)).backward()
    for x in (a, b):
        torch.testing.assert_close(2 * input_relevance(x), torch.full_like(out, 0.5))


def test_a_batched_product_and_a_sum_by_keyword() -> None:
    a, b, c = (torch.rand(2, 3, 3).double().requires_grad_() for _ in range(3))

    class Net(nn.Module):
        def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
            return torch.baddbmm(a, batch1=b, batch2=c)

    net = Net()
    with LFP(epsilon=0).context(net):
        out = net(a, b, c)
        rewards.Given()(out, torch.ones_like(out)).backward()
    arrived = torch.stack([input_relevance(x).sum() for x in (a, b, c)]).sum()
    torch.testing.assert_close(arrived, torch.tensor(out.numel() / out.shape[-2]).double())  # of the mean of 3 samples


def written(s: Tensor) -> Tensor:
    out = torch.zeros_like(s)
    for t, s_t in enumerate(s):
        out[t] = s_t
    return out


@pytest.mark.parametrize(
    "move",
    [
        *(lambda s: s.float(), lambda s: s[[0, 1]], lambda s: s.flip(0), lambda s: s.squeeze(), written),
        *(lambda s: F.pad(s, (0, 1)), lambda s: torch.where(s > 2, 0.0, s), lambda s: s.masked_fill(s > 2, 0.0)),
    ],
)
def test_spikes_that_were_moved_are_spikes(move: Callable[[Tensor], Tensor]) -> None:
    spikes, _ = LIF()(torch.rand(2, 3, 4).double().requires_grad_())
    assert spiking_sources(move(spikes)) is not None


@pytest.mark.parametrize(
    "made", [lambda s: s.tril(), lambda s: s.topk(2)[0], lambda s: s.take(torch.arange(4)), torch.tanh]
)
def test_what_was_made_of_spikes_is_not(made: Callable[[Tensor], Tensor]) -> None:
    spikes, _ = LIF()(torch.rand(2, 3, 4).requires_grad_())
    assert spiking_sources(made(spikes)) is None


@pytest.mark.parametrize("hook", ["register_full_backward_hook", "register_full_backward_pre_hook"])
def test_a_hook_on_the_readout_does_not_hide_that_it_spikes(hook: str) -> None:
    torch.manual_seed(0)
    net, x = Sequential(nn.Linear(6, 8), LIF(), nn.Linear(8, 3), LIF()), 4 * torch.rand(7, 3, 6)
    want = feedback(net, x, torch.arange(3))
    getattr(net[3], hook)(lambda *_: None)
    found = feedback(net, x, torch.arange(3))
    assert all(torch.equal(found[name], f) for name, f in want.items())
    assert want["0.weight"].any()


def test_an_interrupt_leaves_nothing_behind() -> None:
    class Interrupted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyboardInterrupt

    net = nn.Sequential(nn.Linear(4, 3), Interrupted())
    try:
        with LFP(rules={"0": Gamma()}).context(net):
            net(torch.rand(2, 4))
    except KeyboardInterrupt as e:
        kept = e  # and with it the traceback, as in a notebook
        assert torch._C._len_torch_function_stack() == 0
        assert ambient().sharing is None
    assert kept


def test_rules_by_their_names() -> None:
    lfp = LFP(rule="gamma", sharing="conserving", epsilon=0.1)
    assert (lfp.rule, lfp.sharing) == (Gamma(epsilon=0.1), Conserving(0.1))
    with pytest.raises(ConfigError, match="unknown sharing rule 'conserve': did you mean 'conserving'"):
        LFP(sharing="conserve")
    with pytest.raises(TypeError, match=r"a rule is an object of lfp_snn\.rules, or a name, got 3"):
        LFP(rule=3)  # type: ignore[arg-type]


def test_the_stabiliser_of_a_layer_before_an_integrator() -> None:
    """LI(beta=0) is the identity: it makes no difference."""
    torch.manual_seed(0)
    linear, x, y = nn.Linear(6, 3), torch.rand(1, 4, 6), torch.arange(4) % 3
    given = []
    for net in (Sequential(linear), Sequential(linear, LI(beta=0.0))):
        net.zero_grad()
        with LFP(rule=Epsilon(0.5), epsilon=0.0).context(net):
            rewards.Softmax()(net(x), y).backward()
        given.append(linear.weight.grad.clone())
    torch.testing.assert_close(given[0], given[1], atol=1e-5, rtol=1e-2)


def test_products_share_half_each() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 3, bias=False), nn.Linear(4, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x) * self.b(x)

    net, x = Gated().double(), torch.randn(2, 4).double().requires_grad_()
    with LFP(epsilon=1e-12).context(net):
        out = net(x)
        rewards.Given()(out, out.detach()).backward()
    torch.testing.assert_close(input_relevance(x).sum(), out.sum() / 2)  # conserved: two halves make one
    assert net.a.weight.grad.abs().sum() > 0


def test_no_reward_no_relevance() -> None:
    with pytest.raises(ValueError, match="requires_grad_"):
        input_relevance(torch.rand(3))


@pytest.mark.parametrize("options", [{"epsilon": -1.0}, {"scale_floor": -0.1}, {"epsilon": float("nan")}])
def test_wrong_options(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        LFP(**options)


def test_inference_costs_nothing() -> None:
    net = spiking_nets()["conv"]
    with LFP().context(net), torch.no_grad():
        out = net(torch.rand(5, 3, 2, 8, 8))
    assert not out.requires_grad


@pytest.mark.parametrize("rule", [Epsilon(1e-3), Zero(), Gamma(gamma=0.3), ZPlus(), AlphaBeta(alpha=2.0, beta=1.0)])
def test_rules_train_spiking_networks(rule: Any) -> None:
    net, x, y = spiking_nets()["conv"], torch.rand(5, 3, 2, 8, 8), torch.tensor([0, 1, 2])
    for name, g in feedback(net, x, y, LFP(rule=rule)).items():
        assert torch.isfinite(g).all(), name


@pytest.mark.parametrize("steps", ["all", "last"])
@pytest.mark.parametrize("delay", [True, False])
def test_a_neuron_whose_membrane_is_the_output_is_an_integrator(steps: str, delay: bool) -> None:
    """Its spikes decide nothing: at a threshold out of reach, its feedback is that of LI."""
    import snntorch

    torch.manual_seed(0)
    first, last = nn.Linear(6, 5, bias=False), nn.Linear(5, 3, bias=False)
    x = (torch.rand(8, 4, 6) < 0.5).float()

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = first, last
            self.hidden = snntorch.Leaky(0.9, threshold=0.3)
            self.out = snntorch.Leaky(0.8, threshold=1e3, reset_delay=delay)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mem1, mem2, membranes = self.hidden.reset_mem(), self.out.reset_mem(), []
            for now in x:
                spikes, mem1 = self.hidden(self.first(now), mem1)
                mem2 = self.out(self.last(spikes), mem2)[1]
                membranes.append(mem2)
            return torch.stack(membranes) if steps == "all" else membranes[-1]

    class Multistep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            reset = LIF(beta=0.9, threshold=0.3, reset="subtract", reset_delay=True)
            self.net = Sequential(first, reset, last, LI(beta=0.8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.net(x)
            return out if steps == "all" else out[-1]

    feedbacks = []
    for model in (Loop(), Multistep()):
        first.weight.grad = last.weight.grad = None
        with LFP().context(model) as net:
            out = net(x)
            reward = torch.linspace(-1, 1, out.numel()).reshape(out.shape)
            rewards.Given()(out, reward).backward()
        feedbacks.append([layer.weight.grad.clone() for layer in (first, last)])  # type: ignore[union-attr]
    assert all(float(g.abs().sum()) > 0 for g in feedbacks[0])
    torch.testing.assert_close(*feedbacks, rtol=1e-4, atol=1e-6)


def test_a_reward_for_another_output_than_the_first_is_refused() -> None:
    """It would be shared out as if it were a density: silently wrong."""

    class Both(nn.Module):
        def __init__(self, first: str) -> None:
            super().__init__()
            self.layer, self.neuron, self.first = nn.Linear(4, 3), LIF(), first

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            mem = self.layer(x)
            spk, _ = self.neuron(mem)
            return (mem, spk) if self.first == "mem" else (spk, mem)

    x, target = torch.rand(5, 2, 4), torch.tensor([0, 2])
    for first in ("mem", "spk"):
        with LFP().context(Both(first)) as net:
            taken, other = net(x)
            rewards.RateCoded()(taken, target).backward()
            assert net.layer.weight.grad.abs().sum() > 0
            with pytest.raises(ConfigError, match="takes the reward at the first of its outputs"):
                rewards.RateCoded()(other, target)
    _spk, mem = Both("spk")(x)  # without LFP there is no such rule
    rewards.Softmax().loss(mem, target).backward()
