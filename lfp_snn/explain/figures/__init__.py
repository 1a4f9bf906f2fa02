"""Figures of explanations, for paper: one column or one page wide, legible in grey."""

from __future__ import annotations

from lfp_snn.explain.figures.animation import animate
from lfp_snn.explain.figures.cloud import event_cloud
from lfp_snn.explain.figures.curves import confusion, curves
from lfp_snn.explain.figures.inputs import relevance_frames, relevance_map, time_course
from lfp_snn.explain.figures.layers import membranes, raster, receptive_fields
from lfp_snn.explain.figures.surfaces import surfaces, time_surface

__all__ = [
    "animate",
    "confusion",
    "curves",
    "event_cloud",
    "membranes",
    "raster",
    "receptive_fields",
    "relevance_frames",
    "relevance_map",
    "surfaces",
    "time_course",
    "time_surface",
]
