"""The NumPy backend with compiled kernels, where Numba is installed: the same operations, fewer passes over memory.

Packed matrices stay packed: a product looks its sums up instead of multiplying (`numpy_kernels.packed_linear`), which takes
less time than BLAS takes with the unpacked matrix.
"""

from __future__ import annotations

import weakref
from typing import NamedTuple

import numba
import numpy as np
from threadpoolctl import ThreadpoolController

from ..quantized import CodebookArray
from . import numpy_kernels as kernels
from .numpy import NumpyBackend
from .numpy_tiles import HAS_LOOKUP, PANEL, ROWS, WIDE

MUCH = 1 << 15  # numbers from which on a second thread saves more than it costs
FEW_ROWS = 8  # below this a second thread costs more than it saves
_NO_GAIN = np.zeros((1, 0), np.float32)
_NO_MASK = np.zeros((0, 0), np.bool_)


class _Packed(NamedTuple):
    """A `CodebookArray` as the kernels read it: WIDE rows side by side."""

    blocks: np.ndarray  # uint8 [R/WIDE, bytes, WIDE]
    norms: np.ndarray  # float32 [R/WIDE, groups, WIDE]; 0 for rows that fill the last block up
    codebook: np.ndarray  # float32 [2**bits]


class CompiledNumpyBackend(NumpyBackend):
    """See the module's docstring. Anything but float32 goes the way of `NumpyBackend`."""

    def __init__(self):
        raise TypeError("get_backend('numpy') becomes this where it can")

    def keeps_packed(self):
        return HAS_LOOKUP

    def compile(self, fn, module, donate=()):
        # Threads of BLAS and of Numba that wait for work by spinning would keep each other from the cores: the kernels
        # share large work out themselves, so BLAS gets one thread while a program runs.
        blas = ThreadpoolController().select(user_api="blas")

        def program(*args):
            with blas.limit(limits=1):
                return fn(module, *args)

        return program

    def codebook_linear(self, x, weight, bias=None):
        rows, columns = weight.shape
        if x.dtype != np.float32 or weight.bits not in (2, 4) or columns % weight.group:
            return super().codebook_linear(x, weight, bias)
        packed = _packed(weight)
        flat = np.ascontiguousarray(x).reshape(-1, columns)
        y = np.empty((flat.shape[0], packed.blocks.shape[0] * WIDE), np.float32)
        arguments = (flat, packed.blocks, packed.norms, packed.codebook, weight.bits, weight.group)
        kernel = kernels.packed_linear_few if flat.shape[0] < FEW_ROWS else kernels.packed_linear
        kernel(*arguments, numba.get_num_threads(), y)
        y = y[:, :rows]
        y = y.reshape(*x.shape[:-1], rows)
        return y if bias is None else y + bias

    def sigmoid(self, x):
        if x.dtype != np.float32:
            return super().sigmoid(x)
        y = np.empty(x.shape, np.float32)
        kernels.sigmoid(np.ascontiguousarray(x).reshape(-1), y.reshape(-1))
        return y

    def silu(self, x):
        if x.dtype != np.float32:
            return super().silu(x)
        y = np.empty(x.shape, np.float32)
        kernels.silu(np.ascontiguousarray(x).reshape(-1), y.reshape(-1))
        return y

    def softmax(self, x, axis=-1):
        if x.dtype != np.float32 or axis % x.ndim != x.ndim - 1 or not x.size:
            return super().softmax(x, axis)
        x = np.ascontiguousarray(x)
        y = np.empty_like(x)
        kernels.softmax(x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1]))
        return y

    def rms_norm(self, x, gain=None, eps=1e-6):
        if x.dtype != np.float32 or (gain is not None and (gain.dtype != np.float32 or gain.ndim > 2)):
            return super().rms_norm(x, gain, eps)
        x = np.ascontiguousarray(x)
        y = np.empty_like(x)
        gains = _NO_GAIN if gain is None else np.ascontiguousarray(gain).reshape(-1, x.shape[-1])
        kernel = kernels.rms_norm if x.size < MUCH else kernels.rms_norm_parallel
        kernel(x.reshape(-1, x.shape[-1]), gains, eps, y.reshape(-1, x.shape[-1]))
        return y

    def take(self, x, indices, axis=0):
        # Along the last axis NumPy gathers one element at a time
        if x.ndim < 2 or axis % x.ndim != x.ndim - 1 or x.size < MUCH or x.dtype != np.float32 or indices.dtype != np.int32:
            return super().take(x, indices, axis)
        if indices.ndim != 1 or not indices.size or indices.min() < 0 or indices.max() >= x.shape[-1]:
            return super().take(x, indices, axis)
        y = np.empty((*x.shape[:-1], indices.size), np.float32)
        flat = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
        kernels.gather(flat, np.ascontiguousarray(indices), y.reshape(-1, indices.size))
        return y

    def rotary(self, x, cos, sin):
        T, half = x.shape[1] if x.ndim == 4 else 0, x.shape[-1] // 2
        if x.dtype != np.float32 or x.ndim != 4 or cos.shape != (T, 1, half) or cos.dtype != np.float32:
            return super().rotary(x, cos, sin)
        x = np.ascontiguousarray(x)
        y = np.empty_like(x)
        kernels.rotary(x, np.ascontiguousarray(cos).reshape(T, half), np.ascontiguousarray(sin).reshape(T, half), y)
        return y

    def causal_conv(self, x, taps, dilation=1):
        if x.dtype != np.float32 or taps.dtype != np.float32:
            return super().causal_conv(x, taps, dilation)
        B, rows, D = x.shape
        y = np.empty((B, rows - (taps.shape[0] - 1) * dilation, D), np.float32)
        kernels.causal_conv(np.ascontiguousarray(x), np.ascontiguousarray(taps), dilation, y)
        return y

    def sinkhorn(self, logits, iterations):
        if logits.dtype != np.float32 or logits.shape[-1] > 8 or logits.shape[-1] != logits.shape[-2]:
            return super().sinkhorn(logits, iterations)
        x = np.ascontiguousarray(logits)
        y = np.empty_like(x)
        size = x.shape[-1]
        kernels.sinkhorn(x.reshape(-1, size, size), iterations, y.reshape(-1, size, size))
        return y

    def mean(self, x, axis=-1, keepdims=False):
        total = np.add.reduce(x, axis, keepdims=keepdims)  # np.mean takes several times as long for small arrays
        return total * np.float32(total.size / x.size) if x.dtype == np.float32 else super().mean(x, axis, keepdims)

    def linear(self, x, weight, bias=None):
        count = x.size // x.shape[-1]
        if count >= FEW_ROWS or x.dtype != np.float32 or weight.dtype != np.float32:
            return super().linear(x, weight, bias)
        y = np.empty((*x.shape[:-1], weight.shape[0]), np.float32)
        flat = np.ascontiguousarray(x).reshape(count, x.shape[-1])
        kernels.linear(flat, np.ascontiguousarray(weight), y.reshape(count, y.shape[-1]))
        return y if bias is None else y + bias

    def matmul(self, x, y):
        small = x.ndim == y.ndim == 4 and x.shape[:2] == y.shape[:2] and x.shape[2] <= 8 and x.shape[3] <= 8
        if not small or x.dtype != np.float32 or y.dtype != np.float32:
            return np.matmul(x, y)
        (B, T, p, m), D = x.shape, y.shape[3]
        out = np.empty((B, T, p, D), np.float32)
        left, right = (np.ascontiguousarray(part) for part in (x, y))
        kernel = kernels.matmul if out.size < MUCH else kernels.matmul_parallel
        kernel(left.reshape(-1, p, m), right.reshape(-1, m, D), out.reshape(-1, p, D))
        return out

    def kronecker(self, z, a, b):
        count = z.size // z.shape[-1]
        fits = not (a.shape[0] % ROWS or a.shape[1] % ROWS or b.shape[1] % PANEL)
        if not fits or any(part.dtype != np.float32 for part in (z, a, b)):
            return super().kronecker(z, a, b)
        y = np.empty((*z.shape[:-1], a.shape[1] * b.shape[1]), np.float32)
        arguments = (np.ascontiguousarray(z).reshape(count, z.shape[-1]), np.ascontiguousarray(a), np.ascontiguousarray(b))
        if count < FEW_ROWS:
            kernels.kronecker(*arguments, y.reshape(count, y.shape[-1]))
        else:
            kernels.kronecker_parallel(*arguments, numba.get_num_threads(), y.reshape(count, y.shape[-1]))
        return y

    def attention(self, q, k, v, mask, scale, cap=None):
        B, T, H = q.shape[:3]
        many = T >= FEW_ROWS
        if B != 1 or cap is not None or any(part.dtype != np.float32 for part in (q, k, v)):
            return super().attention(q, k, v, mask, scale, cap)
        if many and (mask is None or v.shape[-1] % PANEL):
            return super().attention(q, k, v, mask, scale, cap)
        q, k, v = (np.ascontiguousarray(part[0]) for part in (q, k, v))
        visible = _NO_MASK if mask is None else np.ascontiguousarray(mask[0])
        if not many:
            y = np.empty((T, H, v.shape[-1]), np.float32)
            kernels.attention(q, k, v, visible, scale, y)
            return y[None]
        missing = -T % ROWS
        if missing:
            q = np.concatenate([q, np.zeros((missing, *q.shape[1:]), np.float32)])
            visible = np.concatenate([visible, np.zeros((missing, visible.shape[1]), np.bool_)])
        y = np.empty((T + missing, H, v.shape[-1]), np.float32)
        kernels.attention_parallel(q, k, v, visible, scale, y)
        return y[None, :T]


_cache: weakref.WeakKeyDictionary[CodebookArray, _Packed] = weakref.WeakKeyDictionary()


def _packed(weight: CodebookArray) -> _Packed:
    packed = _cache.get(weight)
    if packed is None:
        packed = _cache[weight] = _pack(weight)
    return packed


def _pack(weight: CodebookArray) -> _Packed:
    missing = -weight.codes.shape[0] % WIDE

    def blocked(x: np.ndarray) -> np.ndarray:
        x = np.pad(x, ((0, missing), (0, 0)))
        return np.ascontiguousarray(x.reshape(-1, WIDE, x.shape[1]).transpose(0, 2, 1))

    return _Packed(blocked(weight.codes), blocked(weight.norms.astype(np.float32)), np.array(weight.codebook, np.float32))
