"""``lfp-snn doctor``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lfp_snn.cli.options import dotted, subject_of
from lfp_snn.cli.picture import curve
from lfp_snn.cli.train import resolve
from lfp_snn.diagnosis import Advice, Diagnosis, diagnose
from lfp_snn.diagnosis.figures import draw
from lfp_snn.errors import ConfigError
from lfp_snn.training import presets
from lfp_snn.training.build import Task, build
from lfp_snn.training.config import Config
from lfp_snn.training.rerun import load_run
from lfp_snn.training.run_folder import plain, write_json

HANDY = ["--preset", "--checkpoint", "--batches", "--json", "--out", "--data-root"]
_COLOURS = {"serious": "bold red", "warning": "yellow", "note": "cyan"}
_WIDEST = 12
"""Most characters of a curve in a table."""


def doctor(
    *subject: Annotated[str, Parameter(allow_leading_hyphen=True)],
    preset: Annotated[str | None, Parameter(help=f"A ready configuration: {', '.join(presets.names())}.")] = None,
    checkpoint: Literal["best", "last"] | None = None,
    batches: int = 8,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    out: Path | None = None,
    data_root: str | None = None,
) -> None:
    """Look at a network while it learns a few batches, and say in words what stands out and what to change.

    Per layer: firing rates, silent and saturated units, how much of the reward arrives and how much is lost on the way;
    per parameter: how far a step moves it. Nothing is changed in a run. Every key of the configuration is an option
    too, written with a dot.

    For example:

        lfp-snn doctor runs/event-digits/20260101-120000-seed0

        lfp-snn doctor mine.toml --rule.sharing conserving --out diagnosis

        lfp-snn doctor --preset nmnist-cnn --method.name surrogate

    Parameters
    ----------
    subject
        Folder of a run (with its trained weights) or a TOML configuration (fresh weights).
    checkpoint
        Which weights of a run: the best on the validation split (default), or the last.
    batches
        How many batches of the training set to look at.
    as_json
        Print everything that was measured as JSON.
    out
        Folder for figures and diagnosis.json.
    data_root
        Folder of the data sets. Default: that of the run, or $LFP_SNN_DATA.
    """
    what, more = subject_of(subject)
    layer = dotted(more, HANDY)
    if data_root is not None:
        layer.setdefault("data", {})["root"] = data_root
    config, task = _load(what, preset, checkpoint, layer)
    diagnosis = diagnose(config, task, batches)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "diagnosis.json", diagnosis.to_dict())
        draw(diagnosis, out)
    if as_json:
        print(json.dumps(plain(diagnosis.to_dict())))
        return
    console = Console(highlight=False)
    _show(console, diagnosis)
    if out is not None:
        console.print(f"figures and diagnosis.json: {escape(str(out))}", soft_wrap=True)


def _load(what: str | None, preset: str | None, checkpoint: str | None, layer: dict[str, Any]) -> tuple[Config, Task]:
    """Return the configuration and the network that were asked for.

    Raises
    ------
    ConfigError
        If it is not clear what is meant.
    CheckpointError
        If the weights of a run cannot be read, or the options change the network so that they do not fit.
    """
    if what is None and preset is None:
        raise ConfigError("say what to look at: the folder of a run, a TOML configuration, or --preset NAME")
    path = None if what is None else Path(what)
    if path is not None and path.is_dir():
        if preset is not None:
            raise ConfigError(f"the run {path} has a configuration of its own: drop --preset {preset}")
        return load_run(path, checkpoint=checkpoint or "best", changes=layer)
    if path is not None and path.suffix != ".toml":
        raise ConfigError(f"{path} is neither the folder of a run nor a TOML configuration")
    if checkpoint is not None:
        raise ConfigError("a configuration has no trained weights: --checkpoint goes with the folder of a run")
    config, _ = resolve(preset, path, layer)
    return config, build(config)


def _show(console: Console, d: Diagnosis) -> None:
    """Print the tables and the advice."""
    console.print(_layers(d))
    console.print(_messages(d))
    console.print(_parameters(d))
    share = f"{100 * d.accuracy:.1f} % of {d.examples} training examples decided right"
    console.print(f"method {d.config.method.name}, {d.batches} batches: {share}")
    advice = d.advice()
    if not advice:
        console.print("[green]nothing stands out[/green]")
    for item in advice:
        console.print(_worded(item), soft_wrap=True)


def _worded(advice: Advice) -> str:
    """Return a piece of advice as text with markup."""
    colour = _COLOURS[advice.severity]
    head = f"[{colour}]{advice.severity}[/{colour}] {escape(advice.where)}: {escape(advice.finding)}."
    options = escape("   or   ".join(advice.options))
    return f"\n{head}\n  why: {escape(advice.why)}\n  try: [bold]{options}[/bold]"


def _layers(d: Diagnosis) -> Table:
    """Return the table of activity."""
    table = _table("Activity", "layer", "kind", "units", "rate", "over time", "dead", "saturated", "healthy")
    for layer in d.layers:
        a = layer.activity
        cells = [""] * 6
        if a is not None:
            shares = [_percent(a.dead), _percent(a.saturated), _percent(a.healthy)]
            cells = [str(a.units), f"{100 * a.rate:.2f} %", curve(a.per_step, _WIDEST), *shares]
        table.add_row(escape(layer.name), layer.kind, *cells)
    return table


def _messages(d: Diagnosis) -> Table:
    """Return the table of what comes back to the layers, from the output on, with what is lost on the way."""
    title = f"{'Reward' if d.rewarded else 'Gradient'} of an example"
    lost = ["lost in neurons", "lost in weights"] if d.rewarded else []
    table = _table(title, "layer", "size", "over time", "of output", "zero", "units without", *lost)
    for layer in reversed(d.layers):
        m, c = layer.message, layer.conservation
        cells = [""] * 5
        if m is not None:
            ratio = "" if m.ratio is None else f"{m.ratio:.3g}"
            cells = [f"{m.size:.3g}", curve(m.per_step, _WIDEST), ratio, _percent(m.zero), _percent(m.unreached)]
        kept = [] if not lost else [_percent(c.neurons), _percent(c.weights)] if c is not None else ["", ""]
        table.add_row(escape(layer.name), *cells, *kept)
    return table


def _parameters(d: Diagnosis) -> Table:
    """Return the table of what a few steps do to the parameters."""
    title = f"{d.batches} steps of {d.config.optimizer.name}, learning rate {d.config.optimizer.lr:g}"
    table = _table(title, "parameter", "shape", "zero", "tiny", "step", "change", "new sign", "not moved")
    for p in d.parameters:
        step = "" if p.step is None else f"{p.step:.2g}"
        shares = [_percent(p.flips), _percent(p.still)]
        shape = "×".join(map(str, p.shape)) or "1"
        table.add_row(escape(p.name), shape, _percent(p.zero), _percent(p.tiny), step, f"{p.change:.2g}", *shares)
    return table


def _table(title: str, *columns: str) -> Table:
    """Return an empty table whose curves and names stay whole in a narrow terminal."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        words = max(map(len, column.split()))
        table.add_column(column, min_width=_WIDEST if column == "over time" else words, no_wrap=column == "parameter")
    return table


def _percent(share: float | None) -> str:
    """Return a share as text; nothing for none."""
    return "" if share is None else f"{100 * share:.1f} %"
