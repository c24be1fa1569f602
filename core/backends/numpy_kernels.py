"""Compiled kernels of the NumPy backend, by Numba: optional, and only imported when Numba is installed.

What they replace is written in NumPy in `backend.py` and gives the same numbers to within rounding. The product of a vector with
a packed matrix uses tables: two 2-bit indices (or one 4-bit index) choose one of 16 sums, which a register can hold, so 32 weights
cost one look-up and one addition (Wei et al. 2024, "T-MAC"). Everything stays float32.
"""

from __future__ import annotations

import math

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  # rows of the matrix that one vector of sums belongs to
BLOCKS = 4  # vectors that share a table while it is in a register
WIDE = LANES * BLOCKS  # rows that one call of the inner kernel takes

_FEATURES = llvmlite.binding.get_host_cpu_features()
HAS_AVX512 = bool(_FEATURES.get("avx512f"))
HAS_AVX2 = bool(_FEATURES.get("avx2"))

HAS_LOOKUP = HAS_AVX512 or HAS_AVX2

# Sums may be reordered; infinities and NaNs keep their meaning.
_OPTIONS = {"nogil": True, "fastmath": {"reassoc", "contract", "arcp", "nsz"}, "error_model": "numpy"}


def _kernel(signature: str):
    """A kernel of one signature: compiled when this file is first imported, and kept on disk from then on."""
    names = {"f": types.float32, "f8": types.float64, "i8": types.int64, "u1": types.uint8, "b1": types.boolean}
    return numba.njit(eval(signature, {"void": types.void, **names}), cache=True, **_OPTIONS)


@intrinsic
def _lookup_block(typingctx, codes, tables, norms, out, groups, group_bytes):
    """Sums of BLOCKS·LANES rows from their tables. All pointers are addresses; strides are between vectors of rows, in bytes."""
    signature = types.void(*(types.intp,) * 6)

    def build(context, builder: ir.IRBuilder, signature, args):
        codes, tables, norms, out, groups, group_bytes = args
        i8, i32, f32 = ir.IntType(8), ir.IntType(32), ir.FloatType()
        intp = codes.type
        bytes_v, ints_v, floats_v = ir.VectorType(i8, LANES), ir.VectorType(i32, LANES), ir.VectorType(f32, LANES)
        module = builder.module

        def load(address, kind, align=1):
            value = builder.load(builder.inttoptr(address, kind.as_pointer()))
            value.align = align
            return value

        def splat(value):
            return ir.Constant(ints_v, [value] * LANES)

        def lookup(table, index):
            if HAS_AVX512:
                fn_type = ir.FunctionType(floats_v, [floats_v, ints_v])
                fn = cgutils.get_or_insert_function(module, fn_type, "llvm.x86.avx512.permvar.sf.512")
                return builder.call(fn, [table, index])
            # AVX2: tables of 8, twice: the upper half of the table where bit 3 is set, in two halves of the lanes
            half_f, half_i = ir.VectorType(f32, 8), ir.VectorType(i32, 8)
            fn = cgutils.get_or_insert_function(module, ir.FunctionType(half_f, [half_f, half_i]), "llvm.x86.avx2.permps")

            def part(vector, start):
                mask = ir.Constant(ir.VectorType(i32, 8), list(range(start, start + 8)))
                return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)

            low, high = part(table, 0), part(table, 8)
            halves = []
            for start in (0, 8):
                chosen = part(index, start)
                bit = builder.and_(chosen, ir.Constant(half_i, [8] * 8))
                upper = builder.icmp_unsigned("!=", bit, ir.Constant(half_i, [0] * 8))
                halves.append(builder.select(upper, builder.call(fn, [high, chosen]), builder.call(fn, [low, chosen])))
            both = ir.Constant(ir.VectorType(i32, LANES), list(range(LANES)))
            return builder.shuffle_vector(halves[0], halves[1], both)

        zero = ir.Constant(floats_v, [0.0] * LANES)
        totals = [cgutils.alloca_once_value(builder, zero) for _ in range(BLOCKS)]
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(2 * BLOCKS)]
        with cgutils.for_range(builder, groups, intp=intp) as group:
            for s in sums:
                builder.store(zero, s)
            first = builder.mul(group.index, group_bytes)
            with cgutils.for_range(builder, group_bytes, intp=intp) as byte:
                k = builder.add(first, byte.index)
                table = builder.add(tables, builder.mul(k, ir.Constant(intp, 2 * 4 * LANES)))
                low = load(table, floats_v, 4)
                high = load(builder.add(table, ir.Constant(intp, 4 * LANES)), floats_v, 4)
                at = builder.add(codes, builder.mul(k, ir.Constant(intp, LANES * BLOCKS)))
                for b in range(BLOCKS):
                    offset = ir.Constant(intp, b * LANES)
                    index = builder.zext(load(builder.add(at, offset), bytes_v), ints_v)
                    if not HAS_AVX512:  # AVX-512 looks at the lowest four bits only; AVX2 at three, and bit 3 is tested
                        masked = builder.and_(index, splat(15))
                    else:
                        masked = index
                    sums_low, sums_high = sums[2 * b], sums[2 * b + 1]
                    builder.store(builder.fadd(builder.load(sums_low), lookup(low, masked)), sums_low)
                    shifted = builder.lshr(index, splat(4))
                    builder.store(builder.fadd(builder.load(sums_high), lookup(high, shifted)), sums_high)
            for b in range(BLOCKS):
                at = builder.add(norms, ir.Constant(intp, 4 * LANES * b))
                norm = load(builder.add(at, builder.mul(group.index, ir.Constant(intp, 4 * LANES * BLOCKS))), floats_v, 4)
                total = builder.fadd(builder.load(sums[2 * b]), builder.load(sums[2 * b + 1]))
                builder.store(builder.fadd(builder.load(totals[b]), builder.fmul(total, norm)), totals[b])
        for b in range(BLOCKS):
            pointer = builder.inttoptr(builder.add(out, ir.Constant(intp, b * 4 * LANES)), floats_v.as_pointer())
            store = builder.store(builder.load(totals[b]), pointer)
            store.align = 4
        return context.get_dummy_value()

    return signature, build


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


@_kernel("void(f[:, ::1], f[:, ::1], f8, f[:, ::1])")
def rms_norm(x, gain, eps, y):
    """x, y [N, D], gain [M, D]: row n takes gain row n mod M (M = 0: none)."""
    D, M = x.shape[1], gain.shape[0]
    for n in range(x.shape[0]):
        total = f32(0)
        for i in range(D):
            total += x[n, i] * x[n, i]
        scale = f32(1) / f32(math.sqrt(total / D + eps))
        if M:
            m = n % M
            for i in range(D):
                y[n, i] = x[n, i] * scale * gain[m, i]
        else:
            for i in range(D):
                y[n, i] = x[n, i] * scale


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


@_kernel("void(f[:, ::1], f[:, ::1], f[:, ::1], f[:, ::1])")
def kronecker(z, a, b, y):
    """Aᵀ·Z·B for each row of z, y [N, m·n] seen as [m, n]; a [m, m], b [n, n]."""
    m, n = a.shape[0], b.shape[0]
    half = np.empty((m, n), np.float32)
    for k in range(z.shape[0]):
        for i in range(m):
            for j in range(n):
                half[i, j] = f32(0)
            for c in range(n):
                value = z[k, i * n + c]
                for j in range(n):
                    half[i, j] += value * b[c, j]
        for i in range(m):
            for j in range(n):
                y[k, i * n + j] = f32(0)
        for c in range(m):
            for i in range(m):
                value = a[c, i]
                for j in range(n):
                    y[k, i * n + j] += value * half[c, j]


@_kernel("void(f[:, :, ::1], f[:, :, ::1], f[:, :, ::1], b1[:, ::1], f8, f[:, :, ::1])")
def attention(q, k, v, mask, scale, y):
    """q [T, H, C], k [S, K, C], v [S, K, Cv], mask [T, S] or [0, 0], y [T, H, Cv]."""
    T, H, C = q.shape
    S, K, Cv = v.shape
    G = H // K
    p = np.empty(S, np.float32)
    for t in range(T):
        for h in range(H):
            g = h // G
            top = f32(-3.0e38)
            for s in range(S):
                dot = f32(0)
                for c in range(C):
                    dot += q[t, h, c] * k[s, g, c]
                p[s] = dot * scale
            if mask.shape[0]:
                for s in range(S):
                    if not mask[t, s]:
                        p[s] = f32(-3.0e38)
            for s in range(S):
                top = max(top, p[s])
            total = f32(0)
            for s in range(S):
                p[s] = _exp(p[s] - top)
                total += p[s]
            for c in range(Cv):
                y[t, h, c] = f32(0)
            for s in range(S):
                weight = p[s]
                for c in range(Cv):
                    y[t, h, c] += weight * v[s, g, c]
            for c in range(Cv):
                y[t, h, c] /= total


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


@_kernel("void(f[:, ::1], u1[:, :, ::1], f[:, :, ::1], f[::1], i8, i8, f[:, ::1])")
def packed_linear(x, blocks, norms, codebook, bits, group, y):
    """x [N, D], blocks uint8 [R/WIDE, D·bits/8, WIDE], norms float32 [R/WIDE, D/group, WIDE], y [N, R]; bits 2 or 4."""
    N, D = x.shape
    rotated = np.empty((1, D), np.float32)
    pairs = D // 2 if bits == 2 else D
    tables = np.empty((pairs, 16), np.float32)
    for n in range(N):
        hadamard_rows(x[n : n + 1], group, rotated)
        if bits == 2:
            for p in range(pairs):
                a, b = rotated[0, 2 * p], rotated[0, 2 * p + 1]
                for i in range(16):
                    tables[p, i] = codebook[i & 3] * a + codebook[i >> 2] * b
        else:
            for p in range(pairs):
                a = rotated[0, p]
                for i in range(16):
                    tables[p, i] = codebook[i] * a
        for r in range(blocks.shape[0]):
            _lookup_block(
                blocks[r:].ctypes.data,
                tables.ctypes.data,
                norms[r:].ctypes.data,
                y[n, r * WIDE :].ctypes.data,
                D // group,
                group * bits // 8,
            )


@_kernel("void(u1[:, ::1], f[:, ::1], f[:, ::1], i8, f[:, ::1])")
def unpack(codes, norms, values, group, y):
    """Rows before their rotation: codes uint8 [R, D·bits/8], norms [R, D/group], values [256, per_byte], y float32 [R, D]."""
    per_byte = values.shape[1]
    step = group // per_byte
    for r in range(codes.shape[0]):
        for g in range(norms.shape[1]):
            norm = f32(norms[r, g])
            for k in range(g * step, (g + 1) * step):
                byte = codes[r, k]
                for i in range(per_byte):
                    y[r, k * per_byte + i] = values[byte, i] * norm
