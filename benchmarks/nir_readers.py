"""How networks trained on the event digits spike in snnTorch, SpikingJelly and norse, which read them from NIR.

    python benchmarks/nir_readers.py --recordings 100

Prints the table of docs/adapters/nir.md: for networks that reset to zero and by subtraction, the share of outputs (of
all steps, recordings and classes) that differ, and the accuracy.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lfp_snn import LFP, LIF, Sequential, rewards
from lfp_snn.adapters.nir import to_nir
from lfp_snn.data import Splits, load, loader

SHAPE = (2, 20, 20)
EPOCHS, SEED = 4, 0


def networks(reset: Any) -> dict[str, Sequential]:
    """Return the networks by name, before training."""

    def lif() -> LIF:
        return LIF(0.9, reset=reset)

    torch.manual_seed(SEED)
    dense = Sequential(nn.Flatten(), nn.Linear(800, 64), lif(), nn.Linear(64, 10), lif())
    conv = Sequential(nn.Conv2d(2, 8, 5), lif(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(512, 10), lif())
    for module in [*dense, *conv]:
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.weight.data.mul_(2)  # else the neurons are silent at first
    return {"dense": dense, "convolutional": conv}


def train(net: Sequential, splits: Splits) -> None:
    """Train by LFP."""
    reward, optimizer = rewards.RateCoded(), torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(EPOCHS):
        for batch in loader(splits.train, batch_size=64, shuffle=True, seed=SEED):
            with LFP().context(net):
                reward(net(batch.x), batch.target).backward()
            optimizer.step()
            optimizer.zero_grad()


def readers() -> dict[str, Callable[[Any], nn.Module]]:
    """Return how each library reads a graph."""
    import norse.torch
    from snntorch.import_nir import import_from_nir as snntorch
    from spikingjelly.activation_based.nir_exchange import import_from_nir as spikingjelly

    return {
        "snnTorch": snntorch,
        "SpikingJelly": lambda graph: spikingjelly(graph, dt=1e-4),
        "norse": lambda graph: norse.torch.from_nir(graph, dt=1e-4, ignore_warnings=True),
    }


def elsewhere(read: Callable[[Any], nn.Module], net: Sequential, x: Tensor) -> Tensor:
    """Run the graph of a network in another library, one recording and one step at a time."""
    outputs = []
    for recording in x.unbind(1):
        with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            theirs, state = read(to_nir(net, input_shape=SHAPE, dt=1e-4)), None
            for x_t in recording:
                y, state = theirs(x_t[None]) if state is None else theirs(x_t[None], state)
                outputs.append(y.flatten())
    return torch.stack(outputs).reshape(x.shape[1], x.shape[0], -1).transpose(0, 1)


def main() -> None:
    """Train, run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=100)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # the libraries' own
    splits = load("event-digits")
    test = next(iter(loader(splits.test, batch_size=args.recordings)))

    def accuracy(spikes: Tensor) -> float:
        return float((spikes.sum(0).argmax(-1) == test.target).float().mean())

    for reset in ("zero", "subtract"):
        for name, net in networks(reset).items():
            train(net, splits)
            with torch.no_grad():
                ours = net(test.x)
            print(f"{reset:9} {name:14} here: accuracy {accuracy(ours):.0%} of {args.recordings}", flush=True)
            for library, read in readers().items():
                try:
                    theirs = elsewhere(read, net, test.x)
                except Exception as e:
                    print(f"  {library:12} {type(e).__name__}: {e}")
                    continue
                differ = (theirs != ours).sum().item()
                print(f"  {library:12} {differ} of {ours.numel()} outputs differ, accuracy {accuracy(theirs):.0%}")


if __name__ == "__main__":
    main()
