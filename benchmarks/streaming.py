"""A trained network as it would run behind an event camera: one recording, one time step after the other.

    python benchmarks/streaming.py RUN [--recordings 50]

RUN is the folder of a run (``lfp-snn train`` leaves one). Each step's frame goes through ``network.run(x, state)`` as
it comes, by dense products and event-driven, in turn for every recording. Shown are the time of a step (median and the
slowest of a hundred), and how many recordings a second go through when whole batches do. The decisions of both ways,
and of the whole recording at once, must be the same.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from lfp_snn import keep_memory
from lfp_snn.data import loader
from lfp_snn.rewards import scores
from lfp_snn.synapses import Way, use
from lfp_snn.training.rerun import load_run

WAYS: tuple[Way, ...] = ("dense", "auto")


def stream(network: nn.Module, x: Tensor, times: list[float]) -> Tensor:
    """Run ``x`` ``[T, 1, ...]`` step by step, note how long each took, and return the output ``[T, 1, C]``."""
    state, outputs = None, []
    for frame in x:
        start = time.perf_counter()
        y, state = network.run(frame[None], state)  # type: ignore[operator]
        times.append(1e3 * (time.perf_counter() - start))
        outputs.append(y)
    return torch.cat(outputs)


@torch.inference_mode()
def main() -> None:
    """Stream recordings of the test part and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--recordings", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_memory()
    config, task = load_run(args.run)
    network = task.network.eval()
    step_times: dict[Way, list[float]] = {way: [] for way in WAYS}
    activity, right, same = [], 0, 0
    batches = loader(task.splits.test, 1)
    for k, (batch, target, _) in enumerate(batches):
        if k == args.recordings + 1:
            break
        x = task.encode(batch)
        if task.steps is not None:  # a picture: shown again in every step
            x = x[None].expand(task.steps, *x.shape)
        times = {way: [] if k == 0 else step_times[way] for way in WAYS}  # the first compiles
        outputs = []
        for way in WAYS:
            with use(way):
                outputs.append(stream(network, x, times[way]))
        with use("dense"):
            outputs.append(network(x))
        decisions = {int(scores(y, None).argmax()) for y in outputs}
        if k:
            activity.append(float((x != 0).float().mean()))
            same, right = same + (len(decisions) == 1), right + (int(target) in decisions)
    n = len(activity)
    print(f"{config.data.name}, {args.threads} threads, {n} recordings, {100 * statistics.mean(activity):.1f} % active")
    print(f"decisions the same in all ways: {same} of {n}; right: {right} of {n}")
    print("| way | step, median, ms | 99 % of steps within, ms | steps a second | recordings a second in batches |")
    print("|---|---|---|---|---|")
    batch, _, _ = next(iter(loader(task.splits.test, 64)))
    x = task.encode(batch)
    for way in WAYS:
        with use(way):
            task.run(x)
            start = time.perf_counter()
            task.run(x)
            rate = x.shape[1 if task.temporal else 0] / (time.perf_counter() - start)
        own = step_times[way]
        late = statistics.quantiles(own, n=100)[-1]
        print(f"| {way} | {statistics.median(own):.3f} | {late:.3f} | {1e3 / statistics.mean(own):.0f} | {rate:.0f} |")


if __name__ == "__main__":
    main()
