"""Draw how well recurrent networks learn over the number of steps, for each gain of their recurrent weights.

    lfp-snn compare docs/results/recurrent.toml --out runs/recurrent
    python benchmarks/recurrent_training.py runs/recurrent --out docs/images/recurrent_training.png

The accuracy on the training set in the last epoch: mean and range over seeds; the table has both accuracies. A network
is called T<steps>-gain<gain>.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.figure import Figure

STYLES = {"lfp": ("black", "-", "o"), "surrogate": ("C0", "--", "s"), "scaled-gradient": ("C1", "-.", "^")}


def last(runs: list[dict[str, Any]]) -> list[float]:
    """Return the training accuracy of the last epoch of each run, in %."""
    return [100 * run["metrics"][-1]["train_accuracy"] for run in runs]


def main() -> None:
    """Read the results, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path, help="folder of the finished comparison")
    parser.add_argument("--out", type=Path, default=Path("recurrent_training.png"))
    args = parser.parse_args()
    networks = json.loads((args.comparison / "results.json").read_text())["networks"]
    cells: dict[float, dict[int, Any]] = {}
    for name, network in networks.items():
        match = re.fullmatch(r"T(\d+)-gain([\d.]+)", name)
        if match is None:
            parser.error(f"{name!r} is not called T<steps>-gain<gain>")
        cells.setdefault(float(match[2]), {})[int(match[1])] = network["methods"]
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots(1, len(cells), sharey=True, squeeze=False)[0]
    print("| gain | steps |", " | ".join(STYLES), "|")
    print("|---:|---:|" + "---:|" * len(STYLES))
    for axis, (gain, by_steps) in zip(axes, sorted(cells.items()), strict=True):
        for method, (color, line, marker) in STYLES.items():
            steps = sorted(t for t in by_steps if by_steps[t][method]["runs"])
            values = [last(by_steps[t][method]["runs"]) for t in steps]
            axis.plot(steps, [mean(v) for v in values], line, color=color, marker=marker, ms=4, lw=1.2, label=method)
            axis.fill_between(steps, [min(v) for v in values], [max(v) for v in values], color=color, alpha=0.15, lw=0)
        axis.set_xscale("log", base=2)
        axis.set_xticks(sorted(by_steps), [str(t) for t in sorted(by_steps)], minor=False)
        axis.set_title(f"gain {gain:g}", fontsize=9)
        axis.set_xlabel("steps", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(color="0.85", lw=0.6)
        for t in sorted(by_steps):
            print(f"| {gain:g} | {t} |", " | ".join(cell(by_steps[t][m]["runs"]) for m in STYLES), "|")
    axes[0].set_ylabel("training accuracy / %", fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(args.out, dpi=200)


def cell(runs: list[dict[str, Any]]) -> str:
    """Return the training accuracy with its spread over seeds, and the test accuracy."""
    if not runs:
        return "diverged"
    train = last(runs)
    test = [100 * run["summary"]["test_accuracy"] for run in runs]
    return f"{mean(train):.1f} ± {stdev(train) if len(train) > 1 else 0:.1f} ({mean(test):.1f})"


if __name__ == "__main__":
    main()
