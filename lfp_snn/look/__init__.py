"""Recordings as pictures: all of their events in one, or one after the other."""

from __future__ import annotations

from lfp_snn.look.animation import animate
from lfp_snn.look.pictures import frames, surface, whole

__all__ = ["animate", "frames", "surface", "whole"]
