"""The folder of a comparison and what lies in it.

::

    study.toml                              what is compared, resolved
    runs/<network>/<method>/seed<k>/        the folder of a run (`lfp_snn.training.run_folder`), and in it
        measures.json                       what is measured after training: a run that has it is finished
        failed.json                         or why it diverged
    tune/<network>/<method>/trial<k>/       the folders of the search for a learning rate, and in them
        trial.json                          the validation accuracy: a trial that has it is finished
    tune/<network>/<method>/tuned.json      the learning rate that was found
    report.html report.md results.json      the report
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lfp_snn.errors import ConfigError
from lfp_snn.training.config import Config, load_config
from lfp_snn.training.run_folder import RunFolder


class ComparisonFolder:
    """Paths of one comparison.

    Parameters
    ----------
    path : path
        The folder; it is made absolute, because workers may have another working directory.

    Examples
    --------
    >>> ComparisonFolder("/out").run("mnist-mlp", "lfp", 0).as_posix()
    '/out/runs/mnist-mlp/lfp/seed0'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self.study_file = self.path / "study.toml"
        self.report_file = self.path / "report.html"
        self.table_file = self.path / "report.md"
        self.lock_file = self.path / ".lock"

    def run(self, network: str, method: str, seed: int) -> Path:
        """Return the folder of a run."""
        return self.path / "runs" / network / method / f"seed{seed}"

    def tune(self, network: str, method: str) -> Path:
        """Return the folder of the search for a learning rate."""
        return self.path / "tune" / network / method


def belongs(folder: Path, marks: set[str]) -> bool:
    """Whether a folder is new, empty, or has in it one of the names that are made there first."""
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    return not names or bool(names & marks)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what a JSON file holds, None if there is no such file."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content


def outcome(folder: Path, finished: str) -> dict[str, Any] | None:
    """Return how a run ended: its file `finished`, or ``{"error": ...}`` if it diverged; None if it has not ended."""
    content = read_json(folder / finished)
    return read_json(folder / "failed.json") if content is None else content


def begun(folder: Path) -> bool:
    """Whether a folder holds a run to go on with, or one that has ended; a kill in the first epoch leaves neither."""
    there = RunFolder(folder)
    files = (there.last, there.summary_file, folder / "trial.json", folder / "failed.json")
    return any(file.exists() for file in files)


def check(folder: Path, config: Config) -> None:
    """See to it that a run that has begun in a folder is that of a configuration.

    Raises
    ------
    ConfigError
        If it is not; the message names the first key that differs.
    """
    if not begun(folder):
        return
    old, new = flat(load_config(RunFolder(folder).config_file).to_dict()), flat(config.to_dict())
    for key in [*new, *(k for k in old if k not in new)]:
        if old.get(key) != new.get(key):
            raise ConfigError(
                f"{folder} holds a run with {key} = {old.get(key)!r}, and {new.get(key)!r} is asked for now: "
                "choose another --out, or remove that folder"
            )


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, with dotted keys, in the form in which TOML keeps values (no None, no tuples).

    Examples
    --------
    >>> flat({"model": {"hidden": (256,), "neuron_options": {"beta": 0.9}, "bias": None}})
    {'model.hidden': [256], 'model.neuron_options.beta': 0.9}
    """
    return dict(_items(table, prefix))


def _items(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _items(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value
