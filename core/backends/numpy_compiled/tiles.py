"""The innermost loops of the NumPy backend's kernels, as LLVM vectors that stay in registers.

Numba compiles loops well but cannot keep a block of sums in registers or look a table up inside one. These two functions do;
they take addresses, so their callers in `products.py` and `blocks.py` see to shapes and bounds.
"""

from __future__ import annotations

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  # floats of a vector
BLOCKS = 4  # vectors of rows that share a table while it is in a register
WIDE = LANES * BLOCKS  # rows of a packed matrix that one look-up tile covers
TILE = 4  # tokens that share a vector of indices
ROWS = 8  # rows of a product that a product tile covers
PANEL = 2 * LANES  # and columns

_FEATURES = llvmlite.binding.get_host_cpu_features()
HAS_AVX512 = bool(_FEATURES.get("avx512f"))
HAS_LOOKUP = HAS_AVX512 or bool(_FEATURES.get("avx2"))  # tables can be looked up in registers

_BYTES, _INTS, _FLOATS = (ir.VectorType(t, LANES) for t in (ir.IntType(8), ir.IntType(32), ir.FloatType()))


def _lookup_tile(tokens: int):
    """The inner kernel for that many tokens at once: group sums of WIDE rows, from the group's tables, added to the output.

    Arguments are addresses: codes uint8 [bytes, WIDE] of the group, tables float32 [tokens, 2·bytes, 16], norms float32 [WIDE],
    out float32 [tokens, WIDE] with `stride` bytes between tokens; then the number of bytes.
    """

    @intrinsic
    def lookup(typingctx, codes, tables, norms, out, stride, count, one):
        def build(context, builder: ir.IRBuilder, signature, args):
            codes, tables, norms, out, stride, count, one = args
            intp = codes.type

            def at(address, offset):
                return builder.add(address, offset if isinstance(offset, ir.Value) else ir.Constant(intp, offset))

            def load(address, kind):
                value = builder.load(builder.inttoptr(address, kind.as_pointer()))
                value.align = 1
                return value

            zero = ir.Constant(_FLOATS, [0.0] * LANES)
            fma = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3), f"llvm.fma.v{LANES}f32"
            )
            ones = _everywhere(builder, one)
            fifteen, four = (ir.Constant(_INTS, [n] * LANES) for n in (15, 4))
            table_bytes = 4 * LANES
            per_token = builder.mul(count, ir.Constant(intp, 2 * table_bytes))
            sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(BLOCKS)] for _ in range(tokens)]
            with cgutils.for_range(builder, count, intp=intp) as loop:
                here = at(codes, builder.mul(loop.index, ir.Constant(intp, WIDE)))
                low, high = [], []
                for b in range(BLOCKS):
                    index = builder.zext(load(at(here, b * LANES), _BYTES), _INTS)
                    # AVX-512 looks at the lowest four bits only; the pair of AVX2 tables wants a clean index
                    low.append(index if HAS_AVX512 else builder.and_(index, fifteen))
                    high.append(builder.lshr(index, four))
                table = at(tables, builder.mul(loop.index, ir.Constant(intp, 2 * table_bytes)))
                for t in range(tokens):
                    for part, indices in ((0, low), (table_bytes, high)):
                        entries = load(at(table, part), _FLOATS)
                        for b in range(BLOCKS):
                            chosen = _permute(builder, entries, indices[b])
                            total = builder.load(sums[t][b])
                            # Every other sum by a multiplication with 1: additions and multiplications have units of their own
                            if b % 2:
                                total = builder.call(fma, [chosen, ones, total])
                            else:
                                total = builder.fadd(total, chosen)
                            builder.store(total, sums[t][b])
                    table = builder.add(table, per_token)
            for t in range(tokens):
                for b in range(BLOCKS):
                    place = at(out, b * table_bytes)
                    scaled = builder.fmul(builder.load(sums[t][b]), load(at(norms, b * table_bytes), _FLOATS))
                    store = builder.store(
                        builder.fadd(load(place, _FLOATS), scaled), builder.inttoptr(place, _FLOATS.as_pointer())
                    )
                    store.align = 4
                out = builder.add(out, stride)
            return context.get_dummy_value()

        return types.void(*(types.intp,) * 6, types.float32), build

    return lookup


def _everywhere(builder: ir.IRBuilder, value):
    """A vector of one number."""
    undefined = ir.Constant(_FLOATS, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(_INTS, [0] * LANES))


def _permute(builder: ir.IRBuilder, table, index):
    """Entries of a 16-entry table by index, lane by lane."""
    if HAS_AVX512:
        kind = ir.FunctionType(_FLOATS, [_FLOATS, _INTS])
        permute = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.permvar.sf.512")
        return builder.call(permute, [table, index])
    # AVX2 has tables of 8: both halves of the table are read, and bit 3 of the index chooses
    half_floats, half_ints = ir.VectorType(ir.FloatType(), 8), ir.VectorType(ir.IntType(32), 8)
    kind = ir.FunctionType(half_floats, [half_floats, half_ints])
    permute = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx2.permps")

    def half(vector, start):
        lanes = ir.Constant(half_ints, list(range(start, start + 8)))
        return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), lanes)

    chosen = []
    for start in (0, 8):
        lanes = half(index, start)
        upper = builder.icmp_unsigned(">", lanes, ir.Constant(half_ints, [7] * 8))
        entries = [builder.call(permute, [half(table, first), lanes]) for first in (8, 0)]
        chosen.append(builder.select(upper, *entries))
    return builder.shuffle_vector(*chosen, ir.Constant(_INTS, list(range(LANES))))


def _product_tile(rows: int, width: int = PANEL):
    """The inner kernel of small products: `rows` × `width` of A·B, kept in registers.

    Arguments are addresses and byte strides: element (i, k) of A lies at a + i·a_row + k·a_step, row k of B at b + k·b_row and
    row i of the result at c + i·c_row, each `width` consecutive floats; then the inner size.
    """

    @intrinsic
    def product(typingctx, a, a_row, a_step, b, b_row, c, c_row, count):
        def build(context, builder: ir.IRBuilder, signature, args):
            a, a_row, a_step, b, b_row, c, c_row, count = args
            intp = a.type
            vectors = width // LANES
            kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
            fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
            zero = ir.Constant(_FLOATS, [0.0] * LANES)
            sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(vectors)] for _ in range(rows)]
            for row in sums:
                for place in row:
                    builder.store(zero, place)
            with cgutils.for_range(builder, count, intp=intp) as loop:
                row_b = builder.add(b, builder.mul(loop.index, b_row))
                parts = []
                for v in range(vectors):
                    address = builder.add(row_b, ir.Constant(intp, v * 4 * LANES))
                    part = builder.load(builder.inttoptr(address, _FLOATS.as_pointer()))
                    part.align = 4
                    parts.append(part)
                at = builder.add(a, builder.mul(loop.index, a_step))
                for i in range(rows):
                    value = builder.load(builder.inttoptr(at, ir.FloatType().as_pointer()))
                    wide = _everywhere(builder, value)
                    for v in range(vectors):
                        builder.store(builder.call(fma, [wide, parts[v], builder.load(sums[i][v])]), sums[i][v])
                    at = builder.add(at, a_row)
            for i in range(rows):
                for v in range(vectors):
                    address = builder.add(c, ir.Constant(intp, v * 4 * LANES))
                    store = builder.store(builder.load(sums[i][v]), builder.inttoptr(address, _FLOATS.as_pointer()))
                    store.align = 4
                c = builder.add(c, c_row)
            return context.get_dummy_value()

        return types.void(*(types.intp,) * 8), build

    return product


lookup_1, lookup_tile = _lookup_tile(1), _lookup_tile(TILE)
product_1, product_tile = _product_tile(1), _product_tile(ROWS)
product_narrow = _product_tile(ROWS, LANES)
