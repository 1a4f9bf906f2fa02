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
    best_accuracy, best_reward, best_epoch : float, float, int
        The best validation accuracy (of equal ones, the one with the best reward) and the epoch, from 1, that had it.
    examples : int
        Training examples seen.
    train_seconds, wait_seconds : float
        Seconds spent in training epochs, and the part of them in which the loop waited for data.
    compile_seconds : float
        Seconds spent on the warm-up, in which kernels are compiled.
    memory_built, memory_peak : int
        Bytes in use before the first step of training, and at most up to the end of an epoch, in any of the processes
        that went on with the run.
    """

    epoch: int = 0
    step: int = 0
    best_accuracy: float = -1.0
    best_reward: float = 0.0
    best_epoch: int = 0
    examples: int = 0
    train_seconds: float = 0.0
    wait_seconds: float = 0.0
    compile_seconds: float = 0.0
    memory_built: int = 0
    memory_peak: int = 0

    def improve(self, accuracy: float, reward: float) -> bool:
        """Take note of an epoch's validation; return whether it is the best so far.

        Examples
        --------
        >>> state = State(epoch=1)
        >>> state.improve(0.9, -0.2), state.improve(0.9, -0.2), state.improve(0.9, -0.1), state.improve(0.8, 0.0)
        (True, False, True, False)
        """
        better = (accuracy, reward) > (self.best_accuracy, self.best_reward)
        if better:
            self.best_accuracy, self.best_reward, self.best_epoch = accuracy, reward, self.epoch
        return better
