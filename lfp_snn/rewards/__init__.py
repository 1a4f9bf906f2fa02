"""Rewards, as criteria: what the output of a network is worth."""

from collections.abc import Callable

from lfp_snn.rewards.base import Reward, scores
from lfp_snn.rewards.classification import (
    BinarySigmoid,
    BoundedSoftmax,
    CorrectClass,
    LogitReward,
    Misclassification,
    Sigmoid,
    Softmax,
)
from lfp_snn.rewards.given import FromLoss, Given, Judged
from lfp_snn.rewards.homeostasis import Homeostasis
from lfp_snn.rewards.neuron import Maximise, Minimise
from lfp_snn.rewards.regression import Regression
from lfp_snn.rewards.spiking import RateCoded, RateSoftmax, SpikeReward

REWARDS: dict[str, Callable[..., Reward]] = {
    "rate": RateCoded,
    "rate-softmax": RateSoftmax,
    "softmax": Softmax,
    "sigmoid": Sigmoid,
    "bounded-softmax": BoundedSoftmax,
    "correct": CorrectClass,
    "misclassification": Misclassification,
    "maximise": Maximise,
    "minimise": Minimise,
}
"""The rewards for class numbers, by the names that configurations use."""

__all__ = [
    "REWARDS",
    "BinarySigmoid",
    "BoundedSoftmax",
    "CorrectClass",
    "FromLoss",
    "Given",
    "Homeostasis",
    "Judged",
    "LogitReward",
    "Maximise",
    "Minimise",
    "Misclassification",
    "RateCoded",
    "RateSoftmax",
    "Regression",
    "Reward",
    "Sigmoid",
    "Softmax",
    "SpikeReward",
    "scores",
]
