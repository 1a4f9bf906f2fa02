"""One backward pass of a network, by LFP or by its surrogate gradient."""

from __future__ import annotations

from torch import Tensor, nn

from lfp_snn import LFP, rewards


def learned(net: nn.Module, x: Tensor, y: Tensor, lfp: bool) -> list[Tensor | None]:
    """Return the output for ``x``, and what reaches each parameter where the classes are ``y``."""
    reward = rewards.RateCoded()
    net.zero_grad()
    if lfp:
        with LFP().context(net):
            out = net(x)
            reward(out, y).backward()
    else:
        out = net(x)
        reward.loss(out, y).backward()
    return [out.detach(), *(p.grad for p in net.parameters())]
