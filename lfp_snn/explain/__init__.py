"""Why a network decided: relevance over space, time, events and spikes; how faithful it is; figures."""

from __future__ import annotations

from lfp_snn.explain.explainers import Explainer, GradientTimesInput, Occlusion, Random, Relevance
from lfp_snn.explain.faithfulness import Faithfulness, faithfulness
from lfp_snn.explain.relevance import Explanation, Layer, explain

__all__ = [
    "Explainer",
    "Explanation",
    "Faithfulness",
    "GradientTimesInput",
    "Layer",
    "Occlusion",
    "Random",
    "Relevance",
    "explain",
    "faithfulness",
]
