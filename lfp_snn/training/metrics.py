"""Accuracy of a network; means over an epoch, kept on the device so that nothing waits for them, summed at the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from lfp_snn.data import BatchDataset, loader
from lfp_snn.forward import mode
from lfp_snn.rewards import scores
from lfp_snn.training.fabric import total


@torch.no_grad()
def accuracy(network: Callable[[Tensor], Tensor], part: BatchDataset, batch_size: int = 256) -> float:
    """Return the share of right decisions of a network on a part of the data, 0 to 1.

    Parameters
    ----------
    network : callable
        Takes a batch of the data, gives ``[T, B, C]`` or ``[B, C]``. A module is run as in evaluation.
    part : BatchDataset
        Such as ``lfp_snn.data.load("event-digits").test``.
    batch_size : int
        Examples at a time.

    Examples
    --------
    >>> from lfp_snn import data
    >>> part = data.load("digits").test
    >>> zero = nn.functional.one_hot(torch.tensor(0), 10)
    >>> round(accuracy(lambda x: zero.expand(len(x), 10).float(), part), 2)  # the share of zeros
    0.1
    """
    with mode(network, training=False) if isinstance(network, nn.Module) else nullcontext(), torch.no_grad():
        right = sum(int((scores(network(x), n).argmax(-1) == y).sum()) for x, y, n in loader(part, batch_size))
    return right / len(part)


class Tally:
    """Loss, correct decisions and confusions over many batches.

    Parameters
    ----------
    classes : int
        Number of classes.
    device : torch.device
        Where the sums are kept.

    Examples
    --------
    >>> tally = Tally(2, torch.device("cpu"))
    >>> tally.add(torch.tensor(0.5), torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]))
    >>> round(tally.accuracy, 2), tally.loss, tally.examples
    (0.67, 0.5, 3)
    """

    def __init__(self, classes: int, device: torch.device) -> None:
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64, device=device)
        """[target, prediction], counts."""

    @torch.no_grad()
    def add(self, loss: Tensor, prediction: Tensor, target: Tensor) -> None:
        """Add a batch: the mean loss [], the predicted and the true classes [B]."""
        classes = len(self.confusion)
        self._loss += loss.detach() * len(target)
        pairs = torch.bincount(target * classes + prediction, minlength=classes * classes)
        self.confusion += pairs.reshape(classes, classes)

    def reduce(self, fabric: Fabric) -> None:
        """Sum over all processes."""
        self._loss, self.confusion = total(fabric, self._loss), total(fabric, self.confusion)

    @property
    def examples(self) -> int:
        """Examples seen."""
        return int(self.confusion.sum())

    @property
    def loss(self) -> float:
        """Mean loss of an example."""
        return float(self._loss / max(1, self.examples))

    @property
    def accuracy(self) -> float:
        """Share of correct decisions, 0 to 1."""
        return int(self.confusion.diagonal().sum()) / max(1, self.examples)

    @property
    def class_accuracy(self) -> list[float]:
        """Share of correct decisions for each class; NaN for a class without examples."""
        correct = self.confusion.diagonal().double() / self.confusion.sum(1).double()
        return [float(c) for c in correct]
