"""The spiking transformer, against rewards shared out by hand, step by step."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lfp_snn import LFP, Sequential, input_relevance, rewards
from lfp_snn.errors import ConfigError, ShapeError
from lfp_snn.models import SpikingSelfAttention, spikformer

T, B, D, N, H, BETA = 4, 2, 8, 5, 2, 0.9


def attention() -> SpikingSelfAttention:
    """Return a block whose normalisation is not the identity."""
    block = SpikingSelfAttention(D, heads=H).double()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight, 2.0, 0.5)
            nn.init.normal_(module.bias, 0.3, 0.5)
            module.running_mean.normal_(0.0, 0.1)
            module.running_var.uniform_(0.2, 1.0)
    return block.eval()


def per_unit(reward: Tensor, total: Tensor) -> Tensor:
    """Divide; nothing where there is nothing to divide by."""
    return torch.where(total == 0, 0.0, reward / torch.where(total == 0, 1.0, total))


class Layer:
    """A linear map, its normalisation and its neurons, with what they did at every step."""

    def __init__(self, chain: Sequential | None, threshold: float) -> None:
        self.chain, self.threshold = chain, threshold
        self.x: list[Tensor] = []
        self.current: list[Tensor] = []
        self.u = [torch.tensor(0.0, dtype=torch.float64)]
        self.s: list[Tensor] = []
        self.q: Tensor | float = 0.0
        self.feedback: Tensor | float = 0.0

    def weight(self) -> tuple[Tensor, Tensor]:
        """Return the whole map ``[D, D]`` and its shift ``[D]``."""
        assert self.chain is not None
        w, norm = self.chain[0].weight[:, :, 0], self.chain[1]
        rate = norm.weight / (norm.running_var + norm.eps).sqrt()
        return w * rate[:, None], norm.bias - norm.running_mean * rate

    def step(self, x: Tensor) -> Tensor:
        current = x
        if self.chain is not None:
            w, b = self.weight()
            current = torch.einsum("ji,bin->bjn", w, x) + b[:, None]
        u = BETA * self.u[-1] + current - self.threshold * (self.u[-1] > self.threshold)
        self.x.append(x)
        self.current.append(current)
        self.u.append(u)
        self.s.append((u > self.threshold).double())
        return self.s[-1]

    def back(self, t: int, reward: Tensor) -> Tensor:
        """Return the reward of the input of step ``t`` for that of its spikes; to be called for t = T-1 ... 0."""
        before, current = self.u[t], self.current[t]
        n = per_unit(reward + self.q, before.abs() + (current - (1 - BETA) * before).abs())
        self.q = BETA * before * n
        if self.chain is None:
            return current * n
        w, _ = self.weight()
        share = torch.einsum("ji,bin,bjn->jibn", w, self.x[t], n)  # the reward of every connection
        plain = self.chain[0].weight[:, :, 0]
        self.feedback += share.sum((2, 3)) / plain * plain.abs()
        return share.sum(0).permute(1, 0, 2)


def by_hand(block: SpikingSelfAttention, x: Tensor, reward: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return the spikes, the reward of the input, and feedback of the weights of q, k, v and the projection."""
    layers = {name: Layer(getattr(block, name), 1.0) for name in ("query", "key", "value", "project")}
    attended, steps, out = Layer(None, 0.5), [], []
    for t in range(T):
        q, k, v = (layers[name].step(x[t]).view(B, H, D // H, N) for name in ("query", "key", "value"))
        score = torch.einsum("bhdn,bhdm->bhnm", q, k)
        a = 0.125 * torch.einsum("bhnm,bhdm->bhdn", score, v)
        steps.append((q, k, v, score, a))
        out.append(layers["project"].step(attended.step(a.reshape(B, D, N))))
    relevance = torch.zeros_like(x)
    for t in reversed(range(T)):
        q, k, v, score, a = steps[t]
        at_a = attended.back(t, layers["project"].back(t, reward[t])).view(B, H, D // H, N)
        terms = 0.125 * torch.einsum("bhnm,bhdm->bhdnm", score, v)
        shares = terms * per_unit(at_a, a)[..., None]
        at_v, at_score = shares.sum(3) / 2, shares.sum(2) / 2
        shares = torch.einsum("bhdn,bhdm->bhdnm", q, k) * per_unit(at_score, score)[:, :, None]
        for name, given in (("query", shares.sum(4) / 2), ("key", shares.sum(3) / 2), ("value", at_v)):
            relevance[t] += layers[name].back(t, given.reshape(B, D, N))
    return torch.stack(out), relevance, [torch.as_tensor(layer.feedback) for layer in layers.values()]


def test_attention_of_spikes_is_the_reward_shared_out_by_hand() -> None:
    block, x = attention(), torch.rand(T, B, D, N, dtype=torch.float64).requires_grad_()
    reward = torch.randn(T, B, D, N, dtype=torch.float64)
    with torch.no_grad():
        spikes, relevance, feedback = by_hand(block, x, reward)
    with LFP(epsilon=1e-12).context(Sequential(block)) as net:
        y = net(x)
        y.backward(reward)
    assert torch.equal(y, spikes)
    assert 0.1 < float(spikes.mean()) < 0.9
    assert float(relevance.norm()) > 0.1
    torch.testing.assert_close(-input_relevance(x), relevance)
    for branch, want in zip((block.query, block.key, block.value, block.project), feedback, strict=True):
        torch.testing.assert_close(branch[0].weight.grad[:, :, 0], want)


def test_one_step_conserves_reward_from_the_readout_to_the_input() -> None:
    """From rest, without shifts and epsilon, nothing keeps reward: the network is a sum of products all the way."""
    net = spikformer((1, 8, 8), 10, width=32, patch=2).double().eval()
    nn.init.zeros_(net[-2].bias)
    x = 6 * torch.rand(4, 1, 8, 8, dtype=torch.float64)
    x.requires_grad_()
    with LFP(epsilon=1e-12).context(net):
        y = net(x, steps=1)
    assert float(y.detach().abs().min()) > 0
    reward = torch.rand_like(y)
    y.backward(reward)
    arrived = -input_relevance(x).flatten(1).sum(1)
    torch.testing.assert_close(arrived, reward.sum((0, 2)))


def test_one_step_at_a_time_is_all_steps_at_once() -> None:
    net, x = spikformer((2, 8, 8), 10, width=16).eval(), 4 * torch.rand(5, 3, 2, 8, 8)
    whole, state = net(x), None
    assert float(whole.detach().abs().sum()) > 0
    for t in range(5):
        y, state = net.run(x[t : t + 1], state)
        torch.testing.assert_close(y[0], whole[t])
    torch.testing.assert_close(net(x[0], steps=5), net(x[:1].expand(5, -1, -1, -1, -1)))


def test_it_learns_digits() -> None:
    """A third of the pictures, two steps each, six epochs, tested on the others: far above chance, which is 0.1."""
    data = load_digits()
    x, y = torch.as_tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16, torch.as_tensor(data.target)
    x = (x - x.mean()) / x.std()
    net, reward = spikformer((1, 8, 8), 10, patch=2, width=32, depth=1), rewards.Softmax()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(6):
        for chosen in torch.randperm(600).split(50):
            with LFP(scale_floor=0.01).context(net):
                reward(net(x[chosen], steps=2), y[chosen]).backward()
            optimizer.step()
            optimizer.zero_grad()
    with torch.no_grad():
        right = (net.eval()(x[600:], steps=2).mean(0).argmax(1) == y[600:]).float().mean()
    assert float(right) > 0.6


def test_wrong_use() -> None:
    with pytest.raises(ConfigError, match="3 heads do not divide"):
        SpikingSelfAttention(16, heads=3)
    with pytest.raises(ShapeError, match="do not tile"):
        spikformer((1, 28, 28), 10, patch=5)
