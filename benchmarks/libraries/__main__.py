"""The same training step by this package and by others: one table, and plots of how cost grows.

    python -m benchmarks.libraries                                # all workloads and libraries; about half an hour
    python -m benchmarks.libraries --workloads 1 3 --rounds 20
    python -m benchmarks.libraries --sweep activity steps neurons batch
    python -m benchmarks.libraries --without lfprop               # saves making its virtual environment

Every library trains the same network, from the same weights, on the same data, with the same optimiser and number of
threads, each in a process of its own. In a round each takes three steps (forward, backward, optimiser) in turn, and
ratios are taken within the round, so that a machine that is busy with other things slows all of them. The last two are
timed: in the first the caches hold what the process before left there, whose threads go on spinning for some
milliseconds, as they do not where a network is trained. Before that, the spikes of every library are compared with
those of this package's reference kernel under that library's way to reset. These processes have glibc keep its memory
(docs/synapses.md), which helps all of them. Memory is measured in processes of its own, which do not keep any: what
three steps need at their most, weights and optimiser included, beyond the library itself.

``lfprop`` 1.0.0 needs older packages, so it gets a virtual environment of its own, kept in ``--out``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.libraries.contenders import CONTENDERS, FLOORS, network
from benchmarks.libraries.report import plot, table
from benchmarks.libraries.workloads import WORKLOADS, Workload, mlp
from lfp_snn import kernels
from lfp_snn.models import calibrate

ROOT = Path(__file__).resolve().parents[2]
LFPROP = ["lfprop==1.0.0", "lxt<2", "snntorch<0.10", "transformers<5"]
RESET: dict[str, dict[str, Any]] = {
    "spikingjelly": {"reset_delay": False},
    "norse": {"reset": "zero", "reset_delay": False},
}
"""How a library's neurons reset, where it is not by subtraction at the next step."""

# One workload in several sizes: 1000-1000-10, events, T=25, B=64, 5 % active, but for what varies.
SWEEPS: dict[str, tuple[Sequence[float], Callable[[Any], Workload]]] = {
    "activity": ((0.01, 0.02, 0.05, 0.1, 0.2), lambda v: _one(activity=v, rate=v)),
    "steps": ((12, 25, 50, 100, 200), lambda v: _one(steps=v)),
    "neurons": ((250, 500, 1000, 2000), lambda v: _one(layers=mlp(v, v, 10), shape=(v,))),
    "batch": ((16, 32, 64, 128, 256), lambda v: _one(batch=v)),
}


def _one(**changes: Any) -> Workload:
    base = Workload("1000-1000-10, 5 % events, T=25, B=64", mlp(1000, 1000, 10), (1000,), 25, 64, 0.05, rate=0.05)
    return dataclasses.replace(base, **changes)


@torch.no_grad()
def prepared(workload: Workload) -> dict[str, Any]:
    """Return what all contenders are given; layers are scaled such that they fire at the workload's rate."""
    x, weights = workload.inputs(), workload.weights()
    net = network(workload, weights)
    if not workload.total:  # that workload takes fresh weights as they are
        calibrate(net, x, workload.rate, steps=workload.steps if workload.static else None)
    weights = [p.detach().clone() for p in net.parameters()]
    return {"workload": workload, "x": x, "y": workload.targets(), "weights": weights}


@torch.no_grad()
def reference(given: dict[str, Any], library: str) -> Tensor:
    """Return the spikes of the last layer by the reference kernel, with the library's way to reset."""
    workload: Workload = given["workload"]
    net = network(workload, given["weights"], **RESET.get(library, {}))
    with kernels.use(kernels.reference):
        spikes: Tensor = net(given["x"], steps=workload.steps) if workload.static else net(given["x"])
    return spikes


# As lfp_snn.keep_memory() does, for processes that may not have lfp_snn; and the opposite.
KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1), "MALLOC_TOP_PAD_": str(2**26)}
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": str(2**16), "MALLOC_TRIM_THRESHOLD_": str(2**16)}


class Worker:
    """A contender's process."""

    def __init__(self, name: str, file: Path, threads: int, python: str, memory: dict[str, str]) -> None:
        env = {
            **os.environ,
            **memory,
            "OMP_NUM_THREADS": str(threads),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
        }
        command = [python, "-m", "benchmarks.libraries.worker", name, str(file), str(threads)]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            command, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors
        )
        self.name = name
        self.cannot = self._answer().get("cannot")

    def ask(self, command: str) -> dict[str, Any]:
        """Give a command and return the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise RuntimeError(f"the process of {self.name} ended:\n{self.errors.read()[-2000:]}")
        return dict(json.loads(line))

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()


@contextmanager
def workers(
    given: dict[str, Any], names: Sequence[str], threads: int, lfprop: str, memory: dict[str, str]
) -> Iterator[list[Worker]]:
    """Start the contenders that can take a workload."""
    started: list[Worker] = []
    with tempfile.TemporaryDirectory() as folder:
        torch.save(given, Path(folder) / "workload.pt")
        try:
            for name in names:
                python = lfprop if name == "lfprop" else sys.executable
                started.append(Worker(name, Path(folder) / "workload.pt", threads, python, memory))
            yield [worker for worker in started if not worker.cannot]
        finally:
            for worker in started:
                worker.stop()


def measure(workload: Workload, names: Sequence[str], rounds: int, threads: int, lfprop: str) -> dict[str, Any]:
    """Check and time the contenders on a workload: seconds of every round, memory, and share of other spikes."""
    given = prepared(workload)
    found: dict[str, Any] = {}
    with workers(given, names, threads, lfprop, KEEP) as taking_part:
        for worker in taking_part:
            found[worker.name] = {"seconds": [], "memory": 0.0, "other_spikes": 0.0}
            if worker.name in FLOORS:
                continue
            with tempfile.NamedTemporaryFile(suffix=".pt") as file:
                worker.ask(f"spikes {file.name}")
                theirs, want = torch.load(file.name), reference(given, worker.name)
            other = float((theirs != want).float().mean())
            layers = sum(kind in ("lif", "recurrent") for kind, *_ in workload.layers)
            if not want.any() or other > 1e-3 * layers:  # sums in another order, at the threshold in every layer
                raise RuntimeError(
                    f"{worker.name} on {workload.name}: {other:.2%} of the spikes are not the reference's"
                )
            found[worker.name]["other_spikes"] = other
        for k in range(rounds + 2):
            for worker in taking_part:
                answer = worker.ask("step")
                if k >= 2:  # the first compile
                    found[worker.name]["seconds"].append(answer["seconds"])
    for name in found:
        with workers(given, [name], threads, lfprop, GIVE_BACK) as (worker,):
            found[name]["memory"] = worker.ask("memory")["memory"]
    return found


def environment(folder: Path) -> str:
    """Return the Python of a virtual environment with ``lfprop`` 1.0.0, made if it is not there."""
    python = folder / "bin" / "python"
    if not (folder / "ready").is_file():
        print(f"installing {', '.join(LFPROP)} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *LFPROP], check=True)
        (folder / "ready").touch()
    return str(python)


def main() -> None:
    """Measure what was asked for, print the table and draw the plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="*", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--sweep", nargs="*", choices=SWEEPS, help="how cost grows, in place of the workloads")
    parser.add_argument("--without", nargs="*", choices=CONTENDERS, default=[])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("runs/libraries"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    names = [name for name in CONTENDERS if name not in args.without]
    lfprop = "" if "lfprop" not in names or args.sweep else environment(args.out / "lfprop")
    print(f"{platform.machine()}, {args.threads} threads, {args.rounds} rounds, torch {torch.__version__}")
    if args.sweep:
        names = [name for name in names if name in ("lfp_snn LFP", "lfp_snn surrogate", "snntorch", "spikingjelly")]
        sweeps = {}
        for sweep in args.sweep:
            values, make = SWEEPS[sweep]
            found = sweeps[sweep] = {v: measure(make(v), names, args.rounds, args.threads, lfprop) for v in values}
            (args.out / f"sweep-{sweep}.json").write_text(json.dumps(found))
            for value, each in found.items():
                medians = (f"{name} {1e3 * statistics.median(e['seconds']):.1f}" for name, e in each.items())
                print(f"{sweep} {value:g}: ms a step: " + ", ".join(medians), flush=True)
        plot(sweeps, args.out / "sweeps.png")
        return
    for key in args.workloads:
        found = measure(WORKLOADS[key], names, args.rounds, args.threads, lfprop)
        (args.out / f"workload-{key}.json").write_text(json.dumps(found))
        print("\n" + table(WORKLOADS[key].name, found), flush=True)


if __name__ == "__main__":
    main()
