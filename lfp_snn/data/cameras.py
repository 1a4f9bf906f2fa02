"""Recordings in the formats that event cameras write, decoded by faery.

faery trusts what a file says of itself, so each file is checked first: that it is whole, names its version and the
sensor's size, and decodes to no more than a real recording could.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from lfp_snn.data.aedat import check_aedat4
from lfp_snn.data.events import Events, SensorSize, check_sensor_size
from lfp_snn.data.guard import reading
from lfp_snn.errors import DataError, require

MAX_EVENTS_PER_BYTE = 64
"""Decoding stops with an error beyond this many events for each byte of a file: no real file comes near (EVT 3 packs
up to 6 events into a byte), a compressed file made to fill the memory exceeds it."""

MAX_HEADER = 1 << 16
"""Bytes of the text at the beginning of ``.raw`` and ``.dat`` files."""

GENERATIONS = {
    "gen3": (640, 480),
    "gen31": (640, 480),
    "gen4": (1280, 720),
    "gen41": (1280, 720),
    "imx636": (1280, 720),
    "genx320": (320, 320),
}
"""Sizes of Prophesee's sensors by the name in the header's ``plugin_name``, for files that do not say their size."""


class Decoded(NamedTuple):
    """What a reader hands on: columns that are not checked yet, and what the file says of the sensor."""

    events: NDArray[Any]
    sensor_size: tuple[int, ...] | None
    format: str


def full_size(sensor_size: Sequence[int], path: Path) -> SensorSize:
    """Check a sensor size that a file states or was given for it; a camera has two polarities unless it says otherwise.

    Parameters
    ----------
    sensor_size : (W, H) or (W, H, P)
        Width, height, number of polarities.
    path : Path
        The file, for the error.

    Returns
    -------
    tuple of int
        (W, H, P).

    Raises
    ------
    DataError
        If it is no sensor size.
    """
    try:
        return check_sensor_size((*sensor_size, 2) if len(sensor_size) == 2 else sensor_size)
    except DataError as e:
        raise DataError(f"{path}: {e}") from None


def no_size(path: Path) -> DataError:
    """Return the error for a file that does not name its sensor's size, when none was given."""
    return DataError(
        f"{path}: the file does not say how large the sensor is; pass sensor_size=(width, height), "
        "or --sensor WIDTH HEIGHT on the command line"
    )


def _by_faery(path: Path, kind: str, limit: int | None, **options: Any) -> tuple[NDArray[Any], tuple[int, int]]:
    """Decode with faery, packet by packet, as far as asked for."""
    faery = require("faery", "events")
    ceiling = MAX_EVENTS_PER_BYTE * path.stat().st_size
    packets, total = [], 0
    with reading(path, kind):
        stream = faery.events_stream_from_file(path, file_type=_TYPES[path.suffix.lower()], **options)
        size: tuple[int, int] = stream.dimensions()
        for packet in stream:
            packets.append(packet)
            total += len(packet)
            if limit is not None and total >= limit:
                break
            if total > ceiling:
                raise DataError(
                    f"{path}: decodes to more than {MAX_EVENTS_PER_BYTE} events a byte, which no recording does; "
                    "read the beginning with max_events"
                )
        raw = np.concatenate(packets) if packets else np.empty(0, faery.EVENTS_DTYPE)
    events = np.empty(len(raw), [("x", "u2"), ("y", "u2"), ("t", "u8"), ("p", "?")])
    for ours, theirs in _FIELDS:
        events[ours] = raw[theirs]
    return events, size


def read_aedat4(path: Path, _given: SensorSize | None, limit: int | None) -> Decoded:
    """Read AEDAT 4 of iniVation's DV software: the first stream of events."""
    check_aedat4(path)
    return Decoded(*_by_faery(path, "AEDAT 4", limit), "aedat4")


def read_es(path: Path, _given: SensorSize | None, limit: int | None) -> Decoded:
    """Read Event Stream: 20 bytes of header, then 5 bytes an event, and single bytes where time passes."""
    data = np.memmap(path, np.uint8, mode="r")
    if data[:12].tobytes() != b"Event Stream":
        raise DataError(f"{path}: not an Event Stream file (it does not begin with 'Event Stream')")
    kind = data[15] if len(data) > 15 else 0
    if kind in (1, 2) and _rest(data[20:], 0xFE if kind == 1 else 0xFC):
        raise DataError(f"{path}: truncated in the middle of an event")
    return Decoded(*_by_faery(path, "Event Stream", limit), "es")


@numba.njit(cache=True)
def _rest(data: NDArray[np.uint8], time_only: int) -> int:
    """Count the bytes after the last whole event; a byte of at least ``time_only`` stands alone, others start five."""
    position = 0
    while position < len(data):
        position += 1 if data[position] >= time_only else 5
    return position - len(data)


class _Header(NamedTuple):
    """The text at the beginning of a Prophesee file."""

    length: int
    version: str | None
    size: tuple[int, int] | None
    generation: tuple[int, int] | None


def _prophesee_header(path: Path) -> _Header:
    """Read the lines that begin with %."""
    length, lines = 0, []
    with path.open("rb") as file:
        while line := file.readline(MAX_HEADER):
            if not line.startswith(b"%"):
                break
            try:
                lines.append(line.decode())
            except UnicodeDecodeError:  # no text, so data that happens to begin with the same byte
                break
            length += len(line)
            if length > MAX_HEADER or not line.endswith(b"\n"):
                raise DataError(f"{path}: the header does not end")
    text = "".join(lines)

    def find(pattern: str) -> re.Match[str] | None:
        return re.search(pattern, text, re.MULTILINE | re.IGNORECASE)

    version = find(r"^% ?(?:evt|version|format)\s+(?:EVT)?([\d.]+)")
    size = find(r"^% ?geometry\s+(\d+)x(\d+)") or find(r"width=(\d+);height=(\d+)")
    if size:
        width, height = size.groups()
    elif size := find(r"height=(\d+);width=(\d+)"):
        height, width = size.groups()
    elif (w := find(r"^% ?width\s+(\d+)")) and (h := find(r"^% ?height\s+(\d+)")):
        width, height = w.group(1), h.group(1)
    else:
        width = height = ""
    plugin = find(r"^% ?plugin_name\s+hal_plugin_([a-z\d]+)")
    return _Header(
        length,
        version.group(1).removesuffix(".0") if version else None,
        (int(width), int(height)) if width else None,
        GENERATIONS.get(plugin.group(1).lower()) if plugin else None,
    )


def read_evt(path: Path, given: SensorSize | None, limit: int | None) -> Decoded:
    """Read Prophesee's EVT 2 or EVT 3; the header says which."""
    header = _prophesee_header(path)
    if header.version not in ("2", "3"):
        what = f"EVT {header.version}" if header.version else "a file that names no version"
        raise DataError(f"{path}: {what} cannot be read; EVT 2 and EVT 3 can")
    if (path.stat().st_size - header.length) % (4 if header.version == "2" else 2):
        raise DataError(f"{path}: truncated in the middle of a word")
    size = header.size or (given[:2] if given else header.generation)
    if size is None:
        raise no_size(path)
    size = full_size(size, path)[:2]
    events, read_size = _by_faery(path, f"EVT {header.version}", limit, dimensions_fallback=size)
    return Decoded(events, read_size, f"evt{header.version}")


def read_dat(path: Path, given: SensorSize | None, limit: int | None) -> Decoded:
    """Read Prophesee's DAT."""
    header = _prophesee_header(path)
    if (path.stat().st_size - header.length - 2) % 8:
        raise DataError(f"{path}: not a DAT file, or truncated in the middle of an event")
    size = header.size or (given[:2] if given else None)
    if size is None:
        raise no_size(path)
    size = full_size(size, path)[:2]
    return Decoded(*_by_faery(path, "DAT", limit, dimensions_fallback=size), "dat")


def write_camera(path: Path, events: Events, sensor_size: SensorSize) -> None:
    """Write a recording in the format that the file's name asks for.

    Parameters
    ----------
    path : Path
        Ends in ``.aedat4``, ``.es``, ``.raw`` (EVT 3) or ``.dat`` (DAT 2).
    events : ndarray
        Events [N] of `lfp_snn.data.events.EVENT_DTYPE`, at least one.
    sensor_size : (W, H, P)
        Of the sensor.

    Raises
    ------
    DataError
        If the format has no room for such times or such a sensor.
    MissingExtraError
        If faery is not installed.
    """
    faery = require("faery", "events")
    _check_room(path.suffix.lower(), events["t"], max(sensor_size[:2]))
    raw = np.empty(len(events), faery.EVENTS_DTYPE)
    for ours, theirs in _FIELDS:
        raw[theirs] = events[ours]
    faery.events_stream_from_array(raw, sensor_size[:2]).to_file(path)


def _check_room(suffix: str, t: NDArray[np.int64], side: int) -> None:
    """Refuse what a format would turn into something else, or into an endless file."""
    duration, gap = int(t[-1]) - int(t[0]), int(np.diff(t).max(initial=0))
    if t[0] < 0:
        wrong = "times before 0"
    elif side > _LARGEST[suffix]:
        wrong = f"a sensor of {side} columns or rows (at most {_LARGEST[suffix]})"
    elif suffix == ".raw" and duration >= 2**24 and gap > 2**12:
        # The clock of 24 bits starts anew, which faery sees only if the upper 12 go from 4095 to 0, skipping neither.
        wrong = f"a pause of {gap / 1000:,.1f} ms in more than 16.7 s (at most 4 ms)"
    elif suffix in (".dat", ".es") and duration >= 2**32:  # DAT: 32 bits; Event Stream: a byte for each 127 us
        wrong = f"a duration of {duration / 1e6:,.0f} s (at most {2**32 / 1e6:,.0f} s)"
    else:
        return
    raise DataError(f"{suffix} has no room for {wrong}; .npz has")


_LARGEST = {".aedat4": 2**15 - 1, ".es": 2**15, ".raw": 2**11, ".dat": 2**14 - 1}
_TYPES = {".aedat4": "aedat", ".es": "es", ".raw": "evt", ".dat": "dat"}
_FIELDS = (("x", "x"), ("y", "y"), ("t", "t"), ("p", "on"))
