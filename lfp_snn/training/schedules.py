"""Learning-rate schedules: each takes an optimiser and the number of steps, and returns a torch scheduler.

It is stepped with the optimiser, once a batch.

``warmup`` is the share of all steps during which the rate rises linearly from 0 (for one-cycle: rises by a cosine).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR


def constant(optimizer: Optimizer, steps: int, *, warmup: float = 0.0) -> LRScheduler:
    """Keep the rate, after the warm-up."""
    return _scaled(optimizer, steps, warmup, lambda progress: 1.0)


def cosine(optimizer: Optimizer, steps: int, *, warmup: float = 0.0, final: float = 0.0) -> LRScheduler:
    """Fall along half a cosine to the share `final` of the rate (Loshchilov & Hutter 2017, arXiv 1608.03983)."""
    return _scaled(optimizer, steps, warmup, lambda p: final + (1 - final) * 0.5 * (1 + math.cos(math.pi * p)))


def step(
    optimizer: Optimizer, steps: int, *, warmup: float = 0.0, every: float = 1 / 3, gamma: float = 0.1
) -> LRScheduler:
    """Multiply the rate by `gamma` each time the share `every` of the training has passed."""
    # The small number keeps 2/3 of the way at 2 and not at 1.999... drops.
    return _scaled(optimizer, steps, warmup, lambda p: gamma ** math.floor(p / every + 1e-9))


def one_cycle(
    optimizer: Optimizer, steps: int, *, warmup: float = 0.3, start: float = 0.04, final: float = 4e-6
) -> LRScheduler:
    """Rise from the share `start` of the rate to the rate, fall to the share `final` (Smith 2018, arXiv 1708.07120).

    The momentum (or the first beta of Adam) moves the other way, between 0.95 and 0.85.
    """
    return OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=max(1, steps),
        pct_start=warmup,
        div_factor=1 / start,
        final_div_factor=start / final,
        cycle_momentum="betas" in optimizer.defaults or bool(optimizer.defaults.get("momentum")),
    )


SCHEDULES: dict[str, Callable[..., LRScheduler]] = {
    "constant": constant,
    "cosine": cosine,
    "one-cycle": one_cycle,
    "step": step,
}


def _scaled(optimizer: Optimizer, steps: int, warmup: float, shape: Callable[[float], float]) -> LRScheduler:
    """Multiply the rate by a warm-up, then by `shape` of the progress (0 to 1) through the rest."""
    rising = round(warmup * steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return shape(min(1.0, (step - rising) / max(1, steps - rising)))

    return LambdaLR(optimizer, factor)
