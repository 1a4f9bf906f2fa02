"""Loops over blocks that are written as LLVM vectors, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from lfp_snn.kernels.vectors import (
    BITS,
    MOST_VECTORS,
    VECTOR_BYTES,
    add_line,
    line_dot,
    lowest_bit,
    nonzero_bits,
    number_of_bits,
    parts_of_block,
    row_dots,
    row_sum,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("vectors", [1, 2, 4, 8, 16])
def test_sums_and_dots_are_those_of_numpy(vectors: int, dtype: type) -> None:
    parts = tuple(range(vectors))

    @njit
    def sums(block, top, index, value, first, last, origin, start, out, row, column):  # type: ignore[no-untyped-def]
        row_sum(parts, block, top, index, value, first, last, origin, start, out, row, column)

    @njit
    def dots(block, top, index, first, last, message, row, column, out, to):  # type: ignore[no-untyped-def]
        row_dots(parts, block, top, index, first, last, message, row, column, out, to)

    rng, width = np.random.default_rng(0), vectors * VECTOR_BYTES // np.dtype(dtype).itemsize
    block, message = rng.normal(size=(7, width)).astype(dtype), rng.normal(size=(2, width + 3)).astype(dtype)
    index, value = np.array([3, 4, 6, 2, 5], np.int32), rng.normal(size=5).astype(dtype)
    tolerance = {"rtol": 1e-5 if dtype is np.float32 else 1e-12, "atol": 1e-5 if dtype is np.float32 else 1e-12}
    for first, last in ((0, 5), (1, 4), (2, 2)):
        chosen = index[first:last]
        for top in (0, 2):  # a block may be a part of the rows
            for row, column in ((0, 0), (1, 3)):
                out, want = (np.full((2, width + 3), 9, dtype) for _ in range(2))
                got = value[first:last] @ block[chosen]
                sums(block[top:], top, index, value, first, last, out, row, out, row, column)
                want[row, column : column + width] += got
                np.testing.assert_allclose(out, want, **tolerance)
                sums(block[top:], top, index, value, first, last, message, 1, out, row, column)
                want[row, column : column + width] = message[1, column : column + width] + got
                np.testing.assert_allclose(out, want, **tolerance)
                answer, want = (np.ones((3, 7), dtype) for _ in range(2))
                want[2, chosen] += block[chosen] @ message[row, column : column + width]
                dots(block[top:], top, index, first, last, message, row, column, answer, 2)
                np.testing.assert_allclose(answer, want, **tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("vectors", [0, 1, 3])
def test_lines_are_added_and_multiplied_as_by_numpy(vectors: int, dtype: type) -> None:
    @njit
    def add(out, at, line, start, factor, vectors):  # type: ignore[no-untyped-def]
        add_line(out, at, line, start, factor, vectors)

    @njit
    def dot(a, a_start, b, b_start, vectors):  # type: ignore[no-untyped-def]
        return line_dot(a, a_start, b, b_start, vectors)

    rng, width = np.random.default_rng(0), vectors * VECTOR_BYTES // np.dtype(dtype).itemsize
    a, b = (rng.normal(size=width + 5).astype(dtype) for _ in range(2))
    tolerance = {"rtol": 1e-5 if dtype is np.float32 else 1e-12, "atol": 1e-5 if dtype is np.float32 else 1e-12}
    np.testing.assert_allclose(dot(a, 1, b, 3, vectors), a[1 : 1 + width] @ b[3 : 3 + width], **tolerance)
    want = a.copy()
    want[2 : 2 + width] += dtype(0.5) * b[1 : 1 + width]
    add(a, 2, b, 1, dtype(0.5), vectors)
    np.testing.assert_allclose(a, want, **tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_not_zero_is_found_as_bits(dtype: type) -> None:
    @njit
    def found(row, k, places):  # type: ignore[no-untyped-def]
        bits = nonzero_bits(row, k)
        number = number_of_bits(bits)
        for n in range(number):
            places[n] = lowest_bit(bits)
            bits &= bits - np.uint64(1)
        return number, bits

    rng = np.random.default_rng(0)
    for share in (0.0, 0.1, 1.0):
        row = ((rng.random(BITS + 9) < share) * rng.normal(size=BITS + 9)).astype(dtype)
        row[rng.random(BITS + 9) < 0.1] = -0.0  # is zero, too
        row[11] = np.nan  # is not: it has to show
        for k in (0, 3, 9):
            places, want = np.zeros(BITS, int), np.flatnonzero(row[k : k + BITS])
            number, left = found(row, k, places)
            assert (number, left) == (len(want), 0)
            assert places[:number].tolist() == want.tolist()


@settings(deadline=None)
@given(st.integers(1, 5000), st.sampled_from([4, 8]))
def test_a_block_holds_a_row_or_is_as_large_as_it_gets(features: int, itemsize: int) -> None:
    vectors = len(parts_of_block(features, itemsize))
    size = vectors * VECTOR_BYTES
    assert vectors in (1, 2, 4, 8, 16)
    assert size >= features * itemsize or vectors == MOST_VECTORS
    assert vectors == 1 or size < 2 * (features * itemsize + VECTOR_BYTES)
