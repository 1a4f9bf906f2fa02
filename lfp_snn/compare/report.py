"""The report of a comparison: HTML that needs no other file, Markdown with the same tables, JSON with all numbers."""

from __future__ import annotations

import base64
import dataclasses
import inspect
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib as mpl
import tomli_w
from matplotlib.figure import Figure

from lfp_snn.atomic import write_text
from lfp_snn.compare import figures, table
from lfp_snn.compare.folder import ComparisonFolder
from lfp_snn.compare.results import Comparison, MethodResults, NetworkResults, read_comparison
from lfp_snn.compare.statistics import CAUTION, against_baseline, estimate
from lfp_snn.compare.table import Cell, Table
from lfp_snn.errors import require
from lfp_snn.methods import METHODS
from lfp_snn.training.run_folder import write_json


@dataclass(frozen=True)
class Picture:
    """A figure and what it shows."""

    figure: Figure
    caption: str

    @property
    def uri(self) -> str:
        """The figure as SVG, in a data URI: no other file is needed, and its ids cannot clash with another's."""
        buffer = io.BytesIO()
        with mpl.rc_context({"svg.hashsalt": "lfp-snn"}):  # the same file on every run
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


@dataclass(frozen=True)
class Code:
    """Text as it is in a file, with a name for it."""

    name: str
    text: str


Item = str | Table | Picture | Code


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    title: str
    items: tuple[Item | None, ...]
    """Paragraphs, tables, figures; None (nothing was measured) is left out."""

    def markdown(self) -> str:
        """Return paragraphs and tables, without figures and files; nothing if there are none."""
        parts = [f"## {self.title}"]
        for item in self.items:
            if isinstance(item, Table):
                parts.append(item.markdown())
            elif isinstance(item, str):
                parts.append(item)
        return "\n\n".join(parts) if len(parts) > 1 else ""


def write_report(out: Path, baseline: str = "lfp") -> Path:
    """Write ``report.html``, ``report.md`` and ``results.json`` from what lies in the folder of a comparison.

    The comparison may still be going on: the report then says how many runs are missing.

    Parameters
    ----------
    out : path
        The folder.
    baseline : str
        The method that all others are tested against.

    Returns
    -------
    Path
        The HTML file.

    Raises
    ------
    ConfigError
        If it is not the folder of a comparison.
    DataError
        If a file in it cannot be read.
    MissingExtraError
        If jinja2 is not installed (extra ``compare``).
    """
    jinja2 = require("jinja2", "compare")
    comparison = read_comparison(out)
    sections = make_sections(comparison, baseline)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.tests |= {
        kind.__name__.lower(): (lambda item, kind=kind: isinstance(item, kind)) for kind in (Table, Picture, Code)
    }
    template = environment.from_string(files(__package__).joinpath("report.html.jinja").read_text(encoding="utf-8"))
    folder = ComparisonFolder(out)
    write_text(folder.report_file, template.render(title=comparison.title, sections=sections))
    markdown = [f"# {comparison.title}", *filter(None, (section.markdown() for section in sections))]
    write_text(folder.table_file, "\n\n".join(markdown) + "\n")
    write_json(folder.path / "results.json", numbers(comparison, baseline))
    return folder.report_file


def make_sections(comparison: Comparison, baseline: str = "lfp") -> list[Section]:
    """Put together all sections of the report.

    Parameters
    ----------
    comparison : Comparison
        What was found.
    baseline : str
        The method that all others are tested against.
    """
    networks = list(comparison.networks.values())
    trained = [network for network in networks if network.finished]
    tuned = [network for network in networks if any(r.tuning for r in network.methods.values())]
    pruned = [network for network in trained if table.pruning_table(network)]
    weighed = [n for n in trained if any(run.weights for runs in n.finished.values() for run in runs)]
    look = figures.looks(comparison.methods)
    curves = "Curves: mean over seeds; bands: from the worst to the best seed."
    scale = "The axis of accuracies is logarithmic in the error."

    def overview() -> Picture:
        caption = f"Accuracy on the validation split against the epoch. {curves} {scale}"
        return Picture(figures.accuracy_over_networks(trained, look), caption)

    sections = [
        Section(
            "Results",
            (_completeness(comparison), table.accuracy_table(comparison, baseline), overview() if trained else None),
        ),
        Section("How it was made", tuple(_making(comparison))),
    ]
    for n in trained:
        costs = f"Accuracy on the validation split against what training has cost so far. {curves} {scale}"
        rates = f"Firing rates, during training and after it. {curves}"
        sections.append(
            Section(
                f"Network {n.label}",
                (
                    Picture(figures.accuracy_of_network(n, look), costs),
                    table.training_table(n),
                    table.activity_table(n),
                    Picture(figures.firing_rates(n, look), rates),
                ),
            )
        )
    if pruned:
        caption = f"Accuracy on the test set when only the largest weights are kept, without retraining. {curves}"
        tables = [_named(table.pruning_table(n), n.label) for n in pruned]
        sections.append(Section("Pruning", (Picture(figures.pruning(pruned, look), caption), *tables)))
    if weighed:
        caption = (
            "Distribution of the weights after training on {}, mean over seeds. The axis of densities is logarithmic."
        )
        pictures = (Picture(figures.weights(n, look), caption.format(n.label)) for n in weighed)
        sections.append(Section("Weights", tuple(pictures)))
    if tuned:
        caption = f"Accuracy on the validation split of each trial against its learning rate; rings: chosen. {scale}"
        tables = [table.learning_rate_table(n) for n in tuned]
        sections.append(Section("Learning rates", (Picture(figures.learning_rates(tuned, look), caption), *tables)))
    sections.append(Section("Methods", (_methods(comparison),)))
    paired = tuple(table.paired_table(n, baseline) for n in trained)
    if any(paired):
        sections.append(Section("Paired tests", (CAUTION, *paired)))
    sections.append(Section("Failed and missing runs", (_absent(comparison),)))
    return sections


def numbers(comparison: Comparison, baseline: str = "lfp") -> dict[str, Any]:
    """Return all that the report is made from, and its statistics, as plain values.

    Parameters
    ----------
    comparison : Comparison
        What was found.
    baseline : str
        The method that all others are tested against.
    """
    kept = ("metrics", "summary", "measures")

    def one(results: MethodResults) -> dict[str, Any]:
        accuracies = list(results.accuracies.values())
        return {
            "test_accuracy": dataclasses.asdict(estimate(accuracies)) if accuracies else None,
            "runs": [{"seed": run.seed} | {key: getattr(run, key) for key in kept} for run in results.runs],
            "failures": [dataclasses.asdict(failure) for failure in results.failures],
            "missing": results.missing,
            "tuning": dataclasses.asdict(results.tuning) if results.tuning else None,
        }

    def all_of(network: NetworkResults) -> dict[str, Any]:
        tests = against_baseline({m: r.accuracies for m, r in network.methods.items()}, baseline)
        return {
            "methods": {m: one(r) for m, r in network.methods.items()},
            f"against {baseline}": {m: dataclasses.asdict(test) for m, test in tests.items()},
        }

    return {
        "title": comparison.title,
        "study": comparison.study,
        "environments": _distinct(comparison, lambda e: {k: v for k, v in e.items() if k != "command"}),
        "missing": comparison.missing,
        "networks": {label: all_of(network) for label, network in comparison.networks.items()},
    }


def _completeness(comparison: Comparison) -> str:
    """Say how many runs there are, and how many are missing."""
    runs, failures = len(comparison.runs), sum(len(cell.failures) for cell in comparison.cells)
    total = runs + failures + comparison.missing
    text = f"{runs} of {total} runs came to a result"
    text += f", {failures} failed" if failures else ""
    return text + (f", {comparison.missing} are missing: this report is preliminary." if comparison.missing else ".")


def _making(comparison: Comparison) -> list[Item]:
    """Say by which command, with which budget and on which machine the runs were made."""
    items: list[Item] = [_budget(comparison)]
    if comparison.runs:
        items.append(Table("Made with", ("what", "which"), tuple(_machines(comparison)), words=True))
    study = tomli_w.dumps(comparison.study)
    return [
        *items,
        Code("study.toml: all that was asked for; lfp-snn compare study.toml repeats it", study),
    ]


def _budget(comparison: Comparison) -> str:
    """Say how learning rates were chosen."""
    budgets: dict[str, list[str]] = {}
    for label, section in comparison.study.get("network", {}).items():
        tune = comparison.study.get("tune", {}) | section.get("tune", {})
        trials = f"{tune['trials']} trials of {tune.get('epochs')} epochs each" if tune.get("trials") else "none"
        budgets.setdefault(trials, []).append(label)
    if list(budgets) == ["none"]:
        return "Learning rates were not searched for: they are those of the study."
    words = "; ".join(f"{trials} ({', '.join(labels)})" for trials, labels in budgets.items())
    return (
        "Learning rates were searched for on the validation split, with the same budget for every method on a network: "
        f"{words}. The test set decided nothing: what is tested is the network that was best on the validation split."
    )


def _machines(comparison: Comparison) -> list[tuple[Cell, ...]]:
    """Return a row for each thing that the runs were made with."""

    def versions(environment: Mapping[str, Any]) -> str:
        return ", ".join(f"{name} {v}" for name, v in environment.get("versions", {}).items() if v)

    facts: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "platform": lambda e: e.get("platform"),
        "processor cores": lambda e: e.get("cpus"),
        "GPUs": lambda e: ", ".join(e.get("gpus", ())),
        "threads of torch": lambda e: e.get("torch_threads"),
        "versions": versions,
    }
    texts = {name: " or ".join(str(v) for v in _distinct(comparison, of) if v) for name, of in facts.items()}
    workers = comparison.study.get("workers")
    rows = {"runs at the same time": str(workers)} if workers else {}
    return [(Cell(name), Cell(text)) for name, text in (texts | rows).items() if text]


def _distinct(comparison: Comparison, of: Callable[[Mapping[str, Any]], Any]) -> list[Any]:
    """Return what the runs' environments differ in."""
    found: list[Any] = []
    for run in comparison.runs:
        if run.environment and (value := of(run.environment)) not in found:
            found.append(value)
    return found


def _methods(comparison: Comparison) -> Table:
    """Say what each method is, and where it comes from."""

    def cells(label: str) -> tuple[Cell, ...]:
        section = {k: v for k, v in comparison.study.get("method", {}).get(label, {}).items() if v != {}}
        name = str(section.pop("name", label))
        options = ", ".join(f"{key} = {value}" for key, value in section.items())
        documentation = (inspect.getdoc(METHODS[name]) if name in METHODS else None) or name
        what = " ".join(documentation.partition("\n\n")[0].replace("``", "").split())
        return Cell(label), Cell(name), Cell(options), Cell(what)

    rows = tuple(cells(label) for label in comparison.methods)
    return Table("What was compared", ("label", "method", "options", "what it is"), rows, words=True)


def _absent(comparison: Comparison) -> Item:
    """List the runs without a result."""
    rows = [
        (Cell(label), Cell(method), Cell(f"{seed}"), Cell(why))
        for label, network in comparison.networks.items()
        for method, r in network.methods.items()
        for seed, why in [*((f.seed, f.error) for f in r.failures), *((seed, "missing") for seed in r.missing)]
    ]
    if not rows:
        return "None: every run came to a result."
    note = "A failed run counts in no mean; a method whose runs all failed has the last rank."
    return Table("Runs without a result", ("network", "method", "seed", "why"), tuple(rows), note, words=True)


def _named(given: Table | None, label: str) -> Table | None:
    """Put the network's label into the title of a table."""
    return given and dataclasses.replace(given, title=f"{given.title} of {label}")
