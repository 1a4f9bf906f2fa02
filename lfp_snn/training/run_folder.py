"""The folder of a run and what lies in it.

::

    config.toml      everything that was chosen, resolved
    env.json         versions, threads, devices
    metrics.jsonl    one line an epoch
    summary.json     the result
    checkpoints/     last.pt (to resume), best.pt (best on the validation split)
    figures/         accuracy, rates, a raster, the reward at the input
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from lfp_snn.atomic import write_text
from lfp_snn.errors import ConfigError
from lfp_snn.training.config import Config, load_config


class RunFolder:
    """Paths and files of one run.

    Parameters
    ----------
    path : path
        The folder. Use `create` or `open` to check what is there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.toml"
        self.env_file = self.path / "env.json"
        self.metrics_file = self.path / "metrics.jsonl"
        self.summary_file = self.path / "summary.json"
        self.checkpoints = self.path / "checkpoints"
        self.last = self.checkpoints / "last.pt"
        self.best = self.checkpoints / "best.pt"
        self.figures = self.path / "figures"
        self.tensorboard = self.path / "tensorboard"

    @classmethod
    def create(cls, path: str | Path, config: Config) -> RunFolder:
        """Make the folder of a new run.

        Raises
        ------
        ConfigError
            If there is something in it already.
        """
        folder = cls(path)
        if folder.path.exists() and (not folder.path.is_dir() or any(folder.path.iterdir())):
            raise ConfigError(f"{path} is not empty: choose another --out, or go on with that run by --resume {path}")
        folder.checkpoints.mkdir(parents=True)
        folder.figures.mkdir()
        folder.config_file.write_text(config.to_toml(), encoding="utf-8")
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Return the folder of an old run.

        Raises
        ------
        ConfigError
            If it is none.
        """
        folder = cls(path)
        if not folder.config_file.is_file():
            raise ConfigError(f"{path} is not the folder of a run: there is no {folder.config_file}")
        return folder

    def config(self) -> Config:
        """Return the run's configuration."""
        return load_config(self.config_file)

    def write_env(self) -> None:
        """Write down what the run computes with."""
        write_json(self.env_file, environment())

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add the line of an epoch."""
        with self.metrics_file.open("a", encoding="utf-8") as f:
            f.write(json.dumps(plain(row)) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines written so far; a half-written last line (the run was killed) is left out."""
        rows: list[dict[str, Any]] = []
        if self.metrics_file.is_file():
            for line in self.metrics_file.read_text(encoding="utf-8").splitlines():
                try:
                    rows.append(json.loads(line))
                except json.JSONDecodeError:
                    break
        return rows

    def cut_metrics(self, epochs: int) -> None:
        """Drop the lines after so many epochs (a resumed run writes them again) and what a kill left half-written."""
        for leftover in self.checkpoints.glob(".*.tmp"):
            leftover.unlink()
        rows = [row for row in self.metrics() if row["epoch"] <= epochs]
        write_text(self.metrics_file, "".join(json.dumps(row) + "\n" for row in rows))

    def summary(self) -> dict[str, Any] | None:
        """Return the result, or None if the run has not come to its end."""
        if not self.summary_file.is_file():
            return None
        content: dict[str, Any] = json.loads(self.summary_file.read_text(encoding="utf-8"))
        return content

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the result."""
        write_json(self.summary_file, summary)


def default_path(config: Config, label: str = "") -> Path:
    """Return ``runs/<label or data set>/<date>-<time>-seed<k>``."""
    return Path("runs") / (label or config.data.name) / f"{datetime.now():%Y%m%d-%H%M%S}-seed{config.training.seed}"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file in one atomic step."""
    write_text(path, json.dumps(plain(content), indent=2) + "\n")


def plain(value: Any) -> Any:
    """Return a value that JSON has: NaN and infinity, which it has not, become null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def environment() -> dict[str, Any]:
    """Return versions, machine and threads.

    Examples
    --------
    >>> sorted(environment())
    ['command', 'cpus', 'gpus', 'machine', 'platform', 'torch_threads', 'versions']
    """
    packages = ("lfp-snn", "torch", "numpy", "numba", "lightning-fabric", "scikit-learn", "tonic")
    return {
        "command": sys.argv,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "torch_threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in packages}},
    }


def _version(package: str) -> str | None:
    """Return the installed version of a package, None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
