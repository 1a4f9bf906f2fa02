"""How near online LFP comes to LFP: the cosine between their updates, for several windows.

    python benchmarks/online.py event-digits fsdd-recurrent
    python benchmarks/online.py runs/event-digits/20260101-120000-seed0      # the trained network of a run

A batch of training examples, the network of a preset with fresh weights (or that of a run), the median over its weight
matrices and, in brackets, the worst of them.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from lfp_snn.data import Batch
from lfp_snn.methods import OnlineFeedback, agreement
from lfp_snn.training import presets
from lfp_snn.training.build import Task, build
from lfp_snn.training.config import Config, apply
from lfp_snn.training.rerun import load_run


def task_of(name: str) -> Task:
    """Return the task of a run's folder or of a preset."""
    return load_run(name)[1] if Path(name).is_dir() else build(apply(Config(), presets.read(name)))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", help="presets, or folders of runs")
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 2, 5, 10, 20])
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    print("| network |", " | ".join(f"window {w}" for w in args.windows), "|")
    print("|---|" + "---|" * len(args.windows))
    for name in args.what:
        task = task_of(name)
        train = task.splits.train
        batch = Batch(*train.__getitems__(list(range(0, len(train), len(train) // args.batch))[: args.batch]))
        x = task.encode(batch.x)
        cells = []
        for window in args.windows:
            method = OnlineFeedback(task.lfp, window=window)
            whole = {"lengths": batch.lengths, "steps": task.steps}
            found = agreement(task.method, method, task.network, x, batch.target, task.reward, **whole)
            cosines = [cosine for key, cosine in found.items() if task.network.get_parameter(key).dim() > 1]
            cells.append(f"{statistics.median(cosines):.3f} ({min(cosines):.3f})")
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
