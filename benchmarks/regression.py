"""Regression by LFP and by a gradient, the same network and steps: one number from ten, and a series from its past.

    python benchmarks/regression.py

1. scikit-learn's diabetes data: 10 inputs, one target, an MLP with ReLU. LFP against the gradient of the squared error.
2. The Mackey-Glass series, 10 units of time ahead, at every step: recurrent LIF neurons, a leaky integrator reads out.
   LFP against the surrogate gradient of the squared error.

Printed is the coefficient of determination on data that training has not seen (1: perfect; 0: the mean), mean and
standard deviation over seeds, and for orientation what needs no network. Each method has the learning rate, of three,
that was best on validation data with three seeds of its own.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from torch import Tensor, nn

from lfp_snn import LFP, LI, LIF, Sequential, rewards

Data = tuple[Tensor, Tensor]
PAST = 20
"""Steps of a window that are not scored, and what the linear regression on the series sees."""


def r2(prediction: Tensor, target: Tensor) -> float:
    """Return the coefficient of determination."""
    return float(1 - (target - prediction).square().mean() / (target - target.mean()).square().mean())


def diabetes(seed: int, validate: bool) -> tuple[Data, Data]:
    """Return patients to train on and others, standardised by the first: ``[N, 10]`` and ``[N, 1]``.

    300 and the other 142, or, to ``validate``, 225 and 75 of the 300.
    """
    x, y = (torch.tensor(part).float() for part in load_diabetes(return_X_y=True))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[: 300 if validate else None]
    x, y, cut = x[order], y[order, None], 225 if validate else 300
    x, y = ((part - part[:cut].mean(0)) / part[:cut].std(0) for part in (x, y))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def mackey_glass(length: int, delay: int = 17, start: float = 1.2) -> Tensor:
    """Return the series of Mackey and Glass (1977), one value a unit of time, scaled to mean 0 and deviation 1.

    ``dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x(t)``, integrated in steps of 0.1.
    """
    substeps, skipped = 10, 300
    x = np.full((length + skipped + delay) * substeps, start)
    for k in range(delay * substeps, len(x) - 1):
        past = x[k - delay * substeps]
        x[k + 1] = x[k] + (0.2 * past / (1 + past**10) - 0.1 * x[k]) / substeps
    series = torch.tensor(x[(skipped + delay) * substeps :: substeps]).float()
    return (series - series.mean()) / series.std()


def series(validate: bool, ahead: int = 10, steps: int = 100) -> tuple[Data, Data]:
    """Return windows of the series ``[T, N, 1]`` and what comes ``ahead`` of each step; the second part comes later."""
    values = mackey_glass(8000)[: 6000 if validate else None]
    windows = values.unfold(0, steps + ahead, steps // 2).T[..., None]  # [T + ahead, N, 1]
    now, then = windows[:steps], windows[ahead:]
    cut = int(0.75 * now.shape[1])
    return (now[:, :cut], then[:, :cut]), (now[:, cut + 3 :], then[:, cut + 3 :])


def batches(data: Data, axis: int, size: int, epochs: int) -> Iterator[Data]:
    """Yield shuffled mini-batches."""
    x, y = data
    for _ in range(epochs):
        for chosen in torch.randperm(x.shape[axis]).split(size):
            yield x.index_select(axis, chosen), y.index_select(axis, chosen)


def train(net: nn.Module, steps: Iterator[Data], lfp: bool, lr: float) -> None:
    """Train by the reward, or by the gradient of its loss."""
    reward, optimizer = rewards.Regression(), torch.optim.Adam(net.parameters(), lr)
    handle = LFP(scale_floor=0.01).attach(net) if lfp else None
    for x, y in steps:
        optimizer.zero_grad()
        (reward if lfp else reward.loss)(net(x), y).backward()
        optimizer.step()
    if handle is not None:
        handle.remove()


def number(seed: int, lfp: bool, lr: float, validate: bool) -> float:
    """Train on the diabetes data and return R^2 on other patients."""
    known, new = diabetes(seed, validate)
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 1))
    train(net, batches(known, 0, 30, epochs=30), lfp, lr)
    return r2(net(new[0]).detach(), new[1])


def forecast(seed: int, lfp: bool, lr: float, validate: bool) -> float:
    """Train on the series and return R^2 on a later part, after the first steps of each window."""
    known, new = series(validate)
    torch.manual_seed(seed)
    net = Sequential(nn.Linear(1, 128), LIF(beta=0.9, recurrent=128), nn.Linear(128, 1), LI(beta=0.8))
    train(net, batches(known, 1, 32, epochs=100), lfp, lr)
    return r2(net(new[0])[PAST:].detach(), new[1][PAST:])


def linear_number(seed: int) -> float:
    """Return R^2 of linear regression on the diabetes data."""
    known, new = diabetes(seed, validate=False)
    return float(LinearRegression().fit(*known).score(*new))


def linear_forecast() -> float:
    """Return R^2 of linear regression on the present and the last 20 values of the series."""

    def table(data: Data) -> tuple[Tensor, Tensor]:
        x, y = data
        return x[..., 0].unfold(0, PAST + 1, 1).flatten(0, 1), y[PAST:].flatten()

    known, new = (table(part) for part in series(validate=False))
    return float(LinearRegression().fit(*known).score(*new))


def scored(run: Callable[..., float], seeds: int, lfp: bool) -> str:
    """Choose the learning rate, train with all seeds, and return mean and standard deviation."""

    def validated(lr: float) -> float:
        return statistics.mean(run(seed, lfp, lr, True) for seed in range(1000, 1003))

    lr = max((1e-3, 3e-3, 1e-2), key=validated)
    return spread([run(seed, lfp, lr, False) for seed in range(seeds)]) + f" ({lr:g})"


def spread(found: list[float]) -> str:
    """Return mean and standard deviation."""
    return f"{statistics.mean(found):.3f} ± {statistics.stdev(found):.3f}"


def main() -> None:
    """Run both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    print(f"R^2 on held-out data, {seeds} seeds (learning rate)\n")
    print("| data | LFP | gradient | linear regression |\n|---|---|---|---|")
    linear = spread([linear_number(seed) for seed in range(seeds)])
    print(f"| diabetes | {scored(number, seeds, True)} | {scored(number, seeds, False)} | {linear} |", flush=True)
    ways = [scored(forecast, seeds, lfp) for lfp in (True, False)]
    print(f"| Mackey-Glass | {ways[0]} | {ways[1]} | {linear_forecast():.3f} (of the last {PAST + 1} values) |")


if __name__ == "__main__":
    main()
