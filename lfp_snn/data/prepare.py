"""What is done to recordings before they are binned: transforms on access, and the same for any other recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from lfp_snn.data.events import Events, EventTransform, SensorSize


def apply(transforms: Sequence[EventTransform], events: Events) -> Events:
    """Apply transforms one after the other to a copy, which they may write to; nothing is done without events."""
    events = np.array(events)
    for transform in transforms:
        if not len(events):
            break
        events = transform(events)
    return events


@dataclass(frozen=True)
class Preparation:
    """What a data set's recordings went through after they were read.

    Parameters
    ----------
    sensor_size : (W, H, P)
        Of the recordings as they were read.
    transforms : tuple of callables
        Events to events, deterministic.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> Preparation((4, 1, 1), (lambda events: events[1:],))(make_events([1, 2], 0, [0, 9], True))["t"].tolist()
    [9]
    """

    sensor_size: SensorSize
    transforms: tuple[EventTransform, ...] = ()

    def __call__(self, events: Events) -> Events:
        """Do the same to another recording."""
        return apply(self.transforms, events)


class Transformed(Sequence[Events]):
    """Recordings with transforms applied on access.

    Parameters
    ----------
    recordings : sequence of ndarray
        Of recordings.
    transforms : sequence of callables
        Events to events.

    Examples
    --------
    >>> from lfp_snn.data import make_events
    >>> len(Transformed([make_events([1, 2], 0, [0, 9], True)], [lambda events: events[1:]])[0])
    1
    """

    def __init__(self, recordings: Sequence[Events], transforms: Sequence[EventTransform]) -> None:
        self.recordings, self.transforms = recordings, tuple(transforms)

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.recordings)

    @overload
    def __getitem__(self, index: int) -> Events: ...
    @overload
    def __getitem__(self, index: slice) -> Transformed: ...
    def __getitem__(self, index: int | slice) -> Events | Transformed:
        """Return one recording, transformed."""
        if isinstance(index, slice):
            return Transformed(self.recordings[index], self.transforms)
        return apply(self.transforms, self.recordings[index])
