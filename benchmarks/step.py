"""What a training step with LFP costs against one with a surrogate gradient: same network, same program, interleaved.

    python benchmarks/step.py

Each round times one step (forward, backward, optimiser) of each method in turn; the ratio is taken within the round, so
that a busy machine slows both. Printed are the medians over the rounds, and the spread of the ratio.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lfp_snn import LFP, rewards
from lfp_snn.models import lif_cnn, lif_mlp, recurrent_snn
from lfp_snn.rewards import Reward


def step(net: nn.Module, x: Tensor, y: Tensor, steps: int | None, reward: Reward, lfp: bool) -> Callable[[], None]:
    """Return a function that makes one training step."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-4, fused=True)
    if lfp:  # once and for good, as the training loop does
        LFP(keep_feedback=False).attach(net)

    def make() -> None:
        optimizer.zero_grad()
        output = net(x) if steps is None else net(x, steps=steps)
        (reward if lfp else reward.loss)(output, y).backward()
        optimizer.step()

    return make


def events(*shape: int) -> Tensor:
    """Return random events, 5 % of them ones."""
    return (torch.rand(*shape) < 0.05).float()


def main() -> None:
    """Time the workloads and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    count, softmax = rewards.RateCoded(), rewards.Softmax()
    workloads = {
        "784-1000-10, static, T=15, B=128": (lif_mlp((784,), 10), torch.randn(128, 784), 15, count),
        "12C5-MP2-64C5-MP2-FC, static, T=25, B=64": (lif_cnn((1, 28, 28), 10), torch.randn(64, 1, 28, 28), 25, count),
        "2312-1000-10, events, T=20, B=64": (lif_mlp((2312,), 10), events(20, 64, 2312), None, count),
        "140-256-10 recurrent, events, T=50, B=64": (recurrent_snn((140,), 10), events(50, 64, 140), None, softmax),
    }
    print(f"{args.threads} threads, {args.rounds} rounds")
    print("| network | LFP, ms | surrogate, ms | ratio (median) | 10 % .. 90 % |\n|---|---|---|---|---|")
    for name, (net, x, steps, reward) in workloads.items():
        y = torch.randint(0, 10, (x.shape[0 if steps else 1],))
        ways = [step(copy.deepcopy(net), x, y, steps, reward, lfp) for lfp in (True, False)]
        times: list[list[float]] = [[], []]
        for k in range(args.rounds + 3):
            for own, make in zip(times, ways, strict=True):
                start = time.perf_counter()
                make()
                if k >= 3:  # the first compile
                    own.append(1e3 * (time.perf_counter() - start))
        ratios = [a / b for a, b in zip(*times, strict=True)]
        tenths = statistics.quantiles(ratios, n=10)
        medians = [statistics.median(own) for own in times]
        print(
            f"| {name} | {medians[0]:.1f} | {medians[1]:.1f} | {statistics.median(ratios):.2f} | "
            f"{tenths[0]:.2f} .. {tenths[-1]:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
