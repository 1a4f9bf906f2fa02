"""Do explanations name what decides? Deletion and insertion of events, on the test parts of trained runs.

    for seed in 0 1 2; do
        lfp-snn train --preset event-digits --seed $seed --out runs/event-digits-$seed
        lfp-snn train --preset nmnist-cnn --data.fold 0 --data.folds 5 --epochs 30 --seed $seed --out runs/nmnist-$seed
        lfp-snn train --preset fsdd-recurrent --seed $seed --out runs/fsdd-$seed
    done
    python benchmarks/faithfulness.py runs/event-digits-* runs/nmnist-* runs/fsdd-*

For each data set and explainer, mean ± standard deviation over its runs: accuracy after 5, 10, 20 and 50 % of the
events were removed, the most relevant first; how many times the fall at 20 % (summed over the runs) is that of removing
events at random (n/a where that does not fall); and the area between the insertion and the deletion curve.

A second table: the median share of the explained score that does not arrive at the input, or arrives too much; and the
rank correlation of an explanation with that of a network whose last layer, or all layers, were put in random order.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean, stdev

import torch

from lfp_snn import LFP, keep_memory
from lfp_snn.data import Batch, loader
from lfp_snn.explain import (
    Explainer,
    Faithfulness,
    GradientTimesInput,
    Occlusion,
    Random,
    Relevance,
    explain,
    faithfulness,
)
from lfp_snn.explain.figures import curves
from lfp_snn.explain.sanity import randomised
from lfp_snn.training.rerun import load_run

SHARES = (0.0, 0.05, 0.1, 0.2, 0.5)


def explainers(network: torch.nn.Module, x: torch.Tensor) -> dict[str, Explainer]:
    """Return what is compared, with blocks of occlusion of about a fifth of each axis of ``x``."""
    axes = [0, *range(max(2, x.dim() - 2), x.dim())]
    block = tuple(max(1, x.shape[axis] // 5) for axis in axes)
    return {
        "LFP": Relevance(network),
        "LFP, against the next class": Relevance(network, against="next"),
        "LFP, shared as in training": Relevance(network, LFP()),
        "gradient x input": GradientTimesInput(network),
        "gradient x input, against the next class": GradientTimesInput(network, against="next"),
        "occlusion": Occlusion(network, block),
        "random": Random(),
    }


def checks(network: torch.nn.Module, batch: Batch) -> list[float]:
    """Return the share that does not arrive, and the correlations of LFP and of the gradient with random layers."""
    why = explain(network, batch.x, lengths=batch.lengths)
    makers = {"LFP": Relevance, "gradient": GradientTimesInput}
    found = randomised(network, makers, batch.x, why.target, batch.lengths)
    values = [list(found[name].values()) for name in makers]
    return [float(why.missing().abs().median()), *(each[k] for each in values for k in (0, -1))]


def spread(values: list[float], digits: int) -> str:
    """Return mean and standard deviation."""
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def rows(data: str, runs: list[dict[str, Faithfulness]]) -> list[str]:
    """Return the lines of the table."""
    chance, lines = sum(found["random"].fall(0.2) for found in runs), []
    for name in runs[0]:
        each = [found[name] for found in runs]
        kept = " | ".join(spread([100 * f.deletion[f.shares.index(s)] for f in each], 1) for s in SHARES)
        times = f"{sum(f.fall(0.2) for f in each) / chance:.1f}" if chance > 0 else "n/a"
        area = spread([f.area() for f in each], 3)
        lines.append(f"| {data} ({len(runs)} x {each[0].examples}) | {name} | {kept} | {times} | {area} |")
    return lines


def main() -> None:
    """Measure all runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--part", default="test", choices=["train", "val", "test"])
    parser.add_argument("--examples", type=int, default=1000, help="the first so many of the part")
    parser.add_argument("--figures", type=Path, help="folder for a picture of each data set's curves (its first run)")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_memory()
    results: dict[str, list[dict[str, Faithfulness]]] = {}
    checked: dict[str, list[list[float]]] = {}
    for run in args.runs:
        config, task = load_run(run)
        part = getattr(task.splits, args.part)
        part = part.subset(list(range(min(args.examples, len(part)))))
        batches = list(loader(part, 100))
        found = faithfulness(task.network, batches, explainers(task.network, batches[0].x))
        results.setdefault(config.data.name, []).append(found)
        checked.setdefault(config.data.name, []).append(checks(task.network, batches[0]))
    print("| data (runs x examples) | order | 0 % | 5 % | 10 % | 20 % | 50 % | fall at 20 %, times chance | area |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for data, runs in results.items():
        print("\n".join(rows(data, runs)), flush=True)
        if args.figures is not None:
            args.figures.mkdir(parents=True, exist_ok=True)
            curves(runs[0], data).savefig(args.figures / f"faithfulness-{data}.png", dpi=150)
    print(
        "\n| data | does not arrive | LFP, last layer random | all layers | gradient x input, last layer random | all |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for data, each in checked.items():
        print(f"| {data} | " + " | ".join(spread(list(values), 2) for values in zip(*each, strict=True)) + " |")


if __name__ == "__main__":
    main()
