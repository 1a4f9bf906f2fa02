"""Why a network decided: relevance over space, time, events and spikes; how faithful it is; figures."""

from __future__ import annotations

from lfp_snn.explain.events import relevance_of_events
from lfp_snn.explain.explainers import Explainer, GradientTimesInput, Occlusion, Random, Relevance
from lfp_snn.explain.faithfulness import Faithfulness, faithfulness
from lfp_snn.explain.relevance import Explanation, Layer, explain
from lfp_snn.explain.stream import Decisions, explanations, watch

__all__ = [
    "Decisions",
    "Explainer",
    "Explanation",
    "Faithfulness",
    "GradientTimesInput",
    "Layer",
    "Occlusion",
    "Random",
    "Relevance",
    "explain",
    "explanations",
    "faithfulness",
    "relevance_of_events",
    "watch",
]
