"""Training: configuration, loop, checkpoints, run folder."""

from __future__ import annotations

from lfp_snn.training.config import Config, load_config
from lfp_snn.training.loop import resume, train
from lfp_snn.training.run_folder import RunFolder

__all__ = ["Config", "RunFolder", "load_config", "resume", "train"]
