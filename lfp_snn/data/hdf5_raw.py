"""Where the numbers of an HDF5 data set are in its file.

h5py finds the data sets; their bytes are then taken from the file itself. That is because the HDF5 library trusts sizes
in a file: damaged ones make it read outside its buffers, loop for ever or ask for gigabytes, and a process ends without
a word. It also means that recordings are read without a handle, so any number of processes may share the object.

Source: HDF5 File Format Specification 3.0, sections II (superblock), III.E (global heap, where ragged rows are kept),
IV.A.2.i and l (layout, filters) and VIII.C (reference of a ragged row: 32-bit length, 64-bit address of its heap
collection, 32-bit number in it).
"""

from __future__ import annotations

import mmap
import struct
import zlib
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from lfp_snn.errors import DataError

MAX_CHUNK = 1 << 26
"""Bytes of one chunk, decompressed."""

_ROW = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
_GZIP, _SHUFFLE, _CHECKSUM = 1, 2, 3  # the library's numbers for its filters


def check_superblock(data: mmap.mmap) -> None:
    """Check that a file begins as an HDF5 file with 64-bit addresses.

    Parameters
    ----------
    data : mmap
        The file.

    Raises
    ------
    DataError
        If it does not.
    """
    if data[:8] != b"\x89HDF\r\n\x1a\n" or len(data) < 48:
        raise DataError("not an HDF5 file")
    sizes = data[13:15] if data[8] < 2 else data[9:11]
    if sizes != b"\x08\x08":
        raise DataError(f"an HDF5 file with {sizes[0]}- and {sizes[1]}-byte addresses; 8 are supported")


def read_plain(data_set: h5py.Dataset, data: mmap.mmap) -> NDArray[Any]:
    """Read a one-dimensional data set of numbers or of strings of one length.

    Parameters
    ----------
    data_set : h5py.Dataset
        The data set.
    data : mmap
        Its file.

    Returns
    -------
    ndarray
        [N].

    Raises
    ------
    DataError
        If it is truncated or damaged, or compressed in an unusual way.
    """
    return np.frombuffer(_bytes(data_set, data_set.dtype.itemsize, data), data_set.dtype)


def find_rows(data_set: h5py.Dataset, itemsize: int, data: mmap.mmap) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the rows of a one-dimensional data set of ragged rows.

    Parameters
    ----------
    data_set : h5py.Dataset
        The data set.
    itemsize : int
        Bytes of one number in a row.
    data : mmap
        Its file.

    Returns
    -------
    tuple of ndarray
        Where each row's numbers begin in the file, and how many there are; int64 [N] each.

    Raises
    ------
    DataError
        If a row is not in the file, or the data set is damaged, or compressed in an unusual way.
    """
    rows = np.frombuffer(_bytes(data_set, _ROW.itemsize, data), _ROW)
    lengths = rows["length"].astype(np.int64)
    if lengths.sum() * itemsize > len(data):
        raise DataError(f"{data_set.name} claims {lengths.sum()} numbers in a file of {len(data)} bytes")
    starts = np.zeros(len(rows), np.int64)
    collection: dict[int, tuple[int, int]] = {}
    address, end = -1, 0
    for i in np.argsort(rows["address"], kind="stable"):
        if not lengths[i]:
            continue
        if address != rows["address"][i]:
            address = int(rows["address"][i])
            if address < end:  # else a crafted file could have as many collections to walk as it has bytes
                raise DataError(f"{data_set.name}: the heaps of its rows overlap")
            collection, end = _collection(data, address)
        start, size = collection.get(int(rows["index"][i]), (0, -1))
        if size < lengths[i] * itemsize:
            raise DataError(f"{data_set.name}: row {i} is damaged")
        starts[i] = start
    return starts, lengths


def _collection(data: mmap.mmap, address: int) -> tuple[dict[int, tuple[int, int]], int]:
    """Return place and size of each object in a heap collection, by its number, and where the collection ends."""
    if address + 16 > len(data) or data[address : address + 5] != b"GCOL\x01":
        raise DataError(f"the heap of ragged rows at byte {address} is damaged")
    end = address + int(struct.unpack_from("<Q", data, address + 8)[0])
    if end > len(data):
        raise DataError(f"truncated: the heap of ragged rows at byte {address} ends at {end}, the file at {len(data)}")
    objects, position = {}, address + 16
    while position + 16 <= end:
        index, size = struct.unpack_from("<H6xQ", data, position)
        if index == 0:  # free space, always last
            break
        if position + 16 + size > end:
            raise DataError(f"the heap of ragged rows at byte {address} is damaged")
        objects[index] = position + 16, size
        position += 16 + -(-size // 8) * 8
    return objects, end


def _bytes(data_set: h5py.Dataset, itemsize: int, data: mmap.mmap) -> bytes:
    """Return the bytes of a data set's items, however they are laid out."""
    name, n, plist = data_set.name, len(data_set), data_set.id.get_create_plist()
    if n > len(data):
        raise DataError(f"{name} claims {n} items in a file of {len(data)} bytes")
    if plist.get_layout() == h5py.h5d.CHUNKED:
        return _chunks(data_set, itemsize, data)
    offset = data_set.id.get_offset() if plist.get_layout() == h5py.h5d.CONTIGUOUS else None
    if offset is None or offset + n * itemsize > len(data):
        raise DataError(f"{name} is truncated, or stored in an unusual way")
    return data[offset : offset + n * itemsize]


def _chunks(data_set: h5py.Dataset, itemsize: int, data: mmap.mmap) -> bytes:
    """Return the bytes of a data set that is kept in chunks, each of them possibly compressed."""
    name, n, (step,) = data_set.name, len(data_set), data_set.chunks
    plist = data_set.id.get_create_plist()
    filters = [plist.get_filter(i)[0] for i in range(min(plist.get_nfilters(), 8))]
    if not set(filters) <= {_GZIP, _SHUFFLE, _CHECKSUM} or len(set(filters)) < len(filters):
        raise DataError(f"{name} is compressed in an unusual way; convert the file with h5repack -f GZIP=4")
    size = step * itemsize
    if size > MAX_CHUNK:
        raise DataError(f"{name} has chunks of {size} bytes; {MAX_CHUNK} are allowed")
    count = data_set.id.get_num_chunks()
    if count > -(-n // step):
        raise DataError(f"{name} has {count} chunks, {-(-n // step)} hold all its items")
    out = bytearray(-(-n // step) * size)
    for i in range(count):
        info = data_set.id.get_chunk_info(i)
        first, offset = info.chunk_offset[0], info.byte_offset
        raw = data[offset : offset + info.size] if offset is not None else b""
        for k in reversed(range(len(filters))):
            if info.filter_mask >> k & 1:  # not applied to this chunk
                continue
            if filters[k] == _CHECKSUM:
                raw = raw[:-4]
            elif filters[k] == _GZIP:
                raw = zlib.decompressobj().decompress(raw, size + 4)
            elif len(raw) % itemsize == 0:
                raw = np.frombuffer(raw, np.uint8).reshape(itemsize, -1).T.tobytes()
        if len(raw) != size or not 0 <= first < n or first % step:
            raise DataError(f"{name}: chunk {i} is damaged or truncated")
        out[first * itemsize : first * itemsize + size] = raw
    return bytes(out[: n * itemsize])
