"""How near the scans over time come to the speed of memory, on a CPU or a GPU.

    python benchmarks/scans.py
    python benchmarks/scans.py --device cuda --steps 100 --batch 128 --neurons 4096

A scan does little arithmetic for each number that it reads and writes, so it cannot be faster than the bytes that it
must move at least: the current, spikes and membranes forwards, messages and membranes backwards. Shown are the medians
of its time, those bytes over the time, and that as a share of what a copy of as much memory reaches, interleaved.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from lfp_snn import keep_memory
from lfp_snn.kernels import Dynamics, Parameters, Start, select
from lfp_snn.neurons import ATan
from lfp_snn.rules import Conserving, Contribution, Reference


def scans(steps: int, batch: int, neurons: int, device: str) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return name -> (how many tensors of all steps it reads or writes, the scan)."""
    shape = steps, batch, neurons
    current, message = 4 * torch.rand(shape, device=device) - 2, torch.rand(shape, device=device)
    zero = torch.zeros(batch, neurons, device=device)
    p, start, form = Parameters(*torch.tensor([[0.9], [1.0]], device=device)), Start(zero, zero), Dynamics()
    kernels, carry = select(current), (zero, None)
    v = kernels.forward(current, p, start, steps, form, True)[1]
    found: dict[str, tuple[int, Callable[[], object]]] = {
        "forward": (3, lambda: kernels.forward(current, p, start, steps, form, True)),
        "forward, membrane not kept": (2, lambda: kernels.forward(current, p, start, steps, form, False)),
        "surrogate gradient": (
            3,
            lambda: kernels.backward_surrogate(message, v, p, start, carry, form, ATan.derivative, 2.0, False, False),
        ),
        "leaky integration": (2, lambda: kernels.filter_forward(current, p.beta, zero, steps)),
    }
    for rule in (Reference(), Contribution(), Conserving()):
        how = (rule.denominator, rule.epsilon, False, False)
        found[f"LFP, {type(rule).__name__}"] = (
            3,
            lambda how=how: kernels.backward_lfp(message, v, p, start, carry, form, *how),
        )
    return found


def seconds(run: Callable[[], object], device: str) -> float:
    """Return how long something takes."""
    if device == "cuda":
        torch.cuda.synchronize()
    begun = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def main() -> None:
    """Time the scans and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--neurons", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_memory()
    size = 4 * args.steps * args.batch * args.neurons
    source, target = (torch.zeros(size // 4, device=args.device) for _ in range(2))
    runs = {"copy": (2, lambda: target.copy_(source)), **scans(args.steps, args.batch, args.neurons, args.device)}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(args.rounds + 2):
        for name, (_, run) in runs.items():
            taken = seconds(run, args.device)
            if k >= 2:  # the first compile
                times[name].append(taken)
    where = torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {args.threads} threads"
    print(f"{where}; T={args.steps}, B={args.batch}, N={args.neurons}; {args.rounds} rounds")
    print("| scan | ms | GB/s | of a copy's |")
    print("| --- | ---: | ---: | ---: |")
    for name, (tensors, _) in runs.items():
        ratios = [b / 2 / (a / tensors) for a, b in zip(times[name], times["copy"], strict=True)]
        median = statistics.median(times[name])
        print(
            f"| {name} | {1e3 * median:.2f} | {tensors * size / median / 1e9:.1f} | {statistics.median(ratios):.0%} |"
        )


if __name__ == "__main__":
    main()
