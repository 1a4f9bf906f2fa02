"""Which process this is, in a run of several."""

from __future__ import annotations

import os


def first_process() -> bool:
    """Return whether this process speaks for all: the others were started by it (or by a launcher such as torchrun).

    Examples
    --------
    >>> first_process()
    True
    """
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"
