"""What a person sees while many runs go on: a live count on a terminal, and a line for each that has ended."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lfp_snn.compare.schedule import Failure, Job


class Board:
    """Show the progress of many jobs on a console.

    Parameters
    ----------
    total : int
        Number of jobs.
    before : int
        How many of them were done already.
    console : Console, optional
        Where to write. Default: standard error, so that standard output stays free for results.
    """

    def __init__(self, total: int, before: int = 0, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.total, self.ended = total, before
        self._running: list[str] = []
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self._task = self._bar.add_task("", total=total, completed=before)
        if before:
            self.say(f"{before} of {total} were done before")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if kind is KeyboardInterrupt:
            self.say("interrupted; the same command goes on from here")

    def say(self, text: str) -> None:
        """Write a line."""
        self.console.print(escape(text), soft_wrap=True)

    def begun(self, job: Job) -> None:
        """Show that a job runs."""
        self._running.append(job.name)
        self._show()

    def finished(self, job: Job) -> None:
        """Write the line of a job that is done."""
        self._end(job.name, f"{job.name}: {job.result()}")

    def failed(self, failure: Failure) -> None:
        """Write the line of a job that was not done."""
        self._end(failure.name, f"{failure.name} FAILED: {failure.reason}")

    def _end(self, name: str, text: str) -> None:
        self.ended += 1
        if name in self._running:
            self._running.remove(name)
        self.say(f"[{self.ended:>{len(str(self.total))}}/{self.total}] {text}")
        self._show()

    def _show(self) -> None:
        self._bar.update(self._task, completed=self.ended, description=escape(", ".join(self._running)))
