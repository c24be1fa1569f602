"""Kernels of products.

The product with a packed matrix uses tables: two 2-bit indices (or one 4-bit index) choose one of 16 sums, which a register
can hold, so 32 weights cost one look-up and one addition (Wei et al. 2024, "T-MAC"). Everything stays float32.
"""

from __future__ import annotations

import numba

from .jit import f32, i32, inline, kernel_of
from .memory import arg, ints, number, octets, row, share, shorts, upper_half, within
from .tiles import (
    DOT_STEPS,
    DOTS,
    FEW_STEPS,
    HAS_LOOKUP,
    LANES,
    PANEL,
    ROWS,
    TILE,
    WIDE,
    dot_1,
    dot_few,
    dot_tile,
    lookup_1,
    lookup_tile,
    product_1,
    product_narrow,
    product_tile,
    short_1,
    short_few,
    short_tile,
)

_BLOCK = 1 << 17  # bytes of a matrix that are multiplied with all rows before the next are read


@kernel_of
def matmul(args, part, parts):
    """out [N, P, D], a, b, N, P, M, D, strides of a (N, P, M) and of b (N, M, D): small products, rows shared out."""
    N, P, M, D = arg(args, 3), arg(args, 4), arg(args, 5), arg(args, 6)
    step_a, step_b, step = arg(args, 9), arg(args, 11), arg(args, 12)
    begin, end = share(N * P, part, parts, 1)
    for r in range(begin, end):
        n, p = r // P, r % P
        out = row(arg(args, 0), r * D, D)
        a = row(arg(args, 1), n * arg(args, 7) + p * arg(args, 8), M * step_a + 1)
        first = n * arg(args, 10)
        if step == 1:  # rows of b side by side
            for m in range(M):
                value, b = a[m * step_a], row(arg(args, 2), first + m * step_b, D)
                if m == 0:
                    for d in range(D):
                        out[d] = value * b[d]
                else:
                    for d in range(D):
                        out[d] += value * b[d]
        else:
            for d in range(D):
                b = row(arg(args, 2), first + d * step, M * step_b + 1)
                total = f32(0)
                if step_a == 1 and step_b == 1:
                    for m in range(M):
                        total += a[m] * b[m]
                else:
                    for m in range(M):
                        total += a[m * step_a] * b[m * step_b]
                out[d] = total


@inline
def _rest(x, w, size, out, first, count):
    """Adds the products of the last elements, `first` to `count`, of a row of x and of a matrix."""
    a, total, result = row(x, 0, count), f32(0), row(out, 0, 1)
    if size == 2:
        b = numba.carray(shorts(w), (count,))
        for i in range(first, count):
            total += a[i] * upper_half(b[i])
    else:
        c = row(w, 0, count)
        for i in range(first, count):
            total += a[i] * c[i]
    result[0] += total


@inline
def _short_dot(x, w, size, count):
    """The product of an array x with a row of a matrix."""
    total = f32(0)
    if size == 2:
        b = numba.carray(shorts(w), (count,))
        for i in range(count):
            total += x[i] * upper_half(b[i])
    else:
        c = row(w, 0, count)
        for i in range(count):
            total += x[i] * c[i]
    return total


@inline
def _dot(x, w, size, out, count):
    """The product of a row of x with one of a matrix."""
    width = DOT_STEPS * LANES
    if size == 2:
        short_1(x, 0, w, 0, out, 0, 0, count // width)
    else:
        dot_1(x, 0, w, 0, out, 0, 0, count // width)
    if count % width:
        _rest(x, w, size, out, count - count % width, count)


def _linear_few(name: str, size: int) -> None:
    """out [N, R], x, weight [R, D] as it lies, N, D, R, stride of x: for few rows of x; those of the weight are shared out.

    `size`: 4 bytes for float32, 2 for bfloat16.
    """

    def kernel(args, part, parts):
        N, D, R, stride = arg(args, 3), arg(args, 4), arg(args, 5), arg(args, 6)
        width = FEW_STEPS * LANES
        begin, end = share(R, part, parts, 1)
        if D < DOT_STEPS * LANES:  # adding up the lanes of a tile would cost more than the products
            for n in range(N):
                x, out = row(arg(args, 1), n * stride, D), row(arg(args, 0), n * R, R)
                for r in range(begin, end):
                    out[r] = _short_dot(x, arg(args, 2) + r * D * size, size, D)
            return
        for r in range(begin, end):
            w, n = arg(args, 2) + r * D * size, 0
            while n < N:
                x, out = arg(args, 1) + n * stride * 4, arg(args, 0) + (n * R + r) * 4
                if N - n < DOTS:
                    _dot(x, w, size, out, D)
                    n += 1
                    continue
                if size == 2:
                    short_few(x, stride * 4, w, 0, out, R * 4, 0, D // width)
                else:
                    dot_few(x, stride * 4, w, 0, out, R * 4, 0, D // width)
                if D % width:
                    for t in range(DOTS):
                        _rest(x + t * stride * 4, w, size, out + t * R * 4, D - D % width, D)
                n += DOTS

    kernel_of(kernel, name)


def _linear_rows(name: str, size: int) -> None:
    """As `linear_few`, for any number of rows of x.

    A block of the matrix stays in the second cache while the rows of x go by, and the next block is on its way meanwhile.
    """

    def kernel(args, part, parts):
        N, D, R, stride = arg(args, 3), arg(args, 4), arg(args, 5), arg(args, 6)
        begin, end = share(R, part, parts, DOTS)
        block = max(DOTS, _BLOCK // (D * size) // DOTS * DOTS)
        for first in range(begin, end, block):
            last = min(first + block, end)
            soon, stop = arg(args, 2) + last * D * size, arg(args, 2) + min(last + block, end) * D * size
            for n in range(0, N, DOTS):
                for r in range(first, last, DOTS):
                    x, w = arg(args, 1) + n * stride * 4, arg(args, 2) + r * D * size
                    out = arg(args, 0) + (n * R + r) * 4
                    rows, tokens = min(DOTS, last - r), min(DOTS, N - n)
                    if rows < DOTS or tokens < DOTS:
                        for t in range(tokens):
                            for i in range(rows):
                                _dot(x + t * stride * 4, w + i * D * size, size, out + (t * R + i) * 4, D)
                        continue
                    wanted = soon if soon < stop else x
                    soon += D // LANES * 64
                    if size == 2:
                        short_tile(x, stride * 4, w, D * 2, out, R * 4, wanted, D // LANES)
                    else:
                        dot_tile(x, stride * 4, w, D * 4, out, R * 4, wanted, D // LANES)
                    if D % LANES:
                        for t in range(DOTS):
                            for i in range(DOTS):
                                place = out + (t * R + i) * 4
                                _rest(x + t * stride * 4, w + i * D * size, size, place, D - D % LANES, D)

    kernel_of(kernel, name)


for _name, _size in (("", 4), ("_bfloat16", 2)):
    _linear_few("linear_few" + _name, _size)
    _linear_rows("linear_rows" + _name, _size)


@kernel_of
def linear(args, part, parts):
    """out [N, R], x, panels [R/PANEL, D, PANEL], N, D, R by PANEL, stride of x: the rows of x are shared out."""
    N, D, R, stride = arg(args, 3), arg(args, 4), arg(args, 5), arg(args, 6)
    begin, end = share(N, part, parts, ROWS)
    for n in range(begin, end - end % ROWS if end == N else end, ROWS):
        for r in range(0, R, PANEL):
            x, panel, out = arg(args, 1) + n * stride * 4, arg(args, 2) + r * D * 4, arg(args, 0) + (n * R + r) * 4
            product_tile(x, stride * 4, 4, panel, PANEL * 4, out, R * 4, D)
    if end == N and begin < end:
        for n in range(N - N % ROWS, N):
            for r in range(0, R, PANEL):
                x, panel, out = arg(args, 1) + n * stride * 4, arg(args, 2) + r * D * 4, arg(args, 0) + (n * R + r) * 4
                product_1(x, stride * 4, 4, panel, PANEL * 4, out, R * 4, D)


@kernel_of
def kronecker(args, part, parts):
    """out [N, p·q], z [N, m·n], a [m, p], b [n, q], scratch [parts, m, q], N, m, p, n, q, stride of z.

    Aᵀ·Z·B for each row of z; m and p by ROWS, q by PANEL.
    """
    N, m, p, n, q = arg(args, 5), arg(args, 6), arg(args, 7), arg(args, 8), arg(args, 9)
    half = arg(args, 4) + part * m * q * 4
    begin, end = share(N, part, parts, 1)
    for k in range(begin, end):
        z, y = arg(args, 1) + k * arg(args, 10) * 4, arg(args, 0) + k * p * q * 4
        for i in range(0, m, ROWS):  # half = Z·B
            for j in range(0, q, PANEL):
                product_tile(z + i * n * 4, n * 4, 4, arg(args, 3) + j * 4, q * 4, half + (i * q + j) * 4, q * 4, n)
        for i in range(0, p, ROWS):  # y = Aᵀ·half
            for j in range(0, q, PANEL):
                product_tile(arg(args, 2) + i * 4, 4, p * 4, half + j * 4, q * 4, y + (i * q + j) * 4, q * 4, m)


@inline
def _hadamard(address, count, group, small, out):
    """Each group of a row of `count` floats times the orthonormal Hadamard matrix.

    The matrix is a Kronecker product: 16 neighbours are multiplied with `small` [16, 16], which holds the whole scale; what is
    farther apart goes by butterflies.
    """
    for start in range(0, count, 16 * ROWS):
        product_narrow(address + start * 4, 64, 4, small, 64, out + start * 4, 64, 16)
    for start in range(0, count, group):
        width = 16
        while width < group:
            for i in range(start, start + group, 2 * width):
                left, right = row(out, i, width), row(out, i + width, width)
                for j in range(width):
                    a, b = left[j], right[j]
                    left[j] = a + b
                    right[j] = a - b
            width *= 2


@inline
def _fill_tables(address, count, patterns, bits, out):
    """Sums that the indices of `count` bytes of a row can choose between, float32 [2·count, 16]."""
    low, high = row(patterns, 0, 16), row(patterns, 16, 16)
    if bits == 2:
        x = row(address, 0, 4 * count)
        for p in range(2 * count):
            a, b = x[2 * p], x[2 * p + 1]
            table = row(out, p * 16, 16)
            for i in range(16):
                table[i] = low[i] * a + high[i] * b
    else:
        x = row(address, 0, 2 * count)
        for p in range(2 * count):
            a = x[p]
            table = row(out, p * 16, 16)
            for i in range(16):
                table[i] = low[i] * a


@inline
def _packed_rows(x, N, D, blocks, first, last, norms, patterns, bits, group, tables, out, R, one):
    """N rows of `packed_linear`, blocks first … last-1 of its columns; x is rotated."""
    count = group * bits // 8
    groups, height = D // group, R // WIDE
    n = 0
    while n < N:
        tile = TILE if N - n >= TILE else 1
        for t in range(tile):
            y = row(out, (n + t) * R + first * WIDE, (last - first) * WIDE)
            for r in range(y.size):
                y[r] = f32(0)
        for g in range(groups):  # the sums of a tile stay in the nearest cache while its groups go by
            for t in range(tile):
                _fill_tables(x + ((n + t) * D + g * group) * 4, count, patterns, bits, tables + t * 2 * count * 64)
            for r in range(first, last):
                place = blocks + (g * height + r) * count * WIDE
                scale = norms + (g * height + r) * WIDE * 4
                sums = out + (n * R + r * WIDE) * 4
                if tile == TILE:
                    lookup_tile(place, tables, scale, sums, R * 4, count, one)
                else:
                    lookup_1(place, tables, scale, sums, R * 4, count, one)
        n += tile


def packed_linear(args, part, parts):
    """Product of x [N, D] with a packed matrix.

    out [N, R·WIDE], x, blocks uint8 [D/group, R, group·bits/8, WIDE], norms float32 [D/group, R, WIDE], patterns [2, 16],
    rotated, tables, N, D, R, bits, group, stride of x, 1.0, Hadamard matrix [16, 16]. With few rows of x (less than two tiles)
    the rows of the matrix are shared out, else those of x.
    """
    N, D, R, bits, group = arg(args, 7), arg(args, 8), arg(args, 9), arg(args, 10), arg(args, 11)
    tables = arg(args, 6) + part * TILE * group * bits * 16
    few = N < 2 * TILE
    begin, end, first, last = 0, N, 0, R
    rotated = arg(args, 5)
    if few:
        first, last = share(R, part, parts, 1)
        rotated += part * N * D * 4
    else:
        begin, end = share(N, part, parts, TILE)
        rotated += begin * D * 4
    for n in range(begin, end):
        _hadamard(arg(args, 1) + n * arg(args, 12) * 4, D, group, arg(args, 14), rotated + (n - begin) * D * 4)
    out = arg(args, 0) + begin * R * WIDE * 4
    _packed_rows(
        rotated,
        end - begin,
        D,
        arg(args, 2),
        first,
        last,
        arg(args, 3),
        arg(args, 4),
        bits,
        group,
        tables,
        out,
        R * WIDE,
        f32(number(args, 13)),
    )


if HAS_LOOKUP:  # the instructions that it is made of exist
    kernel_of(packed_linear)


@kernel_of
def packed_take(args, part, parts):
    """out [N, D], codes uint8 [R, D·bits/8], norms float32 [R, D/group], index int32 [N], codebook, N, D, bits, group,
    Hadamard matrix [16, 16], R: unpacked rows.
    """
    N, D, bits, group = arg(args, 5), arg(args, 6), arg(args, 7), arg(args, 8)
    index = numba.carray(ints(arg(args, 3)), (N,))
    codebook = row(arg(args, 4), 0, 1 << bits)
    count, mask = 8 // bits, (1 << bits) - 1
    begin, end = share(N, part, parts, 1)
    for n in range(begin, end):
        out = row(arg(args, 0), n * D, D)
        place = within(index[n], arg(args, 10))
        codes = numba.carray(octets(arg(args, 1) + place * (D // count)), (D // count,))
        norms = row(arg(args, 2), place * (D // group), D // group)
        for i in range(D // count):
            code = i32(codes[i])
            for j in range(count):
                out[i * count + j] = codebook[(code >> (j * bits)) & mask]
        for g in range(D // group):
            for i in range(g * group, (g + 1) * group):
                out[i] *= norms[g]
        _hadamard(arg(args, 0) + n * D * 4, D, group, arg(args, 9), arg(args, 0) + n * D * 4)
