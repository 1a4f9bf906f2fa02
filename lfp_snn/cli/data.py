"""``lfp-snn data``: which data sets there are, prepare one, look at one or at a recording."""

from __future__ import annotations

import inspect
import pkgutil
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from lfp_snn.cli.options import dotted
from lfp_snn.cli.picture import as_text, flat_picture, save_pictures
from lfp_snn.cli.selection import Selection
from lfp_snn.cli.show import show_recording
from lfp_snn.data import REGISTRY, Splits, builder_options, cache_folder, load, loader
from lfp_snn.errors import ConfigError, suggest
from lfp_snn.training.config import Config, apply
from lfp_snn.training.values import describe

app = App(name="data", help="List, prepare and look at data sets and recordings.")
More = Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]


def _load(name: str, data_root: str | None, more: tuple[str, ...]) -> Splits:
    """Load a data set with options such as ``--data.n_bins 20``."""
    layer = dotted(more, ["--data-root", "--out", "--sample"])
    if others := [section for section in layer if section != "data"]:
        raise ConfigError(f"only options of the data set count here (--data.KEY), not --{others[0]}")
    given = {"name": name, **({} if data_root is None else {"root": data_root})}
    c = apply(Config(), {"data": {**layer.get("data", {}), **given}}, "command line").data
    return load(c.name, c.root or None, val_fraction=c.val_fraction, **c.options)


@app.command(name="list")
def list_data() -> None:
    """List the data sets and their options."""
    console = Console(highlight=False)
    table = Table("data set", "what it is", "options (--data.KEY)", show_lines=True)
    for name, entry in REGISTRY.items():
        builder = pkgutil.resolve_name(entry) if isinstance(entry, str) else entry
        text = (inspect.getdoc(builder) or "").partition("\n\n")[0].replace("\n", " ")
        options = [f"{key}: {describe(hint)}" for key, hint in builder_options(name).items()]
        table.add_row(name, escape(text), escape("\n".join(options)))
    console.print(table)


@app.command
def prepare(name: str, /, *more: More, data_root: str | None = None) -> None:
    """Read all of a data set once, so that what is cached is cached, and a broken file is found now.

    Parameters
    ----------
    name
        Data set; see `lfp-snn data list`. Its options are given as for training: `--data.n_bins 20`.
    data_root
        Folder of the data sets. Default: $LFP_SNN_DATA.
    """
    console = Console(highlight=False)
    started = time.perf_counter()
    splits = _load(name, data_root, more)
    for part in ("train", "val", "test"):
        for _ in track(loader(getattr(splits, part), 64), part, console=console, transient=True):
            pass
    counts = ", ".join(f"{len(getattr(splits, part))} {part}" for part in ("train", "val", "test"))
    console.print(f"{name}: {counts} examples read in {time.perf_counter() - started:.1f} s")
    console.print(f"cache folder: {escape(str(cache_folder()))}")


@app.command
def show(what: str, /, *more: More, sample: int = 0, out: Path | None = None, data_root: str | None = None) -> None:
    """Show a data set (counts, shape, classes, a picture), or a recording as `lfp-snn show` does.

    Parameters
    ----------
    what
        A data set (`lfp-snn data list`), or a file (.aedat4, .es, .raw, .dat, .bin, .h5, .npz, .npy).
    sample
        Which training example to draw; which recording of an .h5 file.
    out
        Save a picture, too: of one example of each class, or of the recording (.gif, .mp4: an animation).
    data_root
        Folder of the data sets. Default: $LFP_SNN_DATA.
    """
    console = Console(highlight=False, soft_wrap=True)
    if what in REGISTRY:
        _show_splits(console, _load(what, data_root, more), sample, out)
    elif Path(what).suffix or Path(what).exists():
        show_recording(console, Selection(index=sample).read(what), out)
    else:
        raise ConfigError(suggest(what, REGISTRY, "data set") + " (or give the path of a recording)")


def _show_splits(console: Console, splits: Splits, sample: int, out: Path | None) -> None:
    """Print the counts of a data set and a picture of one example."""
    if not 0 <= sample < len(splits.train):
        raise ConfigError(f"--sample must lie between 0 and {len(splits.train) - 1}, got {sample}")
    parts = {part: getattr(splits, part) for part in ("train", "val", "test")}
    table = Table("class", *parts, title=f"{splits.name}: examples")
    counts = [np.bincount(part.labels, minlength=splits.classes) for part in parts.values()]
    for k, name in enumerate(splits.class_names):
        table.add_row(escape(name), *(str(c[k]) for c in counts))
    table.add_row("all", *(str(c.sum()) for c in counts), style="bold")
    console.print(table)
    x, _, lengths = splits.train.__getitems__([sample])
    values = x[:, 0].numpy() if splits.temporal else x[0].numpy()
    axes = " x ".join(map(str, splits.shape))
    steps = f"{int(lengths[0]) if lengths is not None else len(values)} steps of " if splits.temporal else ""
    console.print(f"training example {sample}: {steps}{axes}, values {values.min():g} to {values.max():g},")
    console.print(f"{100 * np.count_nonzero(values) / values.size:.1f} % of them not zero, class", end=" ")
    console.print(escape(splits.class_names[int(splits.train.labels[sample])]))
    console.print(as_text(flat_picture(values, splits.temporal)), markup=False)
    if out is not None:
        save_pictures(_one_of_each(splits), out)
        console.print(f"one example of each class: {escape(str(out))}")


def _one_of_each(splits: Splits) -> dict[str, Any]:
    """Return a picture of the first training example of each class."""
    pictures: dict[str, Any] = {}
    for k, name in enumerate(splits.class_names):
        if len(first := np.flatnonzero(splits.train.labels == k)[:1]):
            x = splits.train.__getitems__([int(first[0])]).x
            pictures[name] = flat_picture((x[:, 0] if splits.temporal else x[0]).numpy(), splits.temporal)
    return pictures
