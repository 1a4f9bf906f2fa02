r"""Attention, spelled out: the fused functions in terms of those that have rules (AttnLRP, arXiv 2402.05602).

torch computes attention in one function, in which no rule could act. Here it is the matrix products, the softmax and
the mask it consists of; each then shares reward as it would anywhere else: a product of two signals gives each half,
softmax is its gradient, a mask keeps what it hides. The numbers are the same to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return ``softmax(q k^T * scale + mask) v``, ``[..., L, E]``; arguments are those of torch's own.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> q, k, v = torch.rand(3, 2, 4, 5, 8)
    >>> same = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    >>> torch.allclose(scaled_dot_product_attention(q, k, v, is_causal=True), same, atol=1e-6)
    True
    """
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (x.repeat_interleave(groups, -3) for x in (key, value))
    scores = torch.matmul(query, key.transpose(-2, -1)) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    weights = torch.softmax(_masked(scores, attn_mask), -1)
    return torch.matmul(F.dropout(weights, dropout_p), value)


def _masked(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Hide scores where a mask is False (or minus infinity), and add the rest of a mask of numbers."""
    if mask is None:
        return scores
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, -torch.inf)
    hidden = mask == -torch.inf  # not added: minus infinity would have an infinite share in the score
    if bool((mask[~hidden] != 0).any()):
        scores = scores + mask.masked_fill(hidden, 0.0)
    return scores.masked_fill(hidden, -torch.inf)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return the output ``[L, B, E]`` and the attention weights, as ``nn.MultiheadAttention`` does.

    The weights are values only: they carry no reward.
    """
    if static_k is not None or static_v is not None:
        raise NotImplementedError("LFP does not know multi-head attention with static_k or static_v")
    batched = query.dim() == 3
    if not batched:
        query, key, value = (x.unsqueeze(1) for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, embed = query.shape
    if use_separate_proj_weight:
        in_weights = [q_proj_weight, k_proj_weight, v_proj_weight]
    else:
        assert in_proj_weight is not None
        in_weights = list(in_proj_weight.chunk(3))
    in_biases = [None] * 3 if in_proj_bias is None else list(in_proj_bias.chunk(3))
    q, k, v = (F.linear(x, w, b) for x, w, b in zip((query, key, value), in_weights, in_biases, strict=True))  # type: ignore[arg-type]
    if bias_k is not None and bias_v is not None:
        k, v = (torch.cat([x, b.repeat(1, batch, 1)]) for x, b in ((k, bias_k), (v, bias_v)))
    q, k, v = (x.reshape(len(x), batch, num_heads, -1).permute(1, 2, 0, 3) for x in (q, k, v))  # [B, H, L, E/H]
    if add_zero_attn:
        k, v = (torch.cat([x, x.new_zeros(batch, num_heads, 1, x.shape[-1])], 2) for x in (k, v))
    mask = _merged(attn_mask, key_padding_mask, batch, num_heads, q, k.shape[2])
    attended = scaled_dot_product_attention(q, k, v, mask, dropout_p if training else 0.0)
    out = F.linear(attended.permute(2, 0, 1, 3).reshape(length, batch, embed), out_proj_weight, out_proj_bias)
    weights = None
    if need_weights:
        with torch.no_grad():
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            weights = torch.softmax(_masked(scores, mask), -1)
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if batched else weights[0]
    return out if batched else out[:, 0], weights


def _merged(
    attn_mask: Tensor | None, padding: Tensor | None, batch: int, heads: int, like: Tensor, keys: int
) -> Tensor | None:
    """Return one mask of numbers that broadcasts to ``[B, H, L, S]``; added keys (bias, zero) are never hidden."""
    total: Tensor | None = None
    for mask, shape in ((attn_mask, None), (padding, (batch, 1, 1, -1))):
        if mask is None:
            continue
        if mask.dtype == torch.bool:  # here True hides
            mask = torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, -torch.inf)
        if shape is not None:
            mask = mask.reshape(shape)
        elif mask.dim() == 3:
            mask = mask.reshape(batch, heads, *mask.shape[1:])
        mask = F.pad(mask, (0, keys - mask.shape[-1]))
        total = mask if total is None else total + mask
    return total


COMPOSITES: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (scaled_dot_product_attention, multi_head_attention_forward)
}
"""What stands for a fused function of torch, by its name."""
