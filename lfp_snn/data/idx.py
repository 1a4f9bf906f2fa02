"""Files of the MNIST family: IDX, plain or gzipped."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lfp_snn.errors import DataError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> NDArray[Any]:
    """Read an IDX file.

    The format: two zero bytes, a type code, the number of dimensions, each dimension's size as a big-endian 32-bit
    number, then the values (http://yann.lecun.com/exdb/mnist).

    Parameters
    ----------
    path : path
        Of the file; gzipped if it begins like that, whatever its name.

    Returns
    -------
    ndarray
        The values, in native byte order.

    Raises
    ------
    DataError
        If the file is not IDX, is cut off, or holds more than it says.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tiny-idx1-ubyte"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
    >>> read_idx(path)
    array([7, 9], dtype=uint8)
    """
    raw = Path(path).read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as e:
            raise DataError(f"{path}: the gzip file is damaged or cut off ({e}); download it again") from e
    if len(raw) < 4 or raw[0] or raw[1] or raw[2] not in _TYPES:
        raise DataError(f"{path}: not an IDX file: it begins with {raw[:4].hex(' ') or 'nothing'}, not with 00 00 08")
    dims, dtype = raw[3], np.dtype(_TYPES[raw[2]])
    if len(raw) < 4 + 4 * dims:
        raise DataError(f"{path}: the IDX file is cut off in its header; download it again")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", dims, 4))
    size = dtype.itemsize
    for n in shape:  # in Python's integers: a damaged header may ask for more than 64 bits
        size *= n
    if len(raw) - 4 - 4 * dims != size:
        found = len(raw) - 4 - 4 * dims
        raise DataError(f"{path}: {list(shape)} values need {size:,} bytes, the file has {found:,}; download it again")
    return np.frombuffer(raw, dtype, offset=4 + 4 * dims).reshape(shape).astype(dtype.newbyteorder("="))
