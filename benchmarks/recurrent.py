"""How far back, and how loudly, a message travels through a recurrent layer: LFP against surrogate gradients.

    python benchmarks/recurrent.py --out docs/images/recurrent.png

A recurrent LIF layer is driven by random events and only its last step is judged: one reward (LFP), or one gradient, of
size 1 arrives at each neuron there. Shown is the size of what arrives at the input currents so many steps earlier, for
several gains of the recurrent weights: a growing line explodes, a falling one vanishes. The drive is scaled for each
gain such that the layer fires at the same rate. Medians over seeds; the table has the size after all steps, and the
largest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lfp_snn import LIF, Sequential
from lfp_snn.methods import METHODS, Method

METHODS_SHOWN = {
    "LFP": METHODS["lfp"](),
    "ATan": METHODS["surrogate"]("atan"),
    "ATan, reset attached": METHODS["surrogate"]("atan", attach_reset=True),
    "fast sigmoid": METHODS["surrogate"]("fast-sigmoid"),
    "triangle": METHODS["surrogate"]("triangle"),
}
STYLES = ("-", "--", "-.", ":", (0, (1, 3)))


def layer(neurons: int, gain: float, rate: float, seed: int, steps: int) -> tuple[Sequential, Tensor]:
    """Return a recurrent layer and a drive at which it fires at ``rate``, [T, 1, N]."""
    torch.manual_seed(seed)
    network = Sequential(LIF(beta=0.9, recurrent=neurons))
    with torch.no_grad():
        network[0].recurrent.mul_(gain / 0.5)
        drive = torch.randn(steps, 8, neurons).relu()
        low, high = 0.0, 10.0
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (middle, high) if float(network(middle * drive).mean()) < rate else (low, middle)
    return network, high * drive


def sizes(method: Method, network: Sequential, drive: Tensor) -> Tensor:
    """Return the mean size of the message at the currents of each step, the last step first, [T]."""
    x = drive.clone().requires_grad_()
    last = torch.zeros_like(drive)
    last[-1] = 1.0

    def judged(output: Tensor, target: Tensor, lengths: Tensor | None) -> Tensor:
        return (output * last).sum()

    with method.attach(network) as learner:
        learner.learn(x, torch.zeros(drive.shape[1]), criterion=judged)
    assert x.grad is not None
    return x.grad.abs().mean((1, 2)).flip(0)


def main() -> None:
    """Measure, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--neurons", type=int, default=256)
    parser.add_argument("--gains", type=float, nargs="+", default=[0.5, 1.0, 2.0, 4.0, 8.0])
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("recurrent.png"))
    args = parser.parse_args()
    figure = Figure(figsize=(7, 2.4), layout="constrained")
    axes = figure.subplots(1, len(args.gains), sharey=True)
    print(f"{args.neurons} neurons, rate {args.rate}, {args.seeds} seeds")
    print(f"size of the message after {args.steps} steps (largest on the way)")
    print("| gain |", " | ".join(METHODS_SHOWN), "|")
    print("|---|" + "---|" * len(METHODS_SHOWN))
    for axis, gain in zip(axes, args.gains, strict=True):
        cells = []
        for k, (name, method) in enumerate(METHODS_SHOWN.items()):
            made = [layer(args.neurons, gain, args.rate, seed, args.steps) for seed in range(args.seeds)]
            curves = torch.stack([sizes(method, *each) for each in made])
            curve, color = curves.median(0).values, "black" if not k else f"C{k - 1}"
            axis.semilogy(curve.clamp(min=1e-30), linestyle=STYLES[k], color=color, lw=1.2, label=name)
            last, most = curves[:, -1].median(), curves.amax(1).median()
            cells.append(f"{last:.1e} ({most:.1e})")
        print(f"| {gain} |", " | ".join(cells), "|", flush=True)
        axis.set_title(f"gain {gain:g}", fontsize=9)
        axis.set_xlabel("steps back", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(color="0.85", lw=0.6)
    axes[0].set_ylim(1e-20, 1e20)
    axes[0].set_ylabel("size of the message", fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    figure.savefig(args.out, dpi=200)


if __name__ == "__main__":
    main()
