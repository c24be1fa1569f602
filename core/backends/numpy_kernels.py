"""Compiled kernels of the NumPy backend, by Numba: optional, and only imported when Numba is installed.

What they replace is written in NumPy in `backend.py` and gives the same numbers to within rounding. The product with a packed
matrix uses tables: two 2-bit indices (or one 4-bit index) choose one of 16 sums, which a register can hold, so 32 weights cost
one look-up and one addition (Wei et al. 2024, "T-MAC"). Everything stays float32.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .numpy_tiles import PANEL, ROWS, TILE, WIDE, lookup_1, lookup_tile, product_tile

# Sums may be reordered; infinities and NaNs keep their meaning.
_OPTIONS = {"nogil": True, "fastmath": {"reassoc", "contract", "arcp", "nsz"}, "error_model": "numpy"}


def _kernel(signature: str, **options):
    """A kernel of one signature: compiled when this file is first imported, and kept on disk from then on."""
    names = {
        "f": types.float32,
        "f8": types.float64,
        "i4": types.int32,
        "i8": types.int64,
        "u1": types.uint8,
        "b1": types.boolean,
    }
    return numba.njit(eval(signature, {"void": types.void, **names}), cache=True, **_OPTIONS, **options)


@intrinsic
def _bits_to_float(typingctx, bits):
    """The float32 whose bit pattern is an int32."""

    def build(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), build


f32, i32 = numba.float32, numba.int32


@numba.njit(inline="always", **_OPTIONS)
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


@_kernel("void(f[::1], f[::1])")
def sigmoid(x, y):
    """x, y [N]."""
    for i in range(x.size):
        y[i] = f32(1) / (f32(1) + _exp(-x[i]))


@_kernel("void(f[::1], f[::1])")
def silu(x, y):
    """x, y [N]."""
    for i in range(x.size):
        y[i] = x[i] / (f32(1) + _exp(-x[i]))


@_kernel("void(f[:, ::1], f[:, ::1])")
def softmax(x, y):
    """Over the rows of x, y [N, D]."""
    for n in range(x.shape[0]):
        top = x[n, 0]
        for i in range(1, x.shape[1]):
            top = max(top, x[n, i])
        total = f32(0)
        for i in range(x.shape[1]):
            e = _exp(x[n, i] - top)
            y[n, i] = e
            total += e
        scale = f32(1) / total
        for i in range(x.shape[1]):
            y[n, i] *= scale


@numba.njit(inline="never", **_OPTIONS)
def _rms_norm_row(x, gain, eps, y):
    D = x.size
    total = f32(0)
    for i in range(D):
        total += x[i] * x[i]
    scale = f32(1) / f32(math.sqrt(total / D + eps))
    if gain.size:
        for i in range(D):
            y[i] = x[i] * scale * gain[i]
    else:
        for i in range(D):
            y[i] = x[i] * scale


@_kernel("void(f[:, ::1], f[:, ::1], f8, f[:, ::1])")
def rms_norm(x, gain, eps, y):
    """x, y [N, D], gain [M, D]: row n takes gain row n mod M; [1, 0] for none."""
    for n in range(x.shape[0]):
        _rms_norm_row(x[n], gain[n % gain.shape[0]], eps, y[n])


@_kernel("void(f[:, ::1], f[:, ::1], f8, f[:, ::1])", parallel=True)
def rms_norm_parallel(x, gain, eps, y):
    """As `rms_norm`, rows shared out between threads."""
    for n in numba.prange(x.shape[0]):
        _rms_norm_row(x[n], gain[n % gain.shape[0]], eps, y[n])


@_kernel("void(f[:, ::1], i4[::1], f[:, ::1])", parallel=True)
def gather(x, index, y):
    """Elements of each row of x [N, D] by index [M], y [N, M]; rows shared out between threads."""
    for n in numba.prange(x.shape[0]):
        for i in range(index.size):
            y[n, i] = x[n, index[i]]


@_kernel("void(f[:, :, :, ::1], f[:, ::1], f[:, ::1], f[:, :, :, ::1])")
def rotary(x, cos, sin, y):
    """x, y [B, T, H, C], cos and sin [T, C/2]."""
    B, T, H, C = x.shape
    half = C // 2
    for b in range(B):
        for t in range(T):
            for h in range(H):
                for i in range(half):
                    first, second = x[b, t, h, i], x[b, t, h, half + i]
                    y[b, t, h, i] = first * cos[t, i] - second * sin[t, i]
                    y[b, t, h, half + i] = second * cos[t, i] + first * sin[t, i]


@_kernel("void(f[:, :, ::1], f[:, ::1], i8, f[:, :, ::1])")
def causal_conv(x, taps, dilation, y):
    """x [B, R + T, D], taps [N, D], y [B, T, D]."""
    B, T, D = y.shape
    N = taps.shape[0]
    start = (N - 1) * dilation
    for b in range(B):
        for t in range(T):
            for i in range(D):
                y[b, t, i] = x[b, start + t, i] * taps[0, i]
            for j in range(1, N):
                row = start + t - j * dilation
                for i in range(D):
                    y[b, t, i] += x[b, row, i] * taps[j, i]


@_kernel("void(f[:, :, ::1], i8, f[:, :, ::1])")
def sinkhorn(x, iterations, y):
    """x, y [N, n, n] with n up to 8."""
    size = x.shape[1]
    rows, columns = np.empty(8, np.float32), np.empty(8, np.float32)
    for k in range(x.shape[0]):
        for i in range(size):
            top = x[k, i, 0]
            for j in range(1, size):
                top = max(top, x[k, i, j])
            for j in range(size):
                y[k, i, j] = _exp(x[k, i, j] - top)
            columns[i] = f32(1)
            rows[i] = f32(1)
        for _ in range(iterations):
            for i in range(size):
                total = f32(0)
                for j in range(size):
                    total += y[k, i, j] * columns[j]
                rows[i] = f32(1) / total
            for j in range(size):
                total = f32(0)
                for i in range(size):
                    total += y[k, i, j] * rows[i]
                columns[j] = f32(1) / total
        for i in range(size):
            for j in range(size):
                y[k, i, j] *= rows[i] * columns[j]


@numba.njit(inline="never", **_OPTIONS)
def _kronecker_row(z, a, b, half, y):
    (m, p), (n, q) = a.shape, b.shape
    for i in range(0, m, ROWS):  # half = Z·B
        for j in range(0, q, PANEL):
            product_tile(
                z.ctypes.data + i * n * 4, n * 4, 4, b.ctypes.data + j * 4, q * 4, half.ctypes.data + (i * q + j) * 4, q * 4, n
            )
    for i in range(0, p, ROWS):  # y = Aᵀ·half
        for j in range(0, q, PANEL):
            product_tile(
                a.ctypes.data + i * 4, 4, p * 4, half.ctypes.data + j * 4, q * 4, y.ctypes.data + (i * q + j) * 4, q * 4, m
            )


@_kernel("void(f[:, ::1], f[:, ::1], f[:, ::1], f[:, ::1])")
def kronecker(z, a, b, y):
    """Aᵀ·Z·B for each row of z [N, m·n] seen as [m, n]; a [m, p], b [n, q], y [N, p·q]; m, p by ROWS and q by PANEL."""
    half = np.empty((a.shape[0], b.shape[1]), np.float32)
    for k in range(z.shape[0]):
        _kronecker_row(z[k], a, b, half, y[k])


@_kernel("void(f[:, ::1], f[:, ::1], f[:, ::1], i8, f[:, ::1])", parallel=True)
def kronecker_parallel(z, a, b, parts, y):
    """As `kronecker`, the rows of z shared out in that many parts between threads."""
    N = z.shape[0]
    step = (N + parts - 1) // parts
    for part in numba.prange(parts):
        half = np.empty((a.shape[0], b.shape[1]), np.float32)
        for k in range(part * step, min(N, (part + 1) * step)):
            _kronecker_row(z[k], a, b, half, y[k])


@_kernel("void(f[:, ::1], f[:, ::1], f[:, ::1])")
def linear(x, weight, y):
    """x [N, D] times weight [R, D] transposed, y [N, R]."""
    for n in range(x.shape[0]):
        for r in range(weight.shape[0]):
            total = f32(0)
            for i in range(x.shape[1]):
                total += x[n, i] * weight[r, i]
            y[n, r] = total


@numba.njit(inline="never", **_OPTIONS)
def _matmul_one(a, b, y):
    for i in range(a.shape[0]):
        for d in range(b.shape[1]):
            y[i, d] = a[i, 0] * b[0, d]
        for k in range(1, a.shape[1]):
            value = a[i, k]
            for d in range(b.shape[1]):
                y[i, d] += value * b[k, d]


@_kernel("void(f[:, :, ::1], f[:, :, ::1], f[:, :, ::1])")
def matmul(a, b, y):
    """a [N, p, m] times b [N, m, D], y [N, p, D], for small p and m."""
    for n in range(a.shape[0]):
        _matmul_one(a[n], b[n], y[n])


@_kernel("void(f[:, :, ::1], f[:, :, ::1], f[:, :, ::1])", parallel=True)
def matmul_parallel(a, b, y):
    """As `matmul`, products shared out between threads."""
    for n in numba.prange(a.shape[0]):
        _matmul_one(a[n], b[n], y[n])


@numba.njit(inline="never", **_OPTIONS)
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


@_kernel("void(f[:, :, ::1], f[:, :, ::1], f[:, :, ::1], b1[:, ::1], f8, f[:, :, ::1])")
def attention(q, k, v, mask, scale, y):
    """q [T, H, C], k [S, K, C], v [S, K, Cv], mask [T, S] or [0, 0], y [T, H, Cv]; for few queries."""
    T, H, C = q.shape
    S, K, Cv = v.shape
    G = H // K
    p = np.empty(S + 3, np.float32)
    for t in range(T):
        for h in range(H):
            g = h // G
            for s in range(S):
                dot = f32(0)
                for c in range(C):
                    dot += q[t, h, c] * k[s, g, c]
                p[s] = dot * scale
            if mask.shape[0]:
                for s in range(S):
                    if not mask[t, s]:
                        p[s] = f32(-3.0e38)
            _softmax_row(p, S)
            for c in range(Cv):
                y[t, h, c] = f32(0)
            for s in range(0, S - S % 4, 4):
                w0, w1, w2, w3 = p[s], p[s + 1], p[s + 2], p[s + 3]
                for c in range(Cv):
                    y[t, h, c] += w0 * v[s, g, c] + w1 * v[s + 1, g, c] + w2 * v[s + 2, g, c] + w3 * v[s + 3, g, c]
            for s in range(S - S % 4, S):
                for c in range(Cv):
                    y[t, h, c] += p[s] * v[s, g, c]


@_kernel("void(f[:, :, ::1], f[:, :, ::1], f[:, :, ::1], b1[:, ::1], f8, f[:, :, ::1])", parallel=True)
def attention_parallel(q, k, v, mask, scale, y):
    """As `attention`, for many queries: T by ROWS, Cv by PANEL. What lies behind the last visible row of a tile is skipped."""
    T, H, C = q.shape
    S, K, Cv = v.shape
    G = H // K
    width = (S + PANEL - 1) // PANEL * PANEL
    turned = np.zeros((K, C, width), np.float32)  # keys with positions side by side, as a panel wants them
    for s in range(S):
        for g in range(K):
            for c in range(C):
                turned[g, c, s] = k[s, g, c] * f32(scale)
    for tile in numba.prange(T // ROWS):
        t = tile * ROWS
        seen = 1
        for i in range(t, t + ROWS):
            last = S
            while last > seen and not mask[i, last - 1]:
                last -= 1
            seen = max(seen, last)
        p = np.empty((ROWS, width), np.float32)
        for h in range(H):
            g = h // G
            for s in range(0, seen, PANEL):
                product_tile(
                    q.ctypes.data + (t * H + h) * C * 4,
                    H * C * 4,
                    4,
                    turned.ctypes.data + (g * C * width + s) * 4,
                    width * 4,
                    p.ctypes.data + s * 4,
                    width * 4,
                    C,
                )
            for i in range(ROWS):
                for s in range(seen):
                    if not mask[t + i, s]:
                        p[i, s] = f32(-3.0e38)
                _softmax_row(p[i], seen)
            for c in range(0, Cv, PANEL):
                product_tile(
                    p.ctypes.data,
                    width * 4,
                    4,
                    v.ctypes.data + (g * Cv + c) * 4,
                    K * Cv * 4,
                    y.ctypes.data + ((t * H + h) * Cv + c) * 4,
                    H * Cv * 4,
                    seen,
                )


@_kernel("void(f[:, ::1], i8, f[:, ::1])")
def hadamard_rows(x, group, y):
    """Each group of each row of x [N, D] times the orthonormal Hadamard matrix, by butterflies; y [N, D]."""
    scale = f32(1.0 / math.sqrt(group))
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            y[n, i] = x[n, i] * scale
        for start in range(0, x.shape[1], group):
            width = 1
            while width < group:
                for i in range(start, start + group, 2 * width):
                    for j in range(i, i + width):
                        a, b = y[n, j], y[n, j + width]
                        y[n, j] = a + b
                        y[n, j + width] = a - b
                width *= 2


@numba.njit(inline="never", **_OPTIONS)
def _fill_tables(x, first, count, codebook, bits, tables):
    """Sums that the indices of `count` bytes of a row can choose between, tables [2·count, 16]."""
    if bits == 2:
        for p in range(2 * count):
            a, b = x[first + 2 * p], x[first + 2 * p + 1]
            for i in range(16):
                tables[p, i] = codebook[i & 3] * a + codebook[i >> 2] * b
    else:
        for p in range(2 * count):
            a = x[first + p]
            for i in range(16):
                tables[p, i] = codebook[i] * a


@numba.njit(inline="never", **_OPTIONS)
def _packed_rows(x, start, stop, blocks, first, last, norms, codebook, bits, group, y):
    """Rows start … stop-1 of `packed_linear`, blocks first … last-1 of its columns; x is rotated."""
    count = group * bits // 8
    R = y.shape[1]
    tables = np.empty((TILE, 2 * count, 16), np.float32)
    code_stride, norm_stride = blocks.shape[1] * WIDE, norms.shape[1] * WIDE * 4
    n = start
    while n < stop:
        tile = TILE if stop - n >= TILE else 1
        for t in range(tile):
            for r in range(first * WIDE, last * WIDE):
                y[n + t, r] = f32(0)
        out, table = y.ctypes.data + n * R * 4, tables.ctypes.data
        for g in range(norms.shape[1]):  # the sums of a tile stay in the nearest cache while its groups go by
            for t in range(tile):
                _fill_tables(x[n + t], g * group, count, codebook, bits, tables[t])
            codes, scales = blocks.ctypes.data + g * count * WIDE, norms.ctypes.data + g * WIDE * 4
            for r in range(first, last):
                place, scale, sums = codes + r * code_stride, scales + r * norm_stride, out + r * WIDE * 4
                if tile == TILE:
                    lookup_tile(place, table, scale, sums, R * 4, count)
                else:
                    lookup_1(place, table, scale, sums, R * 4, count)
        n += tile


@_kernel("void(f[:, ::1], u1[:, :, ::1], f[:, :, ::1], f[::1], i8, i8, i8, f[:, ::1])", parallel=True)
def packed_linear_few(x, blocks, norms, codebook, bits, group, parts, y):
    """As `packed_linear`, for few rows of x: the rows of the matrix are shared out in that many parts between threads."""
    rotated = np.empty_like(x)
    hadamard_rows(x, group, rotated)
    R = blocks.shape[0]
    for p in numba.prange(parts):
        _packed_rows(rotated, 0, x.shape[0], blocks, p * R // parts, (p + 1) * R // parts, norms, codebook, bits, group, y)


@_kernel("void(f[:, ::1], u1[:, :, ::1], f[:, :, ::1], f[::1], i8, i8, i8, f[:, ::1])", parallel=True)
def packed_linear(x, blocks, norms, codebook, bits, group, parts, y):
    """Product of x [N, D] with a packed matrix, its rows shared out in that many parts between threads.

    blocks uint8 [R/WIDE, D·bits/8, WIDE], norms float32 [R/WIDE, D/group, WIDE], y [N, R]; bits 2 or 4.
    """
    N = x.shape[0]
    rotated = np.empty_like(x)
    step = (N // TILE + parts) // parts * TILE
    for p in numba.prange(parts):
        start, stop = min(N, p * step), min(N, (p + 1) * step)
        if start < stop:
            hadamard_rows(x[start:stop], group, rotated[start:stop])
            _packed_rows(rotated, start, stop, blocks, 0, blocks.shape[0], norms, codebook, bits, group, y)
