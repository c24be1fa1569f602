"""Compiled kernels of the NumPy backend, by Numba: optional, and only imported when Numba is installed.

Each kernel does one instruction of a recorded program (`numpy_program.py`). It finds its arguments at an address, as 64-bit
integers: addresses of float32 arrays, sizes, and strides counted in elements. Threads run the same program side by side, and
each does its part of an instruction: part `part` of `parts`.

The product with a packed matrix uses tables: two 2-bit indices (or one 4-bit index) choose one of 16 sums, which a register
can hold, so 32 weights cost one look-up and one addition (Wei et al. 2024, "T-MAC"). Everything stays float32.
"""

from __future__ import annotations

import math

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .numpy_jit import OPTIONS, compiled
from .numpy_tiles import HAS_LOOKUP, PANEL, ROWS, TILE, WIDE, lookup_1, lookup_tile, product_1, product_narrow, product_tile

ADDRESS = {}  # of each kernel, by name

f32, i32 = numba.float32, numba.int32


def _kernel(function, name: str = ""):
    """Compiled when this file is first imported, and kept on disk from then on."""
    kernel = compiled("void(intp, intp, intp)")(function)
    ADDRESS[name or function.__name__] = kernel.address
    return kernel


def _inline(function):
    return numba.njit(inline="never", **OPTIONS)(function)


# ---- reading memory by address ---------------------------------------------------------------------------------------


def _pointer_to(kind, element):
    @intrinsic
    def pointer(typingctx, address):
        def build(context, builder, signature, args):
            return builder.inttoptr(args[0], element.as_pointer())

        return types.CPointer(kind)(types.intp), build

    return pointer


_floats, _ints, _bytes = (
    _pointer_to(kind, element)
    for kind, element in ((types.float32, ir.FloatType()), (types.int32, ir.IntType(32)), (types.uint8, ir.IntType(8)))
)


@intrinsic
def _arg(typingctx, args, index):
    """The argument of that index, an integer."""

    def build(context, builder, signature, values):
        place = builder.add(values[0], builder.mul(values[1], ir.Constant(values[1].type, 8)))
        return builder.load(builder.inttoptr(place, ir.IntType(64).as_pointer()))

    return types.int64(types.intp, types.intp), build


@intrinsic
def _number(typingctx, args, index):
    """The argument of that index, a float64."""

    def build(context, builder, signature, values):
        place = builder.add(values[0], builder.mul(values[1], ir.Constant(values[1].type, 8)))
        return builder.load(builder.inttoptr(place, ir.DoubleType().as_pointer()))

    return types.float64(types.intp, types.intp), build


@intrinsic
def _bits_to_float(typingctx, bits):
    """The float32 whose bit pattern is an int32."""

    def build(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), build


@numba.njit(inline="always")
def _row(address, first, count):
    """`count` float32 from element `first` on."""
    return numba.carray(_floats(address + 4 * first), (count,))


@numba.njit(inline="always")
def _share(count, part, parts, step):
    """First and last of a thread's share of `count`, cut at multiples of `step`."""
    units = (count + step - 1) // step
    return min(count, units * part // parts * step), min(count, units * (part + 1) // parts * step)


# ---- element by element ----------------------------------------------------------------------------------------------


@numba.njit(inline="always", **OPTIONS)
def _exp(x):
    """exp of a float32 to within 2 units in the last place; 0 below -87, and what 88 gives above. Vectorises."""
    x = min(max(x, f32(-88.0)), f32(88.0))
    n = math.floor(x * f32(1.44269504) + f32(0.5))
    r = x - n * f32(0.693359375) + n * f32(2.12194440e-4)  # ln 2 in two parts
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    return (p * r * r + r + f32(1)) * _bits_to_float((i32(n) + i32(127)) << i32(23))


COPY, NEGATIVE, EXP, SQRT, SIGMOID, SILU = range(6)
ADD, SUBTRACT, MULTIPLY, DIVIDE, MAXIMUM, MINIMUM = range(6)


@_inline
def _apply_1(op, a):
    if op == COPY:
        return a
    if op == NEGATIVE:
        return -a
    if op == EXP:
        return _exp(a)
    if op == SQRT:
        return f32(math.sqrt(a))
    if op == SIGMOID:
        return f32(1) / (f32(1) + _exp(-a))
    return a / (f32(1) + _exp(-a))


def _unary(name: str, op: int) -> None:
    """out, x, sizes [4], strides of out [4], strides of x [4]."""

    def kernel(args, part, parts):
        n1, n2, n = _arg(args, 3), _arg(args, 4), _arg(args, 5)
        step = _arg(args, 9), _arg(args, 13)
        rows = _arg(args, 2) * n1 * n2
        begin, end, low, high = 0, rows, 0, n
        if rows >= parts:
            begin, end = _share(rows, part, parts, 1)
        else:
            low, high = _share(n, part, parts, 16)
        for r in range(begin, end):
            k, rest = r % n2, r // n2
            j, i = rest % n1, rest // n1
            at_out = i * _arg(args, 6) + j * _arg(args, 7) + k * _arg(args, 8) + low * step[0]
            at_x = i * _arg(args, 10) + j * _arg(args, 11) + k * _arg(args, 12) + low * step[1]
            count = high - low
            if step[0] == 1 and step[1] == 1:
                out, x = _row(_arg(args, 0), at_out, count), _row(_arg(args, 1), at_x, count)
                for c in range(count):
                    out[c] = _apply_1(op, x[c])
            else:
                out, x = _row(_arg(args, 0), at_out, count * step[0] + 1), _row(_arg(args, 1), at_x, count * step[1] + 1)
                for c in range(count):
                    out[c * step[0]] = _apply_1(op, x[c * step[1]])

    _kernel(kernel, name)


@_inline
def _apply_2(op, a, b):
    if op == ADD:
        return a + b
    if op == SUBTRACT:
        return a - b
    if op == MULTIPLY:
        return a * b
    if op == DIVIDE:
        return a / b
    if op == MAXIMUM:
        return max(a, b)
    return min(a, b)


def _binary(name: str, op: int) -> None:
    """out, a, b, sizes [4], strides of a [4], strides of b [4]; out is contiguous."""

    def kernel(args, part, parts):
        n1, n2, n = _arg(args, 4), _arg(args, 5), _arg(args, 6)
        step_a, step_b = _arg(args, 10), _arg(args, 14)
        rows = _arg(args, 3) * n1 * n2
        begin, end, low, high = 0, rows, 0, n
        if rows >= parts:
            begin, end = _share(rows, part, parts, 1)
        else:
            low, high = _share(n, part, parts, 16)
        count = high - low
        for r in range(begin, end):
            k, rest = r % n2, r // n2
            j, i = rest % n1, rest // n1
            at_a = i * _arg(args, 7) + j * _arg(args, 8) + k * _arg(args, 9) + low * step_a
            at_b = i * _arg(args, 11) + j * _arg(args, 12) + k * _arg(args, 13) + low * step_b
            out = _row(_arg(args, 0), r * n + low, count)
            a = _row(_arg(args, 1), at_a, count * step_a + 1)
            b = _row(_arg(args, 2), at_b, count * step_b + 1)
            if step_a == 1 and step_b == 1:
                for c in range(count):
                    out[c] = _apply_2(op, a[c], b[c])
            elif step_a == 1 and step_b == 0:
                value = b[0]
                for c in range(count):
                    out[c] = _apply_2(op, a[c], value)
            elif step_a == 0 and step_b == 1:
                value = a[0]
                for c in range(count):
                    out[c] = _apply_2(op, value, b[c])
            else:
                for c in range(count):
                    out[c] = _apply_2(op, a[c * step_a], b[c * step_b])

    _kernel(kernel, name)


for _name, _op in (("copy", COPY), ("negative", NEGATIVE), ("exp", EXP), ("sqrt", SQRT), ("sigmoid", SIGMOID), ("silu", SILU)):
    _unary(_name, _op)
for _name, _op in (
    ("add", ADD),
    ("subtract", SUBTRACT),
    ("multiply", MULTIPLY),
    ("divide", DIVIDE),
    ("maximum", MAXIMUM),
    ("minimum", MINIMUM),
):
    _binary(_name, _op)


@_kernel
def where(args, part, parts):
    """out, condition (bytes), a, b, sizes [4], strides of the condition, a and b [4 each]; out is contiguous."""
    n1, n2, n = _arg(args, 5), _arg(args, 6), _arg(args, 7)
    rows = _arg(args, 4) * n1 * n2
    begin, end = _share(rows, part, parts, 1)
    for r in range(begin, end):
        k, rest = r % n2, r // n2
        j, i = rest % n1, rest // n1
        at_c = i * _arg(args, 8) + j * _arg(args, 9) + k * _arg(args, 10)
        at_a = i * _arg(args, 12) + j * _arg(args, 13) + k * _arg(args, 14)
        at_b = i * _arg(args, 16) + j * _arg(args, 17) + k * _arg(args, 18)
        step_c, step_a, step_b = _arg(args, 11), _arg(args, 15), _arg(args, 19)
        out = _row(_arg(args, 0), r * n, n)
        chosen = numba.carray(_bytes(_arg(args, 1) + at_c), (n * step_c + 1,))
        a, b = _row(_arg(args, 2), at_a, n * step_a + 1), _row(_arg(args, 3), at_b, n * step_b + 1)
        for c in range(n):
            out[c] = a[c * step_a] if chosen[c * step_c] else b[c * step_b]


# ---- moving ----------------------------------------------------------------------------------------------------------


@_kernel
def gather(args, part, parts):
    """out [N, M], x, index int32 [M], N, M, stride of x: elements of each row by index."""
    n, m, stride = _arg(args, 3), _arg(args, 4), _arg(args, 5)
    index = numba.carray(_ints(_arg(args, 2)), (m,))
    begin, end = _share(n, part, parts, 1)
    for r in range(begin, end):
        out, x = _row(_arg(args, 0), r * m, m), _row(_arg(args, 1), r * stride, stride)
        for i in range(m):
            out[i] = x[index[i]]


@_kernel
def take(args, part, parts):
    """out [N, D], x [R, D], index int32 [N], N, D: rows by index."""
    N, D = _arg(args, 3), _arg(args, 4)
    index = numba.carray(_ints(_arg(args, 2)), (N,))
    begin, end = _share(N, part, parts, 1)
    for n in range(begin, end):
        out, x = _row(_arg(args, 0), n * D, D), _row(_arg(args, 1), index[n] * D, D)
        for i in range(D):
            out[i] = x[i]


@_kernel
def write(args, part, parts):
    """buffer [B, S, D], rows [B, T, D], index int32 [T], B, S, T, D, strides of rows (batch, row): rows at their index."""
    B, S, T, D = _arg(args, 3), _arg(args, 4), _arg(args, 5), _arg(args, 6)
    index = numba.carray(_ints(_arg(args, 2)), (T,))
    begin, end = _share(T, part, parts, 1)
    for b in range(B):
        for t in range(begin, end):
            out = _row(_arg(args, 0), (b * S + index[t]) * D, D)
            rows = _row(_arg(args, 1), b * _arg(args, 7) + t * _arg(args, 8), D)
            for i in range(D):
                out[i] = rows[i]


@_kernel
def rows(args, part, parts):
    """out [B, N, D], x, start int32, B, N, D, strides of x (batch, row): N consecutive rows from `start` on."""
    B, N, D = _arg(args, 3), _arg(args, 4), _arg(args, 5)
    start = numba.carray(_ints(_arg(args, 2)), (1,))[0]
    begin, end = _share(N, part, parts, 1)
    for b in range(B):
        for n in range(begin, end):
            out = _row(_arg(args, 0), (b * N + n) * D, D)
            x = _row(_arg(args, 1), b * _arg(args, 6) + (start + n) * _arg(args, 7), D)
            for i in range(D):
                out[i] = x[i]


# ---- reductions ------------------------------------------------------------------------------------------------------

SUM, MEAN, MAX = range(3)


def _reduction(name: str, op: int) -> None:
    """out [N, I], x [N, M, I], N, M, I: over the middle axis."""

    def kernel(args, part, parts):
        N, M, inner = _arg(args, 2), _arg(args, 3), _arg(args, 4)
        begin, end = _share(N, part, parts, 1)
        for n in range(begin, end):
            out = _row(_arg(args, 0), n * inner, inner)
            if inner == 1:
                x = _row(_arg(args, 1), n * M, M)
                total = x[0]
                for m in range(1, M):
                    total = max(total, x[m]) if op == MAX else total + x[m]
                out[0] = total / f32(M) if op == MEAN else total
                continue
            x = _row(_arg(args, 1), n * M * inner, inner)
            for i in range(inner):
                out[i] = x[i]
            for m in range(1, M):
                x = _row(_arg(args, 1), (n * M + m) * inner, inner)
                for i in range(inner):
                    out[i] = max(out[i], x[i]) if op == MAX else out[i] + x[i]
            if op == MEAN:
                for i in range(inner):
                    out[i] = out[i] / f32(M)

    _kernel(kernel, name)


for _name, _op in (("sum", SUM), ("mean", MEAN), ("max", MAX)):
    _reduction(_name, _op)


@_inline
def _softmax_row(p, count):
    top = p[0]
    for s in range(1, count):
        top = max(top, p[s])
    total = f32(0)
    for s in range(count):
        e = _exp(p[s] - top)
        p[s] = e
        total += e
    scale = f32(1) / total
    for s in range(count):
        p[s] *= scale


@_kernel
def softmax(args, part, parts):
    """out [N, D], x with a stride, N, D, stride."""
    N, D = _arg(args, 2), _arg(args, 3)
    begin, end = _share(N, part, parts, 1)
    for n in range(begin, end):
        out, x = _row(_arg(args, 0), n * D, D), _row(_arg(args, 1), n * _arg(args, 4), D)
        for i in range(D):
            out[i] = x[i]
        _softmax_row(out, D)


@_kernel
def rms_norm(args, part, parts):
    """out [N, M, D], x, gain (M or 1 rows, or address 0), N, M, D, strides of x (N, M), rows of gain, eps."""
    N, M, D = _arg(args, 3), _arg(args, 4), _arg(args, 5)
    eps = _number(args, 9)
    begin, end = _share(N * M, part, parts, 1)
    for r in range(begin, end):
        n, m = r // M, r % M
        x = _row(_arg(args, 1), n * _arg(args, 6) + m * _arg(args, 7), D)
        out = _row(_arg(args, 0), r * D, D)
        total = f32(0)
        for i in range(D):
            total += x[i] * x[i]
        scale = f32(1) / f32(math.sqrt(total / D + eps))
        if _arg(args, 2):
            gain = _row(_arg(args, 2), r % _arg(args, 8) * D, D)
            for i in range(D):
                out[i] = x[i] * scale * gain[i]
        else:
            for i in range(D):
                out[i] = x[i] * scale


# ---- blocks of models ------------------------------------------------------------------------------------------------


@_kernel
def rotary(args, part, parts):
    """out [T, H, C], x, cos and sin [T, C/2], T, H, C, strides of x (T, H)."""
    T, H, C = _arg(args, 4), _arg(args, 5), _arg(args, 6)
    half = C // 2
    begin, end = _share(T, part, parts, 1)
    for t in range(begin, end):
        cos, sin = _row(_arg(args, 2), t * half, half), _row(_arg(args, 3), t * half, half)
        for h in range(H):
            at = t * _arg(args, 7) + h * _arg(args, 8)
            first, second = _row(_arg(args, 1), at, half), _row(_arg(args, 1), at + half, half)
            left, right = _row(_arg(args, 0), (t * H + h) * C, half), _row(_arg(args, 0), (t * H + h) * C + half, half)
            for i in range(half):
                left[i] = first[i] * cos[i] - second[i] * sin[i]
                right[i] = second[i] * cos[i] + first[i] * sin[i]


@_kernel
def causal_conv(args, part, parts):
    """out [B, T, D], x [B, R + T, D], taps [N, D], B, T, D, N, dilation."""
    B, T, D, N, dilation = _arg(args, 3), _arg(args, 4), _arg(args, 5), _arg(args, 6), _arg(args, 7)
    start = (N - 1) * dilation
    begin, end = _share(T, part, parts, 1)
    for b in range(B):
        for t in range(begin, end):
            out = _row(_arg(args, 0), (b * T + t) * D, D)
            last = b * (start + T) + start + t
            x, taps = _row(_arg(args, 1), last * D, D), _row(_arg(args, 2), 0, D)
            for i in range(D):
                out[i] = x[i] * taps[i]
            for j in range(1, N):
                x, taps = _row(_arg(args, 1), (last - j * dilation) * D, D), _row(_arg(args, 2), j * D, D)
                for i in range(D):
                    out[i] += x[i] * taps[i]


@_kernel
def sinkhorn(args, part, parts):
    """out, x [N, n, n], N, n up to 8, iterations."""
    N, size, iterations = _arg(args, 2), _arg(args, 3), _arg(args, 4)
    rows, columns = (
        numba.carray(_floats(_arg(args, 5) + part * 64), (8,)),
        numba.carray(_floats(_arg(args, 5) + part * 64 + 32), (8,)),
    )
    begin, end = _share(N, part, parts, 1)
    for k in range(begin, end):
        x, y = _row(_arg(args, 1), k * size * size, size * size), _row(_arg(args, 0), k * size * size, size * size)
        for i in range(size):
            top = x[i * size]
            for j in range(1, size):
                top = max(top, x[i * size + j])
            for j in range(size):
                y[i * size + j] = _exp(x[i * size + j] - top)
            columns[i] = f32(1)
            rows[i] = f32(1)
        for _ in range(iterations):
            for i in range(size):
                total = f32(0)
                for j in range(size):
                    total += y[i * size + j] * columns[j]
                rows[i] = f32(1) / total
            for j in range(size):
                total = f32(0)
                for i in range(size):
                    total += y[i * size + j] * rows[i]
                columns[j] = f32(1) / total
        for i in range(size):
            for j in range(size):
                y[i * size + j] *= rows[i] * columns[j]


# ---- products --------------------------------------------------------------------------------------------------------


@_kernel
def matmul(args, part, parts):
    """out [N, P, D], a, b, N, P, M, D, strides of a (N, P, M) and of b (N, M, D): small products, rows shared out."""
    N, P, M, D = _arg(args, 3), _arg(args, 4), _arg(args, 5), _arg(args, 6)
    step_a, step_b, step = _arg(args, 9), _arg(args, 11), _arg(args, 12)
    begin, end = _share(N * P, part, parts, 1)
    for r in range(begin, end):
        n, p = r // P, r % P
        out = _row(_arg(args, 0), r * D, D)
        a = _row(_arg(args, 1), n * _arg(args, 7) + p * _arg(args, 8), M * step_a + 1)
        first = n * _arg(args, 10)
        if step == 1:  # rows of b side by side
            for m in range(M):
                value, b = a[m * step_a], _row(_arg(args, 2), first + m * step_b, D)
                if m == 0:
                    for d in range(D):
                        out[d] = value * b[d]
                else:
                    for d in range(D):
                        out[d] += value * b[d]
        else:
            for d in range(D):
                b = _row(_arg(args, 2), first + d * step, M * step_b + 1)
                total = f32(0)
                if step_a == 1 and step_b == 1:
                    for m in range(M):
                        total += a[m] * b[m]
                else:
                    for m in range(M):
                        total += a[m * step_a] * b[m * step_b]
                out[d] = total


@_kernel
def linear_few(args, part, parts):
    """out [N, R], x, weight [R, D], N, D, R, stride of x: for few rows of x; those of the weight are shared out."""
    N, D, R = _arg(args, 3), _arg(args, 4), _arg(args, 5)
    begin, end = _share(R, part, parts, 1)
    for n in range(N):
        x, out = _row(_arg(args, 1), n * _arg(args, 6), D), _row(_arg(args, 0), n * R, R)
        for r in range(begin, end):
            weight = _row(_arg(args, 2), r * D, D)
            total = f32(0)
            for i in range(D):
                total += x[i] * weight[i]
            out[r] = total


@_kernel
def linear(args, part, parts):
    """out [N, R], x, panels [R/PANEL, D, PANEL], N, D, R by PANEL, stride of x: the rows of x are shared out."""
    N, D, R, stride = _arg(args, 3), _arg(args, 4), _arg(args, 5), _arg(args, 6)
    begin, end = _share(N, part, parts, ROWS)
    for n in range(begin, end - end % ROWS if end == N else end, ROWS):
        for r in range(0, R, PANEL):
            x, panel, out = _arg(args, 1) + n * stride * 4, _arg(args, 2) + r * D * 4, _arg(args, 0) + (n * R + r) * 4
            product_tile(x, stride * 4, 4, panel, PANEL * 4, out, R * 4, D)
    if end == N and begin < end:
        for n in range(N - N % ROWS, N):
            for r in range(0, R, PANEL):
                x, panel, out = _arg(args, 1) + n * stride * 4, _arg(args, 2) + r * D * 4, _arg(args, 0) + (n * R + r) * 4
                product_1(x, stride * 4, 4, panel, PANEL * 4, out, R * 4, D)


@_kernel
def kronecker(args, part, parts):
    """out [N, p·q], z [N, m·n], a [m, p], b [n, q], scratch [parts, m, q], N, m, p, n, q, stride of z.

    Aᵀ·Z·B for each row of z; m and p by ROWS, q by PANEL.
    """
    N, m, p, n, q = _arg(args, 5), _arg(args, 6), _arg(args, 7), _arg(args, 8), _arg(args, 9)
    half = _arg(args, 4) + part * m * q * 4
    begin, end = _share(N, part, parts, 1)
    for k in range(begin, end):
        z, y = _arg(args, 1) + k * _arg(args, 10) * 4, _arg(args, 0) + k * p * q * 4
        for i in range(0, m, ROWS):  # half = Z·B
            for j in range(0, q, PANEL):
                product_tile(z + i * n * 4, n * 4, 4, _arg(args, 3) + j * 4, q * 4, half + (i * q + j) * 4, q * 4, n)
        for i in range(0, p, ROWS):  # y = Aᵀ·half
            for j in range(0, q, PANEL):
                product_tile(_arg(args, 2) + i * 4, 4, p * 4, half + j * 4, q * 4, y + (i * q + j) * 4, q * 4, m)


@_inline
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
                left, right = _row(out, i, width), _row(out, i + width, width)
                for j in range(width):
                    a, b = left[j], right[j]
                    left[j] = a + b
                    right[j] = a - b
            width *= 2


@_inline
def _fill_tables(address, count, patterns, bits, out):
    """Sums that the indices of `count` bytes of a row can choose between, float32 [2·count, 16]."""
    low, high = _row(patterns, 0, 16), _row(patterns, 16, 16)
    if bits == 2:
        x = _row(address, 0, 4 * count)
        for p in range(2 * count):
            a, b = x[2 * p], x[2 * p + 1]
            table = _row(out, p * 16, 16)
            for i in range(16):
                table[i] = low[i] * a + high[i] * b
    else:
        x = _row(address, 0, 2 * count)
        for p in range(2 * count):
            a = x[p]
            table = _row(out, p * 16, 16)
            for i in range(16):
                table[i] = low[i] * a


@_inline
def _packed_rows(x, N, D, blocks, first, last, norms, patterns, bits, group, tables, out, R, one):
    """N rows of `packed_linear`, blocks first … last-1 of its columns; x is rotated."""
    count = group * bits // 8
    groups, height = D // group, R // WIDE
    n = 0
    while n < N:
        tile = TILE if N - n >= TILE else 1
        for t in range(tile):
            y = _row(out, (n + t) * R + first * WIDE, (last - first) * WIDE)
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

    out [N, R·WIDE], x, blocks uint8 [D/group, R, group·bits/8, WIDE], norms float32 [D/group, R, WIDE], patterns [2, 16], rotated,
    tables, N, D, R, bits, group, stride of x, 1.0, Hadamard matrix [16, 16]. With fewer than FEW rows the rows of the matrix are shared out, else those of x.
    """
    N, D, R, bits, group = _arg(args, 7), _arg(args, 8), _arg(args, 9), _arg(args, 10), _arg(args, 11)
    tables = _arg(args, 6) + part * TILE * group * bits * 16
    few = N < 2 * TILE
    begin, end, first, last = 0, N, 0, R
    rotated = _arg(args, 5)
    if few:
        first, last = _share(R, part, parts, 1)
        rotated += part * N * D * 4
    else:
        begin, end = _share(N, part, parts, TILE)
        rotated += begin * D * 4
    for n in range(begin, end):
        _hadamard(_arg(args, 1) + n * _arg(args, 12) * 4, D, group, _arg(args, 14), rotated + (n - begin) * D * 4)
    out = _arg(args, 0) + begin * R * WIDE * 4
    _packed_rows(
        rotated,
        end - begin,
        D,
        _arg(args, 2),
        first,
        last,
        _arg(args, 3),
        _arg(args, 4),
        bits,
        group,
        tables,
        out,
        R * WIDE,
        f32(_number(args, 13)),
    )


if HAS_LOOKUP:  # the instructions that it is made of exist
    _kernel(packed_linear)


@_kernel
def packed_take(args, part, parts):
    """out [N, D], codes uint8 [R, D·bits/8], norms float32 [R, D/group], index int32 [N], codebook, N, D, bits, group,
    Hadamard matrix [16, 16]: unpacked rows."""
    N, D, bits, group = _arg(args, 5), _arg(args, 6), _arg(args, 7), _arg(args, 8)
    index = numba.carray(_ints(_arg(args, 3)), (N,))
    codebook = _row(_arg(args, 4), 0, 1 << bits)
    count, mask = 8 // bits, (1 << bits) - 1
    begin, end = _share(N, part, parts, 1)
    for n in range(begin, end):
        out = _row(_arg(args, 0), n * D, D)
        codes = numba.carray(_bytes(_arg(args, 1) + index[n] * (D // count)), (D // count,))
        norms = _row(_arg(args, 2), index[n] * (D // group), D // group)
        for i in range(D // count):
            code = i32(codes[i])
            for j in range(count):
                out[i * count + j] = codebook[(code >> (j * bits)) & mask]
        for g in range(D // group):
            for i in range(g * group, (g + 1) * group):
                out[i] *= norms[g]
        _hadamard(_arg(args, 0) + n * D * 4, D, group, _arg(args, 9), _arg(args, 0) + n * D * 4)


# ---- attention -------------------------------------------------------------------------------------------------------


@_kernel
def attention_few(args, part, parts):
    """out [T, H, Cv], q, k, v, mask uint8 (or address 0), scratch, T, H, C, S, K, Cv, strides of q (T, H), k (S, K), v (S, K),
    mask (T), scale: for few queries, S by ROWS and Cv by PANEL; key heads are shared out. Scratch float32 [parts, 24·S +
    16·C + 8·Cv].

    The query heads of a group lie side by side, ROWS of them at a time: 16 scores for each position.
    """
    T, H, C, S, K, Cv = _arg(args, 6), _arg(args, 7), _arg(args, 8), _arg(args, 9), _arg(args, 10), _arg(args, 11)
    G, scale = H // K, f32(_number(args, 19))
    step_k, step_v = _arg(args, 14), _arg(args, 16)
    queries = _arg(args, 5) + part * (S * 24 + C * 16 + ROWS * Cv) * 4
    scores = queries + C * 64
    weights = scores + S * 64
    sums = weights + S * 4 * ROWS
    blocks = (G + ROWS - 1) // ROWS
    begin, end = _share(K * blocks, part, parts, 1)
    for t in range(T):
        low, high = 0, S
        mask = numba.carray(_bytes(_arg(args, 4) + t * _arg(args, 18)), (S,))
        if _arg(args, 4):
            while high > 0 and not mask[high - 1]:
                high -= 1
            while low < high and not mask[low]:
                low += 1
            if high == 0:  # a query that sees nothing takes the mean of everything
                high = S
        low, high = low // ROWS * ROWS, (high + ROWS - 1) // ROWS * ROWS
        for block in range(begin, end):
            g, first = block // blocks, block % blocks * ROWS
            count = min(ROWS, G - first)
            h = g * G + first
            turned = _row(queries, 0, C * 16)
            for i in range(16):
                if i < count:
                    q = _row(_arg(args, 1), t * _arg(args, 12) + (h + i) * _arg(args, 13), C)
                    for c in range(C):
                        turned[c * 16 + i] = q[c] * scale
                else:
                    for c in range(C):
                        turned[c * 16 + i] = f32(0)
            keys, values = _arg(args, 2) + g * _arg(args, 15) * 4, _arg(args, 3) + g * _arg(args, 17) * 4
            for s in range(low, high, ROWS):
                product_narrow(keys + s * step_k * 4, step_k * 4, 4, queries, 64, scores + s * 64, 64, C)
            for i in range(ROWS):
                p = _row(weights, i * S, high)
                if i >= count:
                    for s in range(low, high):
                        p[s] = f32(0)
                    continue
                column = _row(scores, i, high * 16)
                if _arg(args, 4):
                    for s in range(low, high):
                        p[s] = column[s * 16] if mask[s] else f32(-3.0e38)
                else:
                    for s in range(low, high):
                        p[s] = column[s * 16]
                _softmax_row(_row(weights, i * S + low, high - low), high - low)
            for c in range(0, Cv, PANEL):
                v = values + (low * step_v + c) * 4
                product_tile(weights + low * 4, S * 4, 4, v, step_v * 4, sums + c * 4, Cv * 4, high - low)
            for i in range(count):
                out, mixed = _row(_arg(args, 0), (t * H + h + i) * Cv, Cv), _row(sums, i * Cv, Cv)
                for c in range(Cv):
                    out[c] = mixed[c]


@_kernel
def turn_keys(args, part, parts):
    """out [K, C, width], k [S, K, C], S, K, C, width, strides of k (S, K), scale: positions side by side, as a panel wants them."""
    S, K, C, width = _arg(args, 2), _arg(args, 3), _arg(args, 4), _arg(args, 5)
    scale = f32(_number(args, 8))
    begin, end = _share(width, part, parts, 16)
    for g in range(K):
        for s in range(begin, end):
            out = _row(_arg(args, 0), g * C * width + s, C * width)
            if s < S:
                k = _row(_arg(args, 1), s * _arg(args, 6) + g * _arg(args, 7), C)
                for c in range(C):
                    out[c * width] = k[c] * scale
            else:
                for c in range(C):
                    out[c * width] = f32(0)


@_kernel
def attention(args, part, parts):
    """out [T, H, Cv], q, keys turned [K, C, width], v, mask uint8, scratch [parts, ROWS, width], T by ROWS, H, C, S, K, Cv, width,
    strides of q (T, H), v (S, K), mask (T); Cv by PANEL. What no query of a tile sees is skipped; tiles are shared out.
    """
    T, H, C, S, K, Cv, width = (
        _arg(args, 6),
        _arg(args, 7),
        _arg(args, 8),
        _arg(args, 9),
        _arg(args, 10),
        _arg(args, 11),
        _arg(args, 12),
    )
    G = H // K
    scores = _arg(args, 5) + part * ROWS * width * 4
    for tile in range(part, T // ROWS, parts):  # later tiles see more: in turns, so that threads get alike work
        t = tile * ROWS
        low, high = S, 0
        for i in range(ROWS):
            mask = numba.carray(_bytes(_arg(args, 4) + (t + i) * _arg(args, 17)), (S,))
            last = S
            while last > 0 and not mask[last - 1]:
                last -= 1
            first = 0
            while first < last and not mask[first]:
                first += 1
            if last == 0:  # a query that sees nothing takes the mean of everything
                last = S
            low, high = min(low, first), max(high, last)
        low = low // PANEL * PANEL
        for h in range(H):
            g = h // G
            q = _arg(args, 1) + (t * _arg(args, 13) + h * _arg(args, 14)) * 4
            for s in range(low, high, PANEL):
                keys = _arg(args, 2) + (g * C * width + s) * 4
                product_tile(q, _arg(args, 13) * 4, 4, keys, width * 4, scores + s * 4, width * 4, C)
            for i in range(ROWS):
                p = _row(scores, i * width + low, high - low)
                mask = numba.carray(_bytes(_arg(args, 4) + (t + i) * _arg(args, 17) + low), (high - low,))
                for s in range(high - low):
                    p[s] = p[s] if mask[s] else f32(-3.0e38)
                _softmax_row(p, high - low)
            for c in range(0, Cv, PANEL):
                v = _arg(args, 3) + (low * _arg(args, 15) + g * _arg(args, 16) + c) * 4
                out = _arg(args, 0) + ((t * H + h) * Cv + c) * 4
                product_tile(scores + low * 4, width * 4, 4, v, _arg(args, 15) * 4, out, H * Cv * 4, high - low)
