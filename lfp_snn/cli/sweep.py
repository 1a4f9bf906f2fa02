"""``lfp-snn sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from lfp_snn.cli.options import dotted, subject_of
from lfp_snn.compare.executor import OnRay, threads_each
from lfp_snn.compare.sweep import Sweep
from lfp_snn.compare.sweep import sweep as run
from lfp_snn.errors import ConfigError
from lfp_snn.methods import METHODS
from lfp_snn.training import presets

WHAT = Group("What to search", sort_key=1)
HOW = Group("How, where", sort_key=2)
HANDY = ["preset", "method", "space", "trials", "epochs", "data-root"]
HANDY += ["out", "workers", "ray", "dry-run"]


def sweep(
    *search: Annotated[str, Parameter(allow_leading_hyphen=True, group=WHAT)],
    preset: Annotated[
        str | None, Parameter(group=WHAT, help=f"What is not searched: {', '.join(presets.names())}.")
    ] = None,
    method: Annotated[str | None, Parameter(group=WHAT, help=f"Way to learn: {', '.join(METHODS)}.")] = None,
    space: Annotated[list[str] | None, Parameter(group=WHAT, negative=())] = None,
    trials: Annotated[int | None, Parameter(group=WHAT)] = None,
    epochs: Annotated[int | None, Parameter(group=WHAT)] = None,
    data_root: Annotated[str | None, Parameter(group=HOW)] = None,
    out: Annotated[Path | None, Parameter(group=HOW)] = None,
    workers: Annotated[int | None, Parameter(group=HOW)] = None,
    ray: Annotated[bool, Parameter(group=HOW, negative=())] = False,
    dry_run: Annotated[bool, Parameter(group=HOW, negative=())] = False,
) -> None:
    """Search for hyper-parameters: any keys of the configuration, by the best validation accuracy.

    The first trial is the configuration as it is, the others are drawn by optuna (TPE). The test split is never looked
    at. Trials that are finished are not repeated: stopped, even by SIGKILL, the same command goes on; with more trials,
    it adds them. It writes all trials (trials.csv, results.json) and the best one as a configuration (best.toml).

    For example:

        lfp-snn sweep --space optimizer.lr=1e-4..1e-1:log --trials 10 --workers 2

        lfp-snn sweep --preset mnist-mlp --space rule.sharing=reference,conserving --space model.hidden=[256],[512]

        lfp-snn sweep search.toml --out runs/sweep/search

        lfp-snn train --config runs/sweep/search/best.toml

    Parameters
    ----------
    search
        A TOML file; `--dry-run` shows what it may hold.
    space
        KEY=LOW..HIGH, KEY=LOW..HIGH:log, or KEY=VALUE,VALUE. Repeat it.
    trials
        How many are tried. Default: 20.
    epochs
        Epochs of a trial. Default: those of the configuration.
    data_root
        Folder of the data sets. Default: $LFP_SNN_DATA.
    out
        Folder of the sweep, new or to be gone on with. Default: runs/sweep/SEARCH.
    workers
        Trials at a time, each in a process of its own; they share the cores. Default: 1.
    ray
        Let a Ray cluster (RAY_ADDRESS) do the trials; it must share the folder --out.
    dry_run
        Print the whole search as TOML and do nothing.
    """
    what, more = subject_of(search)
    file = None if what is None else Path(what)
    above = dotted(more, [f"--{name}" for name in HANDY])
    short = {"method.name": method, "training.epochs": epochs, "data.root": data_root}
    for name, value in short.items():
        if value is not None:
            section, _, key = name.partition(".")
            above.setdefault(section, {})[key] = value
    if file is None and preset is None and "name" not in above.get("data", {}):
        preset = "event-digits"
    given = {"preset": preset, "trials": trials, "workers": workers, "space": _space(space or [])}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    chosen = Sweep.read(file, above, **changes) if file else Sweep.of({}, "command line", above=above, **changes)
    if dry_run:
        print(chosen.to_toml(), end="")
        return
    executor = OnRay(chosen.workers, threads_each(chosen.workers)) if ray else None
    folder = out or Path("runs") / "sweep" / (file.stem if file else preset or chosen.config.data.name)
    best = run(chosen, folder, executor=executor)
    values = ", ".join(f"{key} {value}" for key, value in best["values"].items())
    print(f"best: {values}   validation accuracy {100 * best['val_accuracy']:.2f} %   {folder / 'best.toml'}")


def _space(options: list[str]) -> dict[str, str]:
    """Return the keys and values of ``--space``."""
    entries = {}
    for option in options:
        key, equals, values = option.partition("=")
        if not equals:
            raise ConfigError(f"--space {option}: write KEY=VALUES, as in --space optimizer.lr=1e-4..1e-1:log")
        entries[key] = values
    return entries
