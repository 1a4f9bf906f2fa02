"""Time in pieces against the whole time at once: outputs, feedback, gradients, relevance, random numbers, memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import ALIF, LFP, LI, LIF, CubaLIF, Residual, Sequential, rewards
from lfp_snn.methods import METHODS
from lfp_snn.models import lif_cnn, recurrent_snn
from lfp_snn.neurons import SpikingNeuron
from lfp_snn.rewards import Homeostasis
from lfp_snn.synapses import use


def mlp(*neurons: nn.Module) -> Sequential:
    sizes, layers = [6, *[8] * (len(neurons) - 1), 3], []
    for k, neuron in enumerate(neurons):
        layers += [nn.Linear(sizes[k], sizes[k + 1]), neuron]
    return Sequential(*layers)


NETWORKS: dict[str, Any] = {
    "lif": lambda: mlp(LIF(), LIF()),
    "li": lambda: mlp(LIF(reset="zero"), LI()),
    "learnt": lambda: mlp(LIF(learn_beta=True, learn_threshold=True), LIF(learn_threshold=True)),
    "alif": lambda: mlp(ALIF(), ALIF(reset_delay=False), LI()),
    "alif-learnt": lambda: mlp(ALIF(learn_beta=True, learn_rho=True, learn_kappa=True), LI(learn_beta=True)),
    "cuba": lambda: mlp(CubaLIF(learn_alpha=True), LIF()),
    "recurrent": lambda: mlp(LIF(recurrent=8), LIF(recurrent=3)),
    "recurrent-alif": lambda: mlp(ALIF(recurrent=8, learn_rho=True), LI()),
    "recurrent-cuba": lambda: mlp(CubaLIF(recurrent=8, learn_alpha=True), LIF()),
    "residual": lambda: Sequential(nn.Linear(6, 8), LIF(), Residual(mlp_of(8)), nn.Linear(8, 3), LIF()),
    "dropout": lambda: Sequential(nn.Linear(6, 8), LIF(), nn.Dropout(0.5), nn.Linear(8, 3), LIF()),
}


def mlp_of(n: int) -> Sequential:
    return Sequential(nn.Linear(n, n), LIF())


def learn(net: Sequential, x: Tensor, steps: int | None, lfp: LFP | None, pieces: int) -> list[Any]:
    """Return output, message of the input, gradients, feedback and relevance."""
    torch.manual_seed(1)
    net.zero_grad()
    net.checkpoint_steps = pieces
    x = x.clone().requires_grad_()
    target = torch.arange(x.shape[0 if steps else 1]) % 3
    reward = rewards.Softmax() if isinstance(net[-1], LI) else rewards.RateCoded()
    if lfp is None:
        y = net(x, steps=steps)
        reward.loss(y, target).backward()
    else:
        with lfp.context(net):
            y = net(x, steps=steps)
            reward(y, target).backward()
    feedback = [p.feedback for p in net.parameters()] if lfp else []
    recorded = [m.relevance for m in net.modules() if isinstance(m, SpikingNeuron)] if lfp and lfp.record else []
    return [y.detach(), x.grad, *(p.grad for p in net.parameters()), *feedback, *recorded]


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("how", ["lfp", "surrogate"])
@pytest.mark.parametrize("static", [False, True], ids=["events", "static"])
def test_pieces_are_the_whole(kind: str, how: str, static: bool) -> None:
    torch.manual_seed(0)
    net = NETWORKS[kind]().double()
    x, steps = (4 * torch.rand(5, 6).double(), 11) if static else (4 * torch.rand(11, 5, 6).double(), None)
    lfp = LFP(record=True) if how == "lfp" else None
    whole = learn(net, x, steps, lfp, 0)
    assert whole[0].abs().sum() > 0
    assert all(g.abs().sum() > 0 for g in whole[2 : 2 + len(list(net.parameters()))])
    for pieces in (4, 10, 1):
        if kind == "dropout":  # other masks: the same as running the pieces one after the other
            break
        torch.testing.assert_close(learn(net, x, steps, lfp, pieces), whole)


@pytest.mark.parametrize("pieces", [0, 4])
@pytest.mark.parametrize("kind", ["alif-learnt", "recurrent-cuba"])
def test_the_backward_pass_can_be_repeated(kind: str, pieces: int) -> None:
    torch.manual_seed(0)
    net, x = NETWORKS[kind]().double(), (4 * torch.rand(11, 5, 6).double()).requires_grad_()
    net.checkpoint_steps = pieces
    y = net(x)
    parameters = [x, *net.parameters()]
    message = torch.rand_like(y)
    first, second = (torch.autograd.grad(y, parameters, message, retain_graph=True) for _ in range(2))
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first[0], torch.zeros_like(first[0]))


def test_dropout_draws_the_same_masks_again() -> None:
    torch.manual_seed(0)
    net, x = NETWORKS["dropout"]().double(), 4 * torch.rand(12, 5, 6).double()
    masks: list[Tensor] = []
    hook = net[2].register_forward_hook(lambda m, a, y: masks.append((y != 0) | (a[0] == 0)))
    results = learn(net, x, None, None, 4)
    hook.remove()
    torch.manual_seed(1)
    net.zero_grad()
    outputs, state = [], None
    for k in range(0, 12, 4):  # the state is cut off, so only the readout's weights see the same gradient
        y, state = net.run(x[k : k + 4], state)
        outputs.append(y)
    assert torch.equal(torch.cat(outputs), results[0])
    # Pieces 0, 1 and 2 forwards, 1 and 0 again backwards.
    assert [m.all().item() for m in masks] == [False] * 5
    assert torch.equal(masks[3], masks[1])
    assert torch.equal(masks[4], masks[0])
    assert not torch.equal(results[0], learn(net.eval(), x, None, None, 4)[0])


@pytest.mark.parametrize("way", ["dense", "events"])
def test_convolutions_and_homeostasis(way: Any) -> None:
    torch.manual_seed(0)
    net, x = lif_cnn((2, 14, 14), 3, channels=(4, 6), kernel=3).double(), (torch.rand(9, 5, 2, 14, 14) < 0.3).double()
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(2)
    lfp = LFP(homeostasis=Homeostasis(strength=0.1, low=0.2, high=0.3))
    with use(way):
        whole = learn(net, x, None, lfp, 0)
        torch.testing.assert_close(learn(net, x, None, lfp, 4), whole)
    assert not torch.allclose(whole[2], learn(net, x, None, LFP(), 0)[2])


def test_fused_recurrent_layers() -> None:
    torch.manual_seed(0)
    net, x = recurrent_snn((6,), 3, hidden=(20, 20)).double(), 4 * torch.rand(30, 5, 6).double()
    with use("events"):
        torch.testing.assert_close(learn(net, x, None, LFP(), 7), learn(net, x, None, LFP(), 0))


@pytest.mark.parametrize("name", ["scaled-gradient", "lfp-unscaled"])
def test_other_methods(name: str) -> None:
    torch.manual_seed(0)
    net, x = mlp(LIF(), LIF()).double(), 4 * torch.rand(12, 5, 6).double()
    method, results = METHODS[name](), []
    for pieces in (0, 5):
        net.zero_grad()
        net.checkpoint_steps = pieces
        with method.attach(net) as learner:
            reward = rewards.RateCoded()
            learner.learn(x, torch.arange(5) % 3, criterion=reward if method.takes_reward else reward.loss)
        results.append([p.grad for p in net.parameters()])
    torch.testing.assert_close(*results)


def test_what_does_not_go_in_pieces() -> None:
    x = torch.rand(12, 5, 6)
    net = Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), LIF())
    net.checkpoint_steps = 4
    with pytest.raises(ValueError, match="batch normalisation takes its statistics over all steps"):
        net(x)
    assert net.eval()(x).shape == (12, 5, 8)
    net = mlp(LIF(), LIF())
    net.checkpoint_steps = 4
    with METHODS["feedback-alignment"]().attach(net), pytest.raises(ValueError, match="inside Rewire: set checkpoint"):
        net(x)


def kept(net: Sequential, x: Tensor) -> int:
    """Return the bytes that a forward pass saves for the backward pass, each tensor once."""
    seen: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        seen[t.data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t), use("dense"):
        y = net(x)
    y.sum().backward()
    return sum(seen.values())


def test_memory_is_that_of_a_piece() -> None:
    """Without pieces: 4 bytes of membrane for each neuron and step, and as much for the spikes of a dense product."""
    net, x = mlp(LIF(), LIF()), torch.rand(400, 5, 6)
    per_step = 4 * 5 * ((8 + 3) + 8)  # membranes of both layers, spikes of the hidden one
    whole = kept(net, x)
    assert abs(whole - x.nbytes - 400 * per_step) < 4000
    net.checkpoint_steps = 10
    assert kept(net, x) < x.nbytes + 10 * per_step + 4000
    assert kept(net, x) < whole / 3


def test_by_configuration() -> None:
    from lfp_snn.errors import ConfigError
    from lfp_snn.training.build import build
    from lfp_snn.training.config import Config, apply

    config = apply(Config(), {"training": {"checkpoint_steps": 7}, "data": {"name": "event-digits"}})
    assert build(config, fresh=False).network.checkpoint_steps == 7
    for change in ({"method": {"name": "dfa"}}, {"data": {"name": "digits"}, "model": {"name": "mlp"}}):
        with pytest.raises(ConfigError, match="checkpoint_steps = 0"):
            build(apply(config, change), fresh=False)


@pytest.mark.parametrize("kind", ["recurrent", "recurrent-cuba", "learnt"])
def test_homeostasis_in_pieces(kind: str) -> None:
    torch.manual_seed(0)
    net, x = NETWORKS[kind]().double(), 4 * torch.rand(11, 5, 6).double()
    lfp = LFP(homeostasis=Homeostasis(0.3, 0.31, 10.0))
    whole = learn(net, x, None, lfp, 0)
    torch.testing.assert_close(learn(net, x, None, lfp, 4), whole)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # which dynamo asks for
def test_a_compiled_network_takes_pieces_eagerly() -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    net, x = NETWORKS["lif"](), 4 * torch.rand(11, 5, 6)
    whole = learn(net, x, None, None, 0)
    net.checkpoint_steps = 4
    net.zero_grad()
    y = torch.compile(net, backend="aot_eager")(x)
    rewards.RateCoded().loss(y, torch.arange(5) % 3).backward()
    torch.testing.assert_close([p.grad for p in net.parameters()], whole[2 : 2 + len(list(net.parameters()))])
    torch._dynamo.reset()
