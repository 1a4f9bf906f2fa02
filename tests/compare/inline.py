"""An executor without processes, for tests of everything but the processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

import torch

from lfp_snn.compare.executor import attempt

# Some handwritten digits of 8x8 pixels, shown for 4 steps: an epoch takes a tenth of a second.
TINY: dict[str, Any] = {
    "data": {"name": "digits", "batch_size": 100, "val_fraction": 0.8},
    "model": {"name": "lif-mlp", "hidden": [16]},
    "encoder": {"steps": 4},
    "optimizer": {"lr": 0.01},
    "training": {"epochs": 1},
}


class Inline:
    """Do each task when it is submitted; `before` may look at it first, or break it."""

    def __init__(self, before: Callable[[Path], None] = lambda folder: None) -> None:
        self.before = before
        self.done: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, function: Callable[..., None], *arguments: Any) -> Future[str | None]:
        future: Future[str | None] = Future()
        self.before(arguments[0])
        self.done.append(arguments[0])
        future.set_result(attempt(torch.get_num_threads(), function, *arguments))
        return future
