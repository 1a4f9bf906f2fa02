"""A long recording: how long it takes to read, show and explain it, and the most memory that takes.

    python benchmarks/million_events.py [--events 1000000]

The recording is drawn (edges that move over a sensor of 346 x 260, and noise), the network has random weights: what is
measured is time and memory. Run it in a process of its own, as it reports the peak of the whole process.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lfp_snn import LI, LIF, Sequential, keep_memory
from lfp_snn.cli.app import main as lfp_snn
from lfp_snn.data import ByCount, Recording, bin_events, make_events, read_recording, write_recording
from lfp_snn.explain import explain, figures
from lfp_snn.explain.events import relevance_of_events
from lfp_snn.explain.html import write_html

SIZE = (346, 260, 2)
STEPS = 50


def draw(n: int) -> Recording:
    """Draw a recording of two seconds: three bars that sweep over the sensor, and a tenth of noise."""
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 2_000_000, n))
    bar = rng.integers(0, 3, n)
    x = (t / 2_000_000 * SIZE[0] + 110 * bar + rng.normal(0, 2, n)) % SIZE[0]
    x = np.where(rng.random(n) < 0.1, rng.integers(0, SIZE[0], n), x).astype(int)
    return Recording(make_events(x, rng.integers(0, SIZE[1], n), t, rng.integers(0, 2, n)), SIZE, "")


def network() -> Sequential:
    """Return a convolutional network with random weights whose layers fire."""
    torch.manual_seed(0)
    net = Sequential(
        nn.Conv2d(2, 8, 5, stride=3), LIF(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 5, stride=2), LIF(), nn.MaxPool2d(2),
        nn.Flatten(), nn.LazyLinear(10), LI(),
    )  # fmt: skip
    net(torch.zeros(1, 1, 2, SIZE[1], SIZE[0]))
    return net


def main() -> None:
    """Time each part and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    args = parser.parse_args()
    keep_memory()
    net, times = network(), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_recording(folder / "long.npz", draw(args.events))
        started = last = time.perf_counter()

        def took(what: str) -> None:
            nonlocal last
            times[what] = time.perf_counter() - last
            last = time.perf_counter()

        lfp_snn(["data", "show", str(folder / "long.npz")])
        took("show in the terminal")
        found = read_recording(folder / "long.npz")
        took("read")
        x = bin_events(found.events, SIZE, ByCount(STEPS))[:, None]
        took(f"bin in {STEPS} steps")
        why = explain(net, x)
        took("explain")
        events = relevance_of_events(found.events, why.relevance[:, 0], SIZE, ByCount(STEPS))
        took("relevance of each event")
        for drawn in (figures.relevance_map(why), figures.relevance_frames(why), figures.event_cloud(events, SIZE)):
            drawn.savefig(folder / "figure.png", dpi=200)
        took("three figures")
        figures.animate(why, folder / "decision.gif")
        took("animation")
        write_html(why, events, folder / "view.html")
        took("interactive view")
        times["all"] = time.perf_counter() - started
    print("| part | seconds |\n| --- | ---: |")
    for what, seconds in times.items():
        print(f"| {what} | {seconds:.2f} |")
    print(f"\npeak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
