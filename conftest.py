"""Which modules are not looked through for examples: those that need what is not installed."""

from __future__ import annotations

from importlib.util import find_spec

# Triton comes with torch for CUDA, on Linux.
collect_ignore = (
    [] if find_spec("triton") else [f"lfp_snn/kernels/{name}.py" for name in ("formula", "gpu", "triton_scans")]
)
