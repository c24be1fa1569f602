"""Codebook-quantised matrices of the `.cact` container ("CQ", spec §1.4 and §1.5).

A row is cut into groups (128 weights). Each group was rotated by the orthonormal Walsh–Hadamard matrix `H`, brought to
unit length and rounded to the nearest entry of a codebook; its length is kept as half-precision norm. So a group of
weights is `norm · codebook[codes] · H`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...core.quantized import hadamard
from ..errors import WeightsError

TERNARY = 5
BINARY = 1
# E|x| of a unit Gaussian is √(2/π); the ternary level is the one that the specification states.
_TERNARY_LEVEL = 1.2240064
_BINARY_LEVEL = float(np.sqrt(2 / np.pi))

# Codes of this many weights are expanded at a time: the work stays in the cache and the temporary small.
_WEIGHTS_PER_CHUNK = 1 << 18


@dataclass(frozen=True)
class PackedTensor:
    """A quantised matrix `[rows, cols]`; P below is `cols` rounded up to a multiple of `group`.

    Attributes:
        codes: uint8 `[rows, P · code_bits / 8]`, a little-endian bit stream per row.
        norms: float16 `[rows, P / group]`.
        codebook: float32, the value of every code, `[2**code_bits]`.
        bits: 2, 3 or 4 (codebook of that many bits), 5 (ternary, stored in 2 bits) or 1 (binary).
        group: Weights that share a norm and a rotation, a power of two.
        shape: `(rows, cols)`.
    """

    codes: NDArray[np.uint8]
    norms: NDArray[np.float16]
    codebook: NDArray[np.float32]
    bits: int
    group: int
    shape: tuple[int, int]

    @property
    def code_bits(self) -> int:
        """Bits that one code takes in `codes`."""
        return code_bits(self.bits)

    @property
    def nbytes(self) -> int:
        """Bytes of codes and norms."""
        return self.codes.nbytes + self.norms.nbytes

    def take(self, rows: ArrayLike) -> PackedTensor:
        """The given rows, still packed; the codes and norms of those rows are copied."""
        index = np.asarray(rows).reshape(-1)
        return replace(self, codes=self.codes[index], norms=self.norms[index], shape=(index.size, self.shape[1]))


def code_bits(bits: int) -> int:
    """Stored bits per weight of a storage kind (ternary takes two)."""
    return 2 if bits == TERNARY else bits


def padded(cols: int, group: int) -> int:
    """`cols` rounded up to a multiple of `group`."""
    return -(-cols // group) * group


def fixed_codebook(bits: int, group: int) -> NDArray[np.float32]:
    """Codebook of the two kinds that have no table in the file: ternary (by two's-complement crumb) and binary."""
    if bits == TERNARY:
        levels = np.array([0, 1, 0, -1]) * _TERNARY_LEVEL  # crumb 2 does not occur
    elif bits == BINARY:
        levels = np.array([-1, 1]) * _BINARY_LEVEL
    else:
        raise ValueError(f"only ternary ({TERNARY}) and binary ({BINARY}) have a fixed codebook; received bits={bits}")
    return (levels / np.sqrt(group)).astype(np.float32)


def unpack_codes(packed: PackedTensor) -> NDArray[np.uint8]:
    """Codes one per byte, uint8 `[rows, P]`."""
    bits = packed.code_bits
    rows, width = packed.codes.shape
    if 8 % bits == 0:
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        return ((packed.codes[:, :, None] >> shifts) & (2**bits - 1)).reshape(rows, width * 8 // bits)
    stream = np.unpackbits(packed.codes, axis=1, bitorder="little").reshape(rows, -1, bits)
    return (stream << np.arange(bits, dtype=np.uint8)).sum(axis=-1, dtype=np.uint8)


def dequantize(packed: PackedTensor) -> NDArray[np.float32]:
    """The matrix that `packed` stands for, float32 `[rows, cols]`."""
    rows, cols = packed.shape
    groups = packed.norms.shape[1]
    width = groups * packed.group
    rotation = hadamard(packed.group)
    out = np.empty((rows, width), np.float32)
    step = max(1, _WEIGHTS_PER_CHUNK // max(width, 1))
    expand = _expander(packed)
    for start in range(0, rows, step):
        chunk = slice(start, min(start + step, rows))
        values = expand(packed.codes[chunk]).reshape(-1, packed.group)  # [rows · groups, group]
        values *= packed.norms[chunk].astype(np.float32).reshape(-1, 1)
        np.matmul(values, rotation, out=out[chunk].reshape(-1, packed.group))
    return out if cols == width else np.ascontiguousarray(out[:, :cols])


def _expander(packed: PackedTensor):
    """Function from packed codes to codebook values, `[r, bytes] -> float32, r · P values`."""
    bits, codebook = packed.code_bits, packed.codebook
    if 8 % bits:
        return lambda codes: codebook[unpack_codes(replace(packed, codes=codes))]
    # One look-up per byte: a table of 256 entries, each the 8/bits values of that byte seen as one item.
    per_byte = 8 // bits
    shifts = np.arange(0, 8, bits)
    table = codebook[(np.arange(256)[:, None] >> shifts) & (2**bits - 1)]  # [256, per_byte]
    items = np.ascontiguousarray(table).view(np.dtype((np.void, 4 * per_byte)))[:, 0]
    if per_byte in (2, 4):
        items = items.view(np.float64 if per_byte == 2 else np.complex128)
    return lambda codes: items[codes].view(np.float32)


def quantize(matrix: ArrayLike, bits: int, codebook: ArrayLike | None = None, group: int = 128) -> PackedTensor:
    """Quantise a matrix `[rows, cols]` the way the container expects (spec §1.5).

    Args:
        matrix: Weights; columns are padded with zeros to a multiple of `group`.
        bits: 2, 3 or 4 with an ascending `codebook` of `2**bits` values; 5 (ternary) and 1 (binary) need none.
        codebook: Levels for a vector of unit length and `group` entries.
        group: Power of two, at least 8.
    """
    weights = np.asarray(matrix, np.float32)
    rows, cols = weights.shape
    width = padded(cols, group)
    weights = np.pad(weights, ((0, 0), (0, width - cols)))
    rotated = weights.reshape(-1, group) @ hadamard(group)
    norms = np.sqrt((rotated.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    unit = rotated / np.where(norms > 0, norms, 1)

    if codebook is None:
        values = fixed_codebook(bits, group)
        order = np.argsort(values[[0, 1, 3]]) if bits == TERNARY else np.arange(2)
        crumbs = np.array([0, 1, 3])[order] if bits == TERNARY else order
    else:
        values = np.asarray(codebook, np.float32)
        crumbs = np.arange(values.size)
        if values.size != 2**bits or np.any(np.diff(values) <= 0):
            raise ValueError(f"codebook must be {2**bits} ascending values for {bits} bits; received {values.size}")
    levels = values[crumbs].astype(np.float64)
    # side="left": a value exactly between two levels takes the lower one
    nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, unit, side="left")
    codes = crumbs[nearest].astype(np.uint8).reshape(rows, width)
    norms16 = norms.astype(np.float16).reshape(rows, width // group)
    return PackedTensor(_pack_codes(codes, code_bits(bits)), norms16, values, bits, group, (rows, cols))


def _pack_codes(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    rows = codes.shape[0]
    stream = (codes[:, :, None] >> np.arange(bits, dtype=np.uint8)) & 1
    return np.packbits(stream.reshape(rows, -1), axis=1, bitorder="little")


def check_ternary(codes: NDArray[np.uint8], name: str) -> None:
    """Refuse the one crumb (2) that ternary storage never writes."""
    if np.any((codes & 0xAA) & ~((codes & 0x55) << 1)):
        raise WeightsError(f"tensor {name} holds codes outside its ternary alphabet; fetch the file again")
