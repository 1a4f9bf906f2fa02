"""What learning takes: its synaptic operations, and how much of the network takes part, in the batches looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning_fabric import Fabric
from torch import nn

from lfp_snn.methods import Method
from lfp_snn.training.participation import Participation
from lfp_snn.training.work import WorkCounter


class Effort:
    """The work of learning and who takes part in it, in some batches that stand for all.

    Parameters
    ----------
    network : nn.Module
        What learns.
    method : Method
        How it learns.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn import LIF, Sequential, methods, rewards
    >>> net, method = Sequential(nn.Linear(4, 3), LIF()), methods.Feedback()
    >>> effort = Effort(net, method)
    >>> with method.attach(net) as learner, effort.watch(examples=2):
    ...     _ = learner.learn(torch.ones(2, 4), torch.tensor([0, 2]), criterion=rewards.RateCoded(), steps=5)
    >>> effort.before_step()
    >>> effort.work.training()["forward"]
    12.0
    """

    def __init__(self, network: nn.Module, method: Method) -> None:
        self.work, self.participation = WorkCounter(network, method), Participation(network)
        self._watched = False

    def reset(self) -> None:
        """Forget what was seen."""
        self.work.reset()
        self.participation.reset()
        self._watched = False

    @contextmanager
    def watch(self, examples: int) -> Iterator[None]:
        """Count what a batch of so many examples takes, forwards and backwards."""
        with self.work.watch(examples):
            yield
        self._watched = True

    def before_step(self) -> None:
        """Look at the gradients before the optimiser's step, if one of its batches was watched."""
        if self._watched:
            self.participation.add()
        self._watched = False

    def row(self, fabric: Fabric, examples: int) -> dict[str, Any]:
        """Return the figures of an epoch of so many examples, over all processes."""
        self.work.reduce(fabric)
        each = self.work.training()
        synops = examples * (each["forward"] + each["feedback"] + each["below"])
        return {"synops": synops, "participation": self.participation.shares()}
