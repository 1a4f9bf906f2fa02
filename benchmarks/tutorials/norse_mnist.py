"""norse's MNIST task: an encoder of spikes, the network ``ConvNet4``, the largest membrane over time.

    python -m benchmarks.tutorials.norse_mnist --method surrogate --images 9600     # the task's training
    python -m benchmarks.tutorials.norse_mnist --method lfp --images 9600           # the same network by LFP

Source: https://github.com/norse/norse/blob/main/norse/task/mnist.py (batches of 32, Adam at 2e-3, negative
log-likelihood). The task shows each image for 200 steps; 32 are shown here, as in norse's notebook on MNIST.
"""

from __future__ import annotations

from collections.abc import Iterable

import norse.torch as norse
import torch
from norse.torch.models.conv import ConvNet4
from torch import Tensor, nn
from torch.nn.functional import log_softmax, nll_loss

from benchmarks.tutorials.common import Data, main

STEPS = 32


class Net(nn.Module):
    """The task's network."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = norse.ConstantCurrentLIFEncoder(seq_length=STEPS)
        self.rsnn = ConvNet4(method="super")

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest membrane of each class over time, ``[B, 10]``."""
        spikes = self.encoder((x.flatten(1) - 0.1307) / 0.3081)
        voltages = self.rsnn(spikes.reshape(STEPS, len(x), 1, 28, 28))
        return torch.max(voltages, 0)[0]


def surrogate(net: nn.Module, batches: Iterable[Data], lr: float = 2e-3) -> None:
    """Train as the task does."""
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    for data, target in batches:
        optimizer.zero_grad()
        output = net(data)
        loss = nll_loss(log_softmax(output, dim=1), target)
        loss.backward()
        optimizer.step()


def lfp(net: nn.Module, batches: Iterable[Data], lr: float = 1e-3) -> None:
    """Train the same network by LFP."""
    from lfp_snn import LFP, rewards

    LFP().attach(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    for data, target in batches:
        optimizer.zero_grad()
        output = net(data)
        loss = rewards.Softmax()(output, target)
        loss.backward()
        optimizer.step()


def scores(net: nn.Module, x: Tensor) -> Tensor:
    """Return the largest membranes, ``[B, 10]``."""
    return net(x)


if __name__ == "__main__":
    main(__doc__, Net, {"surrogate": surrogate, "lfp": lfp}, scores, batch_size=32)
