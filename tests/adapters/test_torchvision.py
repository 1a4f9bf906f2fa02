"""Networks of torchvision: with ReLU, LFP is |w| times the gradient (docs/theory.md), with others it is not."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torchvision.models import resnet18, squeezenet1_1

from lfp_snn import LFP, rewards


def distances(net: nn.Module, x: torch.Tensor) -> dict[str, float]:
    """Return, for each parameter, how far feedback is from minus |w| times the gradient, over the latter's norm."""
    target, reward, twin = torch.arange(len(x)) % 10, rewards.Softmax(), copy.deepcopy(net)
    reward.loss(twin(x), target).backward()
    with LFP(epsilon=1e-12).context(net):
        reward(net(x), target).backward()
    found = {}
    for (name, p), q in zip(net.named_parameters(), twin.parameters(), strict=True):
        expected = q.detach().abs() * q.grad
        found[name] = float((p.grad - expected).norm() / expected.norm().clamp(min=1e-12))
    for p, q in zip(net.buffers(), twin.buffers(), strict=True):  # the statistics of batch normalisation, too
        torch.testing.assert_close(p, q)
    return found


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_resnet_is_the_gradient_scaled(training: bool) -> None:
    torch.manual_seed(0)
    net = resnet18(num_classes=10).double().train(training)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    assert max(distances(net, torch.randn(4, 3, 32, 32).double()).values()) < 1e-6


def test_concatenation_is_the_gradient_scaled() -> None:
    torch.manual_seed(0)
    net = squeezenet1_1(num_classes=10).double().eval()  # its blocks concatenate
    for p in net.parameters():
        nn.init.normal_(p, 0, 0.1)
    assert max(distances(net, torch.randn(2, 3, 48, 48).double()).values()) < 1e-6


def test_other_activations_are_not() -> None:
    torch.manual_seed(0)
    net = resnet18(num_classes=10).double().eval()
    for module in list(net.modules()):
        if hasattr(module, "relu"):
            module.relu = nn.SiLU()
    found = distances(net, torch.randn(2, 3, 32, 32).double())
    assert found["fc.weight"] < 1e-6  # above the last activation
    assert found["conv1.weight"] > 0.1
