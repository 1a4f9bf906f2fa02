"""Recordings that are read when asked for, and parts of a set of recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from lfp_snn.data.events import Events, EventSource, Recordings


class OnAccess(Sequence[Events]):
    """Recordings that a function reads, one at a time, when asked for.

    Parameters
    ----------
    items : sequence
        What to give to ``read``: paths or numbers, one a recording.
    read : callable
        Item to events. It must be possible to pickle it, if a loader's workers are to use it.

    Examples
    --------
    >>> from lfp_snn.data.events import make_events
    >>> recordings = OnAccess([5, 7], lambda x: make_events(x, 0, [10, 20], True))
    >>> int(recordings[1]["x"][0])
    7
    """

    def __init__(self, items: Sequence[Any], read: Callable[[Any], Events]) -> None:
        self.items, self.read = items, read

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Events: ...
    @overload
    def __getitem__(self, index: slice) -> OnAccess: ...
    def __getitem__(self, index: int | slice) -> Events | OnAccess:
        """Read one recording, or select some."""
        if isinstance(index, slice):
            return OnAccess(self.items[index], self.read)
        return self.read(self.items[index])


def take(source: EventSource, indices: NDArray[np.int64]) -> EventSource:
    """Select some recordings with their labels, and their files if there is one a recording.

    Parameters
    ----------
    source : EventSource
        All of them.
    indices : ndarray
        Which, int64 [M].

    Returns
    -------
    EventSource
        In memory if ``source`` is.

    Examples
    --------
    >>> from lfp_snn.data.events import make_events
    >>> one = make_events([1, 2], 0, [10, 20], True)
    >>> source = EventSource(Recordings.join([one, one[:1], one]), np.array([0, 1, 2]))
    >>> take(source, np.array([1, 2])).labels
    array([1, 2])
    """
    recordings = source.recordings
    if isinstance(recordings, Recordings):
        chosen: Sequence[Events] = recordings.take(indices)
    else:
        chosen = OnAccess([int(i) for i in indices], recordings.__getitem__)
    files = source.files
    if len(files) == len(source):
        files = tuple(files[int(i)] for i in indices)
    return EventSource(chosen, source.labels[indices], files, source.transforms)
