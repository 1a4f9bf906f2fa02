"""Test accuracy of presets over seeds (or folds): one run of the command line each, and a table at the end.

    python benchmarks/accuracy.py event-digits --seeds 5
    python benchmarks/accuracy.py mnist-mlp fashion-mnist-mlp --seeds 3
    python benchmarks/accuracy.py nmnist-cnn --folds 5
    python benchmarks/accuracy.py fsdd-recurrent fsdd-alif --seeds 3 --methods lfp surrogate
    python benchmarks/accuracy.py event-digits --seeds 3 --set rule.homeostasis=10 --set rule.rate_high=0.05

Runs lie in ``runs/accuracy/``; a finished one is not run again, so a benchmark that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(
    preset: str, method: str, seed: int, fold: tuple[int, int] | None, changes: list[str], root: Path
) -> dict[str, Any]:
    """Train one network, unless that is done, and return its summary."""
    name = (
        f"{preset}-{method}-seed{seed}"
        + (f"-fold{fold[0]}of{fold[1]}" if fold else "")
        + "".join(f"-{c}" for c in changes)
    )
    folder = root / name.replace("/", "_")
    if not (folder / "summary.json").is_file():
        options = ["--preset", preset, "--method", method, "--seed", str(seed)]
        if fold:
            options += ["--data.fold", str(fold[0]), "--data.folds", str(fold[1])]
        for change in changes:
            key, _, value = change.partition("=")
            options += [f"--{key}", value]
        where = ["--resume", str(folder)] if folder.exists() else [*options, "--out", str(folder)]
        subprocess.run([sys.executable, "-m", "lfp_snn", "train", *where], check=True)
    return dict(json.loads((folder / "summary.json").read_text()))


def spread(values: list[float], digits: int = 2) -> str:
    """Return mean and standard deviation."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def main() -> None:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=0, help="cross-validate instead of repeating with other seeds")
    parser.add_argument("--methods", nargs="+", default=["lfp"])
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="changes")
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy"))
    args = parser.parse_args()
    cases = [(0, (k, args.folds)) for k in range(args.folds)] or [(seed, None) for seed in range(args.seeds)]
    rows = []
    for preset in args.presets:
        for method in args.methods:
            results = [run(preset, method, seed, fold, args.changes, args.out) for seed, fold in cases]
            accuracy = [100 * r["test_accuracy"] for r in results]
            hidden = [next(iter(r["spike_rate"].values())) for r in results]
            seconds = [r["train_seconds"] for r in results]
            rows.append(
                f"| {preset} | {method} | {len(results)} | {spread(accuracy)} | {min(accuracy):.2f} | "
                f"{spread(hidden, 3)} | {statistics.median(seconds):.0f} |"
            )
    print("| preset | method | runs | test accuracy, % | worst | rate of the first layer | training, s (median) |")
    print("|---|---|---|---|---|---|---|", *rows, sep="\n")


if __name__ == "__main__":
    main()
