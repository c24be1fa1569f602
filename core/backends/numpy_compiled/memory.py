"""How kernels read their arguments: 64-bit integers at an address, most of them addresses again."""

from __future__ import annotations

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _pointer_to(kind, element):
    @intrinsic
    def pointer(typingctx, address):
        def build(context, builder, signature, args):
            return builder.inttoptr(args[0], element.as_pointer())

        return types.CPointer(kind)(types.intp), build

    return pointer


floats, ints, shorts, octets = (
    _pointer_to(kind, element)
    for kind, element in (
        (types.float32, ir.FloatType()),
        (types.int32, ir.IntType(32)),
        (types.uint16, ir.IntType(16)),
        (types.uint8, ir.IntType(8)),
    )
)


@intrinsic
def upper_half(typingctx, bits):
    """The float32 that a bfloat16, given as uint16, is the upper half of."""

    def build(context, builder, signature, args):
        wide = builder.zext(args[0], ir.IntType(32))
        return builder.bitcast(builder.shl(wide, ir.Constant(ir.IntType(32), 16)), ir.FloatType())

    return types.float32(types.uint16), build


@intrinsic
def arg(typingctx, args, index):
    """The argument of that index, an integer."""

    def build(context, builder, signature, values):
        place = builder.add(values[0], builder.mul(values[1], ir.Constant(values[1].type, 8)))
        return builder.load(builder.inttoptr(place, ir.IntType(64).as_pointer()))

    return types.int64(types.intp, types.intp), build


@intrinsic
def number(typingctx, args, index):
    """The argument of that index, a float64."""

    def build(context, builder, signature, values):
        place = builder.add(values[0], builder.mul(values[1], ir.Constant(values[1].type, 8)))
        return builder.load(builder.inttoptr(place, ir.DoubleType().as_pointer()))

    return types.float64(types.intp, types.intp), build


@numba.njit(inline="always")
def row(address, first, count):
    """`count` float32 from element `first` on."""
    return numba.carray(floats(address + 4 * first), (count,))


@numba.njit(inline="always")
def share(count, part, parts, step):
    """First and last of a thread's share of `count`, cut at multiples of `step`."""
    units = (count + step - 1) // step
    return min(count, units * part // parts * step), min(count, units * (part + 1) // parts * step)


@numba.njit(inline="always")
def within(index, count):
    """The index, or the nearest one that exists: nothing outside of an array is ever read or written."""
    return min(max(index, 0), count - 1)
