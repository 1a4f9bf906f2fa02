"""``lfp-snn explain``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lfp_snn.cli.selection import Selection
from lfp_snn.errors import ConfigError, suggest
from lfp_snn.explain.album import album, events_of_run, prepared, sample
from lfp_snn.training.rerun import load_run


def explain(
    run: Path,
    /,
    *,
    sample_number: Annotated[int, Parameter(name="--sample")] = 0,
    file: Path | None = None,
    part: Selection = Selection(),
    split: Literal["test", "val", "train"] = "test",
    why: str | None = None,
    against: str | None = None,
    out: Path | None = None,
    checkpoint: Literal["best", "last"] = "best",
    data_root: str | None = None,
) -> None:
    """Show why a trained network decided as it did: which events, when, through which neurons.

    Writes figures, an animation, an interactive view (with the extra `explain`) and the numbers into a folder.

    For example:

        lfp-snn explain runs/event-digits/20260101-120000-seed0 --sample 3

        lfp-snn explain runs/nmnist --file my.bin --against next --out why

        lfp-snn explain runs/nmnist --file street.raw --start 200 --stop 500 --crop 300 200 34 34

    Parameters
    ----------
    run
        Folder of the run.
    sample_number
        Which example of the part; with --file, which recording of a file of many.
    file
        A recording of the run's sensor, to explain instead.
    part
        Which part of the file.
    split
        Part of the data.
    why
        The class to explain. Default: the decision.
    against
        Whose score is subtracted: a class, `next` (the best of the others) or `rest` (their mean). Default: nobody's.
    out
        The folder. Default: explain-NAME-OF-THE-EXAMPLE in the folder of the run.
    checkpoint
        Which weights: the best on the validation split, or the last.
    data_root
        Folder of the data sets, if it is another than in training.
    """
    _, task = load_run(run, checkpoint=checkpoint, data_root=data_root)
    names = task.splits.class_names
    target = None if why is None else _class(why, names)
    other: Any = against if against in (None, "next", "rest") else _class(str(against), names)
    if file is None:
        subject = sample(task, split, sample_number)
    else:
        chosen = replace(part, index=part.index or sample_number)
        subject = prepared(task, chosen.read(file, events_of_run(task).preparation.sensor_size), file.name)
    folder = out if out is not None else run / f"explain-{subject.name.replace(' ', '-')}"
    found = album(task, subject, folder, target=target, against=other)
    console = Console(highlight=False, soft_wrap=True)
    table = Table("class", "score")
    for name, score in sorted(found.pop("scores").items(), key=lambda item: -item[1])[:5]:
        table.add_row(escape(name), f"{score:.4g}", style="bold" if name == found["decision"] else "")
    console.print(table)
    for key, value in found.items():
        if value is not None:
            console.print(f"{key}: {f'{value:.4g}' if isinstance(value, float) else escape(str(value))}")
    console.print(f"figures: {escape(str(folder))}")


def _class(name: str, names: tuple[str, ...]) -> int:
    """Return the number of a class."""
    if name not in names:
        raise ConfigError(suggest(name, names, "class"))
    return names.index(name)
