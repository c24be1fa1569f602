"""Kernels that go through arrays element by element, move them, or reduce them."""

from __future__ import annotations

import math

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import OPTIONS, f32, i32, inline, kernel_of
from .memory import arg, ints, number, octets, row, share, shorts, upper_half, within


@intrinsic
def bits_to_float(typingctx, bits):
    """The float32 whose bit pattern is an int32."""

    def build(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), build


@numba.njit(inline="always", **OPTIONS)
def exp(x):
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
    return (p * r * r + r + f32(1)) * bits_to_float((i32(n) + i32(127)) << i32(23))


COPY, NEGATIVE, EXP, SQRT, SIGMOID, SILU, GELU = range(7)
ADD, SUBTRACT, MULTIPLY, DIVIDE, MAXIMUM, MINIMUM = range(6)


@inline
def _apply_1(op, a):
    if op == COPY:
        return a
    if op == NEGATIVE:
        return -a
    if op == EXP:
        return exp(a)
    if op == SQRT:
        return f32(math.sqrt(a))
    if op == SIGMOID:
        return f32(1) / (f32(1) + exp(-a))
    if op == GELU:  # its tanh form: (1 + tanh(u)) / 2 is the logistic function of 2·u
        a2 = f32(-1.5957691216057308) * (a + f32(0.044715) * a * a * a)
        return a / (f32(1) + exp(a2))
    return a / (f32(1) + exp(-a))


def _unary(name: str, op: int) -> None:
    """out, x, sizes [4], strides of out [4], strides of x [4]."""

    def kernel(args, part, parts):
        n1, n2, n = arg(args, 3), arg(args, 4), arg(args, 5)
        step = arg(args, 9), arg(args, 13)
        rows = arg(args, 2) * n1 * n2
        begin, end, low, high = 0, rows, 0, n
        if rows >= parts:
            begin, end = share(rows, part, parts, 1)
        else:
            low, high = share(n, part, parts, 16)
        for r in range(begin, end):
            k, rest = r % n2, r // n2
            j, i = rest % n1, rest // n1
            at_out = i * arg(args, 6) + j * arg(args, 7) + k * arg(args, 8) + low * step[0]
            at_x = i * arg(args, 10) + j * arg(args, 11) + k * arg(args, 12) + low * step[1]
            count = high - low
            if step[0] == 1 and step[1] == 1:
                out, x = row(arg(args, 0), at_out, count), row(arg(args, 1), at_x, count)
                for c in range(count):
                    out[c] = _apply_1(op, x[c])
            else:
                out, x = row(arg(args, 0), at_out, count * step[0] + 1), row(arg(args, 1), at_x, count * step[1] + 1)
                for c in range(count):
                    out[c * step[0]] = _apply_1(op, x[c * step[1]])

    kernel_of(kernel, name)


@inline
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
        n1, n2, n = arg(args, 4), arg(args, 5), arg(args, 6)
        step_a, step_b = arg(args, 10), arg(args, 14)
        rows = arg(args, 3) * n1 * n2
        begin, end, low, high = 0, rows, 0, n
        if rows >= parts:
            begin, end = share(rows, part, parts, 1)
        else:
            low, high = share(n, part, parts, 16)
        count = high - low
        for r in range(begin, end):
            k, rest = r % n2, r // n2
            j, i = rest % n1, rest // n1
            at_a = i * arg(args, 7) + j * arg(args, 8) + k * arg(args, 9) + low * step_a
            at_b = i * arg(args, 11) + j * arg(args, 12) + k * arg(args, 13) + low * step_b
            out = row(arg(args, 0), r * n + low, count)
            a = row(arg(args, 1), at_a, count * step_a + 1)
            b = row(arg(args, 2), at_b, count * step_b + 1)
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

    kernel_of(kernel, name)


for _name, _op in (
    ("copy", COPY),
    ("negative", NEGATIVE),
    ("exp", EXP),
    ("sqrt", SQRT),
    ("sigmoid", SIGMOID),
    ("silu", SILU),
    ("gelu", GELU),
):
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


@kernel_of
def where(args, part, parts):
    """out, condition (bytes), a, b, sizes [4], strides of the condition, a and b [4 each]; out is contiguous."""
    n1, n2, n = arg(args, 5), arg(args, 6), arg(args, 7)
    rows = arg(args, 4) * n1 * n2
    begin, end = share(rows, part, parts, 1)
    for r in range(begin, end):
        k, rest = r % n2, r // n2
        j, i = rest % n1, rest // n1
        at_c = i * arg(args, 8) + j * arg(args, 9) + k * arg(args, 10)
        at_a = i * arg(args, 12) + j * arg(args, 13) + k * arg(args, 14)
        at_b = i * arg(args, 16) + j * arg(args, 17) + k * arg(args, 18)
        step_c, step_a, step_b = arg(args, 11), arg(args, 15), arg(args, 19)
        out = row(arg(args, 0), r * n, n)
        chosen = numba.carray(octets(arg(args, 1) + at_c), (n * step_c + 1,))
        a, b = row(arg(args, 2), at_a, n * step_a + 1), row(arg(args, 3), at_b, n * step_b + 1)
        for c in range(n):
            out[c] = a[c * step_a] if chosen[c * step_c] else b[c * step_b]


# ---- moving ----------------------------------------------------------------------------------------------------------


@kernel_of
def gather(args, part, parts):
    """out [N, M], x [N, D], index int32 [M], N, M, stride of x, D: elements of each row by index."""
    n, m, stride, D = arg(args, 3), arg(args, 4), arg(args, 5), arg(args, 6)
    index = numba.carray(ints(arg(args, 2)), (m,))
    begin, end = share(n, part, parts, 1)
    for r in range(begin, end):
        out, x = row(arg(args, 0), r * m, m), row(arg(args, 1), r * stride, D)
        for i in range(m):
            out[i] = x[within(index[i], D)]


@kernel_of
def take(args, part, parts):
    """out [N, D], x [R, D], index int32 [N], N, D, R: rows by index."""
    N, D, R = arg(args, 3), arg(args, 4), arg(args, 5)
    index = numba.carray(ints(arg(args, 2)), (N,))
    begin, end = share(N, part, parts, 1)
    for n in range(begin, end):
        out, x = row(arg(args, 0), n * D, D), row(arg(args, 1), within(index[n], R) * D, D)
        for i in range(D):
            out[i] = x[i]


@kernel_of
def take_bfloat16(args, part, parts):
    """As `take`, from x in bfloat16."""
    N, D, R = arg(args, 3), arg(args, 4), arg(args, 5)
    index = numba.carray(ints(arg(args, 2)), (N,))
    begin, end = share(N, part, parts, 1)
    for n in range(begin, end):
        out = row(arg(args, 0), n * D, D)
        x = numba.carray(shorts(arg(args, 1) + within(index[n], R) * D * 2), (D,))
        for i in range(D):
            out[i] = upper_half(x[i])


@kernel_of
def write(args, part, parts):
    """buffer [B, S, D], rows [B, T, D], index int32 [T], B, S, T, D, strides of rows (batch, row): rows at their index."""
    B, S, T, D = arg(args, 3), arg(args, 4), arg(args, 5), arg(args, 6)
    index = numba.carray(ints(arg(args, 2)), (T,))
    begin, end = share(T, part, parts, 1)
    for b in range(B):
        for t in range(begin, end):
            out = row(arg(args, 0), (b * S + within(index[t], S)) * D, D)
            rows = row(arg(args, 1), b * arg(args, 7) + t * arg(args, 8), D)
            for i in range(D):
                out[i] = rows[i]


@kernel_of
def rows(args, part, parts):
    """out [B, N, D], x, start int32, B, N, D, strides of x (batch, row), rows of x: N consecutive rows from `start` on."""
    B, N, D = arg(args, 3), arg(args, 4), arg(args, 5)
    start = within(numba.carray(ints(arg(args, 2)), (1,))[0], arg(args, 8) - N + 1)
    begin, end = share(N, part, parts, 1)
    for b in range(B):
        for n in range(begin, end):
            out = row(arg(args, 0), (b * N + n) * D, D)
            x = row(arg(args, 1), b * arg(args, 6) + (start + n) * arg(args, 7), D)
            for i in range(D):
                out[i] = x[i]


# ---- reductions ------------------------------------------------------------------------------------------------------


SUM, MEAN, MAX = range(3)


def _reduction(name: str, op: int) -> None:
    """out [N, I], x [N, M, I], N, M, I: over the middle axis."""

    def kernel(args, part, parts):
        N, M, inner = arg(args, 2), arg(args, 3), arg(args, 4)
        begin, end = share(N, part, parts, 1)
        for n in range(begin, end):
            out = row(arg(args, 0), n * inner, inner)
            if inner == 1:
                x = row(arg(args, 1), n * M, M)
                total = x[0]
                for m in range(1, M):
                    total = max(total, x[m]) if op == MAX else total + x[m]
                out[0] = total / f32(M) if op == MEAN else total
                continue
            x = row(arg(args, 1), n * M * inner, inner)
            for i in range(inner):
                out[i] = x[i]
            for m in range(1, M):
                x = row(arg(args, 1), (n * M + m) * inner, inner)
                for i in range(inner):
                    out[i] = max(out[i], x[i]) if op == MAX else out[i] + x[i]
            if op == MEAN:
                for i in range(inner):
                    out[i] = out[i] / f32(M)

    kernel_of(kernel, name)


for _name, _op in (("sum", SUM), ("mean", MEAN), ("max", MAX)):
    _reduction(_name, _op)


@inline
def softmax_row(p, count):
    top = p[0]
    for s in range(1, count):
        top = max(top, p[s])
    total = f32(0)
    for s in range(count):
        e = exp(p[s] - top)
        p[s] = e
        total += e
    scale = f32(1) / total
    for s in range(count):
        p[s] *= scale


@kernel_of
def softmax(args, part, parts):
    """out [N, D], x with a stride, N, D, stride."""
    N, D = arg(args, 2), arg(args, 3)
    begin, end = share(N, part, parts, 1)
    for n in range(begin, end):
        out, x = row(arg(args, 0), n * D, D), row(arg(args, 1), n * arg(args, 4), D)
        for i in range(D):
            out[i] = x[i]
        softmax_row(out, D)


@kernel_of
def rms_norm(args, part, parts):
    """out [N, M, D], x, gain (M or 1 rows, or address 0), N, M, D, strides of x (N, M), rows of gain, eps."""
    N, M, D = arg(args, 3), arg(args, 4), arg(args, 5)
    eps = number(args, 9)
    begin, end = share(N * M, part, parts, 1)
    for r in range(begin, end):
        n, m = r // M, r % M
        x = row(arg(args, 1), n * arg(args, 6) + m * arg(args, 7), D)
        out = row(arg(args, 0), r * D, D)
        total = f32(0)
        for i in range(D):
            total += x[i] * x[i]
        scale = f32(1) / f32(math.sqrt(total / D + eps))
        if arg(args, 2):
            gain = row(arg(args, 2), r % arg(args, 8) * D, D)
            for i in range(D):
                out[i] = x[i] * scale * gain[i]
        else:
            for i in range(D):
                out[i] = x[i] * scale
