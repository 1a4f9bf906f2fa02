"""The command line: ``lfp-snn train``, ``eval``, ``compare``, ``sweep``, ``doctor``, ``data``."""

from __future__ import annotations

from lfp_snn.cli.app import main

__all__ = ["main"]
