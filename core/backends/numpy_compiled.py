"""The NumPy backend with compiled kernels, where Numba is installed: the same operations, fewer passes over memory.

Packed matrices stay packed. A product with a few rows looks its sums up (`numpy_kernels.packed_linear`); one with many rows unpacks
the matrix, without its rotation, and rotates the rows instead, which BLAS then multiplies.
"""

from __future__ import annotations

import weakref
from typing import NamedTuple

import numpy as np

from ..quantized import CodebookArray
from . import numpy_kernels as kernels
from .numpy import NumpyBackend

FEW_ROWS = 12  # up to here looking sums up is faster than unpacking
_EMPTY_GAIN = np.zeros((0, 0), np.float32)
_NO_MASK = np.zeros((0, 0), np.bool_)


class _Packed(NamedTuple):
    """A `CodebookArray` as the kernels read it."""

    blocks: np.ndarray  # uint8 [R/WIDE, bytes, WIDE]
    block_norms: np.ndarray  # float32 [R/WIDE, groups, WIDE]
    codes: np.ndarray  # uint8 [R, bytes]
    norms: np.ndarray  # float32 [R, groups]
    codebook: np.ndarray  # float32 [2**bits]
    values: np.ndarray  # float32 [256, indices of a byte]


class CompiledNumpyBackend(NumpyBackend):
    """See the module's docstring. Anything but float32 goes the way of `NumpyBackend`."""

    def __init__(self):
        raise TypeError("get_backend('numpy') becomes this where it can")

    def keeps_packed(self):
        return kernels.HAS_LOOKUP

    def codebook_linear(self, x, weight, bias=None):
        rows, columns = weight.shape
        if x.dtype != np.float32 or weight.bits not in (2, 4) or columns % weight.group:
            return super().codebook_linear(x, weight, bias)
        packed = _packed(weight)
        flat = np.ascontiguousarray(x).reshape(-1, columns)
        if flat.shape[0] <= FEW_ROWS:
            y = np.empty((flat.shape[0], packed.blocks.shape[0] * kernels.WIDE), np.float32)
            kernels.packed_linear(flat, packed.blocks, packed.block_norms, packed.codebook, weight.bits, weight.group, y)
            y = y[:, :rows]
        else:
            unrotated = np.empty((rows, columns), np.float32)
            kernels.unpack(packed.codes, packed.norms, packed.values, weight.group, unrotated)
            rotated = np.empty_like(flat)
            kernels.hadamard_rows(flat, weight.group, rotated)
            y = rotated @ unrotated.T
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
        gains = _EMPTY_GAIN if gain is None else np.ascontiguousarray(gain).reshape(-1, x.shape[-1])
        kernels.rms_norm(x.reshape(-1, x.shape[-1]), gains, eps, y.reshape(-1, x.shape[-1]))
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

    def kronecker(self, z, a, b):
        count = z.size // z.shape[-1]
        if z.dtype != np.float32 or a.dtype != np.float32 or b.dtype != np.float32 or count > FEW_ROWS:
            return super().kronecker(z, a, b)
        y = np.empty(z.shape, np.float32)
        flat = np.ascontiguousarray(z).reshape(count, -1)
        kernels.kronecker(flat, np.ascontiguousarray(a), np.ascontiguousarray(b), y.reshape(count, -1))
        return y

    def attention(self, q, k, v, mask, scale, cap=None):
        B, T, H = q.shape[:3]
        if B != 1 or T > FEW_ROWS or cap is not None or q.dtype != np.float32 or k.dtype != np.float32:
            return super().attention(q, k, v, mask, scale, cap)
        y = np.empty((1, T, H, v.shape[-1]), np.float32)
        visible = _NO_MASK if mask is None else np.ascontiguousarray(mask[0])
        args = (np.ascontiguousarray(part[0]) for part in (q, k, v))
        kernels.attention(*args, visible, scale, y[0])
        return y


_cache: weakref.WeakKeyDictionary[CodebookArray, _Packed] = weakref.WeakKeyDictionary()


def _packed(weight: CodebookArray) -> _Packed:
    packed = _cache.get(weight)
    if packed is None:
        packed = _cache[weight] = _pack(weight)
    return packed


def _pack(weight: CodebookArray) -> _Packed:
    """The kernels' layout: bytes of WIDE rows side by side, rows padded with norms of 0."""
    missing = -weight.codes.shape[0] % kernels.WIDE
    norms = weight.norms.astype(np.float32)

    def blocked(x: np.ndarray) -> np.ndarray:
        x = np.pad(x, ((0, missing), (0, 0)))
        return np.ascontiguousarray(x.reshape(-1, kernels.WIDE, x.shape[1]).transpose(0, 2, 1))

    shifts = np.arange(0, 8, weight.bits)
    codebook = np.array(weight.codebook, np.float32)
    values = codebook[(np.arange(256)[:, None] >> shifts) & (2**weight.bits - 1)]
    # The kernels are compiled for arrays that may be written; a memory map may not.
    codes = weight.codes if weight.codes.flags.writeable else weight.codes.copy()
    return _Packed(blocked(weight.codes), blocked(norms), codes, norms, codebook, values)
