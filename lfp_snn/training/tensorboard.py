"""TensorBoard logs, if they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lfp_snn.errors import require


class EpochLog:
    """Write the figures of each epoch for TensorBoard.

    Parameters
    ----------
    path : path
        Folder of the logs.
    on : bool
        Whether to write at all.

    Raises
    ------
    MissingExtraError
        If it is on and TensorBoard is not installed.
    """

    def __init__(self, path: str | Path, on: bool = True) -> None:
        self._writer: Any = None
        if on:
            require("tensorboard", "tensorboard")
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(path))

    def write(self, row: dict[str, Any]) -> None:
        """Write the figures of an epoch; those of layers under ``spike_rate/1`` and so on."""
        if self._writer is None:
            return
        for key, value in row.items():
            if isinstance(value, dict):
                for layer, number in value.items():
                    self._writer.add_scalar(f"{key}/{layer}", number, row["epoch"])
            elif key != "epoch":
                self._writer.add_scalar(key, value, row["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
