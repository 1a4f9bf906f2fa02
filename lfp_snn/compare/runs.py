"""Run a comparison: search the learning rates, train every network by every method from every seed, write the report.

The work can be killed at any moment, and is gone on with by doing the same again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lfp_snn.atomic import write_text
from lfp_snn.compare.board import Board
from lfp_snn.compare.executor import Executor, Processes, Task, threads_each
from lfp_snn.compare.folder import ComparisonFolder, belongs, check, outcome, read_json
from lfp_snn.compare.lock import locked
from lfp_snn.compare.schedule import Failure, Job, settle, tell, work
from lfp_snn.compare.search import Search
from lfp_snn.compare.space import Range
from lfp_snn.compare.study import Network, Study
from lfp_snn.compare.trial import TrialJob
from lfp_snn.compare.worker import do_run
from lfp_snn.errors import ConfigError, LfpError, require
from lfp_snn.training.config import Config, apply
from lfp_snn.training.run_folder import write_json
from lfp_snn.training.seeding import derive

REPORT_EVERY = 60.0
"""Seconds between two reports while runs go on."""


class Tuning:
    """The search for the learning rate of one network and one method.

    Parameters
    ----------
    study : Study
        What is compared.
    network : Network
        The network, which says how long to search and where.
    method : str
        Label of the method.
    folder : path
        Of the search.
    """

    def __init__(self, study: Study, network: Network, method: str, folder: Path) -> None:
        self.tune, self.folder = network.tune, folder
        self.base = study.config(network, method, self.tune.seed)
        self.jobs: list[TrialJob] = []
        if self.tune.trials:
            lr, span = self.base.optimizer.lr, self.tune.span
            first = [{"lr": lr * factor} for factor in (1.0, 3.0, 1 / 3.0) if 1 / span <= factor <= span]
            seed = derive(self.tune.seed)
            search = Search({"lr": Range(lr / span, lr * span, log=True)}, seed=seed, first=first, startup=len(first))
            name = f"tune {network.label} {method} trial "
            for k in range(self.tune.trials):
                self.jobs.append(TrialJob(f"{name}{k}", k, search, folder / f"trial{k}", self.configure, self.write))

    def configure(self, values: dict[str, float]) -> Config:
        """Return the configuration of a trial."""
        changes = {"optimizer": {"lr": values["lr"]}, "training": {"epochs": self.tune.epochs}}
        return apply(self.base, changes)

    def lr(self) -> float | None:
        """Return the learning rate that is best on the validation split, None as long as it is searched for."""
        if not self.jobs:
            return self.base.optimizer.lr
        search = self.jobs[0].search
        if len(search.scores) < len(self.jobs):
            return None
        lr: float = search.values[search.best()]["lr"]
        return lr

    def write(self) -> None:
        """Write ``tuned.json``, if there was a search and it has ended."""
        lr = self.lr()
        if not self.jobs or lr is None:
            return
        search = self.jobs[0].search
        trials = [{"lr": v["lr"], "val_accuracy": search.scores[k]} for k, v in enumerate(search.values)]
        content = {"lr": lr, "trials": trials, "epochs": self.tune.epochs}
        if read_json(self.folder / "tuned.json") != content:
            write_json(self.folder / "tuned.json", content)


@dataclass(eq=False)
class RunJob:
    """One run of a comparison.

    Attributes
    ----------
    name : str
        What it is called in messages.
    folder : Path
        Of the run.
    base : Config
        Its configuration but for the learning rate.
    tuning : Tuning
        What finds the learning rate.
    prune : tuple of float
        Shares of the weights to prune afterwards.
    """

    name: str
    folder: Path
    base: Config
    tuning: Tuning
    prune: tuple[float, ...]

    def ready(self) -> bool:
        """Whether the learning rate has been found."""
        return self.tuning.lr() is not None

    def done(self) -> bool:
        """Whether it was trained and measured, or has diverged."""
        check(self.folder, self.config)
        return outcome(self.folder, "measures.json") is not None

    def task(self) -> tuple[Task, tuple[Any, ...]]:
        """Return what a worker is to do."""
        return do_run, (self.folder, self.config, self.prune)

    def result(self) -> str:
        """Word the result."""
        if (failed := read_json(self.folder / "failed.json")) is not None:
            return f"diverged: {failed['error']}"
        summary = read_json(self.folder / "summary.json")
        assert summary is not None
        return f"test {100 * summary['test_accuracy']:.2f} %, trained for {summary['train_seconds']:.0f} s"

    @property
    def config(self) -> Config:
        """The configuration with the learning rate that was found."""
        return apply(self.base, {"optimizer": {"lr": self.tuning.lr()}})


def plan(study: Study, folder: ComparisonFolder) -> list[Job]:
    """Return the jobs of a comparison in the order of the work, each search before the first run that needs it.

    Examples
    --------
    >>> study = Study.of({"methods": ["lfp", "surrogate"], "seeds": 2, "network": {"event-digits": {}}})
    >>> for job in plan(study, ComparisonFolder("out")):
    ...     print(job.name)
    event-digits lfp seed 0
    event-digits surrogate seed 0
    event-digits lfp seed 1
    event-digits surrogate seed 1
    """
    jobs: list[Job] = []
    tunings: dict[tuple[str, str], Tuning] = {}
    for network, method, seed in study.runs():
        key = (network.label, method)
        if key not in tunings:
            tunings[key] = Tuning(study, network, method, folder.tune(*key))
            jobs += tunings[key].jobs
        name, base = f"{network.label} {method} seed {seed}", study.config(network, method, seed)
        jobs.append(RunJob(name, folder.run(*key, seed), base, tunings[key], study.measure.prune))
    return jobs


def compare(study: Study, out: str | Path, *, executor: Executor | None = None) -> ComparisonFolder:
    """Run a comparison, or go on with one.

    Runs that are finished are not repeated, those that were interrupted are resumed. A study may grow: more seeds,
    methods or networks add runs to what is there.

    Parameters
    ----------
    study : Study
        What is compared.
    out : path
        Folder of the comparison: new, empty, or that of a comparison.
    executor : Executor, optional
        What does the work. Default: ``study.workers`` processes that share the cores of this machine.

    Returns
    -------
    ComparisonFolder
        Where everything lies, the report among it.

    Raises
    ------
    ConfigError
        If the folder holds other runs than the study's, or another process works in it.
    LfpError
        If runs failed, with the list of them; all others are finished then, and the report is written. (A run that
        diverged has not failed: that is its result.)
    """
    require("jinja2", "compare")  # better now than after a night of training
    folder = ComparisonFolder(out)
    if not belongs(folder.path, {".lock", "runs", "tune"}):
        raise ConfigError(f"{out} is neither empty nor the folder of a comparison: choose another --out")
    with locked(folder.lock_file, refuse=f"another process is at work in {out}: wait for it, or choose another --out"):
        jobs = plan(study, folder)
        left = settle(jobs)
        write_text(folder.study_file, study.to_toml())
        executor = executor or Processes(study.workers, threads_each(study.workers))
        with Board(len(jobs), len(jobs) - len(left)) as board, executor:
            failures = _work(left, executor, study.workers, board, folder)
        _report(folder)
    if failures:
        raise LfpError(f"{tell(failures, len(jobs))}\nThe report of the others: {folder.report_file}")
    return folder


def _work(jobs: list[Job], executor: Executor, workers: int, board: Board, folder: ComparisonFolder) -> list[Failure]:
    """Do the jobs, and write down learning rates, and now and then the report, as they come."""
    reported = time.monotonic()

    def finished(job: Job) -> None:
        nonlocal reported
        board.finished(job)
        if time.monotonic() - reported > REPORT_EVERY:
            try:
                _report(folder)
            except Exception as e:  # a report that cannot be drawn half-way is no reason to stop training
                board.say(f"the report cannot be written yet: {e}")
            reported = time.monotonic()

    return work(jobs, executor, workers, begun=board.begun, finished=finished, failed=board.failed)


def _report(folder: ComparisonFolder) -> None:
    """Write the report of what there is."""
    from lfp_snn.compare.report import write_report  # matplotlib takes its time: not in every worker

    write_report(folder.path)
