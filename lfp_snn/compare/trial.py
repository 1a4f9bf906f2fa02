"""A trial of a search, as a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lfp_snn.compare.executor import Task
from lfp_snn.compare.folder import check, outcome
from lfp_snn.compare.search import Search
from lfp_snn.compare.worker import do_trial
from lfp_snn.training.config import Config

DIVERGED = 0.0
"""The accuracy of a trial that diverged."""


@dataclass(eq=False)
class TrialJob:
    """One trial.

    Attributes
    ----------
    name : str
        What it is called in messages.
    number : int
        Its place in the search, from 0.
    search : Search
        Says what to try.
    folder : Path
        Of the trial's run.
    configure : callable
        ``configure(values)`` is the configuration with the values that are tried.
    told : callable, optional
        Called when the search has been told of the result.
    """

    name: str
    number: int
    search: Search
    folder: Path
    configure: Callable[[dict[str, Any]], Config]
    told: Callable[[], None] = lambda: None

    def ready(self) -> bool:
        """Whether all trials are done that the search wants to know of."""
        asked = len(self.search.values)
        return self.number < asked or (self.number == asked and self.search.ready())

    def done(self) -> bool:
        """Whether there is an accuracy; the search is then told."""
        check(self.folder, self.config)
        ended = outcome(self.folder, "trial.json")
        if ended is None:
            return False
        self.search.tell(self.number, ended.get("val_accuracy", DIVERGED))
        self.told()
        return True

    def task(self) -> tuple[Task, tuple[Any, ...]]:
        """Return what a worker is to do."""
        return do_trial, (self.folder, self.config)

    def result(self) -> str:
        """Word the result."""
        values = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.values.items())
        diverged = "" if (self.folder / "trial.json").exists() else " (diverged)"
        return f"{values}: validation {100 * self.search.scores[self.number]:.2f} %{diverged}"

    @property
    def values(self) -> dict[str, Any]:
        """What is tried."""
        if self.number == len(self.search.values):
            self.search.ask()
        return self.search.values[self.number]

    @property
    def config(self) -> Config:
        """The configuration with the values that are tried."""
        return self.configure(self.values)
