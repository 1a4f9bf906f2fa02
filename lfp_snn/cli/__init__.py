"""The command line: ``lfp-snn train``, ``lfp-snn eval``, ``lfp-snn data``."""

from __future__ import annotations

from lfp_snn.cli.app import main

__all__ = ["main"]
