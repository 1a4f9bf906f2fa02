"""Whether a reward is given where it belongs: to what a network under LFP returned, as it is.

A reward for the mean of an output over time, or for its softmax, would reach the network as if it were a gradient; so
would one for the output of a network that did not run under LFP. Neither is an error to autograd.
"""

from __future__ import annotations

import warnings

from torch import Tensor

from lfp_snn.errors import RewardWarning
from lfp_snn.graph import behind, made_by

_NEAR = 64
"""Operations between an output and a reward that are looked at."""


class Entry:
    """Where reward enters a network: on the operation that makes its output, as ``backward_``."""

    takes_reward = True


def _takes_reward(node: object) -> bool:
    return getattr(getattr(node, "backward_", None), "takes_reward", False)


def look(output: Tensor, name: str) -> None:
    """Warn if a reward (called ``name``) for this output would not be shared out as it should be."""
    if not output.requires_grad or all(_takes_reward(node) for node, _ in made_by(output, choices=True)):
        return
    if any(_takes_reward(node) for node, _ in behind(output, _NEAR)):
        warnings.warn(
            f"{name} is given something that was computed from the network's output. It takes the output itself, "
            "[T, B, C] or [B, C], without a mean, a softmax or a loss in between: what comes back from those is not a "
            "reward",
            RewardWarning,
            stacklevel=3,
        )
        return
    warnings.warn(
        f"{name} is given the output of a network that did not run under LFP, which takes what comes back for a "
        f"gradient. Run the forward pass inside LFP().context(network); or, to train by a gradient, call {name}.loss",
        RewardWarning,
        stacklevel=3,
    )
