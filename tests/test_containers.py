"""Networks over time: folding, static inputs computed once, streaming, residual blocks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lfp_snn import ALIF, LFP, LI, LIF, CubaLIF, Residual, Sequential, fold, rewards
from lfp_snn.errors import ShapeError


class Counting(nn.Module):
    """Counts how often it runs and on how much."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        return x


def nets() -> dict[str, Sequential]:
    torch.manual_seed(0)
    return {
        "mlp": Sequential(nn.Linear(6, 8), LIF(threshold=0.3), nn.Linear(8, 3), LIF(threshold=0.2)),
        "residual": Sequential(
            nn.Linear(6, 8),
            LIF(threshold=0.3),
            Residual(Sequential(nn.Linear(8, 8), ALIF(threshold=0.3)), merge="max"),
            Residual(nn.Linear(8, 8), Sequential(CubaLIF(threshold=0.3))),
            LI(),
        ),
        "nested": Sequential(Sequential(nn.Linear(6, 8), LIF(threshold=0.3, recurrent=8)), nn.Linear(8, 3), LI(0.8)),
        "static-skip": Sequential(Residual(Sequential(nn.Linear(6, 6), LIF(threshold=0.2))), nn.Linear(6, 3), LI()),
        "static-block": Sequential(Residual(nn.Linear(6, 6)), LIF(threshold=0.2), nn.Linear(6, 3), LI()),
    }


@pytest.mark.parametrize("name", nets())
def test_a_static_input_is_the_same_input_at_every_step(name: str) -> None:
    net, x = nets()[name], torch.rand(4, 6)
    torch.testing.assert_close(net(x, steps=9), net(x.expand(9, 4, 6)))


@pytest.mark.parametrize("name", nets())
def test_streaming_is_the_whole(name: str) -> None:
    net, x = nets()[name], torch.rand(9, 4, 6)
    state, parts = None, []
    for x_t in x:
        y, state = net.run(x_t[None], state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts), net(x))


@pytest.mark.parametrize("name", nets())
def test_feedback_of_a_static_input_is_that_of_its_copies(name: str) -> None:
    net, x, y = nets()[name], torch.rand(4, 6), torch.tensor([0, 1, 2, 0])
    grads = []
    for static in (True, False):
        net.zero_grad()
        with LFP().context(net):
            out = net(x, steps=9) if static else net(x.expand(9, 4, 6))
            (rewards.RateCoded() if name == "mlp" else rewards.Softmax())(out, y).backward()
        grads.append([p.grad.clone() for p in net.parameters()])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_what_is_static_is_computed_once() -> None:
    before, after = Counting(), Counting()
    Sequential(before, nn.Linear(6, 8), LIF(), after)(torch.rand(4, 6), steps=9)
    assert before.seen == [4]
    assert after.seen == [36]


def test_a_network_without_neurons_stays_static() -> None:
    net, x = Sequential(nn.Linear(6, 3), nn.ReLU()), torch.rand(4, 6)
    torch.testing.assert_close(net(x, steps=9), torch.relu(net[0](x)))


def test_fold_applies_to_all_steps() -> None:
    conv, x = nn.Conv2d(2, 3, 3), torch.rand(5, 4, 2, 6, 6)
    torch.testing.assert_close(fold(conv, x), torch.stack([conv(x_t) for x_t in x]))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nets()["mlp"](torch.rand(4, 6)), r"steps=T"),
        (lambda: Sequential(nn.Conv2d(1, 1, 3), LIF())(torch.rand(6, 6)), r"steps=T"),
        (lambda: nets()["mlp"].run(torch.rand(2, 4, 6), (None,)), "state has 1 parts"),
        (lambda: Residual(nn.Identity(), merge="mean"), "merge must be"),
    ],
)
def test_wrong_use(call: Any, says: str) -> None:
    with pytest.raises((ShapeError, ValueError), match=says):
        call()


@pytest.mark.parametrize("name", nets())
def test_inference_mode(name: str) -> None:
    net = nets()[name]
    x = torch.rand(5, 2, 1, 10, 10) if isinstance(net[0], nn.Conv2d) else torch.rand(5, 2, 6)
    want = net(x).detach()
    with torch.inference_mode():
        assert torch.equal(net(x), want)
        y, state = net.run(x[:2])
        assert torch.equal(torch.cat([y, net.run(x[2:], state)[0]]), want)


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (torch.rand(4, 1, 8, 8), r"Conv2d in a network over time got shape \[4, 1, 8, 8\]; expected \[T, B, C, H, W\]"),
        (torch.rand(4, 8, 8), r"net\.run\(x\[None\], state\)"),
    ],
)
def test_a_missing_axis_is_named(x: Tensor, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        Sequential(nn.Conv2d(1, 2, 3), LIF())(x)
