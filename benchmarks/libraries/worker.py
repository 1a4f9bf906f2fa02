"""One contender in a process of its own: takes training steps when it is told to, on standard input.

``python -m benchmarks.libraries.worker CONTENDER WORKLOAD.pt`` reads lines: ``spikes FILE`` saves the spikes of the
fresh network, ``step`` takes three training steps and tells the mean of the last two; every answer is one line of JSON.
Memory is the process's largest so far, less what it was after a step of another such network on two examples at two
time steps.
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

from benchmarks.libraries.contenders import CONTENDERS


def resident(which: str) -> float:
    """Return the process's resident memory in MB, now (``VmRSS``) or at its largest (``VmHWM``)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Answer until standard input ends."""
    name, file, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print

    def answer(**found: Any) -> None:
        print(json.dumps(found), file=answers, flush=True)

    given = torch.load(file, weights_only=False)
    workload, x, y, weights = arguments = [given[key] for key in ("workload", "x", "y", "weights")]
    try:  # what the library itself needs: imports, compiled kernels
        few = x[:2] if workload.static else x[:2, :2]
        CONTENDERS[name](replace(workload, steps=2, batch=2), few.clone(), y[:2], [w.clone() for w in weights])[0]()
    except NotImplementedError as error:
        answer(cannot=str(error))
        return
    gc.collect()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    step, spikes = CONTENDERS[name](*arguments)
    answer(ready=True)
    for line in sys.stdin:
        command, *rest = line.split()
        seconds = 0.0
        if command == "step":
            step()
            start = time.perf_counter()
            step()
            step()
            seconds = (time.perf_counter() - start) / 2
        else:
            torch.save(spikes(), rest[0])
        answer(seconds=seconds, memory=resident("VmHWM") - before)


if __name__ == "__main__":
    main()
