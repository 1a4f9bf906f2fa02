"""Do explanations name what decides? Deletion and insertion of events, on the test parts of trained runs.

    lfp-snn train --preset event-digits --out runs/event-digits
    lfp-snn train --preset nmnist-cnn --data.fold 0 --data.folds 5 --epochs 30 --out runs/nmnist   # 210 test recordings
    lfp-snn train --preset fsdd-recurrent --out runs/fsdd
    python benchmarks/faithfulness.py runs/event-digits runs/nmnist runs/fsdd

For each run and explainer: accuracy after 5, 10, 20 and 50 % of the events were removed, the most relevant first; how
many times the fall at 20 % is that of removing events at random (n/a where that does not fall); and the area between
the insertion and the deletion curve.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from lfp_snn import keep_memory
from lfp_snn.data import loader
from lfp_snn.explain import Explainer, Faithfulness, GradientTimesInput, Occlusion, Random, Relevance, faithfulness
from lfp_snn.explain.figures import curves
from lfp_snn.training.rerun import load_run


def explainers(network: torch.nn.Module, x: torch.Tensor) -> dict[str, Explainer]:
    """Return what is compared, with blocks of occlusion of about a fifth of each axis of ``x``."""
    axes = [0, *range(max(2, x.dim() - 2), x.dim())]
    block = tuple(max(1, x.shape[axis] // 5) for axis in axes)
    return {
        "LFP": Relevance(network),
        "LFP, against the next class": Relevance(network, against="next"),
        "gradient x input": GradientTimesInput(network),
        "gradient x input, against the next class": GradientTimesInput(network, against="next"),
        f"occlusion of {'x'.join(map(str, block))}": Occlusion(network, block),
        "random": Random(),
    }


def rows(run: str, results: dict[str, Faithfulness]) -> list[str]:
    """Return the lines of the table."""
    chance, lines = results["random"].fall(0.2), []
    for name, found in results.items():
        kept = " | ".join(f"{100 * found.deletion[found.shares.index(s)]:.1f}" for s in (0.0, 0.05, 0.1, 0.2, 0.5))
        times = f"{found.fall(0.2) / chance:.1f}" if chance > 0 else "n/a"
        lines.append(f"| {run} ({found.examples}) | {name} | {kept} | {times} | {found.area():.3f} |")
    return lines


def main() -> None:
    """Measure all runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--part", default="test", choices=["train", "val", "test"])
    parser.add_argument("--examples", type=int, default=1000, help="the first so many of the part")
    parser.add_argument("--figures", type=Path, help="folder for a picture of each run's curves")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_memory()
    print("| data (examples) | order | 0 % | 5 % | 10 % | 20 % | 50 % | fall at 20 %, times chance | area |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for run in args.runs:
        config, task = load_run(run)
        part = getattr(task.splits, args.part)
        part = part.subset(list(range(min(args.examples, len(part)))))
        batches = list(loader(part, 100))
        found = faithfulness(task.network, batches, explainers(task.network, batches[0].x))
        print("\n".join(rows(config.data.name, found)), flush=True)
        if args.figures is not None:
            args.figures.mkdir(parents=True, exist_ok=True)
            curves(found, config.data.name).savefig(args.figures / f"faithfulness-{config.data.name}.png", dpi=150)


if __name__ == "__main__":
    main()
