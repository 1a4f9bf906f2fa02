"""snnTorch's tutorial 6: a convolutional network on MNIST, ``nn.Sequential`` with hidden states, the loop around it.

    python -m benchmarks.tutorials.snntorch_6 --method surrogate --images 19328     # the tutorial's training
    python -m benchmarks.tutorials.snntorch_6 --method lfp --images 19328           # the same network by LFP
    python -m benchmarks.tutorials.snntorch_6 --method converted --images 19328     # all steps in one call, by LFP

Source: https://snntorch.readthedocs.io/en/latest/tutorials/tutorial_6.html (12C5-MP2-64C5-MP2-10 leaky neurons of beta
0.5 over 50 steps, batches of 128, Adam on the cross-entropy of the spikes at each step). 19,328 images are 151
iterations, after which the tutorial prints its last accuracy. LFP's reward compares the classes' firing rates.
"""

from __future__ import annotations

from collections.abc import Iterable

import snntorch as snn
import snntorch.functional as SF
import torch
from snntorch import surrogate as derivatives
from snntorch import utils
from torch import Tensor, nn

from benchmarks.tutorials.common import Data, main

STEPS = 50


def network() -> nn.Sequential:
    """Return the tutorial's network."""
    leaky = {"beta": 0.5, "spike_grad": derivatives.fast_sigmoid(slope=25), "init_hidden": True}
    return nn.Sequential(
        nn.Conv2d(1, 12, 5),
        nn.MaxPool2d(2),
        snn.Leaky(**leaky),
        nn.Conv2d(12, 64, 5),
        nn.MaxPool2d(2),
        snn.Leaky(**leaky),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 10),
        snn.Leaky(**leaky, output=True),
    )


def forward_pass(net: nn.Module, data: Tensor) -> Tensor:
    """Return the spikes of all steps, ``[T, B, 10]``."""
    utils.reset(net)
    return torch.stack([net(data)[0] for _ in range(STEPS)])


def surrogate(net: nn.Module, batches: Iterable[Data], lr: float = 1e-2) -> None:
    """Train as the tutorial does."""
    criterion = SF.ce_rate_loss()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, betas=(0.9, 0.999))
    for data, targets in batches:
        spk_rec = forward_pass(net, data)
        loss = criterion(spk_rec, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def lfp(net: nn.Module, batches: Iterable[Data], lr: float = 1e-2) -> None:
    """Train the same network by LFP, from weights that let all its layers fire."""
    from lfp_snn import LFP, models, rewards
    from lfp_snn.adapters.snntorch import from_snntorch

    criterion = rewards.RateSoftmax()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, betas=(0.9, 0.999))
    models.calibrate(from_snntorch(net), next(iter(batches))[0], steps=STEPS)
    LFP().attach(net)
    for data, targets in batches:
        spk_rec = forward_pass(net, data)
        loss = criterion(spk_rec, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def converted(net: nn.Module, batches: Iterable[Data], lr: float = 1e-2) -> None:
    """Train the same network by LFP, all its steps in one call."""
    from lfp_snn import LFP, models, rewards
    from lfp_snn.adapters.snntorch import from_snntorch

    criterion = rewards.RateSoftmax()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, betas=(0.9, 0.999))
    fast = from_snntorch(net)
    models.calibrate(fast, next(iter(batches))[0], steps=STEPS)
    LFP().attach(fast)
    for data, targets in batches:
        spk_rec = fast(data, steps=STEPS)
        loss = criterion(spk_rec, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def scores(net: nn.Module, x: Tensor) -> Tensor:
    """Return how often each output neuron fires, ``[B, 10]``."""
    return forward_pass(net, x).sum(0)


if __name__ == "__main__":
    main(__doc__, network, {"surrogate": surrogate, "lfp": lfp, "converted": converted}, scores, batch_size=128)
