"""Do jobs in their order, as many at a time as there are workers, each as soon as what it waits for is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass
from typing import Any, Protocol

from lfp_snn.compare.executor import Executor, Task
from lfp_snn.errors import LfpError


class Job(Protocol):
    """Something to be done by a worker, whose result lies in files."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def ready(self) -> bool:
        """Whether what it waits for is done."""
        ...

    def done(self) -> bool:
        """Whether its result is there (it is then taken in); only asked when it is ready.

        Raises
        ------
        ConfigError
            If what is there is something else's.
        """
        ...

    def task(self) -> tuple[Task, tuple[Any, ...]]:
        """Return the function that a worker is to call, and its arguments."""
        ...

    def result(self) -> str:
        """Word the result in a line."""
        ...


@dataclass(frozen=True)
class Failure:
    """A job that was not done, and why."""

    name: str
    reason: str


def settle(jobs: Sequence[Job]) -> list[Job]:
    """Take in all results that are there already, and return the jobs that are left.

    Raises
    ------
    ConfigError
        If the results of something else are in the place of a job's.
    """
    left = list(jobs)
    while found := [job for job in left if job.ready() and job.done()]:
        left = [job for job in left if job not in found]
    return left


def work(
    jobs: Sequence[Job],
    executor: Executor,
    slots: int,
    *,
    begun: Callable[[Job], None] = lambda job: None,
    finished: Callable[[Job], None] = lambda job: None,
    failed: Callable[[Failure], None] = lambda failure: None,
) -> list[Failure]:
    """Do jobs.

    Parameters
    ----------
    jobs : sequence of Job
        In the order in which they are wanted; one that is not ready lets later ones go first.
    executor : Executor
        What does them.
    slots : int
        How many at a time.
    begun, finished, failed : callable
        Told of each job.

    Returns
    -------
    list of Failure
        The jobs that were not done: those that went wrong, and those that waited for one of them.
    """
    waiting, failures = list(jobs), []
    running: dict[Future[str | None], Job] = {}

    def fail(job: Job, reason: str) -> None:
        failures.append(Failure(job.name, reason))
        failed(failures[-1])

    while True:
        job = next((j for j in waiting if j.ready()), None) if len(running) < slots else None
        if job is not None:
            waiting.remove(job)
            try:
                done = job.done()
            except LfpError as e:
                fail(job, str(e))
                continue
            if done:
                finished(job)
            else:
                running[executor.submit(job.task()[0], *job.task()[1])] = job
                begun(job)
        elif running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                reason = _reason(future) or _left(job)
                if reason is None:
                    finished(job)
                else:
                    fail(job, reason)
        else:
            break
    for job in waiting:
        fail(job, "not begun, because what it waits for failed")
    return failures


def _left(job: Job) -> str | None:
    """Return what is wrong with the result that a task left, None if it is there."""
    try:
        return None if job.done() else "it left no result"
    except LfpError as e:
        return str(e)


def _reason(future: Future[str | None]) -> str | None:
    """Return what went wrong with a task, None if nothing did."""
    try:
        return future.result()
    except CancelledError:
        return "cancelled"
    except Exception as e:  # the process died, wherever it was
        return f"{type(e).__name__}: {e}".splitlines()[0]


def tell(failures: Sequence[Failure], total: int) -> str:
    """Word which jobs were not done.

    Examples
    --------
    >>> print(tell([Failure("mnist-mlp lfp seed 0", "no space left on device")], 6))
    1 of 6 did not come to an end; the same command tries again:
      mnist-mlp lfp seed 0: no space left on device
    """
    lines = [f"  {f.name}: {_headline(f.reason)}" for f in failures]
    return "\n".join([f"{len(failures)} of {total} did not come to an end; the same command tries again:", *lines])


def _headline(reason: str) -> str:
    """Return the line that matters most: the last of a traceback, the first of a message."""
    return reason.splitlines()[-1 if reason.startswith("Traceback") else 0]
