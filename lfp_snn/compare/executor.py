"""Where the work is done: in processes of this machine, or on Ray.

A task is a function that leaves its result in files. Each has a process of its own: its peak memory is its own, and if
it is killed the others go on. `submit` gives a `Future` whose result is None, or what went wrong.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock, Thread
from typing import Any, Protocol, Self

import torch

from lfp_snn.errors import LfpError, require
from lfp_snn.kernels.memory import keep_memory

Task = Callable[..., None]


class Executor(Protocol):
    """Something that does tasks; used in a ``with``, which ends what is still running when an error leaves it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def submit(self, function: Task, *arguments: Any) -> Future[str | None]:
        """Do ``function(*arguments)``; the result is None, or what went wrong, in words."""
        ...


def threads_each(workers: int) -> int:
    """Return how many threads each of so many processes may use: the machine's cores, shared.

    ``OMP_NUM_THREADS``, where somebody set it, is an upper bound.

    Examples
    --------
    >>> threads_each(1000)
    1
    """
    cores = len(os.sched_getaffinity(0))
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores // workers, int(asked) if asked.isdigit() else cores))


def attempt(threads: int, function: Task, *arguments: Any) -> str | None:
    """Do a task on so many threads; return None, or what went wrong (for a bug, with its traceback)."""
    torch.set_num_threads(threads)
    try:
        function(*arguments)
    except LfpError as e:
        return str(e)
    except Exception:
        return traceback.format_exc().rstrip()
    return None


class Processes:
    """Workers on this machine: a fresh process a task.

    They end when this process does, even by SIGKILL: each waits for that on a pipe.

    Parameters
    ----------
    workers : int
        Tasks at a time.
    threads : int
        Threads of each.
    """

    def __init__(self, workers: int, threads: int) -> None:
        self.workers, self.threads = workers, threads
        self._context = get_context("spawn")
        self._lock, self._stopped = Lock(), False
        self._running: set[BaseProcess] = set()
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        # torch and BLAS read it when they are loaded, which a process does before any line of ours.
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        self._exit.enter_context(_environment(dict.fromkeys(names, str(self.threads))))
        # Ctrl-C goes to all processes of a terminal: the workers leave it to this one. They inherit the mask of the
        # thread that starts them, which the first start of Python's resource tracker would undo.
        resource_tracker.ensure_running()  # type: ignore[attr-defined,unused-ignore]
        self._threads = self._exit.enter_context(
            ThreadPoolExecutor(
                self.workers, initializer=signal.pthread_sigmask, initargs=(signal.SIG_BLOCK, {signal.SIGINT})
            )
        )
        return self

    def __exit__(self, *error: object) -> None:
        if any(error):
            with self._lock:
                self._stopped = True
                for process in self._running:
                    process.kill()
        self._exit.close()

    def submit(self, function: Task, *arguments: Any) -> Future[str | None]:
        """Do ``function(*arguments)`` in a process of its own; the result is None, or what went wrong, in words."""
        return self._threads.submit(self._work, function, arguments)

    def _work(self, function: Task, arguments: tuple[Any, ...]) -> str | None:
        """Start a process and wait for its answer."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_serve, args=(sender, self.threads, function, arguments))
        with self._lock:
            if self._stopped:
                return "interrupted"
            process.start()
            self._running.add(process)
        sender.close()
        try:
            answer: str | None = receiver.recv()
        except EOFError:
            process.join()
            answer = _death(process.exitcode)
        finally:
            process.join()
            with self._lock:
                self._running.discard(process)
        return answer


def _serve(sender: Connection, threads: int, function: Task, arguments: Iterable[Any]) -> None:
    """Be a worker."""
    Thread(target=_end_with_parent, daemon=True).start()
    keep_memory()
    sender.send(attempt(threads, function, *arguments))


def _end_with_parent() -> None:
    """Wait until the parent process is gone, and end this one at once."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _death(code: int | None) -> str:
    """Word how a process ended that gave no answer."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = ": out of memory? Take fewer workers, or a smaller batch" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with exit code {code}"


@contextmanager
def _environment(values: dict[str, str]) -> Any:
    """Set environment variables inside, and put them back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class OnRay:
    """Workers on the machines of a Ray cluster (``RAY_ADDRESS``), or on this one if there is none.

    The machines must share the folder that is written, and have the data.

    Parameters
    ----------
    workers : int
        Tasks that share the GPUs, if the cluster has any.
    threads : int
        Threads, and cores reserved, of each task.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    """

    def __init__(self, workers: int, threads: int) -> None:
        self.workers, self.threads = workers, threads
        self._ray: Any = require("ray", "ray")

    def __enter__(self) -> Self:
        ray = self._ray
        ray.init(ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
        gpus = ray.cluster_resources().get("GPU", 0)
        variables = {name: value for name in ("LFP_SNN_DATA",) if (value := os.environ.get(name))}
        self._attempt = ray.remote(
            max_calls=1,  # a fresh process a task
            max_retries=0,
            num_cpus=self.threads,
            num_gpus=min(1, gpus / self.workers) if gpus else 0,
            runtime_env={"env_vars": variables},
        )(attempt)
        return self

    def __exit__(self, *error: object) -> None:
        self._ray.shutdown()

    def submit(self, function: Task, *arguments: Any) -> Future[str | None]:
        """Do ``function(*arguments)`` on some machine; the result is None, or what went wrong, in words."""
        future: Future[str | None] = self._attempt.remote(self.threads, function, *arguments).future()
        return future
