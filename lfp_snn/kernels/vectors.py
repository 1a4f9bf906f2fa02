"""Inner loops as LLVM vectors inside numba: over a block of outputs in registers, and over 64 elements as bits.

numba vectorises loops by itself, but the sums are read from memory and written to it at every event. Here the vectors
are written as such, so that the sums of a whole list of events (or the message that the rows are multiplied with) stay
in the registers, and one row of a block of weights is all that is read for an event. What is not zero is found 64
elements at a time, as the bits of a number.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from typing import Any

import llvmlite.binding
import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils

intrinsic: Any = numba.extending.intrinsic  # by its type, what it makes is never to be called

VECTOR_BYTES = 64
BITS = 64
MOST_VECTORS = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 4
"""Of a block: with 32 registers of 64 bytes twice as many leave room for the rest; others have 16 of 32 bytes."""
_FAST = ("reassoc", "contract", "nsz")
_I1, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


def parts_of_block(features: int, itemsize: int) -> tuple[int, ...]:
    """Return the vectors of a block, a power of 2 of them, where rows have so many numbers.

    As a tuple, of which numba knows the length when it compiles.

    Examples
    --------
    >>> parts_of_block(64, 4), parts_of_block(20, 4), parts_of_block(10, 8)
    ((0, 1, 2, 3), (0, 1), (0, 1))
    """
    needed = -(-features * itemsize // VECTOR_BYTES)
    return tuple(range(min(MOST_VECTORS, 1 << (needed - 1).bit_length())))


def _wide(builder) -> None:
    """Have a function use 512-bit vectors where there are some: for Intel's processors, LLVM prefers 256 bits."""
    set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite does not know this attribute


@intrinsic
def nonzero_bits(typing, row, k):
    """Return which of the 64 elements from ``row[k]`` on are not zero, as bits: that of the first is the lowest."""

    def write(context, builder, signature, arguments):
        writer = _Writer(context, builder, signature.args[0].dtype, BITS)
        elements = writer.load(writer.span(signature.args[0], *arguments))
        nonzero = builder.fcmp_unordered("!=", elements, writer.constant(0.0))
        return builder.bitcast(nonzero, _I64)

    return types.uint64(row, types.int64), write


@intrinsic
def one_bits(typing, row, k):
    """Return which of the 64 elements from ``row[k]`` on are 1, as bits."""

    def write(context, builder, signature, arguments):
        writer = _Writer(context, builder, signature.args[0].dtype, BITS)
        ones = builder.fcmp_ordered("==", writer.load(writer.span(signature.args[0], *arguments)), writer.constant(1.0))
        return builder.bitcast(ones, _I64)

    return types.uint64(row, types.int64), write


@intrinsic
def spread_bits(typing, bits, row, k):
    """Set each of the 64 elements from ``row[k]`` on to its bit, 0 or 1."""

    def write(context, builder, signature, arguments):
        writer = _Writer(context, builder, signature.args[1].dtype, BITS)
        chosen = builder.bitcast(arguments[0], ir.VectorType(_I1, BITS))
        numbers = builder.select(chosen, writer.constant(1.0), writer.constant(0.0))
        place = writer.span(signature.args[1], arguments[1], arguments[2])
        builder.store(numbers, place, align=writer.itemsize)
        return context.get_dummy_value()

    return types.none(types.uint64, row, types.int64), write


@intrinsic
def bits_of_float(typing, x):
    """Return the bits of a 32-bit number."""
    return types.uint32(types.float32), lambda context, builder, signature, arguments: builder.bitcast(
        arguments[0], _I32
    )


@intrinsic
def float_of_bits(typing, bits):
    """Return the 32-bit number of these bits."""
    kind = ir.FloatType()
    return types.float32(types.uint32), lambda context, builder, signature, arguments: builder.bitcast(
        arguments[0], kind
    )


@intrinsic
def lowest_bit(typing, bits):
    """Return the place of the lowest bit that is set; some bit has to be."""
    return types.int64(types.uint64), lambda context, builder, signature, arguments: builder.cttz(arguments[0], _I1(1))


@intrinsic
def number_of_bits(typing, bits):
    """Return how many bits are set."""
    return types.int64(types.uint64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


class _Writer:
    """Writes the instructions for vectors of ``lanes`` numbers of a type."""

    def __init__(self, context, builder, dtype, lanes: int | None = None) -> None:
        self.context, self.builder = context, builder
        self.number = context.get_value_type(dtype)
        self.itemsize = dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.itemsize if lanes is None else lanes
        self.vector = ir.VectorType(self.number, self.lanes)
        _wide(builder)

    def data(self, kind, array):
        """Return the pointer to an array's first element."""
        return self.context.make_array(kind)(self.context, self.builder, array).data

    def span(self, kind, array, k):
        """Return the pointer to the vector of an array's elements from ``k`` on."""
        start = self.builder.gep(self.data(kind, array), [k])
        return self.builder.bitcast(start, self.vector.as_pointer())

    def constant(self, number: float):
        """Return a vector that holds one number everywhere, known now."""
        return ir.Constant(self.vector, [self.number(number)] * self.lanes)

    def columns(self, kind, array):
        """Return the length of a matrix's rows."""
        made = self.context.make_array(kind)(self.context, self.builder, array)
        return self.builder.extract_value(made.shape, 1)

    def element(self, pointer, k):
        """Return element ``k`` of an array."""
        return self.builder.load(self.builder.gep(pointer, [k]))

    def place(self, pointer, row, columns, part: int, first=None):
        """Return the pointer to vector ``part``, from column ``first`` on, of a row of a matrix."""
        start = self.builder.mul(row, columns)
        start = start if first is None else self.builder.add(start, first)
        at = self.builder.gep(pointer, [self.builder.add(start, _I64(self.lanes * part))])
        return self.builder.bitcast(at, self.vector.as_pointer())

    def load(self, place):
        """Return the vector at a place."""
        return self.builder.load(place, align=self.itemsize)

    def prefetch(self, place, write: bool):
        """Have the processor fetch what is at a place, to be read or written soon."""
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        self.builder.call(function, [self.builder.bitcast(place, byte), _I32(int(write)), _I32(3), _I32(1)])

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
def row_sum(typing, parts, block, top, index, value, first, last, origin, start, out, row, column):
    """Set ``out[row, column:]`` to ``origin[start, column:]`` and ``value[k] * block[index[k] - top]`` of some events.

    Those are the events ``first`` to ``last``. ``block`` is ``[rows, width]``, and ``width`` as many vectors as the
    tuple ``parts`` is long; all are contiguous. ``out`` has at least ``width`` columns from ``column`` on, and
    ``origin``, which may be ``out``, as many as ``out``.
    """

    def write(context, builder, signature, arguments):
        writer = _Writer(context, builder, signature.args[1].dtype)
        rows, ids, values, begin, target = (writer.data(signature.args[k], arguments[k]) for k in (1, 3, 4, 7, 9))
        width, columns = _I64(writer.lanes * len(parts)), writer.columns(signature.args[9], arguments[9])
        sums = [cgutils.alloca_once(builder, writer.vector) for _ in parts]
        after = builder.add(arguments[10], _I64(1))
        for part, total in enumerate(sums):
            builder.store(writer.load(writer.place(begin, arguments[8], columns, part, arguments[11])), total)
            writer.prefetch(writer.place(target, after, columns, part, arguments[11]), write=True)
        with writer.events(arguments[5], arguments[6]) as (k, _):
            at = builder.sub(builder.zext(writer.element(ids, k), _I64), arguments[2])
            v = writer.everywhere(writer.element(values, k))
            for part, total in enumerate(sums):
                weights = writer.load(writer.place(rows, at, width, part))
                builder.store(writer.add_product(builder.load(total), v, weights), total)
        for part, total in enumerate(sums):
            place = writer.place(target, arguments[10], columns, part, arguments[11])
            builder.store(builder.load(total), place, align=writer.itemsize)
        return context.get_dummy_value()

    number = types.int64
    matrices = origin, number, out, number, number
    return types.none(parts, block, number, index, value, number, number, *matrices), write


@intrinsic
def row_dots(typing, parts, block, top, index, first, last, message, row, column, out, to):
    """Add ``message[row, column:] @ block[index[k] - top]`` to ``out[to, index[k]]``, by event.

    ``parts`` and ``block`` are as in :func:`row_sum`, and the columns of ``message`` as those of ``out`` there.
    """

    def write(context, builder, signature, arguments):
        writer = _Writer(context, builder, signature.args[1].dtype)
        rows, ids, sent, target = (writer.data(signature.args[k], arguments[k]) for k in (1, 3, 6, 9))
        width, columns = _I64(writer.lanes * len(parts)), writer.columns(signature.args[6], arguments[6])
        after = builder.add(arguments[7], _I64(1))
        messages = []
        for part in range(len(parts)):
            messages.append(writer.load(writer.place(sent, arguments[7], columns, part, arguments[8])))
            writer.prefetch(writer.place(sent, after, columns, part, arguments[8]), write=False)
        answer = builder.gep(target, [builder.mul(arguments[10], writer.columns(signature.args[9], arguments[9]))])
        with writer.events(arguments[4], arguments[5]) as (k, _):
            i = builder.zext(writer.element(ids, k), _I64)
            at = builder.sub(i, arguments[2])
            totals = []  # four of them, since each waits for the last addition to it
            for part, sent_part in enumerate(messages):
                weights = writer.load(writer.place(rows, at, width, part))
                if part < 4:
                    totals.append(builder.fmul(sent_part, weights, flags=_FAST))
                else:
                    totals[part % 4] = writer.add_product(totals[part % 4], sent_part, weights)
            while len(totals) > 1:
                totals = [builder.fadd(*totals[n : n + 2], flags=_FAST) for n in range(0, len(totals), 2)]
            place = builder.gep(answer, [i])
            builder.store(builder.fadd(builder.load(place), writer.sum(totals[0]), flags=_FAST), place)
        return context.get_dummy_value()

    number = types.int64
    return types.none(parts, block, number, index, number, number, message, number, number, out, number), write


@intrinsic
def add_line(typing, out, at, line, start, factor, vectors):
    """Add ``factor * line[start:]`` to ``out[at:]``, both flat, for so many vectors."""

    def write(context, builder, signature, arguments):
        writer = _Writer(context, builder, signature.args[0].dtype)
        target, source = (writer.data(signature.args[k], arguments[k]) for k in (0, 2))
        v = writer.everywhere(arguments[4])
        with writer.events(_I64(0), arguments[5]) as (k, _):
            place = writer.place(target, k, _I64(writer.lanes), 0, arguments[1])
            added = writer.load(writer.place(source, k, _I64(writer.lanes), 0, arguments[3]))
            builder.store(writer.add_product(writer.load(place), v, added), place, align=writer.itemsize)
        return context.get_dummy_value()

    number = types.int64
    return types.none(out, number, line, number, out.dtype, number), write


@intrinsic
def line_dot(typing, a, a_start, b, b_start, vectors):
    """Return the product of ``a[a_start:]`` and ``b[b_start:]``, both flat, over so many vectors."""

    def write(context, builder, signature, arguments):
        writer = _Writer(context, builder, signature.args[0].dtype)
        a, b = (writer.data(signature.args[k], arguments[k]) for k in (0, 2))
        total = cgutils.alloca_once(builder, writer.vector)
        builder.store(ir.Constant(writer.vector, None), total)
        with writer.events(_I64(0), arguments[4]) as (k, _):
            a_part = writer.load(writer.place(a, k, _I64(writer.lanes), 0, arguments[1]))
            b_part = writer.load(writer.place(b, k, _I64(writer.lanes), 0, arguments[3]))
            builder.store(writer.add_product(builder.load(total), a_part, b_part), total)
        return writer.sum(builder.load(total))

    number = types.int64
    return a.dtype(a, number, b, number, number), write
