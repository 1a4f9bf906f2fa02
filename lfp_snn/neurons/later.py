"""What the backward pass of a piece of time takes over from the pieces after it.

A long input can be run in pieces (:mod:`lfp_snn.checkpointing`). Backwards, the last piece goes first; what travels
on through membranes, adaptation and recurrent weights, across the border to the piece before, is handed over here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor


class Later:
    """The messages that cross from one piece of time to the piece before it, by the order in which layers are called.

    Examples
    --------
    >>> later = Later()
    >>> with later.piece():
    ...     k = later.ticket()
    >>> later.take(k) is None
    True
    >>> later.put(k, "message")
    >>> with later.piece():
    ...     later.take(later.ticket())
    'message'
    """

    def __init__(self) -> None:
        self._next, self._counting = 0, False
        self._messages: dict[int, Any] = {}
        self._fired: dict[int, Tensor] = {}
        self._steps: dict[int, int] = {}

    @contextmanager
    def piece(self, first_time: bool = False) -> Iterator[None]:
        """Begin a forward pass: the layers get the same tickets again, and their spikes count the first time."""
        self._next, self._counting = 0, first_time
        yield

    def ticket(self) -> int:
        """Return the number of a layer's call in this forward pass."""
        self._next += 1
        return self._next

    def take(self, ticket: int) -> Any:
        """Return what the piece after this one left for a layer, ``None`` if there is none."""
        return self._messages.get(ticket)

    def put(self, ticket: int, message: Any) -> None:
        """Leave something for the piece before this one."""
        self._messages[ticket] = message

    def count(self, ticket: int, spikes: Tensor) -> None:
        """Take the spikes ``[T, B, N]`` of a piece into account for the rate over all of the time."""
        if not self._counting:
            return
        fired = spikes.mean(1).sum(0)
        self._fired[ticket] = self._fired[ticket] + fired if ticket in self._fired else fired
        self._steps[ticket] = self._steps.get(ticket, 0) + len(spikes)

    def rate(self, ticket: int) -> tuple[Tensor, int]:
        """Return spikes per neuron and step ``[N]`` over all pieces, and the number of steps."""
        return self._fired[ticket] / self._steps[ticket], self._steps[ticket]
