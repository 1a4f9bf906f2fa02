"""One contender in a process of its own: takes training steps when it is told to, on standard input.

``python -m benchmarks.libraries.worker CONTENDER WORKLOAD.pt`` reads lines: ``spikes FILE`` saves the spikes of the
fresh network, ``step`` takes three training steps and tells the mean of the last two, ``memory`` tells how much of it
three steps of a new network take at their most, in MB. Every answer is one line of JSON.

That is the process's largest resident memory less that after steps of a network before, which has been let go: what
imports and compiled kernels take is not counted, nor what the allocator holds back, as the process is to be told to map
large tensors one by one.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.libraries.contenders import CONTENDERS


def resident(which: str) -> float:
    """Return the process's resident memory in MB, now (``VmRSS``) or at its largest (``VmHWM``)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) / 1024


def memory(name: str, arguments: list[Any]) -> float:
    """Return the memory of training steps at its most, in MB, weights and optimiser included."""

    def train() -> None:
        step = CONTENDERS[name](*arguments)[0]
        for _ in range(3):
            step()

    train()
    gc.collect()
    for left in gc.get_objects():
        if type(left) is nn.Parameter:  # of networks that a library does not let go of
            left.data, left.grad = torch.empty(0), None
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    train()
    return resident("VmHWM") - before


def main() -> None:
    """Answer until standard input ends."""
    name, file, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print

    def answer(**found: Any) -> None:
        print(json.dumps(found), file=answers, flush=True)

    given = torch.load(file, weights_only=False)
    workload, x, y, weights = arguments = [given[key] for key in ("workload", "x", "y", "weights")]
    try:
        few = x[:2] if workload.static else x[:2, :2]
        CONTENDERS[name](replace(workload, steps=2, batch=2), few.clone(), y[:2], [w.clone() for w in weights])[0]()
    except NotImplementedError as error:
        answer(cannot=str(error))
        return
    answer(ready=True)
    step, spikes = None, None
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "memory":
            answer(memory=memory(name, arguments))
            continue
        if step is None:
            step, spikes = CONTENDERS[name](*arguments)
        if command == "step":
            step()
            start = time.perf_counter()
            step()
            step()
            answer(seconds=(time.perf_counter() - start) / 2)
        else:
            torch.save(spikes(), rest[0])
            answer(saved=True)


if __name__ == "__main__":
    main()
