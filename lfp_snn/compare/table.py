"""The tables of a comparison, as rows of text; Markdown from them, HTML in the report's template."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from lfp_snn.compare.results import Comparison, MethodResults, NetworkResults, Run
from lfp_snn.compare.statistics import Estimate, Paired, against_baseline, estimate, mean_ranks

NOTHING = "–"


@dataclass(frozen=True)
class Cell:
    """What stands in a place of a table."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Examples
    --------
    >>> print(Table("Accuracy", ("method", "mnist"), ((Cell("lfp"), Cell("98.6", bold=True)),), "In %.").markdown())
    **Accuracy.** In %.
    <BLANKLINE>
    | method | mnist |
    | --- | ---: |
    | lfp | **98.6** |
    """

    title: str
    columns: tuple[str, ...]
    """The first one names the rows."""
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    """How to read it."""
    words: bool = False
    """Whether it holds words rather than numbers, and is aligned at the left."""

    def markdown(self) -> str:
        """Return the table in (GitHub's) Markdown, with its title and note above."""

        def line(texts: Iterable[str]) -> str:
            return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"

        lines = [line(self.columns), line(["---", *["---" if self.words else "---:"] * (len(self.columns) - 1)])]
        lines += [line(f"**{c.text}**" if c.bold else c.text for c in row) for row in self.rows]
        return "\n".join([f"**{self.title}.** {self.note}".strip(), "", *lines])


def accuracy_table(comparison: Comparison, baseline: str = "lfp") -> Table:
    """Return the main table: test accuracy of every method on every network.

    Parameters
    ----------
    comparison : Comparison
        What was found.
    baseline : str
        The method that others are tested against.
    """
    networks = comparison.networks.values()
    against = {n.label: _against(n, baseline) for n in networks}
    best = {n.label: _best(n) for n in networks}
    ranks = mean_ranks([_means(n) for n in networks if n.finished])

    def cell(network: NetworkResults, method: str) -> Cell:
        results = network.methods.get(method)
        if results is None:
            return Cell("")
        text = " ".join(filter(None, (_mark(against[network.label].get(method)), _accuracy(results), _count(results))))
        return Cell(text, method in best[network.label])

    rows = tuple(
        (
            Cell(method),
            *(cell(network, method) for network in networks),
            Cell(f"{ranks[method]:.1f}", ranks[method] == min(ranks.values())) if method in ranks else Cell(NOTHING),
        )
        for method in comparison.methods
    )
    counts = " or ".join(map(str, sorted({len(c.seeds) for c in comparison.cells})))
    note = (
        f"In %, mean ± standard deviation over {counts} seeds (n: where there are fewer), best in bold. ↑ ↓: better "
        f"or worse than {baseline}, p < 0.05 in a paired t-test corrected by Holm's method. Rank: mean over the "
        "networks that a method was tried on."
    )
    return Table("Test accuracy", ("method", *comparison.networks, "rank"), rows, note)


def training_table(network: NetworkResults) -> Table:
    """Return accuracy and cost of training of each method on a network."""
    columns: dict[str, Callable[[Sequence[Run]], str]] = {
        "lr": lambda runs: _over(runs, lambda r: r.lr, "{:.2g}"),
        "test / %": lambda runs: percent(estimate([r.test_accuracy for r in runs])),
        "validation / %": lambda runs: percent(_estimate(runs, lambda r: r.val_accuracy)),
        "epochs": lambda runs: _over(runs, lambda r: r.epochs, "{:g}"),
        "training / s": lambda runs: _over(runs, lambda r: r.train_seconds, "{:.3g}"),
        "SynOps of training": lambda runs: _over(runs, lambda r: r.synops_training, quantity),
        "SynOps of inference": lambda runs: _over(runs, lambda r: r.synops_inference, quantity),
        "peak memory / MB": lambda runs: _over(runs, lambda r: r.peak_memory, lambda b: f"{b / 1e6:.0f}"),
    }
    note = (
        "Accuracies: mean ± standard deviation over seeds, of the network that was best on the validation split; "
        "others: median. Seconds are those of training alone, on a machine that may have been shared by several "
        "runs. SynOps: synaptic operations per example."
    )
    return _of_methods("Accuracy and cost", network, columns, note)


def activity_table(network: NetworkResults) -> Table:
    """Return how much of a network is active, and takes part in learning, with each method."""
    columns: dict[str, Callable[[Sequence[Run]], str]] = {
        "hidden rate / %": lambda runs: _share(runs, lambda r: r.hidden_rate()),
        "dead units / %": lambda runs: _share(runs, lambda r: r.dead_share),
        "weights updated / %": lambda runs: _share(runs, lambda r: r.participation("weights")),
        "neurons updated / %": lambda runs: _share(runs, lambda r: r.participation("neurons")),
        "synapses taking part / %": lambda runs: _share(runs, lambda r: r.participation("synapses")),
    }
    note = (
        "Mean over seeds. Rate: spikes per hidden unit and step, on the test set; a last layer with a unit for each "
        "class is the readout and not counted. Dead: hidden units that never fire there. Weights and neurons updated: "
        "share with a non-zero update in a step of training. Synapses taking part: share of all (synapse, time step, "
        "example) with a non-zero contribution to the update."
    )
    return _of_methods("Activity and share of the network that learns", network, columns, note)


def pruning_table(network: NetworkResults) -> Table | None:
    """Return the accuracy that is left when small weights are removed; None where it was not measured."""
    found = {method: [r for r in runs if r.pruning] for method, runs in network.finished.items()}
    shares = sorted({share for runs in found.values() for run in runs for share in run.pruning})
    if not shares:
        return None

    def cell(runs: Sequence[Run], share: float) -> Cell:
        return Cell(percent(_estimate(runs, lambda r: r.pruning.get(share))))

    rows = tuple((Cell(method), *(cell(runs, share) for share in shares)) for method, runs in found.items())
    note = "Test accuracy in % after the smallest weights of the whole network were set to zero; no retraining."
    return Table("Pruning", ("method", *(f"{100 * share:g} % removed" for share in shares)), rows, note)


def paired_table(network: NetworkResults, baseline: str = "lfp") -> Table | None:
    """Return the paired tests of a network; None if there is nothing to compare."""
    pairs = _against(network, baseline)
    rows = tuple(
        (
            Cell(method),
            Cell(f"{100 * pair.difference.mean:+.2f}", bold=pair.significant),
            Cell(_interval(pair.difference)),
            Cell(_p(pair.p)),
            Cell(_p(pair.p_holm), bold=pair.significant),
            Cell(str(pair.difference.n)),
        )
        for method, pair in pairs.items()
    )
    columns = ("method", f"minus {baseline} / points", "95 % interval", "p", "p (Holm)", "pairs")
    note = "Differences of test accuracy between runs of the same seed; bold: p (Holm) < 0.05."
    return Table(f"{network.label}: methods against {baseline}", columns, rows, note) if rows else None


def learning_rate_table(network: NetworkResults) -> Table | None:
    """Return what the search for learning rates found; None if there was none."""
    found = {m: r.tuning for m, r in network.methods.items() if r.tuning is not None and r.tuning.trials}
    if not found:
        return None

    def trials(method: str) -> str:
        tried = sorted(found[method].trials, key=lambda t: t.lr)
        accuracies = (NOTHING if t.val_accuracy is None else f"{100 * t.val_accuracy:.1f}" for t in tried)
        return ", ".join(f"{t.lr:.2g}: {a}" for t, a in zip(tried, accuracies, strict=True))

    rows = tuple((Cell(m), Cell(f"{t.lr:.2g}", bold=True), Cell(trials(m))) for m, t in found.items())
    note = f"Validation accuracy in % of each trial; {NOTHING}: it failed."
    return Table(f"Learning rates on {network.label}", ("method", "chosen", "tried"), rows, note, words=True)


def percent(value: Estimate | None) -> str:
    """Word a share as percentage, with its spread if there is one."""
    if value is None:
        return NOTHING
    return f"{100 * value.mean:.2f}" + (f" ± {100 * value.sd:.2f}" if value.sd is not None else "")


def quantity(value: float) -> str:
    """Word a large number.

    Examples
    --------
    >>> quantity(12_345.0), quantity(2.5e6), quantity(870)
    ('12.3 k', '2.5 M', '870')
    """
    for factor, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"


def _of_methods(
    title: str, network: NetworkResults, columns: Mapping[str, Callable[[Sequence[Run]], str]], note: str
) -> Table:
    """Make a table with a row a method, leaving out columns in which nothing was measured."""
    words = {name: [word(runs) for runs in network.finished.values()] for name, word in columns.items()}
    kept = {name: texts for name, texts in words.items() if set(texts) != {NOTHING}}
    rows = tuple((Cell(m), *(Cell(texts[k]) for texts in kept.values())) for k, m in enumerate(network.finished))
    return Table(title, ("method", *kept), rows, note)


def _against(network: NetworkResults, baseline: str) -> dict[str, Paired]:
    """Return every method's comparison with the baseline."""
    return against_baseline({m: results.accuracies for m, results in network.methods.items()}, baseline)


def _means(network: NetworkResults) -> dict[str, float]:
    """Return the mean of each method; a method all of whose runs failed comes last, one without runs is left out."""
    found = {m: results for m, results in network.methods.items() if results.runs or results.failures}
    return {m: estimate(list(r.accuracies.values())).mean if r.runs else float("-inf") for m, r in found.items()}


def _best(network: NetworkResults) -> set[str]:
    """Return the methods with the best mean (as printed)."""
    means = {m: round(100 * mean, 2) for m, mean in _means(network).items() if mean >= 0}
    return {m for m, mean in means.items() if mean == max(means.values())}


def _accuracy(results: MethodResults) -> str:
    """Word the accuracy of a method."""
    return percent(estimate(list(results.accuracies.values()))) if results.runs else NOTHING


def _mark(pair: Paired | None) -> str:
    """Word a significant difference."""
    return ("↑" if pair.difference.mean > 0 else "↓") if pair is not None and pair.significant else ""


def _count(results: MethodResults) -> str:
    """Word how many runs there are, if not all."""
    notes = [f"n = {len(results.runs)}"] if len(results.runs) < len(results.seeds) else []
    notes += [f"{len(results.failures)} failed"] if results.failures else []
    return f"({', '.join(notes)})" if notes else ""


def _interval(value: Estimate) -> str:
    """Word a confidence interval, in points."""
    if value.low is None or value.high is None:
        return NOTHING
    return f"{100 * value.low:+.2f} … {100 * value.high:+.2f}"


def _p(p: float | None) -> str:
    """Word a p value."""
    return NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _present(runs: Sequence[Run], of: Callable[[Run], float | None]) -> list[float]:
    """Return the values of those runs that have one."""
    return [value for run in runs if (value := of(run)) is not None]


def _estimate(runs: Sequence[Run], of: Callable[[Run], float | None]) -> Estimate | None:
    """Estimate a mean over the runs that have the value."""
    values = _present(runs, of)
    return estimate(values) if values else None


def _share(runs: Sequence[Run], of: Callable[[Run], float | None]) -> str:
    """Word the mean of a share as percentage."""
    value = _estimate(runs, of)
    return NOTHING if value is None else f"{100 * value.mean:.3g}"


def _over(runs: Sequence[Run], of: Callable[[Run], float | None], form: str | Callable[[float], str]) -> str:
    """Word the median of a number."""
    values = _present(runs, of)
    if not values:
        return NOTHING
    return form.format(median(values)) if isinstance(form, str) else form(median(values))
