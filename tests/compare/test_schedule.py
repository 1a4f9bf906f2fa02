"""Jobs are done in order, as many at a time as there are slots, after what they wait for; the others go on."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

from lfp_snn.compare.executor import Task, attempt
from lfp_snn.compare.schedule import Failure, settle, work
from lfp_snn.errors import ConfigError, LfpError


@dataclass(eq=False)
class Noted:
    """A job that writes its name into a list."""

    name: str
    book: list[str]
    after: list[Noted] = field(default_factory=list)
    error: BaseException | None = None
    claimed: bool = False

    def ready(self) -> bool:
        return all(job.name in job.book for job in self.after)

    def done(self) -> bool:
        if self.claimed:
            raise ConfigError("belongs to somebody else")
        return self.name in self.book

    def task(self) -> tuple[Task, tuple[Any, ...]]:
        return self.write, ()

    def write(self) -> None:
        if self.error is not None:
            raise self.error
        self.book.append(self.name)

    def result(self) -> str:
        return self.name


class Threads:
    """Does tasks in threads, and counts how many at a time."""

    def __init__(self, slots: int) -> None:
        self.pool, self.most, self.now, self.lock = ThreadPoolExecutor(slots + 2), 0, 0, threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown()

    def submit(self, function: Task, *arguments: Any) -> Future[str | None]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        return self.pool.submit(self.count, function, *arguments)

    def count(self, function: Task, *arguments: Any) -> str | None:
        answer = attempt(1, function, *arguments)
        with self.lock:
            self.now -= 1
        return answer


def do(jobs: list[Noted], slots: int = 1) -> tuple[list[Failure], int]:
    with Threads(slots) as executor:
        return work(jobs, executor, slots), executor.most


def test_in_order_one_at_a_time() -> None:
    book: list[str] = []
    assert do([Noted(name, book) for name in "abcde"]) == ([], 1)
    assert book == list("abcde")


def test_no_more_at_a_time_than_slots() -> None:
    book: list[str] = []
    failures, most = do([Noted(str(k), book) for k in range(30)], slots=3)
    assert (failures, sorted(book, key=int)) == ([], [str(k) for k in range(30)])
    assert most <= 3


def test_what_waits_lets_others_go_first() -> None:
    book: list[str] = []
    tune = Noted("tune", book)
    jobs = [Noted("run", book, [tune]), Noted("other", book), tune]
    assert do(jobs)[0] == []
    assert book == ["other", "tune", "run"]


def test_what_is_done_is_not_done_again() -> None:
    book = ["a", "b"]
    jobs = [Noted("a", book), Noted("c", book), Noted("b", book)]
    assert [job.name for job in settle(jobs)] == ["c"]
    do(jobs)
    assert book == ["a", "b", "c"]


def test_settling_goes_on_from_what_it_finds() -> None:
    book = ["tune", "run"]
    tune = Noted("tune", book)
    assert settle([Noted("run", book, [tune]), tune]) == []


def test_failures_take_down_only_what_waits_for_them() -> None:
    book: list[str] = []
    bad = Noted("bad", book, error=LfpError("no such data"))
    bug = Noted("bug", book, error=KeyError("name"))
    jobs = [bad, Noted("waits", book, [bad]), bug, Noted("taken", book, claimed=True), Noted("good", book)]
    failures, _ = do(jobs)
    assert book == ["good"]
    reasons = {failure.name: failure.reason for failure in failures}
    assert reasons["bad"] == "no such data"
    assert reasons["waits"] == "not begun, because what it waits for failed"
    assert reasons["taken"] == "belongs to somebody else"
    assert "Traceback" in reasons["bug"]
    assert reasons["bug"].endswith("KeyError: 'name'")


def test_a_result_that_cannot_be_read_is_a_failure() -> None:
    book: list[str] = []
    job = Noted("taken", book)
    job.write = lambda: setattr(job, "claimed", True)  # type: ignore[method-assign]
    assert do([job, Noted("good", book)])[0] == [Failure("taken", "belongs to somebody else")]
    assert book == ["good"]


def test_a_task_without_a_result_is_a_failure() -> None:
    job = Noted("forgets", [])
    job.write = lambda: None  # type: ignore[method-assign]
    assert do([job])[0] == [Failure("forgets", "it left no result")]
