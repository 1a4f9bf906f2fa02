"""Binned recordings, one byte or one bit a cell: what the cache on disk holds, as batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from lfp_snn.data.augment import GOLDEN, Augment, draw, gauss_pair, mix_one, uniform_one
from lfp_snn.data.batch import Batch
from lfp_snn.data.events import Events, SensorSize
from lfp_snn.data.examples import Examples
from lfp_snn.errors import ConfigError, DataError

if TYPE_CHECKING:
    from lfp_snn.data.event_dataset import EventDataset


class FrameDataset(Examples):
    """Binned recordings with labels.

    Parameters
    ----------
    frames : ndarray
        uint8 [S, cells], the steps of all recordings one after the other; or with ``packed`` uint8
        [S, ceil(cells / 8)], the bits of ``numpy.packbits(frames, axis=1)``. May be mapped from a file.
    offsets : ndarray
        int64 [N + 1]: recording ``i`` is ``frames[offsets[i]:offsets[i + 1]]``.
    labels : ndarray
        int64 [N].
    shape : tuple of int
        Of one step, ``(P, H, W)`` or ``(W,)``.
    packed : bool
        Whether a cell is one bit.
    augment : Augment, optional
        Random changes; those of time need events and are refused. Positions are those of cells, and a cell's events
        move (and get lost) together.
    seed : int
        Of augmentation.
    source : EventDataset, optional
        Of what they were binned, in the same order.

    Raises
    ------
    DataError
        If the arrays do not fit together.

    Examples
    --------
    >>> data = FrameDataset(np.ones((5, 12), np.uint8), np.array([0, 2, 5]), np.array([0, 1]), (3, 2, 2))
    >>> batch = data.__getitems__([0, 1])
    >>> batch.x.shape, batch.lengths
    (torch.Size([3, 2, 3, 2, 2]), tensor([2, 3]))
    """

    _one, _batch_axis = "recording", 1

    def __init__(
        self,
        frames: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        labels: NDArray[np.int64],
        shape: Sequence[int],
        *,
        packed: bool = False,
        augment: Augment | None = None,
        seed: int = 0,
        source: EventDataset | None = None,
    ) -> None:
        self.shape = tuple(shape)
        cells = int(np.prod(self.shape))
        width = -(-cells // 8) if packed else cells
        if frames.dtype != np.uint8 or frames.ndim != 2 or frames.shape[1] != width:
            raise DataError(f"frames must be uint8 [S, {width}], got {frames.dtype} {list(frames.shape)}")
        if (
            len(offsets) != len(labels) + 1
            or offsets[0] != 0
            or offsets[-1] != len(frames)
            or (np.diff(offsets) < 0).any()
        ):
            raise DataError("offsets must ascend from 0 to the number of frames, one more than there are labels")
        super().__init__(labels, seed)
        self.frames, self.offsets, self.packed, self.source = frames, offsets, packed, source
        self._set_changes(augment)
        steps = np.diff(offsets)
        self._fixed = bool((steps == steps[0]).all()) if len(steps) else True

    def _set_changes(self, augment: Augment | None = None) -> None:
        if augment is not None and augment.changes_time:
            raise ConfigError("time_jitter_us and time_stretch work on events, not on binned frames: pass cache=False")
        self.augment = augment

    def events(self, index: int) -> Events:
        """Return recording ``index`` as the events that it was binned of, not augmented.

        Raises
        ------
        ConfigError
            If it is not known what the frames were made of.
        """
        if self.source is None:
            raise ConfigError("these frames come without the events that they were binned of")
        return self.source.events(int(self.indices[index]))

    def __getitems__(self, indices: list[int]) -> Batch:
        """Make a batch; x is float32 [T, B, ...], T the steps of the longest."""
        chosen = self.indices[indices]
        start = self.offsets[chosen]
        steps = self.offsets[chosen + 1] - start
        n_steps, cells = int(steps.max(initial=1)), int(np.prod(self.shape))
        x = np.empty((n_steps, len(chosen), cells), np.float32)
        _unpack(self.frames, self.packed, start, steps, x)
        if self.augment is not None:
            planes, height, width = self.shape if len(self.shape) == 3 else (1, 1, self.shape[0])
            size: SensorSize = (width, height, planes)
            drawn = draw(self.augment, size, self.seed, self._epoch, chosen)
            source, x = x, np.zeros_like(x)
            _move(source, steps, width, height, drawn, x)
        lengths = None if self._fixed else torch.from_numpy(steps.copy())
        return Batch(
            torch.from_numpy(x).view(n_steps, len(chosen), *self.shape),
            self._targets(chosen),
            lengths,
        )


@numba.njit(cache=True, nogil=True)
def _unpack(frames: Any, packed: bool, start: Any, steps: Any, out: Any) -> None:
    """Write frames [S, cells or bytes] as out [T, B, cells], zero after the end."""
    for k in range(out.shape[0]):
        for b in range(out.shape[1]):
            cells = out[k, b]
            if k >= steps[b]:
                cells[:] = 0
            elif packed:
                row = frames[start[b] + k]
                for c in range(cells.size):
                    cells[c] = (row[c >> 3] >> (7 - (c & 7))) & 1
            else:
                cells[:] = frames[start[b] + k]


@numba.njit(cache=True, nogil=True)
def _move(x: Any, steps: Any, width: int, height: int, drawn: Any, out: Any) -> None:
    """Add the cells of x [T, B, cells] to out, each where its recording's matrix takes it."""
    plane = width * height
    for b in range(x.shape[1]):
        m = drawn.matrix[b]
        for k in range(steps[b]):
            for c in range(x.shape[2]):
                count = x[k, b, c]
                if count == 0:
                    continue
                bits = mix_one(drawn.key[b] + np.uint64(k * x.shape[2] + c) * GOLDEN)
                if uniform_one(bits) < drawn.drop[b]:
                    continue
                row, column = (c % plane) // width, c % width
                u = m[0] * column + m[1] * row + m[2] + 0.5
                v = m[3] * column + m[4] * row + m[5] + 0.5
                if drawn.jitter > 0:
                    dx, dy = gauss_pair(bits)
                    u += drawn.jitter * dx
                    if height > 1:
                        v += drawn.jitter * dy
                i, j = int(np.floor(u)), int(np.floor(v))
                if 0 <= i < width and 0 <= j < height:
                    out[k, b, c - c % plane + j * width + i] += count
