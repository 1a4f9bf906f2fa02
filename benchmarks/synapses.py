"""Dense or event-driven: what the three products of a layer cost against its activity, interleaved.

    python benchmarks/synapses.py --out docs/images/synapses.png

A layer's current, the message of its weights and the message of its input, for random spikes, by dense products and by
events. Under LFP the message of the input is needed at spikes only; a surrogate gradient needs it everywhere. Shown are
medians over the rounds of the ratio within the round (dense / events: above 1 events are faster), and where it is 1:
the limits of ``lfp_snn/synapses/choice.py`` come from here.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from lfp_snn import keep_memory
from lfp_snn.synapses import Way, mark, product, use

ACTIVITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6)
STYLES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 4)))
Products = Callable[[Way], None]


def layer(function: Callable[..., Tensor], x: Tensor, weight: Tensor, lfp: bool) -> Products:
    """Return a function that works out the products of a layer one way or the other."""
    x, weight = x.requires_grad_(), weight.requires_grad_()
    message = torch.randn_like(function(x, weight, None))

    def run(way: Way) -> None:
        with use(way):
            seen = mark(x.view_as(x)) if lfp else x.view_as(x)
            torch.autograd.grad(product(function, seen, weight, None), (x, weight), message)

    return run


def linear(inputs: int, outputs: int, rows: int) -> Callable[[float, bool], Products]:
    """Return the products of a linear layer for an activity."""

    def make(activity: float, lfp: bool) -> Products:
        return layer(F.linear, (torch.rand(rows, inputs) < activity).float(), torch.randn(outputs, inputs), lfp)

    return make


def convolution(inputs: int, outputs: int, size: int, kernel: int, rows: int) -> Callable[[float, bool], Products]:
    """Return the products of a convolution for an activity."""

    def make(activity: float, lfp: bool) -> Products:
        x = (torch.rand(rows, inputs, size, size) < activity).float()
        return layer(F.conv2d, x, torch.randn(outputs, inputs, kernel, kernel), lfp)

    return make


LAYERS = {
    "linear 1000-1000, 3200 rows": linear(1000, 1000, 3200),
    "linear 2312-1000, 3200 rows": linear(2312, 1000, 3200),
    "linear 256-64, 3200 rows": linear(256, 64, 3200),
    "linear 1000-10, 3200 rows": linear(1000, 10, 3200),
    "convolution 12-64, 5x5 on 12x12, 800 rows": convolution(12, 64, 12, 5, 800),
    "convolution 32-64, 3x3 on 16x16, 800 rows": convolution(32, 64, 16, 3, 800),
}


def ratio(run: Products, rounds: int) -> float:
    """Return the median over rounds of the time dense over the time event-driven."""
    ratios = []
    for k in range(rounds + 1):
        times = []
        for way in ("dense", "events"):
            start = time.perf_counter()
            run(way)  # type: ignore[arg-type]
            times.append(time.perf_counter() - start)
        if k:  # the first compiles
            ratios.append(times[0] / times[1])
    return statistics.median(ratios)


def main() -> None:
    """Time the layers, print the table and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    keep_memory()
    print(f"{args.threads} threads, {args.rounds} rounds; dense / events")
    print("| layer | message | " + " | ".join(f"{a:.0%}" for a in ACTIVITIES) + " | equal at |")
    print("|---|---|" + "---|" * (len(ACTIVITIES) + 1))
    figure = Figure((7.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for style, (name, make) in zip(STYLES, LAYERS.items(), strict=True):
        for lfp in (True, False):
            ratios = [ratio(make(a, lfp), args.rounds) for a in ACTIVITIES]
            equal = float(np.exp(np.interp(0.0, -np.log(ratios), np.log(ACTIVITIES))))
            cells = " | ".join(f"{r:.2f}" for r in ratios)
            print(f"| {name} | {'LFP' if lfp else 'gradient'} | {cells} | {equal:.0%} |", flush=True)
            colour = "black" if lfp else "0.6"
            axes.plot(ACTIVITIES, ratios, color=colour, linestyle=style, label=f"{name}{'' if lfp else ' (gradient)'}")
    axes.axhline(1, color="0.8", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="share of inputs that are not zero", ylabel="time dense / events")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=6, frameon=False)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(args.out, dpi=160)


if __name__ == "__main__":
    main()
