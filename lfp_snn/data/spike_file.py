"""An HDF5 file in SHD's layout: the spikes of many channels, recording by recording.

Such a file holds, for ``N`` recordings (Cramer et al. 2020, The Heidelberg Spiking Data Sets, IEEE TNNLS):

* ``spikes/times``: ``N`` ragged rows of floating-point numbers, in seconds, each row ascending;
* ``spikes/units``: ``N`` ragged rows of integers, the channel of each spike;
* ``labels``: ``N`` integers;
* ``extra/keys``, optional: the names of the classes.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np
from numpy.typing import NDArray

from lfp_snn.data.events import EVENT_DTYPE, Events, EventSource, Recordings, SensorSize, check_events
from lfp_snn.data.guard import existing_file, reading
from lfp_snn.data.hdf5_raw import check_superblock, find_rows, read_plain
from lfp_snn.data.on_access import OnAccess
from lfp_snn.errors import DataError, LfpError

MEMORY_LIMIT = 1 << 30
"""Bytes of events up to which a part of a data set is read into memory (SHD is, SSC is not)."""


class SpikeFile(Sequence[Events]):
    """The recordings of an HDF5 file in SHD's layout, each read when asked for.

    Where the recordings are in the file is looked up once; reading one then needs no handle of the HDF5 library, so
    the object can be pickled and shared by a loader's workers.

    Parameters
    ----------
    path : path
        The file.
    channels : int
        Number of channels; every unit must be smaller.

    Attributes
    ----------
    labels : ndarray
        int64 [N].
    class_names : tuple of str
        From ``extra/keys``, otherwise the labels as text.
    lengths : ndarray
        Number of spikes of each recording, int64 [N].

    Raises
    ------
    MissingDataError
        If there is no such file.
    DataError
        If it is not an HDF5 file, is truncated or damaged, or lays its data out differently. A recording is checked
        when it is read: times finite and ascending, units smaller than ``channels``.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "spikes.h5"
    >>> with h5py.File(path, "w") as file:
    ...     times = file.create_dataset("spikes/times", (1,), h5py.vlen_dtype(np.float32))
    ...     units = file.create_dataset("spikes/units", (1,), h5py.vlen_dtype(np.uint16))
    ...     times[0], units[0], file["labels"] = [0.25, 0.5], [3, 1], [0]
    >>> SpikeFile(path)[0]["t"]
    array([250000, 500000])
    """

    def __init__(self, path: str | Path, channels: int = 700) -> None:
        self.path = existing_file(path)
        self.sensor_size: SensorSize = (channels, 1, 1)
        self._data: mmap.mmap | None = None
        with reading(self.path, "an HDF5 file"), _map(self.path) as data:
            try:
                check_superblock(data)
                with h5py.File(self.path, "r") as file:
                    times, self._times_dtype = _ragged(file, "spikes/times", "f")
                    units, self._units_dtype = _ragged(file, "spikes/units", "iu")
                    self._times, self.lengths = find_rows(times, self._times_dtype.itemsize, data)
                    self._units, unit_lengths = find_rows(units, self._units_dtype.itemsize, data)
                    self.labels, self.class_names = _labels(file, data, len(self.lengths))
            except LfpError as e:
                raise DataError(f"{self.path}: {e}") from None
        if not np.array_equal(self.lengths, unit_lengths):
            raise DataError(f"{self.path}: spikes/times and spikes/units have rows of different lengths")

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Events: ...
    @overload
    def __getitem__(self, index: slice) -> OnAccess: ...
    def __getitem__(self, index: int | slice) -> Events | OnAccess:
        """Read one recording, or select some."""
        if isinstance(index, slice):
            return OnAccess(range(len(self))[index], self.__getitem__)
        i = range(len(self))[index]
        where, n = f"{self.path}, recording {i}", int(self.lengths[i])
        if self._data is None:
            self._data = _map(self.path)
        times = np.frombuffer(self._data, self._times_dtype, n, int(self._times[i]))
        units = np.frombuffer(self._data, self._units_dtype, n, int(self._units[i]))
        raw = np.empty(n, [("x", units.dtype), ("t", np.float64), ("p", np.bool_)])
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are errors below
            raw["x"], raw["t"], raw["p"] = units, np.rint(times.astype(np.float64) * 1e6), True
        return check_events(raw, self.sensor_size, where=where)

    def load(self) -> Recordings:
        """Read everything into memory.

        Returns
        -------
        Recordings
            All recordings, checked.

        Raises
        ------
        DataError
            If one of them is not valid; the message says which.
        """
        return Recordings.join(self)

    def source(self) -> EventSource:
        """Return recordings and labels, in memory if they take less than `MEMORY_LIMIT`."""
        small = self.lengths.sum() * EVENT_DTYPE.itemsize <= MEMORY_LIMIT
        return EventSource(self.load() if small else self, self.labels, (self.path,))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mapped file behind."""
        return self.__dict__ | {"_data": None}


def _map(path: Path) -> mmap.mmap:
    """Map a file into memory."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _item(file: h5py.File, name: str) -> h5py.Dataset:
    """Return a one-dimensional data set that the file itself holds."""
    node: Any = file
    for part in name.split("/"):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            raise DataError(f"no {name!r}; SHD's layout has spikes/times, spikes/units and labels")
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{name!r} is a link to elsewhere")
        node = node[part]
    if not isinstance(node, h5py.Dataset) or node.ndim != 1 or node.is_virtual or node.external:
        raise DataError(f"{name!r} is not a one-dimensional data set")
    if not len(node):
        raise DataError(f"{name!r} is empty")
    return node


def _ragged(file: h5py.File, name: str, kinds: str) -> tuple[h5py.Dataset, np.dtype[Any]]:
    """Return a data set of ragged rows, and the type of the numbers in them."""
    item = _item(file, name)
    base = h5py.check_vlen_dtype(item.dtype)
    if not isinstance(base, np.dtype) or base.kind not in kinds:
        wanted = "floating-point numbers (seconds)" if kinds == "f" else "integers"
        raise DataError(f"{name!r} holds {base or item.dtype}, not ragged rows of {wanted}")
    return item, base


def _labels(file: h5py.File, data: mmap.mmap, n: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Read the labels and the names of the classes."""
    item = _item(file, "labels")
    if item.dtype.kind not in "iu" or len(item) != n:
        raise DataError(f"'labels' holds {len(item)} {item.dtype}; there are {n} recordings, each needs an integer")
    labels = read_plain(item, data).astype(np.int64)
    names: tuple[str, ...] = ()
    if "extra/keys" in file:
        keys = _item(file, "extra/keys")
        if keys.dtype.kind == "S":
            names = tuple(k.decode(errors="replace") for k in read_plain(keys, data))
        elif h5py.check_string_dtype(keys.dtype) is not None:
            starts, lengths = find_rows(keys, 1, data)
            names = tuple(data[a : a + b].decode(errors="replace") for a, b in zip(starts, lengths, strict=True))
    top = int(labels.max(initial=-1))
    if labels.min(initial=0) < 0 or top >= (len(names) or n):
        raise DataError(f"labels run from {labels.min()} to {top}, but there are {len(names) or n} classes")
    return labels, names or tuple(str(i) for i in range(top + 1))
