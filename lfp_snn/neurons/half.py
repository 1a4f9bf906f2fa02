"""Membranes kept in 16 bits between the forward and the backward pass, where a network is asked to.

The forward pass is that of the network as it is. What is kept of a membrane is rounded to bfloat16, to the side of the
threshold that it was on: the backward pass sees every spike where it was, and its relevance is off by some thousandths.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lfp_snn.kernels import cpu, half, select

_AT_A_TIME = 1 << 18


def round_membrane(u: Tensor, spikes: Tensor, threshold: Tensor) -> Tensor:
    """Return a membrane ``[T, B, N]`` in bfloat16, above its threshold where there are spikes and nowhere else.

    Examples
    --------
    >>> u = torch.tensor([[[1.0001, 0.5]]])
    >>> (round_membrane(u, (u > 1).float(), torch.tensor(1.0)) > 1).tolist()
    [[[True, False]]]
    """
    if select(u) is cpu and u.dtype == torch.float32:
        return half.round_membrane(u, spikes, threshold)
    rounded = torch.empty(u.shape, dtype=torch.bfloat16, device=u.device)
    together = max(1, _AT_A_TIME // u[0].numel())
    threshold = threshold.expand(u.shape)
    for t in range(0, len(u), together):  # in parts: what is compared is not to take as much memory as is saved
        part, fired, theta = (x[t : t + together] for x in (u, spikes, threshold))
        near = part.to(torch.bfloat16)
        wrong = (near.to(u.dtype) > theta) != (fired > 0)
        if bool(wrong.any()):
            side = torch.where(fired > 0, torch.inf, -torch.inf).to(torch.bfloat16)
            near = torch.where(wrong, torch.nextafter(near, side), near)
        rounded[t : t + together] = near
    return rounded
