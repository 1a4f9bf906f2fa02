"""Ways to train the same network: feedback propagation, its controls, and the baselines it is compared with."""

from collections.abc import Callable

from lfp_snn.methods.agreement import agreement
from lfp_snn.methods.alignment import FeedbackAlignment
from lfp_snn.methods.base import Learner, Method
from lfp_snn.methods.direct import DirectFeedback
from lfp_snn.methods.feedback import Feedback, UnscaledFeedback
from lfp_snn.methods.gradient import Gradient, ScaledGradient, StepGradient, SurrogateGradient
from lfp_snn.methods.online import OnlineFeedback, OnlineGradient
from lfp_snn.methods.stdp import RewardModulatedSTDP

METHODS: dict[str, Callable[..., Method]] = {
    "lfp": Feedback,
    "lfp-unscaled": UnscaledFeedback,
    "online-lfp": OnlineFeedback,
    "surrogate": SurrogateGradient,
    "scaled-gradient": ScaledGradient,
    "step-gradient": StepGradient,
    "gradient": Gradient,
    "feedback-alignment": FeedbackAlignment,
    "dfa": DirectFeedback,
    "ottt": OnlineGradient,
    "r-stdp": RewardModulatedSTDP,
}
"""The methods by the names that configurations use."""

__all__ = [
    "METHODS",
    "DirectFeedback",
    "Feedback",
    "FeedbackAlignment",
    "Gradient",
    "Learner",
    "Method",
    "OnlineFeedback",
    "OnlineGradient",
    "RewardModulatedSTDP",
    "ScaledGradient",
    "StepGradient",
    "SurrogateGradient",
    "UnscaledFeedback",
    "agreement",
]
