"""Relevance under a zennit composite is zennit's own, and a training step under it reaches every parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18, vgg11, vgg11_bn
from zennit import composites, rules
from zennit.attribution import Gradient
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.core import BasicHook, Composite, Stabilizer
from zennit.torchvision import ResNetCanonizer, VGGCanonizer
from zennit.types import Linear

from lfp_snn import input_relevance, rewards
from lfp_snn.adapters.zennit import from_hook, from_zennit
from lfp_snn.errors import ConfigError
from lfp_snn.rules import Epsilon

TOLERANCE = 1e-5


def network(make: Callable[..., nn.Module], dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a network of torchvision with random weights (a VGG with a small head), in eval mode."""
    torch.manual_seed(0)
    net: Any = make(num_classes=10)
    if make is not resnet18:
        net.avgpool = nn.AdaptiveAvgPool2d(3)
        net.classifier[0], net.classifier[3], net.classifier[6] = (
            nn.Linear(512 * 9, 64),
            nn.Linear(64, 64),
            nn.Linear(64, 10),
        )
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
        if isinstance(getattr(module, "bias", None), Tensor):
            nn.init.normal_(module.bias, 0, 0.05)
    return net.to(dtype).eval()


def small() -> nn.Module:
    torch.manual_seed(1)
    return (
        nn.Sequential(
            nn.Conv2d(2, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 8),
            nn.Tanh(),
            nn.Linear(8, 5),
        )
        .double()
        .eval()
    )


def compare(net: nn.Module, composite: Composite, x: Tensor, **options: Any) -> float:
    """Return the distance of our relevance from zennit's, over the size of zennit's."""
    seed = torch.randn(len(x), net(x[:1]).shape[1], dtype=x.dtype)
    with Gradient(net, composite) as attributor:
        output, theirs = attributor(x.clone(), seed)
    z = x.clone().requires_grad_()
    with from_zennit(composite, net, **options).context(net):
        ours = net(z)
        (rewards.Given()(ours, seed) * len(x)).backward()
    torch.testing.assert_close(ours, output, rtol=0, atol=0)
    return float((input_relevance(z) - theirs).norm() / theirs.norm())


COMPOSITES = {
    "plus": lambda **k: composites.EpsilonPlus(**k),
    "gamma-box": lambda **k: composites.EpsilonGammaBox(low=-3.0, high=3.0, **k),
    "alpha-beta": lambda **k: composites.EpsilonAlpha2Beta1(**k),
    "plus-flat": lambda **k: composites.EpsilonPlusFlat(**k),
    "alpha-beta-flat": lambda **k: composites.EpsilonAlpha2Beta1Flat(**k),
}
CANONIZERS = {vgg11: [], vgg11_bn: [VGGCanonizer()], resnet18: [ResNetCanonizer()]}


@pytest.mark.parametrize(
    ("make", "name"),
    [
        *((vgg11, name) for name in ("plus", "gamma-box", "alpha-beta")),
        (vgg11_bn, "plus-flat"),
        *((resnet18, name) for name in ("plus", "gamma-box", "alpha-beta-flat")),
    ],
)
def test_relevance_and_feedback_on_torchvision_s_networks(make: Callable[..., nn.Module], name: str) -> None:
    """In single precision."""
    net = network(make)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert compare(net, COMPOSITES[name](canonizers=CANONIZERS[make]), torch.randn(2, 3, 32, 32)) < TOLERANCE
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert bool(torch.isfinite(parameter.grad).all()), key
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize("epsilon", [1e-6, 0.3])
@pytest.mark.parametrize(
    "hook",
    [
        lambda e: rules.Epsilon(epsilon=e),
        lambda e: rules.Epsilon(epsilon=e, zero_params="bias"),
        lambda e: rules.Norm(stabilizer=e),
        lambda e: rules.Gamma(gamma=0.4, stabilizer=e),
        lambda e: rules.Gamma(gamma=0.4, stabilizer=e, zero_params=["bias"]),
        lambda e: rules.ZPlus(stabilizer=e),
        lambda e: rules.AlphaBeta(alpha=1.5, beta=0.5, stabilizer=e),
        lambda e: rules.WSquare(stabilizer=e),
        lambda e: rules.Flat(stabilizer=e),
        lambda e: rules.ZBox(low=-2.0, high=torch.full((1, 2, 1, 1), 3.0).double(), stabilizer=e),
    ],
    ids=["epsilon", "no-bias", "norm", "gamma", "gamma-no-bias", "z-plus", "alpha-beta", "w-square", "flat", "z-box"],
)
def test_each_rule_with_each_stabiliser(hook: Callable[[float], BasicHook], epsilon: float) -> None:
    """In the first layer; the rest under epsilon, batch normalisation handed through."""
    layer_map = [*composites.layer_map_base(epsilon), (Linear, rules.Epsilon(epsilon))]
    composite = composites.NameLayerMapComposite([(["0"], hook(epsilon))], layer_map)
    distance = compare(small(), composite, torch.randn(3, 2, 6, 6).double())
    assert distance < 1e-6  # what is left: epsilon is held in single precision


def test_batch_normalisation_with_a_rule_of_its_own() -> None:
    layer_map = [(nn.BatchNorm2d, rules.Epsilon(0.1)), *composites.layer_map_base(), (Linear, rules.Gamma())]
    assert compare(small(), composites.LayerMapComposite(layer_map), torch.randn(3, 2, 6, 6).double()) < 1e-6


def test_one_step_learns() -> None:
    """Every layer's feedback under the composite raises the reward of the batch."""
    net, x, target = small(), torch.randn(16, 2, 6, 6).double(), torch.arange(16) % 5
    reward, lfp = rewards.Softmax(), from_zennit(composites.EpsilonPlus(canonizers=[SequentialMergeBatchNorm()]), net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = float(reward.loss(net(x), target).detach())
    for _ in range(20):
        optimizer.zero_grad()
        with lfp.context(net):
            reward(net(x), target).backward()
        optimizer.step()
    assert float(reward.loss(net(x), target).detach()) < before


def test_what_the_composite_leaves_out() -> None:
    net = small()
    only_first = composites.NameMapComposite([(["0"], rules.ZPlus())])
    with pytest.raises(ConfigError, match=r"1 \(BatchNorm2d\) has parameters, but no rule in NameMapComposite"):
        from_zennit(only_first, net)
    x = torch.randn(3, 2, 6, 6).double().requires_grad_()
    with from_zennit(only_first, net, rest=Epsilon(1e-3)).context(net):
        rewards.Softmax()(net(x), torch.arange(3)).backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in net.parameters())


@pytest.mark.parametrize(
    ("hook", "module", "message"),
    [
        (rules.ReLUGuidedBackprop(), nn.ReLU(), "modifies gradients"),
        (BasicHook(), nn.Linear(2, 2), "not one of zennit's"),
        (rules.Epsilon(Stabilizer(clip=True)), nn.Linear(2, 2), "not simply a number"),
        (rules.Epsilon(lambda z: z + 1), nn.Linear(2, 2), "not simply a number"),
        (rules.ZPlus(zero_params="weight"), nn.Linear(2, 2), "only the bias"),
        (rules.Gamma(), nn.BatchNorm2d(2), "linear and convolution layers"),
        (rules.Epsilon(), nn.Sequential(nn.Linear(2, 2)), "made of others"),
    ],
)
def test_what_is_refused(hook: Any, module: nn.Module, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_hook(hook, module)


def test_a_merged_batch_normalisation_must_not_train() -> None:
    net = small().train()
    with pytest.raises(ConfigError, match=r"merges 1, which is in training mode: call model\.eval"):
        from_zennit(composites.EpsilonPlus(canonizers=[SequentialMergeBatchNorm()]), net)
    from_zennit(composites.EpsilonPlus(), net)


def test_canonizers_are_undone_after_an_error() -> None:
    net = network(resnet18)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    layer_map = [(nn.ReLU, rules.ReLUGuidedBackprop()), *composites.layer_map_base(), (Linear, rules.Epsilon())]
    with pytest.raises(ConfigError, match="modifies gradients"):
        from_zennit(composites.LayerMapComposite(layer_map, canonizers=[ResNetCanonizer()]), net)
    assert net.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
