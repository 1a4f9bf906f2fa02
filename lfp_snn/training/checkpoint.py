"""Checkpoints: written so that a kill never leaves half a file, read so that a bad file never does harm.

A checkpoint is a dictionary of tensors and plain values in torch's zip format:

=============  ======================================================================
``format``     `FORMAT`; another value is refused
``config``     the run's configuration, as tables
``network``    the network's ``state_dict``
``optimizer``  of the optimiser, ``scheduler`` of the schedule, ``precision`` of a loss scaler
``state``      where the run is: epochs and steps done, the best so far, seconds spent
=============  ======================================================================

There are no states of random generators in it because an epoch draws only from generators seeded with (seed, epoch):
see `lfp_snn.training.seeding`.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lfp_snn.errors import CheckpointError

FORMAT = "lfp-snn checkpoint 1"


def save_checkpoint(path: str | Path, content: dict[str, Any]) -> None:
    """Write a checkpoint in one atomic step: the file at `path` is the old one or the new one, never a part.

    Parameters
    ----------
    path : path
        The file; its folder must exist.
    content : dict
        Tensors and plain values.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as f:
            torch.save({"format": FORMAT, **content}, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint on the CPU, tensors and plain values only (no code is run).

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, damaged (a checksum is off) or not a checkpoint of this package.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    advice = "take the other one of checkpoints/last.pt and checkpoints/best.pt, or train again"
    try:
        with zipfile.ZipFile(path) as archive:  # torch itself does not look at the checksums
            damaged = archive.testzip()
        if damaged:
            raise CheckpointError(f"{path} is damaged (at {damaged}): {advice}")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as e:  # zipfile, pickle and torch each have their own ways to fail
        raise CheckpointError(f"{path} is truncated or not a checkpoint ({type(e).__name__}): {advice}") from e
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this version: its format is {found!r}, not {FORMAT!r}")
    return dict(content)


def load_weights(network: nn.Module, weights: dict[str, Any], source: str | Path) -> None:
    """Put weights into a network that must have exactly the same parameters and buffers.

    Raises
    ------
    CheckpointError
        If names or shapes differ; says which. The network is then left as it was.
    """
    own = network.state_dict()
    differences = [f"{k} is missing in the checkpoint" for k in own if k not in weights]
    differences += [f"{k} is not in the network" for k in weights if k not in own]
    differences += [
        f"{k} is {list(weights[k].shape)} in the checkpoint, {list(v.shape)} in the network"
        for k, v in own.items()
        if k in weights and weights[k].shape != v.shape
    ]
    if differences:
        shown = "; ".join(differences[:4]) + ("; ..." if len(differences) > 4 else "")
        raise CheckpointError(f"{source} is of another network: {shown}. Build the model with the checkpoint's config.")
    network.load_state_dict(weights)
