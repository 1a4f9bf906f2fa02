"""Score a network on a part of the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric

from lfp_snn.data import Batch
from lfp_snn.forward import mode
from lfp_snn.rewards import scores
from lfp_snn.training.build import Task
from lfp_snn.training.metrics import Tally
from lfp_snn.training.monitor import SpikeMonitor


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes
    ----------
    accuracy : float
        Share of correct decisions, 0 to 1.
    reward : float
        Mean reward of an example.
    examples : int
        Number of examples.
    class_accuracy : list of float
        Accuracy for each class.
    confusion : list of list of int
        Counts, [target][prediction].
    spike_rate : dict
        Spikes per unit and step of each spiking layer.
    dead_units, units : dict
        Units of each spiking layer that never fired, and all units.
    """

    accuracy: float
    reward: float
    examples: int
    class_accuracy: list[float]
    confusion: list[list[int]]
    spike_rate: dict[str, float]
    dead_units: dict[str, int]
    units: dict[str, int]


@torch.no_grad()
def evaluate(task: Task, batches: Iterable[Batch], monitor: SpikeMonitor, fabric: Fabric) -> Evaluation:
    """Run the network over batches without learning; each process sees its own batches, the result is that of all.

    Parameters
    ----------
    task : Task
        Network, reward and number of classes.
    batches : iterable of Batch
        The data.
    monitor : SpikeMonitor
        Of the network; it is reset first.
    fabric : Fabric
        Where to compute.
    """
    tally = Tally(task.splits.classes, fabric.device)
    monitor.reset()
    with mode(task.network, training=False):
        for batch in batches:
            x, target, lengths = fabric.to_device(tuple(batch))
            x = fabric.strategy.precision.convert_input(task.encode(x))
            with monitor.watch(lengths), fabric.autocast():
                output = task.run(x)
                loss = task.reward(output, target, lengths)
            tally.add(loss, scores(output, lengths).argmax(-1), target)
    tally.reduce(fabric)
    monitor.reduce(fabric)
    return Evaluation(
        accuracy=tally.accuracy,
        reward=-tally.loss,
        examples=tally.examples,
        class_accuracy=tally.class_accuracy,
        confusion=tally.confusion.tolist(),
        spike_rate=monitor.rates(),
        dead_units=monitor.dead_units(),
        units=monitor.units(),
    )
