"""What the tutorials share: images, mini-batches, the accuracy, the command line."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from lfp_snn.data import load

Data = tuple[Tensor, Tensor]
"""Images ``[N, 1, 28, 28]`` in [0, 1], and their classes ``[N]``."""


def images(name: str = "mnist", *, validate: bool = False, root: str | Path | None = None) -> tuple[Data, Data]:
    """Return training and test images; to ``validate``, 10,000 training images take the place of the test set."""
    splits = load(name, root, val_fraction=1 / 6)
    train, val, test = (part.__getitems__(list(range(len(part)))) for part in (splits.train, splits.val, splits.test))
    if validate:
        return (train.x, train.target), (val.x, val.target)
    return (torch.cat([train.x, val.x]), torch.cat([train.target, val.target])), (test.x, test.target)


class Batches:
    """Mini-batches of images, shuffled anew at every pass, without an incomplete last one."""

    def __init__(self, data: Data, size: int) -> None:
        self.data, self.size = data, size

    def __iter__(self) -> Iterator[Data]:
        """Yield the mini-batches of one epoch."""
        x, y = self.data
        for chunk in torch.randperm(len(x)).split(self.size):
            if len(chunk) == self.size:
                yield x[chunk], y[chunk]


@torch.no_grad()
def accuracy(net: nn.Module, scores: Callable[[nn.Module, Tensor], Tensor], data: Data, size: int = 250) -> float:
    """Return the share of images, in %, at which the highest of the ``scores`` ``[B, C]`` is the true class."""
    parts = zip(data[0].split(size), data[1].split(size), strict=True)
    return 100 * sum(int((scores(net, x).argmax(-1) == y).sum()) for x, y in parts) / len(data[0])


def main(
    description: str,
    make: Callable[[], nn.Module],
    forms: dict[str, Callable[..., None]],
    scores: Callable[[nn.Module, Tensor], Tensor],
    batch_size: int,
) -> None:
    """Train a network by one of the tutorial's forms for an epoch; print one line of JSON a seed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=forms, default="lfp")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--lr", type=float, help="another learning rate than the method's own")
    parser.add_argument("--data", choices=["mnist", "fashion-mnist"], default="mnist")
    parser.add_argument("--images", type=int, default=60_000, help="how many of the training images are shown")
    parser.add_argument("--scored", type=int, default=10_000, help="how many of the test images are scored")
    parser.add_argument("--validate", action="store_true", help="score on 10,000 training images that are held out")
    args = parser.parse_args()
    train, test = images(args.data, validate=args.validate)
    test = test[0][: args.scored], test[1][: args.scored]
    for seed in args.seeds:
        torch.manual_seed(seed)
        net, start = make(), time.monotonic()
        shown = torch.randperm(len(train[0]))[: args.images]
        epoch = Batches((train[0][shown], train[1][shown]), batch_size)
        forms[args.method](net, epoch, **({"lr": args.lr} if args.lr else {}))
        seconds = round(time.monotonic() - start)
        found = {"seed": seed, "accuracy": round(accuracy(net, scores, test), 2), "seconds": seconds}
        print(json.dumps({**{k: v for k, v in vars(args).items() if k != "seeds"}, **found}), flush=True)
