"""snnTorch's tutorial 5: a fully connected network on MNIST, time loop and membranes in the model.

    python -m benchmarks.tutorials.snntorch_5 --method surrogate --seeds 0 1 2     # the tutorial's training
    python -m benchmarks.tutorials.snntorch_5 --method lfp --seeds 0 1 2           # the same network by LFP
    python -m benchmarks.tutorials.snntorch_5 --method converted --seeds 0 1 2     # all steps in one call, by LFP

Source: https://snntorch.readthedocs.io/en/latest/tutorials/tutorial_5.html (784-1000-10 leaky neurons of beta 0.95 over
25 steps, batches of 128, one epoch of Adam on the cross-entropy of the membrane summed over the steps).
"""

from __future__ import annotations

from collections.abc import Iterable

import snntorch as snn
import torch
from torch import Tensor, nn

from benchmarks.tutorials.common import Data, main

STEPS = 25


class Net(nn.Module):
    """The tutorial's network."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(28 * 28, 1000), snn.Leaky(beta=0.95)
        self.fc2, self.lif2 = nn.Linear(1000, 10), snn.Leaky(beta=0.95)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return spikes and membranes of the last layer, ``[T, B, 10]``."""
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        spk2_rec, mem2_rec = [], []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec), torch.stack(mem2_rec)


def surrogate(net: nn.Module, batches: Iterable[Data], lr: float = 5e-4) -> None:
    """Train as the tutorial does."""
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, betas=(0.9, 0.999))
    for data, targets in batches:
        spk_rec, mem_rec = net(data.flatten(1))
        loss = sum(criterion(mem, targets) for mem in mem_rec)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def lfp(net: nn.Module, batches: Iterable[Data], lr: float = 2e-3) -> None:
    """Train the same network by LFP: the reward is for its spikes, which is what the tutorial counts in the end."""
    from lfp_snn import LFP, rewards

    criterion = rewards.RateCoded()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, betas=(0.9, 0.999))
    LFP().attach(net)
    for data, targets in batches:
        spk_rec, mem_rec = net(data.flatten(1))
        loss = criterion(spk_rec, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def converted(net: nn.Module, batches: Iterable[Data], lr: float = 2e-3) -> None:
    """Train the same network by LFP, all its steps in one call."""
    from lfp_snn import LFP, rewards
    from lfp_snn.adapters.snntorch import from_snntorch

    criterion = rewards.RateCoded()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, betas=(0.9, 0.999))
    fast = from_snntorch(nn.Sequential(net.fc1, net.lif1, net.fc2, net.lif2))
    LFP().attach(fast)
    for data, targets in batches:
        loss = criterion(fast(data.flatten(1), steps=STEPS), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def scores(net: nn.Module, x: Tensor) -> Tensor:
    """Return how often each output neuron fires, ``[B, 10]``."""
    return net(x.flatten(1))[0].sum(0)


if __name__ == "__main__":
    main(__doc__, Net, {"surrogate": surrogate, "lfp": lfp, "converted": converted}, scores, batch_size=128)
