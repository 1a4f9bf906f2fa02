"""IDX files: what is read, and what is refused."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lfp_snn.data import read_idx
from lfp_snn.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array: np.ndarray) -> bytes:
    """Return the file of an array."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.str[1:]], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


GOOD = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
ZIPPED = gzip.compress(GOOD, mtime=0)  # the same bytes in every process that collects the tests


@given(
    st.sampled_from(sorted(CODES)).flatmap(
        lambda d: hnp.arrays(
            np.dtype(d),
            hnp.array_shapes(max_dims=4, max_side=4),
            elements={"allow_nan": False} if d[0] == "f" else None,
        )
    ),
    st.booleans(),
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, zipped: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip"
    path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    back = read_idx(path)
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file: it begins with nothing"),
        (b"\x00\x00", "not an IDX file"),
        (b"PK\x03\x04" + bytes(100), "begins with 50 4b 03 04"),
        (b"\x00\x00\x07\x01" + bytes(100), "not an IDX file"),
        (GOOD[:10], "cut off in its header"),
        (GOOD[:-1], r"\[2, 3, 4\] values need 24 bytes, the file has 23"),
        (GOOD + b"\x00", "24 bytes, the file has 25"),
        (struct.pack(">BBBB4I", 0, 0, 8, 4, *[2**32 - 1] * 4), "bytes, the file has 0"),
        (ZIPPED[:-9], "gzip file is damaged or cut off"),
        (ZIPPED[:20], "gzip file is damaged or cut off"),
        (b"\x1f\x8b" + bytes(50), "gzip file is damaged"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as info:
        read_idx(path)
    assert str(path) in str(info.value)


@given(st.data())
def test_damaged_files_never_crash(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([GOOD, ZIPPED])))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        assert read_idx(path).size >= 0
    except DataError as e:
        assert str(path) in str(e)  # noqa: PT017 - either is right
