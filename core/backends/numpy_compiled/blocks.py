"""Kernels of the blocks that language models are built of."""

from __future__ import annotations

import numba

from .elementwise import exp, softmax_row
from .jit import f32, kernel_of
from .memory import arg, floats, number, octets, row, share
from .tiles import PANEL, ROWS, product_narrow, product_tile


@kernel_of
def rotary(args, part, parts):
    """out [T, H, C], x, cos and sin [T, C/2], T, H, C, strides of x (T, H)."""
    T, H, C = arg(args, 4), arg(args, 5), arg(args, 6)
    half = C // 2
    begin, end = share(T, part, parts, 1)
    for t in range(begin, end):
        cos, sin = row(arg(args, 2), t * half, half), row(arg(args, 3), t * half, half)
        for h in range(H):
            at = t * arg(args, 7) + h * arg(args, 8)
            first, second = row(arg(args, 1), at, half), row(arg(args, 1), at + half, half)
            left, right = row(arg(args, 0), (t * H + h) * C, half), row(arg(args, 0), (t * H + h) * C + half, half)
            for i in range(half):
                left[i] = first[i] * cos[i] - second[i] * sin[i]
                right[i] = second[i] * cos[i] + first[i] * sin[i]


@kernel_of
def causal_conv(args, part, parts):
    """out [B, T, D], x [B, R + T, D], taps [N, D], B, T, D, N, dilation."""
    B, T, D, N, dilation = arg(args, 3), arg(args, 4), arg(args, 5), arg(args, 6), arg(args, 7)
    start = (N - 1) * dilation
    begin, end = share(T, part, parts, 1)
    for b in range(B):
        for t in range(begin, end):
            out = row(arg(args, 0), (b * T + t) * D, D)
            last = b * (start + T) + start + t
            x, taps = row(arg(args, 1), last * D, D), row(arg(args, 2), 0, D)
            for i in range(D):
                out[i] = x[i] * taps[i]
            for j in range(1, N):
                x, taps = row(arg(args, 1), (last - j * dilation) * D, D), row(arg(args, 2), j * D, D)
                for i in range(D):
                    out[i] += x[i] * taps[i]


@kernel_of
def sinkhorn(args, part, parts):
    """out, x [N, n, n], N, n up to 8, iterations."""
    N, size, iterations = arg(args, 2), arg(args, 3), arg(args, 4)
    rows, columns = (
        numba.carray(floats(arg(args, 5) + part * 64), (8,)),
        numba.carray(floats(arg(args, 5) + part * 64 + 32), (8,)),
    )
    begin, end = share(N, part, parts, 1)
    for k in range(begin, end):
        x, y = row(arg(args, 1), k * size * size, size * size), row(arg(args, 0), k * size * size, size * size)
        for i in range(size):
            top = x[i * size]
            for j in range(1, size):
                top = max(top, x[i * size + j])
            for j in range(size):
                y[i * size + j] = exp(x[i * size + j] - top)
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


# ---- attention -------------------------------------------------------------------------------------------------------


@kernel_of
def attention_few(args, part, parts):
    """out [T, H, Cv], q, k, v, mask uint8 (or address 0), scratch, T, H, C, S, K, Cv, strides of q (T, H), k (S, K), v (S, K),
    mask (T), scale: for few queries, S by ROWS and Cv by PANEL; key heads are shared out. Scratch float32 [parts, 24·S +
    16·C + 8·Cv].

    The query heads of a group lie side by side, ROWS of them at a time: 16 scores for each position.
    """
    T, H, C, S, K, Cv = arg(args, 6), arg(args, 7), arg(args, 8), arg(args, 9), arg(args, 10), arg(args, 11)
    G, scale = H // K, f32(number(args, 19))
    step_k, step_v = arg(args, 14), arg(args, 16)
    queries = arg(args, 5) + part * (S * 24 + C * 16 + ROWS * Cv) * 4
    scores = queries + C * 64
    weights = scores + S * 64
    sums = weights + S * 4 * ROWS
    blocks = (G + ROWS - 1) // ROWS
    begin, end = share(K * blocks, part, parts, 1)
    for t in range(T):
        low, high = 0, S
        mask = numba.carray(octets(arg(args, 4) + t * arg(args, 18)), (S,))
        if arg(args, 4):
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
            turned = row(queries, 0, C * 16)
            for i in range(16):
                if i < count:
                    q = row(arg(args, 1), t * arg(args, 12) + (h + i) * arg(args, 13), C)
                    for c in range(C):
                        turned[c * 16 + i] = q[c] * scale
                else:
                    for c in range(C):
                        turned[c * 16 + i] = f32(0)
            keys, values = arg(args, 2) + g * arg(args, 15) * 4, arg(args, 3) + g * arg(args, 17) * 4
            for s in range(low, high, ROWS):
                product_narrow(keys + s * step_k * 4, step_k * 4, 4, queries, 64, scores + s * 64, 64, C)
            for i in range(ROWS):
                p = row(weights, i * S, high)
                if i >= count:
                    for s in range(low, high):
                        p[s] = f32(0)
                    continue
                column = row(scores, i, high * 16)
                if arg(args, 4):
                    for s in range(low, high):
                        p[s] = column[s * 16] if mask[s] else f32(-3.0e38)
                else:
                    for s in range(low, high):
                        p[s] = column[s * 16]
                softmax_row(row(weights, i * S + low, high - low), high - low)
            for c in range(0, Cv, PANEL):
                v = values + (low * step_v + c) * 4
                product_tile(weights + low * 4, S * 4, 4, v, step_v * 4, sums + c * 4, Cv * 4, high - low)
            for i in range(count):
                out, mixed = row(arg(args, 0), (t * H + h + i) * Cv, Cv), row(sums, i * Cv, Cv)
                for c in range(Cv):
                    out[c] = mixed[c]


@kernel_of
def turn_keys(args, part, parts):
    """out [K, C, width], k [S, K, C], S, K, C, width, strides of k (S, K), scale: positions side by side, for panels."""
    S, K, C, width = arg(args, 2), arg(args, 3), arg(args, 4), arg(args, 5)
    scale = f32(number(args, 8))
    begin, end = share(width, part, parts, 16)
    for g in range(K):
        for s in range(begin, end):
            out = row(arg(args, 0), g * C * width + s, C * width)
            if s < S:
                k = row(arg(args, 1), s * arg(args, 6) + g * arg(args, 7), C)
                for c in range(C):
                    out[c * width] = k[c] * scale
            else:
                for c in range(C):
                    out[c * width] = f32(0)


@kernel_of
def attention(args, part, parts):
    """out [T, H, Cv], q, keys turned [K, C, width], v, mask uint8, scratch [parts, ROWS, width], T by ROWS, H, C, S, K, Cv,
    width, strides of q (T, H), v (S, K), mask (T); Cv by PANEL. What no query of a tile sees is skipped; tiles are shared out.
    """
    T, H, C, S, K, Cv, width = (
        arg(args, 6),
        arg(args, 7),
        arg(args, 8),
        arg(args, 9),
        arg(args, 10),
        arg(args, 11),
        arg(args, 12),
    )
    G = H // K
    scores = arg(args, 5) + part * ROWS * width * 4
    for tile in range(part, T // ROWS, parts):  # later tiles see more: in turns, so that threads get alike work
        t = tile * ROWS
        low, high = S, 0
        for i in range(ROWS):
            mask = numba.carray(octets(arg(args, 4) + (t + i) * arg(args, 17)), (S,))
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
            q = arg(args, 1) + (t * arg(args, 13) + h * arg(args, 14)) * 4
            for s in range(low, high, PANEL):
                keys = arg(args, 2) + (g * C * width + s) * 4
                product_tile(q, arg(args, 13) * 4, 4, keys, width * 4, scores + s * 4, width * 4, C)
            for i in range(ROWS):
                p = row(scores, i * width + low, high - low)
                mask = numba.carray(octets(arg(args, 4) + (t + i) * arg(args, 17) + low), (high - low,))
                for s in range(high - low):
                    p[s] = p[s] if mask[s] else f32(-3.0e38)
                softmax_row(p, high - low)
            for c in range(0, Cv, PANEL):
                v = arg(args, 3) + (low * arg(args, 15) + g * arg(args, 16) + c) * 4
                out = arg(args, 0) + ((t * H + h) * Cv + c) * 4
                product_tile(scores + low * 4, width * 4, 4, v, arg(args, 15) * 4, out, H * Cv * 4, high - low)
