"""The command line ``lfp-snn``: train, eval, explain, doctor, compare, sweep, data, show, convert."""

from __future__ import annotations

from lfp_snn.cli.app import main

__all__ = ["main"]
