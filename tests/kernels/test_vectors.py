"""Loops over blocks that are written as LLVM vectors, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from lfp_snn.kernels.vectors import VECTOR_BYTES, parts_of_block, row_dots, row_sum


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("vectors", [1, 2, 4, 8])
def test_sums_and_dots_are_those_of_numpy(vectors: int, dtype: type) -> None:
    parts = tuple(range(vectors))

    @njit
    def sums(block, top, index, value, first, last, out):  # type: ignore[no-untyped-def]
        row_sum(parts, block, top, index, value, first, last, out)

    @njit
    def dots(block, index, first, last, message, out):  # type: ignore[no-untyped-def]
        row_dots(parts, block, index, first, last, message, out)

    rng, width = np.random.default_rng(0), vectors * VECTOR_BYTES // np.dtype(dtype).itemsize
    block, message = rng.normal(size=(7, width)).astype(dtype), rng.normal(size=width).astype(dtype)
    index, value = np.array([3, 4, 6, 2, 5], np.int32), rng.normal(size=5).astype(dtype)
    out, answer = np.full(width, 9, dtype), np.ones(7, dtype)
    tolerance = {"rtol": 1e-5 if dtype is np.float32 else 1e-12, "atol": 1e-5 if dtype is np.float32 else 1e-12}
    for first, last in ((0, 5), (1, 4), (2, 2)):
        chosen = index[first:last]
        for top in (0, 2):  # a block may be a part of the rows
            sums(block[top:], top, index, value, first, last, out)
            np.testing.assert_allclose(out, value[first:last] @ block[chosen], **tolerance)
        want = np.ones(7, dtype)
        want[chosen] += block[chosen] @ message
        answer[:] = 1
        dots(block, index, first, last, message, answer)
        np.testing.assert_allclose(answer, want, **tolerance)


@settings(deadline=None)
@given(st.integers(1, 5000), st.sampled_from([4, 8]))
def test_a_block_holds_a_row_or_is_as_large_as_it_gets(features: int, itemsize: int) -> None:
    vectors = len(parts_of_block(features, itemsize))
    size = vectors * VECTOR_BYTES
    assert vectors in (1, 2, 4, 8)
    assert size >= features * itemsize or vectors == 8
    assert vectors == 1 or size < 2 * (features * itemsize + VECTOR_BYTES)
