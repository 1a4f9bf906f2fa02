"""What the backward pass of a piece of time takes over from the pieces after it.

A long input can be run in pieces (:mod:`lfp_snn.checkpointing`). Backwards, the last piece goes first; what travels
on through membranes, adaptation and recurrent weights, across the border to the piece before, is handed over here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass
class Place:
    """The call of one layer: what the pieces of its time share.

    Attributes
    ----------
    pieces : bool
        Whether time is taken in pieces, so that there is one before to leave a message for.
    message : Any
        What the piece after this one left, ``None`` if there is none.
    counts : bool
        Whether this is the first time that the piece runs, so that its spikes count.
    """

    pieces: bool = False
    message: Any = None
    counts: bool = True
    _fired: Tensor | None = None
    _steps: int = 0

    def leave(self, message: Any) -> None:
        """Leave a message for the piece before this one."""
        if self.pieces:
            self.message = message

    def count(self, spikes: Tensor) -> None:
        """Take spikes ``[T, B, N]`` into account for the rate over all of the time."""
        if self.counts:
            fired = spikes.mean(1).sum(0)
            self._fired = fired if self._fired is None else self._fired + fired
            self._steps += len(spikes)

    def rate(self) -> tuple[Tensor, int]:
        """Return spikes per neuron and step ``[N]`` over all of the time, and the number of steps."""
        if self._fired is None:
            raise RuntimeError("no spikes were counted")
        return self._fired / self._steps, self._steps


class Handover:
    """The places of all layers, by the order in which they are called, the same in every piece.

    Examples
    --------
    >>> handover = Handover()
    >>> handover.begin(first_time=True)
    >>> handover.place().leave("from the last piece")
    >>> handover.begin()
    >>> handover.place().message
    'from the last piece'
    """

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._next, self._counts = 0, False

    def begin(self, first_time: bool = False) -> None:
        """Begin the forward pass of a piece."""
        self._next, self._counts = 0, first_time

    def forget(self) -> None:
        """Begin a backward pass: nothing comes from after the last piece."""
        for place in self._places:
            place.message = None

    def place(self) -> Place:
        """Return the place of the next call."""
        if self._next == len(self._places):
            self._places.append(Place(pieces=True))
        place = self._places[self._next]
        place.counts = self._counts
        self._next += 1
        return place


def place_in(handover: Handover | None) -> Place:
    """Return the place of a call, one of its own where time is not taken in pieces."""
    return Place() if handover is None else handover.place()
