"""Where a run computes: processes, devices and precision, through Lightning Fabric."""

from __future__ import annotations

from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from lfp_snn.errors import ConfigError
from lfp_snn.training.config import Config


def total(fabric: Fabric, value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    if fabric.world_size == 1:
        return value
    summed = fabric.all_reduce(value, reduce_op="sum")
    assert isinstance(summed, Tensor)
    return summed


def make_fabric(config: Config) -> Fabric:
    """Make the Fabric that a configuration asks for.

    Parameters
    ----------
    config : Config
        ``training.devices``, ``.accelerator`` and ``.precision`` decide; the batch must be shared equally.

    Raises
    ------
    ConfigError
        If the machine has no such devices, or the batch cannot be shared among them.

    Examples
    --------
    >>> make_fabric(Config()).world_size
    1
    """
    c = config.training
    if config.data.batch_size % c.devices:
        raise ConfigError(f"data.batch_size {config.data.batch_size} cannot be shared by {c.devices} devices equally")
    gpus = torch.cuda.device_count()
    if c.accelerator == "gpu" and gpus < c.devices:
        raise ConfigError(f"training.accelerator 'gpu' wants {c.devices} GPUs, torch sees {gpus}")
    # "auto" means the GPUs if there are enough of them.
    gpu = c.accelerator == "gpu" or (c.accelerator == "auto" and gpus >= c.devices)
    if c.precision == "16-mixed" and not gpu:
        raise ConfigError("training.precision '16-mixed' needs a GPU: take 'bf16-mixed' on a CPU")
    precision: Any = f"{c.precision}-true" if c.precision in ("32", "64") else c.precision
    strategy = "ddp" if c.devices > 1 else "auto"
    return Fabric(accelerator="cuda" if gpu else "cpu", devices=c.devices, strategy=strategy, precision=precision)
