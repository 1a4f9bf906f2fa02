"""From the relevance of bins to the relevance of events: each event gets its share of the bin it was counted in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lfp_snn.data.binning import Binning, ByEvents, event_shape, plan
from lfp_snn.data.events import EVENT_DTYPE, Events, check_events, check_sensor_size
from lfp_snn.errors import ShapeError

RELEVANT_DTYPE = np.dtype([*EVENT_DTYPE.descr, ("relevance", np.float32)])
"""An event (see :mod:`lfp_snn.data.events`) with its relevance; tonic's functions take it as they take events."""


def bins_of(events: Events, sensor_size: Sequence[int], binning: Binning, *, group: int = 1) -> NDArray[np.int64]:
    """Say which element of the binned recording ``[T, P, H, W]`` (or ``[T, W]``), flattened, each event belongs to.

    Parameters
    ----------
    events : ndarray
        Events [N].
    sensor_size : (W, H, P)
        Of the recording.
    binning : Binning
        As for `lfp_snn.data.bin_events`.
    group : int
        As there.

    Returns
    -------
    ndarray
        int64 [N]; -1 for an event that belongs to no step.

    Raises
    ------
    DataError
        If the events are not valid.

    Examples
    --------
    >>> from lfp_snn.data import ByWindow, make_events
    >>> bins_of(make_events([3, 3, 5], [0, 0, 1], [0, 40, 99], [1, 1, 0]), (8, 4, 2), ByWindow(50))
    array([35, 35, 77])
    """
    size = check_sensor_size(sensor_size)
    events = check_events(events, size)
    if not len(events):
        return np.empty(0, np.int64)
    cut = plan(binning, events, np.array([0]), np.array([len(events)]))
    when = np.arange(len(events)) if isinstance(binning, ByEvents) else events["t"]
    step = (when - cut.origin) // cut.width
    shape = event_shape(size, group)
    columns, rows = shape[-1], shape[-2] if len(shape) == 3 else 1
    place = events["x"] // group + (events["y"].astype(np.int64) // group) * columns
    if size[2] == 2:
        place = place + events["p"] * (rows * columns)
    inside = (step >= 0) & (step < cut.steps)
    return np.where(inside, step * int(np.prod(shape)) + place, -1)


def relevance_of_events(
    events: Events, relevance: Tensor, sensor_size: Sequence[int], binning: Binning, *, group: int = 1
) -> NDArray[np.void]:
    """Share the relevance of the binned recording out among its events.

    Events in the same bin are alike to the network: each gets the same part of the bin's relevance.

    Parameters
    ----------
    events : ndarray
        Events [N], of which the input was binned.
    relevance : Tensor
        Of the binned recording, ``[T, P, H, W]`` or ``[T, W]``.
    sensor_size, binning, group
        As for `bins_of`.

    Returns
    -------
    ndarray
        [N] of `RELEVANT_DTYPE`; 0 for events that belong to no step. It adds up to that of all bins with events.

    Raises
    ------
    ShapeError
        If the relevance is not that of this recording, binned this way.
    DataError
        If the events are not valid.

    Examples
    --------
    >>> import torch
    >>> from lfp_snn.data import ByWindow, make_events
    >>> events = make_events([3, 3, 5], [0, 0, 1], [0, 40, 99], [1, 1, 0])
    >>> relevance_of_events(events, torch.ones(2, 2, 4, 8), (8, 4, 2), ByWindow(50))["relevance"]
    array([0.5, 0.5, 1. ], dtype=float32)
    """
    shape = event_shape(check_sensor_size(sensor_size), group)
    bins = bins_of(events, sensor_size, binning, group=group)
    if tuple(relevance.shape[1:]) != shape or bins.max(initial=-1) >= relevance.numel():
        raise ShapeError(
            f"relevance has shape {list(relevance.shape)}; these events need [T, {', '.join(map(str, shape))}] with at "
            f"least {int(bins.max(initial=-1)) // int(np.prod(shape)) + 1} steps"
        )
    inside = bins >= 0
    kinds, which, counts = np.unique(bins[inside], return_inverse=True, return_counts=True)
    values = relevance.detach().cpu().flatten().numpy()[kinds] / counts
    out = np.zeros(len(events), RELEVANT_DTYPE)
    for name in EVENT_DTYPE.names or ():
        out[name] = events[name] if name in (events.dtype.names or ()) else 0
    out["relevance"][inside] = values[which]
    return out
