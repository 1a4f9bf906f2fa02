"""Attention under LFP."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lfp_snn import LFP, rewards
from lfp_snn.models import vit
from lfp_snn.propagation.attention import scaled_dot_product_attention

L, S, B, E, H = 5, 6, 2, 16, 4


def masks(dtype: torch.dtype) -> dict[str, Tensor | None]:
    """Return masks ``[L, S]``, each with at least one visible key."""
    hidden = torch.rand(L, S, dtype=dtype) < 0.4
    hidden[:, 0] = False
    return {
        "none": None,
        "bool": ~hidden,
        "numbers": torch.randn(L, S, dtype=dtype),
        "minus-infinity": torch.zeros(L, S, dtype=dtype).masked_fill(hidden, -torch.inf),
        "both": torch.randn(L, S, dtype=dtype).masked_fill(hidden, -torch.inf),
    }


@pytest.mark.parametrize("name", masks(torch.float64))
@pytest.mark.parametrize("options", [{}, {"scale": 0.3}])
def test_spelled_out_attention_is_torchs(name: str, options: dict[str, Any]) -> None:
    q, k, v = (torch.randn(B, H, n, 8, dtype=torch.float64) for n in (L, S, S))
    mask = masks(torch.float64)[name]
    want = F.scaled_dot_product_attention(q, k, v, mask, **options)
    torch.testing.assert_close(scaled_dot_product_attention(q, k, v, mask, **options), want)


def test_causal_and_grouped_attention_is_torchs() -> None:
    q, k, v = (torch.randn(B, heads, n, 8) for heads, n in ((4, L), (2, L), (2, L)))
    want = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True), want)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"kdim": 12, "vdim": 10},
    {"add_bias_kv": True, "add_zero_attn": True},
    {"batch_first": True},
]


@pytest.mark.parametrize(("options", "batched", "masked"), itertools.product(OPTIONS, (True, False), (True, False)))
def test_the_module_computes_what_it_always_computes(options: dict[str, Any], batched: bool, masked: bool) -> None:
    attention = nn.MultiheadAttention(E, H, **options).double()
    dims = (E, options.get("kdim", E), options.get("vdim", E))
    x = [torch.randn(n, B, d, dtype=torch.float64) for n, d in zip((L, S, S), dims, strict=True)]
    given: dict[str, Any] = {}
    if masked:
        padding = torch.zeros(B, S, dtype=torch.bool)
        padding[0, -2:] = True
        given = {"attn_mask": masks(torch.float64)["both"], "key_padding_mask": padding.double() * -9.0}
    if not batched:
        x = [q[:, 0] for q in x]
        given |= {"key_padding_mask": given["key_padding_mask"][0]} if masked else {}
    elif options.get("batch_first"):
        x = [q.transpose(0, 1) for q in x]
    want, want_weights = attention(*x, **given)
    with LFP().context(attention):
        got, weights = attention(*x, **given)
        got.sum().backward()
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(weights, want_weights)
    assert not weights.requires_grad
    assert all(torch.isfinite(p.grad).all() for p in attention.parameters())


class Shared(torch.autograd.Function):
    """What of the gradient goes on: the uniform rule of AttnLRP, by gradient times input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, share: float) -> Tensor:
        ctx.share = share
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g * ctx.share, None


def by_hand(block: nn.TransformerEncoderLayer, x: Tensor) -> Tensor:
    """Run a block (norm first, batch first) such that the gradient is AttnLRP's density, written out for itself."""

    def norm(m: nn.LayerNorm, x: Tensor) -> Tensor:
        spread = x.detach().var(-1, unbiased=False, keepdim=True).add(m.eps).sqrt()
        return (x - x.mean(-1, keepdim=True)) / spread * m.weight + m.bias

    a, h = block.self_attn, norm(block.norm1, x)
    q, k, v = (h @ a.in_proj_weight.T + a.in_proj_bias).chunk(3, -1)
    q, k, v = (Shared.apply(y, s).unflatten(-1, (H, -1)).transpose(1, 2) for y, s in ((q, 0.25), (k, 0.25), (v, 0.5)))
    attended = torch.softmax(q @ k.mT / (E // H) ** 0.5, -1) @ v
    x = x + attended.transpose(1, 2).flatten(2) @ a.out_proj.weight.T + a.out_proj.bias
    z = norm(block.norm2, x) @ block.linear1.weight.T + block.linear1.bias
    z = z * (F.gelu(z) / z).detach()
    return x + z @ block.linear2.weight.T + block.linear2.bias


def test_a_transformer_block_shares_reward_by_the_rules_of_attnlrp() -> None:
    block = nn.TransformerEncoderLayer(E, H, 24, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    block.double()
    with torch.no_grad():
        for p in block.parameters():
            p.add_(0.1 * torch.randn_like(p))
    x = torch.randn(B, L, E, dtype=torch.float64, requires_grad=True)
    with LFP(epsilon=0.0).context(block):
        y = block(x)
        (got,) = torch.autograd.grad(y, x, torch.ones_like(y))
    y = by_hand(block, x)
    (want,) = torch.autograd.grad(y, x, 1 / y.detach())  # the reward 1 of each output, as a density
    torch.testing.assert_close(got, want)


def test_feedback_of_attention_is_its_weights_times_the_density() -> None:
    block = nn.TransformerEncoderLayer(E, H, 24, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    block.double()
    x = torch.randn(B, L, E, dtype=torch.float64)
    with LFP(epsilon=0.0).context(block):
        block(x).sum().backward()
    got = {name: p.grad.clone() for name, p in block.named_parameters()}
    block.zero_grad()
    y = by_hand(block, x)
    y.backward(1 / y.detach())
    for name, p in block.named_parameters():
        torch.testing.assert_close(got[name], p.detach().abs() * p.grad, msg=name)


@pytest.mark.parametrize("norm_first", [True, False])
def test_an_encoder_with_masks_learns_everywhere(norm_first: bool) -> None:
    layer = nn.TransformerEncoderLayer(E, H, 24, dropout=0.1, batch_first=True, norm_first=norm_first)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    padding = torch.tensor([[False] * 4 + [True], [False] * 5])
    with LFP(scale_floor=0.01).context(encoder):
        encoder(torch.randn(B, L, E), src_key_padding_mask=padding).mean().backward()
    for name, p in encoder.named_parameters():
        assert torch.isfinite(p.grad).all(), name
        assert p.grad.any(), name


def test_a_vision_transformer_learns() -> None:
    torch.manual_seed(0)
    net = vit((1, 8, 8), 4, patch=4, width=16, depth=1, heads=2)
    y = torch.arange(64) % 4
    x = torch.zeros(64, 1, 8, 8)
    for k in range(4):
        x[y == k, :, 4 * (k // 2) : 4 * (k // 2) + 4, 4 * (k % 2) : 4 * (k % 2) + 4] = 1.0
    x += 0.3 * torch.randn_like(x)
    optimizer, lfp, reward = torch.optim.Adam(net.parameters(), 0.01), LFP(scale_floor=0.01), rewards.Softmax()
    for _ in range(60):
        optimizer.zero_grad()
        with lfp.context(net):
            reward(net(x), y).backward()
        optimizer.step()
    assert float((net(x).argmax(1) == y).float().mean()) > 0.9
