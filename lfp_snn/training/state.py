"""Where a run is: what has to survive a kill besides weights and optimiser."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class State:
    """Counters of a run, kept in its checkpoints.

    Attributes
    ----------
    epoch : int
        Epochs done.
    step : int
        Optimiser steps done.
    best_accuracy, best_epoch : float, int
        The best validation accuracy and the epoch (from 1) that reached it.
    examples : int
        Training examples seen.
    train_seconds, wait_seconds : float
        Seconds spent in training epochs, and the part of them in which the loop waited for data.
    compile_seconds : float
        Seconds spent on the warm-up, in which kernels are compiled.
    """

    epoch: int = 0
    step: int = 0
    best_accuracy: float = -1.0
    best_epoch: int = 0
    examples: int = 0
    train_seconds: float = 0.0
    wait_seconds: float = 0.0
    compile_seconds: float = 0.0
