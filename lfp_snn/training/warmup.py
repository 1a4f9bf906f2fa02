"""One step before the clock runs: kernels compile when they are first called."""

from __future__ import annotations

import copy
import time

from lightning_fabric import Fabric

from lfp_snn.data import Batch
from lfp_snn.training.build import Task


def warm_up(task: Task, fabric: Fabric) -> float:
    """Make one training step with a copy of the network and two examples.

    Parameters
    ----------
    task : Task
        Its network is not changed.
    fabric : Fabric
        Where to compute.

    Returns
    -------
    float
        Seconds it took, most of them the compiler's if nothing was compiled yet.
    """
    started = time.perf_counter()
    dataset = task.splits.train
    batch = Batch(*fabric.to_device(tuple(dataset.__getitems__(list(range(min(2, len(dataset))))))))
    network = copy.deepcopy(task.network)
    x = fabric.strategy.precision.convert_input(task.encode(batch.x))
    with fabric.autocast(), task.method.attach(network) as learner:
        learner.learn(x, batch.target, batch.lengths, criterion=task.criterion, steps=task.steps)
    return time.perf_counter() - started
