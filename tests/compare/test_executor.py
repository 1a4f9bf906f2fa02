"""Worker processes: what they inherit, how they end, and what is said of it; Ray, where it is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lfp_snn.compare.executor import OnRay, Processes, _death, attempt, threads_each
from lfp_snn.errors import ConfigError, MissingExtraError


def test_a_worker_that_is_killed_takes_no_other_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    command = ["sh", "-c", f'echo "$OMP_NUM_THREADS" "$MKL_NUM_THREADS" > {tmp_path}/seen']
    with Processes(workers=2, threads=1) as pool:
        killed = pool.submit(signal.raise_signal, signal.SIGKILL)
        other = pool.submit(subprocess.check_call, command)
        assert "ended by SIGKILL: out of memory?" in str(killed.result())
        assert other.result() is None
    assert (tmp_path / "seen").read_text() == "1 1\n"
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_an_interrupt_ends_the_workers() -> None:
    futures = []

    def interrupted() -> None:
        with Processes(workers=1, threads=1) as pool:
            futures.extend(pool.submit(signal.pause) for _ in range(2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all(future.done() for future in futures)


def refuse() -> None:
    raise ConfigError("there is no such thing")


def test_says_what_went_wrong() -> None:
    threads = torch.get_num_threads()
    assert attempt(threads, refuse) == "there is no such thing"
    bug = attempt(threads, int, "x")
    assert bug is not None
    assert bug.startswith("Traceback")
    assert bug.endswith("invalid literal for int() with base 10: 'x'")
    assert attempt(threads, int, "1") is None
    assert _death(3) == "its process ended with exit code 3"
    assert _death(-signal.SIGSEGV) == "its process was ended by SIGSEGV"


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_each(workers) for workers in (1, 2, 3, 16)] == [8, 4, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [threads_each(workers) for workers in (1, 2, 16)] == [2, 2, 1]


def test_ray_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=r"pip install 'lfp-snn\[ray\]'"):
        OnRay(workers=1, threads=1)


def write_threads(file: Path) -> None:
    file.write_text(f"{os.getpid()} {torch.get_num_threads()}")
    if file.name == "refused":
        raise ConfigError("there is no such thing")


def test_ray_does_tasks_in_fresh_processes(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with OnRay(workers=2, threads=1) as pool:
        answers = [pool.submit(write_threads, tmp_path / name) for name in ("a", "refused")]
        killed = pool.submit(signal.raise_signal, signal.SIGKILL)
        assert [answer.result() for answer in answers] == [None, "there is no such thing"]
        assert killed.exception() is not None
    (one, threads), (other, _) = ((tmp_path / name).read_text().split() for name in ("a", "refused"))
    assert one != other
    assert threads == "1"
