"""``lfp-snn eval``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from lfp_snn.training.evaluate import Evaluation
from lfp_snn.training.rerun import evaluate_run


def evaluate(
    run: Path,
    /,
    *,
    split: Literal["test", "val", "train"] = "test",
    checkpoint: Literal["best", "last"] = "best",
    data_root: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Score the network of a run again.

    Parameters
    ----------
    run
        Folder of the run.
    split
        Part of the data.
    checkpoint
        Which weights: the best on the validation split, or the last.
    data_root
        Folder of the data sets, if it is another than in training.
    as_json
        Print the result as JSON.
    """
    result, names = evaluate_run(run, split=split, checkpoint=checkpoint, data_root=data_root)
    if as_json:
        print(json.dumps(vars(result)))
        return
    console = Console(highlight=False)
    console.print(_classes(result, names))
    if result.spike_rate:
        console.print(_layers(result))
    console.print(f"{split} accuracy {100 * result.accuracy:.2f} %  ({result.examples} examples, {checkpoint}.pt)")


def _classes(result: Evaluation, names: tuple[str, ...]) -> Table:
    """Return the table of the classes: how many, how many right, and what the others were taken for."""
    table = Table("class", "examples", "accuracy", "most often taken for")
    for name, row, accuracy in zip(names, result.confusion, result.class_accuracy, strict=True):
        wrong = {other: n for other, n in zip(names, row, strict=True) if other != name and n}
        worst = max(wrong, key=wrong.__getitem__, default=None)
        shown = f"{100 * accuracy:.1f} %" if sum(row) else ""
        table.add_row(name, str(sum(row)), shown, f"{worst} ({wrong[worst]})" if worst is not None else "")
    return table


def _layers(result: Evaluation) -> Table:
    """Return the table of the spiking layers."""
    table = Table("layer", "units", "firing rate", "never fired")
    for layer, rate in result.spike_rate.items():
        table.add_row(layer, str(result.units[layer]), f"{100 * rate:.2f} %", str(result.dead_units[layer]))
    return table
