"""The innermost loops of the NumPy backend's kernels, as LLVM vectors that stay in registers.

Numba compiles loops well but cannot keep a block of sums in registers or look a table up inside one. These two functions do;
they take addresses, so their callers in `products.py` and `blocks.py` see to shapes and bounds.
"""

from __future__ import annotations

import functools

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
DOT_STEPS, FEW_STEPS = 4, 2  # vectors of a row that dot products of one token, and of DOTS tokens, take at a time

_FEATURES = llvmlite.binding.get_host_cpu_features()
HAS_AVX512 = bool(_FEATURES.get("avx512f"))
DOTS = 4 if HAS_AVX512 else 2  # rows on either side of a tile of dot products: what the registers hold
HAS_LOOKUP = HAS_AVX512 or bool(_FEATURES.get("avx2"))  # tables can be looked up in registers

_BYTES, _SHORTS, _INTS, _FLOATS = (ir.VectorType(t, LANES) for t in (*map(ir.IntType, (8, 16, 32)), ir.FloatType()))


_ZERO = ir.Constant(_FLOATS, [0.0] * LANES)


def _load(builder: ir.IRBuilder, address, kind):
    """A vector from anywhere in memory."""
    value = builder.load(builder.inttoptr(address, kind.as_pointer()))
    value.align = 1
    return value


def _fma(builder: ir.IRBuilder):
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")


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

            load = functools.partial(_load, builder)
            zero, fma = _ZERO, _fma(builder)
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
            zero, fma = _ZERO, _fma(builder)
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


def _dot_tile(tokens: int, rows: int, steps: int, narrow: bool):
    """The inner kernel of products with a matrix as it lies: dot products of `tokens` rows of x with `rows` of the matrix.

    Arguments are addresses and byte strides: x and its rows, the matrix and its rows, the result and its rows; memory that will
    be wanted soon, a line for every vector of a row; then how often `steps` vectors of each row are taken. A `narrow` matrix
    is bfloat16, the upper halves of float32.
    """

    @intrinsic
    def dots(typingctx, x, x_row, w, w_row, out, out_row, soon, count):
        def build(context, builder: ir.IRBuilder, signature, args):
            x, x_row, w, w_row, out, out_row, soon, count = args
            intp, size = x.type, 2 if narrow else 4
            fma, prefetch = _fma(builder), _prefetch(builder)
            sixteen = ir.Constant(_INTS, [16] * LANES)
            sums = [
                [[cgutils.alloca_once_value(builder, _ZERO) for _ in range(steps)] for _ in range(rows)] for _ in range(tokens)
            ]
            places = [place for each in sums for row in each for place in row]
            for place in places:
                builder.store(_ZERO, place)
            xs, ws = [x], [w]
            while len(xs) < tokens:
                xs.append(builder.add(xs[-1], x_row))
            while len(ws) < rows:
                ws.append(builder.add(ws[-1], w_row))
            with cgutils.for_range(builder, count, intp=intp) as loop:
                for step in range(steps):
                    number = builder.add(builder.mul(loop.index, ir.Constant(intp, steps)), ir.Constant(intp, step))
                    at_x = builder.mul(number, ir.Constant(intp, 4 * LANES))
                    at_w = builder.mul(number, ir.Constant(intp, size * LANES))
                    if rows > 1:  # one row after the other is what processors foresee by themselves
                        prefetch(builder.add(soon, builder.mul(number, ir.Constant(intp, 64))))
                    weights = []
                    for row in ws:
                        if narrow:
                            wide = builder.zext(_load(builder, builder.add(row, at_w), _SHORTS), _INTS)
                            weights.append(builder.bitcast(builder.shl(wide, sixteen), _FLOATS))
                        else:
                            weights.append(_load(builder, builder.add(row, at_w), _FLOATS))
                    for token, each in zip(xs, sums):
                        part = _load(builder, builder.add(token, at_x), _FLOATS)
                        for weight, row in zip(weights, each):
                            builder.store(builder.call(fma, [part, weight, builder.load(row[step])]), row[step])
            totals = []
            for each in sums:
                for row in each:
                    total = builder.load(row[0])
                    for place in row[1:]:
                        total = builder.fadd(total, builder.load(place))
                    totals.append(total)
            totals = _across(builder, totals)
            for t in range(tokens):
                for r in range(rows):
                    value = builder.extract_element(totals, ir.Constant(ir.IntType(32), t * rows + r))
                    place = builder.add(out, ir.Constant(intp, 4 * r))
                    builder.store(value, builder.inttoptr(place, ir.FloatType().as_pointer()))
                out = builder.add(out, out_row)
            return context.get_dummy_value()

        return types.void(*(types.intp,) * 8), build

    return dots


def _across(builder: ir.IRBuilder, vectors: list):
    """The sum of each of up to LANES vectors, in one vector; neighbours are added until one is left."""
    vectors = vectors + [_ZERO] * ((1 << (len(vectors) - 1).bit_length()) - len(vectors))
    even, odd = (ir.Constant(_INTS, list(range(first, 2 * LANES, 2))) for first in (0, 1))
    for _ in range(LANES.bit_length() - 1):
        pairs = list(zip(vectors[::2], vectors[1::2])) or [(vectors[0], vectors[0])]
        vectors = [builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd)) for a, b in pairs]
    return vectors[0]


def _prefetch(builder: ir.IRBuilder):
    """A function that asks for the line of the cache at an address; addresses where nothing lies do no harm."""
    byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    read, near, data = (ir.Constant(i32, n) for n in (0, 2, 1))
    return lambda address: builder.call(function, [builder.inttoptr(address, byte), read, near, data])


lookup_1, lookup_tile = _lookup_tile(1), _lookup_tile(TILE)
product_1, product_tile = _product_tile(1), _product_tile(ROWS)
product_narrow = _product_tile(ROWS, LANES)
_SHAPES = ((1, 1, DOT_STEPS), (DOTS, 1, FEW_STEPS), (DOTS, DOTS, 1))
dot_1, dot_few, dot_tile = (_dot_tile(*shape, False) for shape in _SHAPES)
short_1, short_few, short_tile = (_dot_tile(*shape, True) for shape in _SHAPES)
