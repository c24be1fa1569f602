"""Quantised arrays: weights that stay packed in memory and are unpacked where they are used.

`ops.linear` and `ops.take` accept them in place of a float array, so model code never mentions quantisation.
"""

from __future__ import annotations

import functools

import numpy as np

from .backend import Array, Backend, backend_of
from .module import Module


class CodebookArray(Module):
    """A float32 matrix [rows, columns] stored as indices into a small codebook, scaled and rotated by groups.

    A group of `group` consecutive weights of a row is ``norm · codebook[indices] · H`` with H the orthonormal
    Walsh-Hadamard matrix of that size in Sylvester order (the format called CQ in the Needle 3 container).

    Attributes:
        codes: uint8 [rows, columns·bits/8], the first index in the lowest bits.
        norms: float16 or float32 [rows, columns/group].
        codebook: float32 [2**bits].
        hadamard: float32 [group, group].
        bits: 1, 2 or 4.
        shape: (rows, columns).
    """

    stands_for_array = True

    def __init__(self, codes: Array, norms: Array, codebook: Array, bits: int, group: int, columns: int):
        if bits not in (1, 2, 4):
            raise ValueError(f"indices of 1, 2 or 4 bits can be unpacked, received {bits}")
        self.codes = codes
        self.norms = norms
        self.codebook = codebook
        self.hadamard = hadamard(group)
        self.bits = bits
        self.group = group
        self.shape = (codes.shape[0], columns)

    @property
    def dtype(self) -> str:
        return "float32"

    def take(self, indices: Array) -> Array:
        """Rows by index: int32 [...] -> float32 [..., columns]; only the rows asked for are unpacked."""
        return backend_of(indices, self.codes).codebook_take(self, indices)

    def dequantize(self) -> Array:
        """The whole matrix, float32 [rows, columns]."""
        return self.unpack(backend_of(self.codes), self.codes, self.norms)

    def linear(self, x: Array, bias: Array | None = None) -> Array:
        """``x · Wᵀ`` (+ bias): [..., columns] -> [..., rows], by the backend's kernel or by unpacking the matrix."""
        return backend_of(x, self.codes).codebook_linear(x, self, bias)

    def unpack(self, backend: Backend, codes: Array, norms: Array) -> Array:
        """Rows from their indices uint8 [..., columns·bits/8] and norms [..., columns/group]: float32 [..., columns]."""
        leading = tuple(codes.shape[:-1])
        per_byte = 8 // self.bits
        # [..., bytes] -> [..., bytes, indices of a byte]
        wide = backend.expand_dims(backend.cast(codes, "int32"), -1)
        shifts = backend.arange(per_byte) * self.bits
        indices = backend.bitwise_and(
            backend.shift_right(wide, backend.broadcast_to(shifts, (*wide.shape[:-1], per_byte))), 2**self.bits - 1
        )
        values = backend.take(self.codebook, indices)
        values = backend.reshape(values, (*leading, norms.shape[-1], self.group))
        values = values * backend.expand_dims(backend.cast(norms, "float32"), -1)
        rows = backend.matmul(values, backend.asarray(self.hadamard))
        return backend.reshape(rows, (*leading, norms.shape[-1] * self.group))[..., : self.shape[1]]


@functools.lru_cache(maxsize=8)
def hadamard(n: int) -> np.ndarray:
    """The orthonormal Walsh-Hadamard matrix in Sylvester order, float32 [n, n], read-only; symmetric and its own inverse."""
    if n < 1 or n & (n - 1):
        raise ValueError(f"a Hadamard matrix in Sylvester order has a power of two rows, received {n}")
    matrix = np.ones((1, 1))
    while matrix.shape[0] < n:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    matrix = (matrix / np.sqrt(n)).astype(np.float32)
    matrix.setflags(write=False)  # shared by every array of that group size
    return matrix
