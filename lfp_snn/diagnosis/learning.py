"""Batches as training sees them, and one batch learnt as training learns it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from lfp_snn.data import Batch, EpochSampler, loader, set_epoch
from lfp_snn.methods import Learner
from lfp_snn.training.build import Task
from lfp_snn.training.config import Config
from lfp_snn.training.seeding import seed_all


@dataclass(frozen=True)
class Lesson:
    """Batches of the training set for a network, always the same ones.

    Attributes
    ----------
    config : Config
        Of the run.
    task : Task
        Data, method and criterion.
    network : nn.Module
        What learns: a copy of the task's network.
    device : torch.device
        Where it lies.
    count : int
        Number of batches.
    """

    config: Config
    task: Task
    network: nn.Module
    device: torch.device
    count: int

    def batches(self) -> Iterator[Batch]:
        """Yield the batches, the first of the run's first epoch (as many as there are)."""
        c = self.config
        seed_all(c.training.seed, 0)  # what is random in encoders and networks is the same each time, too
        dataset = self.task.splits.train
        source = loader(dataset, c.data.batch_size, sampler=EpochSampler(len(dataset), c.training.seed))
        set_epoch(source, 0)
        for x, target, lengths in islice(source, self.count):
            there = None if lengths is None else lengths.to(self.device)
            yield Batch(self.task.encode(x.to(self.device)), target.to(self.device), there)

    def learn(self, learner: Learner, batch: Batch) -> tuple[Tensor, Tensor]:
        """Run an (encoded) batch forwards, and its reward or loss backwards; return output and loss."""
        task = self.task
        return learner.learn(batch.x, batch.target, batch.lengths, criterion=task.criterion, steps=task.steps)
