"""Read the folder of a comparison: which runs there are, what they measured, what is still missing.

Nothing here builds a network or looks at data: a report can be written on another machine, by a later version, and
while runs are going on.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from lfp_snn.compare.folder import ComparisonFolder
from lfp_snn.errors import ConfigError, DataError
from lfp_snn.training.run_folder import RunFolder

Against = Literal["epoch", "seconds", "synops"]


@dataclass(frozen=True)
class Histogram:
    """How often the values of a parameter fall between the edges."""

    edges: tuple[float, ...]
    """Ascending, one more than counts."""
    counts: tuple[float, ...]


@dataclass(frozen=True)
class Run:
    """A finished run.

    What an older version did not measure is None.
    """

    network: str
    method: str
    seed: int
    path: Path
    config: Mapping[str, Any]
    """The sections of its config.toml."""
    environment: Mapping[str, Any]
    """Its env.json: versions, machine, threads."""
    metrics: tuple[Mapping[str, Any], ...]
    """A row an epoch."""
    summary: Mapping[str, Any]
    measures: Mapping[str, Any]

    @property
    def test_accuracy(self) -> float:
        """Share of the test set that is classified rightly, by the network that was best on the validation split."""
        return float(self.summary["test_accuracy"])

    @property
    def val_accuracy(self) -> float | None:
        """Best accuracy on the validation split."""
        return _number(self.summary, "best_val_accuracy")

    @property
    def epochs(self) -> int:
        """Passes over the training set."""
        return int(self.summary["epochs"])

    @property
    def lr(self) -> float | None:
        """Learning rate (the peak, where a schedule varies it)."""
        return _number(self.config, "optimizer", "lr")

    @property
    def train_seconds(self) -> float | None:
        """Seconds spent in training, without validation."""
        return _number(self.summary, "train_seconds")

    @property
    def peak_memory(self) -> float | None:
        """Most memory in use, in bytes."""
        return _number(self.summary, "memory", "peak")

    @property
    def hidden_layers(self) -> tuple[str, ...]:
        """Spiking layers, without a last one that has a unit for each class (it is the readout)."""
        units = self.summary.get("units", {})
        layers = tuple(units)
        classes = len(self.summary.get("class_accuracy") or ())
        return layers[:-1] if len(layers) > 1 and units[layers[-1]] == classes else layers

    @property
    def layer_rates(self) -> dict[str, float]:
        """Spikes per unit and step of each spiking layer, on the test set."""
        return {layer: float(rate) for layer, rate in self.summary.get("spike_rate", {}).items()}

    def hidden_rate(self, row: Mapping[str, Any] | None = None) -> float | None:
        """Return the spikes per hidden unit and step: of an epoch's row (validation), by default on the test set."""
        rates, units = (self.summary if row is None else row).get("spike_rate", {}), self.summary.get("units", {})
        layers = [layer for layer in self.hidden_layers if layer in rates]
        total = sum(units[layer] for layer in layers)
        return sum(units[layer] * rates[layer] for layer in layers) / total if total else None

    @property
    def dead_share(self) -> float | None:
        """Share of the hidden units that never fired on the test set."""
        units, dead = self.summary.get("units", {}), self.summary.get("dead_units", {})
        total = sum(units[layer] for layer in self.hidden_layers)
        return sum(dead.get(layer, 0) for layer in self.hidden_layers) / total if total else None

    def participation(self, of: Literal["weights", "neurons", "synapses"]) -> float | None:
        """Return the share that takes part in a step of training (for synapses: in the update by one example)."""
        return _number(self.measures, "participation", of)

    @property
    def synops_inference(self) -> float | None:
        """Synaptic operations to classify an example: accumulates, and multiply-accumulates of analogue input."""
        parts = [_number(self.measures, "synops", "inference", key) for key in ("effective_macs", "effective_acs")]
        return sum(p or 0.0 for p in parts) if any(p is not None for p in parts) else None

    @property
    def synops_training(self) -> float | None:
        """Synaptic operations to learn from an example: forwards, backwards, and for the parameters."""
        parts = [_number(self.measures, "synops", "training", key) for key in ("forward", "feedback", "below")]
        return sum(p or 0.0 for p in parts) if any(p is not None for p in parts) else None

    @property
    def pruning(self) -> dict[float, float]:
        """Share of weights set to zero -> test accuracy, in ascending order; no retraining."""
        accuracy = self.measures.get("pruning") or {}
        return dict(sorted((float(share), float(value)) for share, value in accuracy.items()))

    @property
    def weights(self) -> dict[str, Histogram]:
        """Distribution of each weight matrix after training."""
        found = self.measures.get("weights") or {}
        return {name: Histogram(tuple(h["edges"]), tuple(h["counts"])) for name, h in found.items()}

    def cost(self, against: Against) -> list[float] | None:
        """Return what each epoch's end has cost so far: epochs, seconds of training, or synaptic operations."""
        if against == "epoch":
            return [float(row["epoch"]) for row in self.metrics]
        if any(row.get(against) is None for row in self.metrics):
            return None
        return list(accumulate(float(row[against]) for row in self.metrics))


@dataclass(frozen=True)
class Failure:
    """A run that came to no result: it diverged, most likely."""

    seed: int
    error: str


@dataclass(frozen=True)
class Trial:
    """A short run of the search for the learning rate."""

    lr: float
    val_accuracy: float | None
    """None: it failed."""


@dataclass(frozen=True)
class Tuning:
    """The search for a learning rate, on the validation split."""

    lr: float
    """The best."""
    epochs: int | None
    """Length of a trial."""
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class MethodResults:
    """All of one method on one network."""

    method: str
    seeds: tuple[int, ...]
    """That were asked for."""
    runs: tuple[Run, ...]
    failures: tuple[Failure, ...]
    tuning: Tuning | None

    @property
    def missing(self) -> tuple[int, ...]:
        """Seeds whose run has not come to its end."""
        done = {run.seed for run in self.runs} | {failure.seed for failure in self.failures}
        return tuple(seed for seed in self.seeds if seed not in done)

    @property
    def accuracies(self) -> dict[int, float]:
        """Seed -> test accuracy."""
        return {run.seed: run.test_accuracy for run in self.runs}


@dataclass(frozen=True)
class NetworkResults:
    """All methods on one network."""

    label: str
    methods: Mapping[str, MethodResults]

    @property
    def finished(self) -> dict[str, tuple[Run, ...]]:
        """Method -> its runs, of the methods that have any."""
        return {method: results.runs for method, results in self.methods.items() if results.runs}


@dataclass(frozen=True)
class Comparison:
    """All that lies in the folder of a comparison.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp())
    >>> _ = (out / "study.toml").write_text('''
    ... title = "Digits"
    ... seeds = 2
    ... methods = ["lfp", "surrogate"]
    ... [network.mlp]
    ... preset = "event-digits"
    ... ''')
    >>> comparison = read_comparison(out)
    >>> comparison.title, list(comparison.networks), comparison.missing
    ('Digits', ['mlp'], 4)
    """

    title: str
    study: Mapping[str, Any]
    """The content of study.toml."""
    networks: Mapping[str, NetworkResults]

    @property
    def methods(self) -> tuple[str, ...]:
        """Every method, in the order of the study."""
        return tuple(dict.fromkeys(method for network in self.networks.values() for method in network.methods))

    @property
    def runs(self) -> list[Run]:
        """Every finished run."""
        return [run for cell in self.cells for run in cell.runs]

    @property
    def cells(self) -> list[MethodResults]:
        """Every method on every network."""
        return [cell for network in self.networks.values() for cell in network.methods.values()]

    @property
    def missing(self) -> int:
        """Number of runs that have not come to their end."""
        return sum(len(cell.missing) for cell in self.cells)


def read_comparison(out: Path) -> Comparison:
    """Read the folder of a comparison, finished or not.

    Parameters
    ----------
    out : path
        The folder, with its ``study.toml``.

    Returns
    -------
    Comparison
        What is there.

    Raises
    ------
    ConfigError
        If it is not the folder of a comparison.
    DataError
        If a file in it cannot be read; the message names the file.
    """
    folder = ComparisonFolder(out)
    if not folder.study_file.is_file():
        raise ConfigError(f"{out} is not the folder of a comparison: there is no {folder.study_file}")
    study = _read_toml(folder.study_file)
    networks = {}
    for label, section in study.get("network", {}).items():
        methods = section.get("methods") or study.get("methods", [])
        seeds = _seeds(section.get("seeds") or study.get("seeds", 1))
        networks[label] = NetworkResults(label, {m: _read_cell(folder, label, m, seeds) for m in methods})
    return Comparison(str(study.get("title") or "Comparison"), study, networks)


def _seeds(value: int | Sequence[int]) -> tuple[int, ...]:
    """Return the seeds that a study asks for: so many, or a list."""
    return tuple(range(value)) if isinstance(value, int) else tuple(value)


def _read_cell(folder: ComparisonFolder, network: str, method: str, seeds: tuple[int, ...]) -> MethodResults:
    """Read all runs of one method on one network."""
    runs, failures = [], []
    for seed in seeds:
        path = folder.run(network, method, seed)
        if (path / "measures.json").is_file():
            runs.append(_read_run(path, network, method, seed))
        elif (path / "failed.json").is_file():
            failures.append(Failure(seed, str(_read_json(path / "failed.json").get("error", "unknown"))))
    return MethodResults(method, seeds, tuple(runs), tuple(failures), _read_tuning(folder.tune(network, method)))


def _read_run(path: Path, network: str, method: str, seed: int) -> Run:
    """Read a finished run."""
    folder = RunFolder(path)
    summary = _read_json(folder.summary_file, "test_accuracy", "epochs")
    return Run(
        network=network,
        method=method,
        seed=seed,
        path=path,
        config=_read_toml(folder.config_file),
        environment=_read_json(folder.env_file) if folder.env_file.is_file() else {},
        metrics=_read_metrics(folder.metrics_file),
        summary=summary,
        measures=_read_json(path / "measures.json"),
    )


def _read_tuning(path: Path) -> Tuning | None:
    """Read the search for the learning rate, if it has come to its end."""
    file = path / "tuned.json"
    if not file.is_file():
        return None
    content = _read_json(file, "lr", "trials")
    try:
        trials = tuple(Trial(float(t["lr"]), _number(t, "val_accuracy")) for t in content["trials"])
        return Tuning(float(content["lr"]), content.get("epochs"), trials)
    except (KeyError, TypeError, ValueError) as e:
        raise DataError(f"{file}: a trial should have lr and val_accuracy, but {content['trials']} was found") from e


def _read_json(file: Path, *needed: str) -> dict[str, Any]:
    """Read a JSON object that has certain entries."""
    return _parse_json(file, _read(file), *needed)


def _read_metrics(file: Path) -> tuple[dict[str, Any], ...]:
    """Read the rows of a finished run."""
    lines = _read(file).splitlines()
    return tuple(_parse_json(f"{file}, line {k}", line, "epoch", "val_accuracy") for k, line in enumerate(lines, 1))


def _parse_json(where: Path | str, text: str, *needed: str) -> dict[str, Any]:
    """Parse a JSON object that has certain entries."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as e:
        raise DataError(f"{where} is not valid JSON ({e}): remove its folder and start the comparison again") from e
    if not isinstance(content, dict) or any(content.get(key) is None for key in needed):
        raise DataError(f"{where} should have {' and '.join(needed) or 'entries'}, but {text[:80].strip()!r} was found")
    return content


def _read_toml(file: Path) -> dict[str, Any]:
    """Read a TOML file."""
    try:
        return tomllib.loads(_read(file))
    except tomllib.TOMLDecodeError as e:
        raise DataError(f"{file} is not valid TOML: {e}") from e


def _read(file: Path) -> str:
    """Read a text file."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise DataError(f"{file} cannot be read: {e}") from e


def _number(content: Mapping[str, Any], *keys: str) -> float | None:
    """Return a nested number, None where there is none."""
    value: Any = content
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return None if value is None else float(value)
