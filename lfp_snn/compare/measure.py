"""What is measured of a trained network: its work, who takes part in learning, pruning, and its weights."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from lfp_snn.compare.pruning import prune_weights
from lfp_snn.data import Batch, EpochSampler, loader
from lfp_snn.errors import ConfigError
from lfp_snn.training.build import Task
from lfp_snn.training.config import Config
from lfp_snn.training.effort import Effort
from lfp_snn.training.evaluate import evaluate
from lfp_snn.training.fabric import make_fabric
from lfp_snn.training.monitor import SpikeMonitor
from lfp_snn.training.rerun import load_run
from lfp_snn.training.seeding import determinism, seed_all
from lfp_snn.training.work import WorkCounter

EXAMPLES = 2000
"""Test examples whose inference is counted."""
STEPS = 8
"""Steps of training that are counted."""
BINS = 101
"""Bins of a histogram of weights; their number is odd, so that the middle one is that of zero."""


def measure_run(
    path: str | Path, prune: Sequence[float] = (0.5, 0.8, 0.9, 0.95), *, data_root: str | None = None
) -> dict[str, Any]:
    """Measure the best network of a finished run. Nothing is written, and the network is not changed.

    Parameters
    ----------
    path : path
        Folder of the run.
    prune : sequence of float
        Shares of the weights to prune, each from the trained network; see `prune_weights`.
    data_root : str, optional
        Folder of the data sets, if it is another than in training.

    Returns
    -------
    dict
        ``synops``: synaptic operations an example (`lfp_snn.training.work`), of ``inference`` on the first test
        examples and of ``training`` in some steps of the run's own method, with the trained weights.

        ``participation``: the shares of ``weights`` and ``neurons`` that hear something in such a step, and of
        ``synapses``, counted for each example and time step.

        ``pruning``: share of weights set to zero (as text) to test accuracy; ``"0.0"`` is the network as it is.

        ``weights``: name of a parameter to its histogram, ``edges`` and ``counts``.

    Raises
    ------
    ConfigError
        If the folder is not that of a run, or a share of weights is out of range.
    CheckpointError
        If the checkpoint is missing, damaged or of another network.
    """
    for share in prune:
        if not 0 <= share <= 1:
            raise ConfigError(f"the share of weights to prune must lie in [0, 1], got {share}")
    config, task = load_run(path, data_root=data_root)
    single = dataclasses.replace(config, training=dataclasses.replace(config.training, devices=1))
    with determinism(config.training.deterministic):
        return _Measurement(single, task, make_fabric(single)).all(prune)


@dataclass(frozen=True)
class _Measurement:
    """A trained network, and where it runs; each measure takes a copy of the network and the seed of the run."""

    config: Config
    task: Task
    fabric: Fabric

    def all(self, prune: Sequence[float]) -> dict[str, Any]:
        training, participation = self.training()
        return {
            "synops": {"inference": self.inference(), "training": training},
            "participation": participation,
            "pruning": {str(float(share)): self.accuracy(share) for share in sorted({0.0, *prune})},
            "weights": {name: histogram(p) for name, p in self.task.network.named_parameters()},
        }

    def inference(self) -> dict[str, float]:
        """Return the synaptic operations of a decision."""
        network, model = self._copy()
        work = WorkCounter(network.eval())
        examples = range(min(EXAMPLES, len(self.task.splits.test)))
        batches = loader(self.task.splits.test, self.config.data.batch_size, sampler=examples)  # type: ignore[arg-type]
        for batch in self._on_device(batches):
            x = self.task.encode(batch.x)
            with torch.no_grad(), work.watch(len(batch.target)):
                self.task.run(x, model)
        return work.inference()

    def training(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the synaptic operations of learning from an example, and who takes part."""
        network, model = self._copy()
        network.train()
        effort = Effort(network, self.task.method)
        c, splits, group = self.config, self.task.splits, self.config.training.accumulate
        batches = loader(splits.train, c.data.batch_size, sampler=EpochSampler(len(splits.train), c.training.seed))
        with self.task.method.attach(network) as learner:
            for i, batch in enumerate(self._on_device(islice(batches, STEPS * group))):
                x = self.task.encode(batch.x)
                with effort.watch(len(batch.target)):
                    learner.learn(
                        x,
                        batch.target,
                        batch.lengths,
                        criterion=self.task.criterion,
                        steps=self.task.steps,
                        run=lambda x: self.task.run(x, model),
                        send=self.fabric.backward,
                    )
                if i % group == group - 1:
                    effort.before_step()
                    network.zero_grad()
        return effort.work.training(), {**effort.participation.shares(), "synapses": effort.work.taking_part()}

    def accuracy(self, share: float) -> float:
        """Return the test accuracy without a share of the weights."""
        network, _ = self._copy()
        prune_weights(network, share)
        task = dataclasses.replace(self.task, network=network)
        batches = loader(task.splits.test, self.config.data.batch_size)
        return evaluate(task, batches, SpikeMonitor(network), self.fabric).accuracy

    def _copy(self) -> tuple[nn.Module, nn.Module]:
        """Return a copy of the network, and the same as Fabric runs it; chance begins anew."""
        network = copy.deepcopy(self.task.network)
        model = self.fabric.setup(network)
        seed_all(self.config.training.seed, 0)
        return network, model

    def _on_device(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            yield Batch(*self.fabric.to_device(tuple(batch)))


def histogram(values: torch.Tensor) -> dict[str, list[float]]:
    """Return ``edges`` and ``counts`` of 101 bins that lie symmetrically around zero.

    Examples
    --------
    >>> found = histogram(torch.tensor([-1.0, 0.0, 0.001]))
    >>> found["edges"][0], found["edges"][-1], found["counts"][0], found["counts"][50]
    (-1.0, 1.0, 1, 2)
    """
    flat = values.detach().cpu().double().flatten().numpy()
    bound = float(np.abs(flat).max(initial=0.0)) or 1.0
    counts, edges = np.histogram(flat, bins=BINS, range=(-bound, bound))
    return {"edges": edges.tolist(), "counts": counts.tolist()}
