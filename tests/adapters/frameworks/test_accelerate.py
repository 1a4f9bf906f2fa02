"""Hugging Face accelerate: the loop of its documentation, with LFP attached to what ``prepare`` returns."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lfp_snn import LFP, LIF, Sequential, rewards


def network() -> Sequential:
    torch.manual_seed(1)
    return Sequential(nn.Linear(6, 20), LIF(beta=0.9), nn.Linear(20, 3), LIF(beta=0.9))


def data() -> TensorDataset:
    torch.manual_seed(2)
    x = 2 * torch.rand(48, 6)
    return TensorDataset(x, x.view(-1, 3, 2).sum(2).argmax(1))


def accelerated(accelerator: Accelerator, epochs: int = 1) -> tuple[Sequential, list[list[Tensor]]]:
    """Train and return the network, and the gradients of every step."""
    net, seen = network(), []
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    model, optimizer, batches = accelerator.prepare(net, optimizer, DataLoader(data(), 16))
    with LFP().context(model):
        for _ in range(epochs):
            for x, y in batches:
                with accelerator.accumulate(model):
                    loss = rewards.RateSoftmax()(model(x, steps=8), y)
                    accelerator.backward(loss)
                    seen.append([p.grad.clone() for p in net.parameters()])
                    optimizer.step()
                    optimizer.zero_grad()
    return net, seen


def plain(together: int = 1) -> tuple[Sequential, list[list[Tensor]]]:
    net, seen = network(), []
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    with LFP().context(net):
        for x, y in DataLoader(data(), 16 * together):
            optimizer.zero_grad()
            rewards.RateSoftmax()(net(x, steps=8), y).backward()
            seen.append([p.grad.clone() for p in net.parameters()])
            optimizer.step()
    return net, seen


def test_feedback_is_that_of_the_plain_loop() -> None:
    (net, seen), (expected_net, expected) = accelerated(Accelerator(cpu=True)), plain()
    assert len(seen) == len(expected) == 3
    assert any(g.norm() > 0 for g in expected[0])
    for step, expected_step in zip(seen, expected, strict=True):
        assert all(torch.equal(g, h) for g, h in zip(step, expected_step, strict=True))
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), expected_net.parameters(), strict=True))


def test_accumulation_is_the_larger_batch() -> None:
    _, seen = accelerated(Accelerator(cpu=True, gradient_accumulation_steps=2))
    _, expected = plain(together=2)
    for g, h in zip(seen[1], expected[0], strict=True):
        torch.testing.assert_close(g, h, rtol=1e-4, atol=1e-7)


def test_clipping_bounds_the_feedback() -> None:
    accelerator, net = Accelerator(cpu=True), network()
    model = accelerator.prepare(net)
    x, y = data().tensors
    with LFP().context(model):
        accelerator.backward(rewards.RateSoftmax()(model(x, steps=8), y))
    before = accelerator.clip_grad_norm_(model.parameters(), 1e-3)
    after = torch.cat([p.grad.flatten() for p in net.parameters()]).norm()
    assert before > 1e-2
    torch.testing.assert_close(after, torch.tensor(1e-3), rtol=1e-3, atol=0.0)


def test_mixed_precision_learns() -> None:
    net, seen = accelerated(Accelerator(cpu=True, mixed_precision="bf16"), epochs=40)
    _, expected = plain()
    for g, h in zip(seen[0], expected[0], strict=True):
        assert g.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(g.flatten(), h.flatten(), 0) > 0.9
    x, y = data().tensors
    assert (rewards.scores(net(x, steps=8)).argmax(-1) == y).float().mean() > 0.8


@pytest.fixture(autouse=True)
def _one_configuration_a_test() -> None:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
