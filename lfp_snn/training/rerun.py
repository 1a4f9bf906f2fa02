"""Take a finished run from its folder: the trained network, and its score."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lfp_snn.data import loader
from lfp_snn.errors import ConfigError, suggest
from lfp_snn.training.build import Task, build
from lfp_snn.training.checkpoint import load_checkpoint, load_weights
from lfp_snn.training.config import Config, apply
from lfp_snn.training.evaluate import Evaluation, evaluate
from lfp_snn.training.fabric import make_fabric
from lfp_snn.training.monitor import SpikeMonitor
from lfp_snn.training.run_folder import RunFolder
from lfp_snn.training.seeding import seed_all


def load_run(
    path: str | Path,
    *,
    checkpoint: str = "best",
    data_root: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> tuple[Config, Task]:
    """Load the data and the trained network of a run.

    Parameters
    ----------
    path : path
        Folder of the run.
    checkpoint : str
        ``best`` or ``last``.
    data_root : str, optional
        Folder of the data sets, if it is another than in training.
    changes : mapping, optional
        Sections of the configuration to put on top of the run's, as for `lfp_snn.training.config.apply`.

    Returns
    -------
    tuple of Config, Task
        The run's configuration and what it describes, with trained weights.

    Raises
    ------
    ConfigError
        If the folder is not that of a run, or the changes are none of its configuration.
    CheckpointError
        If the checkpoint is missing, damaged or of another network.
    """
    folder = RunFolder.open(path)
    files = {"best": folder.best, "last": folder.last}
    if checkpoint not in files:
        raise ConfigError(suggest(checkpoint, files, "checkpoint"))
    config = apply(folder.config(), changes or {}, "command line")
    if data_root is not None:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, root=data_root))
    content = load_checkpoint(files[checkpoint])
    task = build(config, fresh=False)
    load_weights(task.network, content["network"], files[checkpoint])
    return config, task


def evaluate_run(
    path: str | Path, *, split: str = "test", checkpoint: str = "best", data_root: str | None = None
) -> tuple[Evaluation, tuple[str, ...]]:
    """Score the network of a run on a part of the data.

    Parameters
    ----------
    path, checkpoint, data_root
        As for `load_run`.
    split : str
        ``train``, ``val`` or ``test``.

    Returns
    -------
    tuple of Evaluation, tuple of str
        The result, and the names of the classes.

    Raises
    ------
    ConfigError, CheckpointError
        As for `load_run`.
    """
    if split not in ("train", "val", "test"):
        raise ConfigError(suggest(split, ("train", "val", "test"), "split"))
    config, task = load_run(path, checkpoint=checkpoint, data_root=data_root)
    single = dataclasses.replace(config, training=dataclasses.replace(config.training, devices=1))
    fabric = make_fabric(single)
    fabric.setup(task.network)
    batches = loader(getattr(task.splits, split), config.data.batch_size, num_workers=config.data.workers)
    seed_all(config.training.seed, 0)
    return evaluate(task, batches, SpikeMonitor(task.network), fabric), task.splits.class_names
