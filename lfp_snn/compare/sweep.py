"""Search for hyper-parameters: any keys of the configuration, by the best validation accuracy.

The test split is never looked at. Like a comparison, a sweep can be killed at any moment, and is gone on with by doing
the same again.

::

    sweep.toml                what is searched, resolved
    trials/trial<k>/          the folders of the trials, and in them trial.json or failed.json
    trials.csv results.json   all trials
    best.toml                 a configuration for lfp-snn train --config
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from lfp_snn.atomic import write_text
from lfp_snn.compare.board import Board
from lfp_snn.compare.executor import Executor, Processes, threads_each
from lfp_snn.compare.folder import belongs, flat
from lfp_snn.compare.layers import SECTIONS, fill, known_keys, plain_toml, resolve
from lfp_snn.compare.lock import locked
from lfp_snn.compare.schedule import settle, tell, work
from lfp_snn.compare.search import Search
from lfp_snn.compare.space import Choice, Range, Space, layer, parse_space
from lfp_snn.compare.trial import TrialJob
from lfp_snn.errors import ConfigError, LfpError
from lfp_snn.training.config import Config, apply, option, read_toml
from lfp_snn.training.run_folder import write_json


@dataclass(frozen=True)
class _Head:
    """The fields of a sweep that are not tables."""

    trials: int = option(20, "values that are tried", least=1)
    workers: int = option(1, "trials at a time", least=1)
    ahead: int = option(0, "trials drawn before the results of earlier ones; 0: as many as there are workers", least=0)
    sampler_seed: int = option(0, "seed of the sampler; that of the trials is training.seed", least=0)


@dataclass(frozen=True)
class Sweep:
    """A search.

    Attributes
    ----------
    config : Config
        What is not searched.
    space : mapping
        Dotted key -> `Range` or `Choice`.
    trials : int
        How many combinations are tried.
    workers : int
        Trials at a time.
    ahead : int
        Trials that are drawn before the results of earlier ones; the search is the same whenever it is.
    sampler_seed : int
        Of the sampler.

    Examples
    --------
    >>> sweep = Sweep.of({"preset": "event-digits", "space": {"optimizer.lr": "1e-4..1e-1:log"}})
    >>> sweep.space, sweep.trials
    ({'optimizer.lr': Range(low=0.0001, high=0.1, log=True)}, 20)
    """

    config: Config
    space: Space
    trials: int
    workers: int
    ahead: int
    sampler_seed: int

    @classmethod
    def read(cls, path: str | Path, above: Mapping[str, Any] | None = None, **changes: Any) -> Sweep:
        """Read a sweep from a TOML file; `above` and `changes` as for `of`."""
        return cls.of(read_toml(path), str(path), Path(path).parent, above, **changes)

    @classmethod
    def of(
        cls,
        table: Mapping[str, Any],
        source: str = "sweep",
        folder: Path | None = None,
        above: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Sweep:
        """Make a sweep of a table as TOML has it.

        Parameters
        ----------
        table : mapping
            ``trials``, ``workers``, ``ahead``, ``sampler_seed``; ``preset`` and/or ``file`` and sections of the
            configuration; ``space``, see `parse_space`.
        source : str
            Where it comes from, for the error messages.
        folder : path, optional
            What the path of a file in it is relative to. Default: the working directory.
        above : mapping, optional
            Sections of the configuration that are put on top.
        **changes
            ``preset``, ``trials`` and ``workers`` in place of the table's, and ``space`` besides its own.

        Raises
        ------
        ConfigError
            For anything that is unknown, of the wrong type or contradictory.
        """
        given = [table.get("space", {}), changes.pop("space", {})]
        table = {**table, **changes}
        names = [f.name for f in dataclasses.fields(_Head)]
        known_keys(table, [*names, "preset", "file", "space", *SECTIONS], f"{source}:")
        head = fill(_Head(), {k: v for k, v in table.items() if k in names}, f"{source}:")
        base = {k: v for k, v in table.items() if k in ("preset", "file", *SECTIONS)}
        config = resolve(base, f"{source}:", folder or Path(), above or {})
        config = apply(config, {"training": {"figures": False}})
        if not all(isinstance(part, Mapping) for part in given) or not any(given):
            raise ConfigError(f"{source}: nothing is searched: name keys and their values in [space], or by --space")
        space = {key: options for part in given for key, options in parse_space(part, f"{source}: [space]").items()}
        for key, options in space.items():
            if key in ("training.seed", "training.devices", "training.figures") or "." not in key:
                raise ConfigError(f"{source}: [space] {key} is not searched: name keys as in --optimizer.lr")
            for value in options.edges():
                apply(config, layer({key: value}), f"{source}: [space]")
            space[key] = _of_the_key(options, key, config)
        return cls(config, space, head.trials, head.workers, head.ahead or head.workers, head.sampler_seed)

    def configure(self, values: Mapping[str, Any]) -> Config:
        """Return the configuration with values of the space."""
        return apply(self.config, layer(values))

    def first(self) -> dict[str, Any]:
        """Return the configuration's own values, as far as they lie in the space: the first trial."""
        own = {
            **flat(self.config.to_dict()),
            **{f"{s}.{k}": v for s, t in self.config.to_dict().items() for k, v in t.items()},
        }
        return {key: own[key] for key, options in self.space.items() if key in own and own[key] in options}

    def to_toml(self) -> str:
        """Return the sweep as TOML, with everything that was resolved; it reads as the same sweep."""
        space = {
            key: list(options.values) if isinstance(options, Choice) else dataclasses.asdict(options)
            for key, options in self.space.items()
        }
        head = {f.name: getattr(self, f.name) for f in dataclasses.fields(_Head)}
        return tomli_w.dumps(plain_toml({**head, "space": space, **self.config.to_dict()}))


def _of_the_key(options: Range | Choice, key: str, config: Config) -> Range | Choice:
    """Return a range between integers as one of numbers, where the key takes those."""
    if isinstance(options, Range) and options.integer:
        try:
            apply(config, layer({key: options.low + 0.5}))
        except ConfigError:
            return options
        return dataclasses.replace(options, low=float(options.low), high=float(options.high))
    return options


def sweep(search: Sweep, out: str | Path, *, executor: Executor | None = None) -> dict[str, Any]:
    """Run a search, or go on with one.

    Parameters
    ----------
    search : Sweep
        What is searched.
    out : path
        Folder of the sweep: new, empty, or that of a sweep.
    executor : Executor, optional
        What does the work. Default: ``search.workers`` processes that share the cores of this machine.

    Returns
    -------
    dict
        The best trial, as in ``results.json``: its number, values and validation accuracy.

    Raises
    ------
    ConfigError
        If the folder holds other trials than the sweep's, or another process works in it.
    LfpError
        If trials failed. (One that diverged has not: its accuracy is 0.)
    MissingExtraError
        If optuna is not installed (extra ``compare``).
    """
    folder = Path(out).absolute()
    file = folder / "sweep.toml"
    if not belongs(folder, {".lock", "trials"}):
        raise ConfigError(f"{out} is neither empty nor the folder of a sweep: choose another --out")
    with locked(folder / ".lock", refuse=f"another process is at work in {out}: wait for it, or choose another --out"):
        if file.exists():  # as many ahead as at the first start, so that the same values are drawn
            search = dataclasses.replace(search, ahead=Sweep.read(file).ahead)
        asker = Search(search.space, seed=search.sampler_seed, first=[search.first()], ahead=search.ahead)
        jobs = [
            TrialJob(f"trial {k}", k, asker, folder / "trials" / f"trial{k}", search.configure)
            for k in range(search.trials)
        ]
        left = settle(jobs)
        write_text(file, search.to_toml())
        executor = executor or Processes(search.workers, threads_each(search.workers))
        with Board(len(jobs), len(jobs) - len(left)) as board, executor:
            failures = work(
                left, executor, search.workers, begun=board.begun, finished=board.finished, failed=board.failed
            )
        best = _write(folder, search, asker)
    if failures:
        raise LfpError(tell(failures, len(jobs)))
    return best


def _write(folder: Path, search: Sweep, asker: Search) -> dict[str, Any]:
    """Write all trials, and the best one as a configuration; return the best one."""
    trials: list[dict[str, Any]] = [
        {"trial": k, "values": asker.values[k], "val_accuracy": score} for k, score in sorted(asker.scores.items())
    ]
    if not trials:
        return {}
    best = next(t for t in trials if t["trial"] == asker.best())
    write_json(folder / "results.json", {"best": best, "trials": trials})
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["trial", *search.space, "val_accuracy"])
    rows.writerows([t["trial"], *t["values"].values(), t["val_accuracy"]] for t in trials)
    write_text(folder / "trials.csv", text.getvalue())
    chosen = apply(search.configure(best["values"]), {"training": {"figures": True}})
    write_text(folder / "best.toml", chosen.to_toml())
    return best
