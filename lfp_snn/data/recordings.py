"""Event recordings from files: what cameras write, and the files of the common data sets.

==========================  ================================================  ======================  ==========
file name ends in           what it is                                        read by                 written
==========================  ================================================  ======================  ==========
``.aedat4``                 iniVation DV                                      faery                   yes
``.es``                     Event Stream (``dvs`` or ``atis``)                faery                   yes
``.raw``                    Prophesee EVT 2 and EVT 3                         faery                   EVT 3
``.dat``                    Prophesee DAT 1 and 2                             faery                   DAT 2
``.bin``                    N-MNIST, N-Caltech101 (40 bits an event)          here                    no
``.h5``, ``.hdf5``          one recording of a file of SHD's layout           h5py                    no
``.npz``, ``.npy``          structured array; ``.npz`` also columns x y t p   numpy                   yes
==========================  ================================================  ======================  ==========

Whatever is wrong with a file is a `DataError` that names it. The readers trust what a file says of itself, so it is
checked before they get it (`lfp_snn.data.aedat`, `lfp_snn.data.cameras`, `lfp_snn.data.hdf5_raw`), and what is
decoded may not be out of all proportion to the file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lfp_snn.data.cameras import Decoded, full_size, no_size, read_aedat4, read_dat, read_es, read_evt, write_camera
from lfp_snn.data.events import Events, SensorSize, check_events, check_sensor_size
from lfp_snn.data.guard import check_whole, existing_file, reading, writing
from lfp_snn.data.spike_file import SpikeFile
from lfp_snn.errors import ConfigError, DataError, suggest

MAX_UNPACKED = 256
"""A ``.npz`` whose events, above 1 MiB, unpack to more than this many times its size is an error: columns of a real
recording shrink 2 to 10 times, zeros made to fill the memory 1000 times."""


@dataclass(frozen=True, eq=False)
class Recording:
    """What was recorded, by how large a sensor, in which format.

    Attributes
    ----------
    events : ndarray
        Events [N] of `lfp_snn.data.events.EVENT_DTYPE`, in order of time.
    sensor_size : (W, H, P)
        Width, height, polarities.
    format : str
        Of the file: ``aedat4``, ``es``, ``evt2``, ``evt3``, ``dat``, ``nmnist``, ``hdf5``, ``npy`` or ``npz``.
    """

    events: Events
    sensor_size: SensorSize
    format: str


def read_recording(
    path: str | Path,
    *,
    sensor_size: Sequence[int] | None = None,
    max_events: int | None = None,
    index: int = 0,
    otherwise: Sequence[int] | None = None,
) -> Recording:
    """Read a recording.

    Parameters
    ----------
    path : path
        The file; the end of its name says the format, see `lfp_snn.data.recordings`.
    sensor_size : (W, H) or (W, H, P), optional
        For files that do not name it. If a file does, the two must agree.
    max_events : int, optional
        Stop after the first so many. The rest is not read, or read and let go at once.
    index : int
        Which recording, for a file that holds many (``.h5``).
    otherwise : (W, H) or (W, H, P), optional
        Sensor size to take where neither the file nor ``sensor_size`` says one.

    Returns
    -------
    Recording
        Events in order of time, within the sensor.

    Raises
    ------
    MissingDataError
        If there is no such file.
    DataError
        If it is empty, truncated, damaged, in another format than its name says, without any event, or names no sensor
        size and none was given.
    ConfigError
        If ``max_events`` is not a positive number.
    MissingExtraError
        If the format needs faery, and it is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from lfp_snn.data.events import make_events
    >>> path = Path(tempfile.mkdtemp()) / "two.npz"
    >>> write_recording(path, Recording(make_events([1, 2], 0, [10, 20], True), (34, 34, 2), ""))
    >>> read_recording(path).sensor_size
    (34, 34, 2)
    """
    if max_events is not None:
        check_whole("max_events", max_events)
    path = existing_file(path)
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise DataError(f"{path}: {suggest(suffix or path.name, _READERS, 'kind of recording')}")
    reader = _READERS[suffix]
    asked = None if sensor_size is None else full_size(sensor_size, path)
    given = full_size(otherwise, path) if asked is None and otherwise is not None else asked
    events, named, kind = _read_hdf5(path, given, index) if reader is None else reader(path, given, max_events)
    size = given if named is None else full_size(named, path)
    if asked is not None and asked != size:
        raise DataError(f"{path}: the file says that its sensor size is {size}, but {asked} was asked for")
    if size is None:
        raise no_size(path)
    return Recording(check_events(events[:max_events], size, allow_empty=False, where=str(path)), size, kind)


def write_recording(path: str | Path, recording: Recording) -> None:
    """Write a recording; the end of the file's name says the format.

    ``.npz`` (compressed) keeps everything and needs nothing installed, ``.npy`` all but the sensor size. The camera
    formats ``.aedat4``, ``.es``, ``.raw`` (EVT 3) and ``.dat`` need faery; of those ``.es`` has no place for the start,
    so times begin with 0.

    Parameters
    ----------
    path : path
        The file; one that exists is replaced once the new one is whole.
    recording : Recording
        What to write; its ``format`` is not looked at.

    Raises
    ------
    ConfigError
        If the format cannot be written.
    DataError
        If the recording is empty or not valid, if the format has no room for it (times before 0, more than 16.7 s with
        pauses in ``.raw``, more than 71 minutes in ``.es`` and ``.dat``), or if the file cannot be written.
    MissingExtraError
        If the format needs faery, and it is not installed.

    Examples
    --------
    >>> write_recording("events.bin", Recording(np.zeros(1, [("x", "i2"), ("t", "i8"), ("p", "?")]), (34, 34, 2), ""))
    Traceback (most recent call last):
    lfp_snn.errors.ConfigError: '.bin' cannot be written; these can: .aedat4, .dat, .es, .npy, .npz, .raw
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    size = check_sensor_size(recording.sensor_size)
    events = check_events(recording.events, size, allow_empty=False)
    if suffix not in (".npz", ".npy", *_CAMERA_FORMATS):
        known = sorted([".npy", ".npz", *_CAMERA_FORMATS])
        raise ConfigError(f"{suffix!r} cannot be written; these can: {', '.join(known)}")
    with writing(path) as temporary:
        if suffix in _CAMERA_FORMATS:
            write_camera(temporary, events, size)
        elif suffix == ".npz":
            np.savez_compressed(temporary, events=events, sensor_size=np.array(size))
        else:
            np.save(temporary, events)


def _read_nmnist(path: Path, given: SensorSize | None, limit: int | None) -> Decoded:
    """Read 40 bits an event: x (8), y (8), polarity (1), time in microseconds (23); Orchard et al. 2015, N-MNIST.

    An event of y = 240 is no event but says that 8,192 microseconds more have passed for all that follow.
    """
    if path.stat().st_size % 5:
        raise DataError(f"{path}: not an N-MNIST file, or truncated: its size is no multiple of 5 bytes")
    rows = np.fromfile(path, np.uint8, 5 * limit if limit else -1).reshape(-1, 5).astype(np.int64)
    overflow = rows[:, 1] == 240
    t = ((rows[:, 2] & 127) << 16) + (rows[:, 3] << 8) + rows[:, 4] + (np.cumsum(overflow) << 13)
    events = np.empty(len(rows), [("x", "u1"), ("y", "u1"), ("t", "i8"), ("p", "?")])
    events["x"], events["y"], events["t"], events["p"] = rows[:, 0], rows[:, 1], t, rows[:, 2] >> 7
    return Decoded(events[~overflow], given or (34, 34, 2), "nmnist")


def _read_hdf5(path: Path, given: SensorSize | None, index: int) -> Decoded:
    if given is not None and given[1] != 1:
        raise DataError(f"{path}: its events are of channels, not of a sensor of {given[0]} x {given[1]} pixels")
    file = SpikeFile(path, given[0] if given else 700)
    if not -len(file) <= index < len(file):
        raise DataError(f"{path}: no recording {index}; the file holds {len(file)}")
    return Decoded(file[index], given or file.sensor_size, "hdf5")


def _read_npy(path: Path, _given: SensorSize | None, limit: int | None) -> Decoded:
    with reading(path, "a NumPy array"), path.open("rb") as file:
        size = path.stat().st_size
        return Decoded(_array(file, size, size, limit, f"{path}"), None, "npy")


def _read_npz(path: Path, _given: SensorSize | None, limit: int | None) -> Decoded:
    """Read ``events`` (structured), or columns x, y, t, p as spikingjelly does; ``sensor_size`` if present."""
    with reading(path, "an archive of NumPy arrays"), zipfile.ZipFile(path) as archive:
        members = {i.filename.removesuffix(".npy"): i for i in archive.infolist()}

        def read(name: str, count: int | None) -> NDArray[Any]:
            info = members[name]
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{path}: {name!r} is compressed in an unusual way")
            with archive.open(info) as file:
                return _array(file, info.file_size, path.stat().st_size, count, f"{path}, {name}")

        if "events" in members:
            events = read("events", limit)
        elif members.keys() >= {"x", "y", "t", "p"}:
            columns = {n: read(n, limit) for n in ("x", "y", "t", "p")}
            if len({len(c) for c in columns.values()}) != 1:
                raise DataError(f"{path}: the columns x, y, t, p have different lengths")
            events = np.empty(len(columns["t"]), [(n, c.dtype) for n, c in columns.items()])
            for name, column in columns.items():
                events[name] = column
        else:
            raise DataError(f"{path}: holds {', '.join(sorted(members)) or 'nothing'}; expected events, or x, y, t, p")
        size = tuple(int(n) for n in read("sensor_size", 3)) if "sensor_size" in members else None
    return Decoded(events, size, "npz")


def _array(file: IO[bytes], size: int, packed: int, limit: int | None, where: str) -> NDArray[Any]:
    """Read the beginning of a one-dimensional array, believing what its header says only as far as there are bytes.

    The array says that it has ``size`` bytes; the file on disk has ``packed``.
    """
    version = np.lib.format.read_magic(file)
    read_header: Callable[..., Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _fortran, dtype = read_header(file)
    if len(shape) != 1 or dtype.hasobject or not dtype.itemsize:
        raise DataError(f"{where}: an array of {dtype} {list(shape)} is no recording")
    if shape[0] * dtype.itemsize > size:
        raise DataError(f"{where}: truncated: {shape[0]} events do not fit into {size} bytes")
    count = shape[0] if limit is None else min(shape[0], limit)
    if count * dtype.itemsize > max(1 << 20, MAX_UNPACKED * packed):
        raise DataError(
            f"{where}: unpacks to more than {MAX_UNPACKED} times the file's size, which no recording does; "
            "read the beginning with max_events"
        )
    raw = file.read(count * dtype.itemsize)
    if len(raw) != count * dtype.itemsize:
        raise DataError(f"{where}: truncated")
    return np.frombuffer(raw, dtype)


_CAMERA_FORMATS = (".aedat4", ".dat", ".es", ".raw")
_READERS: dict[str, Callable[[Path, SensorSize | None, int | None], Decoded] | None] = {
    ".aedat4": read_aedat4,
    ".es": read_es,
    ".raw": read_evt,
    ".dat": read_dat,
    ".bin": _read_nmnist,
    ".h5": None,
    ".hdf5": None,
    ".npy": _read_npy,
    ".npz": _read_npz,
}
