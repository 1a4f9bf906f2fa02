"""``lfp-snn compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from lfp_snn.cli.options import dotted, subject_of
from lfp_snn.compare.executor import OnRay, threads_each
from lfp_snn.compare.runs import compare as run
from lfp_snn.compare.study import Study
from lfp_snn.errors import ConfigError
from lfp_snn.methods import METHODS
from lfp_snn.training import presets
from lfp_snn.training.values import Text

WHAT = Group("What to compare", sort_key=1)
HOW = Group("How, where", sort_key=2)
HANDY = ["preset", "methods", "seeds", "trials", "tune-epochs", "title", "data-root"]
HANDY += ["out", "workers", "ray", "dry-run"]


def compare(
    *study: Annotated[str, Parameter(allow_leading_hyphen=True, group=WHAT)],
    preset: Annotated[
        list[str] | None,
        Parameter(group=WHAT, negative=(), help=f"A network: {', '.join(presets.names())}. Repeat it."),
    ] = None,
    methods: Annotated[
        list[str] | None, Parameter(group=WHAT, negative=(), help=f"A way to learn: {', '.join(METHODS)}. Repeat it.")
    ] = None,
    seeds: Annotated[str | None, Parameter(group=WHAT)] = None,
    trials: Annotated[int | None, Parameter(group=WHAT)] = None,
    tune_epochs: Annotated[int | None, Parameter(group=WHAT)] = None,
    title: Annotated[str | None, Parameter(group=WHAT)] = None,
    data_root: Annotated[str | None, Parameter(group=HOW)] = None,
    out: Annotated[Path | None, Parameter(group=HOW)] = None,
    workers: Annotated[int | None, Parameter(group=HOW)] = None,
    ray: Annotated[bool, Parameter(group=HOW, negative=())] = False,
    dry_run: Annotated[bool, Parameter(group=HOW, negative=())] = False,
) -> None:
    """Compare ways to train the same networks: every network by every method from every seed, and a report.

    What is compared stands in a TOML file, or in options; options win, and count for all networks. Every key of the
    configuration is an option too, written with a dot. Runs that are finished are not repeated: stopped, even by
    SIGKILL, the same command goes on; with more seeds or methods, it adds theirs. With `--trials`, learning rates are
    tried first and the best on the validation split is taken; every method gets the same number of trials.

    For example:

        lfp-snn compare --preset event-digits --methods lfp --methods surrogate --seeds 3 --workers 2

        lfp-snn compare --preset mnist-mlp --preset mnist-cnn --trials 5 --tune-epochs 1 --training.epochs 3

        lfp-snn compare study.toml --out runs/compare/study --workers 4

    Parameters
    ----------
    study
        A TOML file; `--dry-run` shows what it may hold.
    seeds
        How many (3 means 0, 1, 2), or which (4,7). Default: 3.
    trials
        Learning rates that are tried for every network and method. Default: 0, the network's own is taken.
    tune_epochs
        Epochs of a trial. Default: 3.
    title
        Heading of the report.
    data_root
        Folder of the data sets. Default: $LFP_SNN_DATA.
    out
        Folder of the comparison, new or to be gone on with. Default: runs/compare/STUDY.
    workers
        Runs at a time, each in a process of its own; they share the cores. Default: 1.
    ray
        Let a Ray cluster (RAY_ADDRESS) do the runs; it must share the folder --out.
    dry_run
        Print the whole study as TOML and do nothing.
    """
    what, more = subject_of(study)
    file = None if what is None else Path(what)
    above = dotted(more, [f"--{name}" for name in HANDY])
    if data_root is not None:
        above.setdefault("data", {})["root"] = data_root
    given: dict[str, Any] = {"methods": _words(methods), "workers": workers, "title": title}
    given["seeds"] = None if seeds is None else Text(seeds)
    tune = {key: value for key, value in {"trials": trials, "epochs": tune_epochs}.items() if value is not None}
    changes = {key: value for key, value in given.items() if value is not None} | {"tune": tune}
    networks = _words(preset)
    if file is not None and networks:
        raise ConfigError(f"the networks stand in {file}: drop --preset, or write [network.{networks[0]}] there")
    if file is not None:
        chosen = Study.read(file, above, **changes)
    else:
        networks = networks or ["event-digits"]
        table = {"network": {name: {"preset": name} for name in networks}}
        chosen = Study.of(table, "command line", above=above, **changes)
    if dry_run:
        print(chosen.to_toml(), end="")
        return
    executor = OnRay(chosen.workers, threads_each(chosen.workers)) if ray else None
    label = file.stem if file else "+".join(networks or [])
    folder = run(chosen, out or Path("runs") / "compare" / label, executor=executor)
    print(f"{folder.table_file}\n{folder.report_file}")


def _words(options: list[str] | None) -> list[str] | None:
    """Return the words of an option that was repeated, or given words separated by commas."""
    return None if options is None else [word for option in options for word in option.split(",") if word]
