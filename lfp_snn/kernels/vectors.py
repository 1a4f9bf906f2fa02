"""Inner loops over a block of outputs that stays in the processor's registers, as LLVM vectors inside numba.

numba vectorises loops by itself, but the sums are read from memory and written to it at every event. Here the vectors
are written as such, so that the sums of a whole list of events (or the message that the rows are multiplied with) stay
in the registers, and one row of a block of weights is all that is read for an event.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from typing import Any

import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils

intrinsic: Any = numba.extending.intrinsic  # by its type, what it makes is never to be called

VECTOR_BYTES = 64
MOST_VECTORS = 8
_FAST = ("reassoc", "contract", "nsz")
_I32, _I64 = ir.IntType(32), ir.IntType(64)


def parts_of_block(features: int, itemsize: int) -> tuple[int, ...]:
    """Return the vectors of a block, 1, 2, 4 or 8, where rows have so many numbers.

    As a tuple, of which numba knows the length when it compiles.

    Examples
    --------
    >>> parts_of_block(1000, 4), parts_of_block(20, 4), parts_of_block(10, 8)
    ((0, 1, 2, 3, 4, 5, 6, 7), (0, 1), (0, 1))
    """
    needed = -(-features * itemsize // VECTOR_BYTES)
    return tuple(range(min(MOST_VECTORS, 1 << (needed - 1).bit_length())))


class _Writer:
    """Writes the instructions of a block of ``vectors`` vectors of numbers of a type."""

    def __init__(self, context, builder, dtype, vectors: int) -> None:
        self.context, self.builder, self.vectors = context, builder, vectors
        self.number = context.get_value_type(dtype)
        self.itemsize = dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.itemsize
        self.vector = ir.VectorType(self.number, self.lanes)

    def data(self, kind, array):
        """Return the pointer to an array's first element."""
        return self.context.make_array(kind)(self.context, self.builder, array).data

    def element(self, pointer, k):
        """Return element ``k`` of an array."""
        return self.builder.load(self.builder.gep(pointer, [k]))

    def place(self, pointer, row, part: int):
        """Return the pointer to vector ``part`` of a row of a block."""
        start = self.builder.mul(row, _I64(self.lanes * self.vectors))
        at = self.builder.gep(pointer, [self.builder.add(start, _I64(self.lanes * part))])
        return self.builder.bitcast(at, self.vector.as_pointer())

    def load(self, pointer, row, part: int):
        """Return vector ``part`` of a row of a block."""
        return self.builder.load(self.place(pointer, row, part), align=self.itemsize)

    def everywhere(self, number):
        """Return a vector that holds one number everywhere."""
        nothing = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(nothing, number, _I32(0))
        return self.builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_I32, self.lanes), None))

    def add_product(self, total, a, b):
        """Return ``total + a * b``."""
        return self.builder.fadd(total, self.builder.fmul(a, b, flags=_FAST), flags=_FAST)

    def sum(self, vector):
        """Return the sum of a vector's numbers."""
        kind = ir.FunctionType(self.number, [self.number, self.vector])
        name = f"llvm.vector.reduce.fadd.v{self.lanes}f{8 * self.itemsize}"
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(reduce, [self.number(0.0), vector], fastmath=_FAST)

    def events(self, first, last):
        """Return the loop over events, whose variable is the event's number."""
        return cgutils.for_range_slice(self.builder, first, last, _I64(1), _I64)


@intrinsic
def row_sum(typing, parts, block, top, index, value, first, last, out):
    """Set ``out`` ``[width]`` to the sum of ``value[k] * block[index[k] - top]`` over events ``first`` to ``last``.

    ``block`` is ``[rows, width]``, contiguous, and ``width`` as many vectors as the tuple ``parts`` is long.
    """

    def write(context, builder, signature, arguments):
        writer = _Writer(context, builder, signature.args[1].dtype, len(parts))
        rows, ids, values, target = (writer.data(signature.args[k], arguments[k]) for k in (1, 3, 4, 7))
        sums = [cgutils.alloca_once(builder, writer.vector) for _ in parts]
        for total in sums:
            builder.store(ir.Constant(writer.vector, None), total)
        with writer.events(arguments[5], arguments[6]) as (k, _):
            row = builder.sub(builder.zext(writer.element(ids, k), _I64), arguments[2])
            v = writer.everywhere(writer.element(values, k))
            for part, total in enumerate(sums):
                builder.store(writer.add_product(builder.load(total), v, writer.load(rows, row, part)), total)
        for part, total in enumerate(sums):
            builder.store(builder.load(total), writer.place(target, _I64(0), part), align=writer.itemsize)
        return context.get_dummy_value()

    return types.none(parts, block, types.int64, index, value, types.int64, types.int64, out), write


@intrinsic
def row_dots(typing, parts, block, index, first, last, message, out):
    """Add ``message @ block[index[k]]`` to ``out[index[k]]`` for the events from ``first`` to ``last``.

    ``message`` is ``[width]``; ``parts`` and ``block`` are as in :func:`row_sum`.
    """

    def write(context, builder, signature, arguments):
        writer = _Writer(context, builder, signature.args[1].dtype, len(parts))
        rows, ids, sent, answer = (writer.data(signature.args[k], arguments[k]) for k in (1, 2, 5, 6))
        messages = [writer.load(sent, _I64(0), part) for part in range(len(parts))]
        with writer.events(arguments[3], arguments[4]) as (k, _):
            row = builder.zext(writer.element(ids, k), _I64)
            total = builder.fmul(messages[0], writer.load(rows, row, 0), flags=_FAST)
            for part in range(1, len(parts)):
                total = writer.add_product(total, messages[part], writer.load(rows, row, part))
            place = builder.gep(answer, [row])
            builder.store(builder.fadd(builder.load(place), writer.sum(total), flags=_FAST), place)
        return context.get_dummy_value()

    return types.none(parts, block, index, types.int64, types.int64, message, out), write
