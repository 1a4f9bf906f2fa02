r"""A check of AEDAT 4 files before a native reader gets them.

The readers of this format trust what the file says: a damaged header makes them abort the whole process, and a small
compressed packet may unfold to any size. So the container is walked first, without decompressing anything; what passes
is safe to hand on. Layout (little-endian), after iniVation's description of the format:

* ``#!AER-DAT4.0\r\n``, then a 32-bit length and a FlatBuffers table ``IOHE`` of that length with three fields: the
  compression, the position of the table at the file's end (or -1), and an XML text that names the streams;
* packets: 32-bit stream number, 32-bit length, and that many bytes, compressed as one LZ4 or Zstandard frame.

Sources: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html,
https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md, RFC 8878 (Zstandard).
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from lfp_snn.errors import DataError

MAGIC = b"#!AER-DAT4.0\r\n"
MAX_HEADER = 1 << 20
"""Bytes; real headers have a few thousand."""
MAX_PACKET = 1 << 27
"""Bytes of one packet when decompressed; real packets hold some 10 ms of a stream, well under a megabyte."""
MAX_DEPTH = 64
"""Nesting of the XML text; real files have about 6 levels."""

_BLOCK = 1 << 17  # a Zstandard block decompresses to at most this
_NONE, _LZ4, _LZ4_HIGH, _ZSTD, _ZSTD_HIGH = range(5)


def check_aedat4(path: Path) -> None:
    """Check that an AEDAT 4 file is whole, and that no part of it can make a reader crash or fill the memory.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    DataError
        If the magic number, the header, its XML text or a packet is damaged or truncated, or too large.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise DataError(f"{path}: not an AEDAT 4 file (it does not begin with '#!AER-DAT4.0')")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                start, compression, end = _check_header(data)
                for packet_start, packet_end in _packets(data, start, end):
                    size = _decompressed_bound(data, packet_start, packet_end, compression)
                    if size > MAX_PACKET:
                        raise DataError(
                            f"the packet at byte {packet_start} of {packet_end - packet_start} bytes would decompress "
                            f"to as many as {size >> 20} MiB; {MAX_PACKET >> 20} MiB are allowed"
                        )
            except (struct.error, IndexError):
                raise DataError(f"{path}: truncated AEDAT 4 file") from None
            except DataError as e:
                raise DataError(f"{path}: {e}") from None


def _number(form: str, data: bytes | mmap.mmap, position: int) -> int:
    """Read one number; a position outside the data raises struct.error, also a negative one."""
    if position < 0:
        raise struct.error
    return int(struct.unpack_from(form, data, position)[0])


def _check_header(data: mmap.mmap) -> tuple[int, int, int]:
    """Return where the packets start, the compression, and where the packets end (-1: at the end of the file)."""
    length = _number("<I", data, len(MAGIC))
    start = len(MAGIC) + 4 + length
    if length > MAX_HEADER:
        raise DataError(f"the header claims {length} bytes; {MAX_HEADER} are allowed")
    if start > len(data):
        raise DataError(f"truncated: the header has {length} bytes, the file {len(data)}")
    header = data[len(MAGIC) + 4 : start]
    try:
        table = _number("<I", header, 0)
        vtable = table - _number("<i", header, table)
        fields = (_number("<H", header, vtable) - 4) // 2

        def field(index: int, form: str, default: int) -> int:
            offset = _number("<H", header, vtable + 4 + 2 * index) if index < fields else 0
            return _number(form, header, table + offset) if offset else default

        compression, end = field(0, "<i", _NONE), field(1, "<q", -1)
        text_offset = _number("<H", header, vtable + 8) if fields > 2 else 0
        if not text_offset:
            raise DataError("the header has no description of the streams")
        text_at = table + text_offset + _number("<I", header, table + text_offset)
        text = header[text_at + 4 : text_at + 4 + _number("<I", header, text_at)]
        if len(text) != _number("<I", header, text_at):
            raise struct.error
    except struct.error:
        raise DataError("the header is damaged: an offset points outside it") from None
    if not _NONE <= compression <= _ZSTD_HIGH:
        raise DataError(f"unknown compression {compression}")
    _check_xml(text)
    return start, compression, end


def _check_xml(text: bytes) -> None:
    """Check that a text is well-formed, flat enough for a recursive reader, and declares no entities."""
    depth = 0

    def enter(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise DataError(f"the description of the streams is nested deeper than {MAX_DEPTH}")

    def leave(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*_: object) -> None:
        raise DataError("the description of the streams has a document type, which no camera writes")

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler, parser.StartDoctypeDeclHandler = enter, leave, doctype
    try:
        text.decode()
        parser.Parse(text, True)
    except (expat.ExpatError, UnicodeDecodeError) as e:
        raise DataError(f"the description of the streams is damaged: {e}") from None


def _packets(data: mmap.mmap, position: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of every packet's bytes."""
    while position < len(data) and position != end:
        start = position + 8
        position = start + _number("<I", data, position + 4)
        if position > len(data):
            raise DataError(f"truncated: the packet at byte {start} ends at {position}, the file at {len(data)}")
        yield start, position


def _decompressed_bound(data: mmap.mmap, position: int, end: int, compression: int) -> int:
    """Return the most bytes that a packet can decompress to, from the sizes of its blocks."""
    if compression == _NONE:
        return end - position
    if compression in (_LZ4, _LZ4_HIGH):
        return _lz4_bound(data, position, end)
    return _zstd_bound(data, position, end)


def _lz4_bound(data: mmap.mmap, position: int, end: int) -> int:
    """Bound for one LZ4 frame: a block has a declared largest size, and LZ4 cannot shrink by more than 255."""
    if _number("<I", data, position) != 0x184D2204:
        raise DataError(f"the packet at byte {position} is not an LZ4 frame")
    flags, descriptor = data[position + 4], data[position + 5] >> 4 & 7
    if flags >> 6 != 1 or descriptor < 4:
        raise DataError(f"the packet at byte {position} has a damaged LZ4 header")
    block_max = 1 << (8 + 2 * descriptor)
    block_checksum = 4 * (flags >> 4 & 1)
    position += 7 + 8 * (flags >> 3 & 1) + 4 * (flags & 1)
    total = 0
    while position + 4 <= end and (size := _number("<I", data, position)):
        stored, size = size >> 31, size & 0x7FFFFFFF
        total += size if stored else min(block_max, 255 * size)
        position += 4 + size + block_checksum
    return total


def _zstd_bound(data: mmap.mmap, position: int, end: int) -> int:
    """Bound for a series of Zstandard frames: a block decompresses to 128 KiB at most."""
    total = 0
    while position + 4 <= end:
        magic = _number("<I", data, position)
        position += 4
        if magic & 0xFFFFFFF0 == 0x184D2A50:  # a frame to be skipped
            position += 4 + _number("<I", data, position)
            continue
        if magic != 0xFD2FB528:
            raise DataError(f"the packet has no Zstandard frame at byte {position - 4}")
        flags = data[position]
        single = flags >> 5 & 1
        content_size = (single, 2, 4, 8)[flags >> 6]
        position += 1 + (1 - single) + (0, 1, 2, 4)[flags & 3] + content_size
        last = 0
        while not last and position + 3 <= end:
            block = int.from_bytes(data[position : position + 3], "little")
            last, kind, size = block & 1, block >> 1 & 3, block >> 3
            total += _BLOCK if kind == 2 else size
            position += 3 + (1 if kind == 1 else size)
        position += 4 * (flags >> 2 & 1)
    return total
