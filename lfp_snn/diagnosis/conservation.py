r"""How much of the reward LFP loses on its way down, layer by layer.

The reward :math:`R` of the spikes of a neuron (the outputs of an activation) is shared among the terms of its state.
What leaves through its input current :math:`I` is :math:`\sum_t I_t\, n_t`; the rest was kept by reset, adaptation and
stabiliser, or is not shared at all, which depends on the sharing rule (:mod:`lfp_snn.rules.sharing`). The error of a
layer's neurons is

.. math:: \frac{\sum_{b,i} \left|\sum_t R_{tbi} - \sum_t I_{tbi}\, n_{tbi}\right|}{\sum_{t,b,i} \left|R_{tbi}\right|}

(neurons with recurrent weights pass reward among each other: there, the inner sum is over the layer's neurons, too).
What leaves through the currents arrives at the layer below, but for what biases, normalisation and the stabiliser of
the layers between keep:

.. math:: \frac{\sum_b \left|\sum_{t,i} I_{tbi}\, n_{tbi} - \sum_{t,j} R^{below}_{tbj}\right|}
    {\sum_{t,b,i} \left|I_{tbi}\, n_{tbi}\right|}

Both are 0 where reward is conserved. They are measured without homeostasis, which adds reward of its own.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lfp_snn.diagnosis.learning import Lesson
from lfp_snn.diagnosis.probe import LINEAR, Probe, Seen
from lfp_snn.methods.feedback import Feedback


@dataclass(frozen=True)
class Conservation:
    """The errors of a layer.

    Attributes
    ----------
    neurons : float or None
        Of its neurons: reward of the outputs against that of the currents; None if nothing arrived.
    weights : float or None
        Of the weights in front of it: reward of the currents against that of the layer below (or the input); None
        where the network is not a plain chain of layers.
    """

    neurons: float | None
    weights: float | None


@dataclass
class _Ledger:
    """Sums over batches of what entered a layer and what of it was missing later."""

    entered: float = 0.0
    missing: float = 0.0

    def add(self, entered: Tensor, arrived: Tensor, absolute: Tensor) -> None:
        """Add what entered and arrived, in the same places, and the absolute size of what entered."""
        self.missing += float((entered - arrived).abs().sum())
        self.entered += float(absolute.abs().sum())

    @property
    def error(self) -> float | None:
        """The share that is missing."""
        return self.missing / self.entered if self.entered > 0 else None


def conservation(lesson: Lesson) -> dict[str, Conservation]:
    """Measure the errors of every layer of a network under LFP with the run's rules, weights unchanged.

    Parameters
    ----------
    lesson : Lesson
        The network and its batches.
    """
    task, network = lesson.task, lesson.network
    lfp = copy.copy(task.lfp)
    lfp.homeostasis = None
    neurons: dict[str, _Ledger] = {}
    weights: dict[str, _Ledger] = {}
    with Probe(network) as probe, Feedback(lfp).attach(network) as learner:
        for batch in lesson.batches():
            x, size = batch.x.detach().requires_grad_(), len(batch.target)
            probe.clear()
            learner.learn(x, batch.target, batch.lengths, criterion=task.reward, steps=task.steps)
            grad = torch.zeros_like(x) if x.grad is None else x.grad
            below = _of_examples(-size * x.detach() * grad, task.temporal)
            for layer in probe.layers():
                account = neurons.setdefault(layer.name, _Ledger()), weights.setdefault(layer.name, _Ledger())
                below = _account(*account, layer, size, below)
    network.zero_grad()
    chain = _is_chain(network)
    return {name: Conservation(neurons[name].error, weights[name].error if chain else None) for name in neurons}


def _account(neurons: _Ledger, weights: _Ledger, layer: Seen, batch: int, below: Tensor) -> Tensor:
    """Enter one batch of a layer into its ledgers; return the reward that entered the layer, of each example."""
    entered = layer.message(batch, reward=True)
    if entered is None:
        return torch.zeros_like(below)
    total = _of_examples(entered, True)
    if isinstance(layer.module, LINEAR):  # the output itself, with no neurons
        weights.add(total, below, entered)
        return total
    left = layer.current_reward(batch)
    if left is not None:
        per_neuron = total, _of_examples(left, True)
        if not layer.recurrent:
            per_neuron = entered.sum(0), left.sum(0)
        neurons.add(*per_neuron, entered)
        weights.add(_of_examples(left, True), below, left)
    return total


def _of_examples(x: Tensor, temporal: bool) -> Tensor:
    """Return the sum over all but the examples, ``[B]``."""
    return (x.sum(0) if temporal else x).flatten(1).sum(1)


def _is_chain(network: nn.Module) -> bool:
    """Whether every layer has one layer below it: the one that ran before."""
    return all(isinstance(m, nn.Sequential) for m in network.modules() if any(True for _ in m.children()))
