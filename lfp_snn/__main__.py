"""``python -m lfp_snn`` is ``lfp-snn``."""

from __future__ import annotations

import sys

from lfp_snn.cli import main

if __name__ == "__main__":
    sys.exit(main())
