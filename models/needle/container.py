"""The `.cact` container of Needle models: reading and checking (spec §1).

Layout: a header of 48 words and one float, codebooks, a directory of 44-byte records, then payloads at multiples of
64. Records carry no names: a tensor is known by its position, so the header alone says which tensors must follow and
what shape each has. Reading maps the file into memory and hands out views; nothing is copied.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsError
from .layout import CODEBOOK_BITS, HEADER, HEADS, Damaged, Header, Slot, head_layout, read_header, tensor_layout
from .packed import BINARY, TERNARY, PackedTensor, check_ternary, code_bits, dequantize, fixed_codebook, padded

__all__ = ["Container", "Header", "PackedTensor", "dequantize", "read_container", "tensor_layout"]

RECORD = struct.Struct("<BBH4IQQII")
ALIGNMENT = 64
HALF, FLOAT, QUANTISED, RAW = 1, 2, 3, 4
DENSE = {HALF: np.dtype("<f2"), FLOAT: np.dtype("<f4")}

Tensor = PackedTensor | NDArray[np.floating]


@dataclass(frozen=True)
class Container:
    """An open container.

    Attributes:
        header: Every header word.
        codebooks: Codebook by bit width, float32 `[2**bits]`.
        tensors: Tensors by name in the order of the file; read-only views into the mapped file.
        tokenizer: The tokenizer blob of spec §1.8.
    """

    header: Header
    codebooks: dict[int, NDArray[np.float32]]
    tensors: dict[str, Tensor]
    tokenizer: bytes


def read_container(path: str | os.PathLike[str]) -> Container:
    """Open a `.cact` container; tensors are read-only views into the mapped file.

    Every header word is checked for its range; every size, offset, storage kind and shape against the header; and every float
    (dense weights, norms, codebooks) for being finite. What no such check can tell is another value in place of the right one:
    only a checksum can.

    Raises:
        WeightsError: The file is missing, truncated, damaged, or not a Needle 3 container.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < HEADER.size:
                raise WeightsError(f"{path} is too short to be a Needle 3 container; fetch it again")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise WeightsError(f"cannot open {path}: {error.strerror}; check the path or fetch the weights") from error
    try:
        return _Reader(data).read()
    except Damaged as problem:
        raise WeightsError(f"{path}: {problem}; fetch the file again") from None


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.bytes = np.frombuffer(data, np.uint8)
        self.end = 0  # of the payload read last

    def read(self) -> Container:
        header = self.header = read_header(self.data)
        start = HEADER.size + 4 * header.codebook_len
        directory_end = start + RECORD.size * header.num_tensors
        if directory_end > len(self.data):
            raise Damaged(f"the directory ends at byte {directory_end}, the file at {len(self.data)}: truncated")
        self.codebooks = self._codebooks()
        self.records = RECORD.iter_unpack(self.data[start:directory_end])
        self.left = header.num_tensors
        self.end = directory_end

        tensors: dict[str, Tensor] = {}
        for slot in tensor_layout(header):
            tensors[slot.name] = self._tensor(slot)
        for i in range(header.num_layers):
            if tensors[f"layers.{i}.cond_v"].shape[1] != tensors[f"layers.{i}.cond_u"].shape[0]:
                raise Damaged(f"the shapes of layers.{i}.cond_v and cond_u do not agree with each other")
        if self.left > 1:
            tensors["heads.manifest"] = manifest = self._tensor(Slot("heads.manifest", (None,)))
            if np.unique(manifest).size != manifest.size:
                raise Damaged("the manifest names a head twice")
            for code in np.asarray(manifest):
                if float(code) not in HEADS:
                    raise Damaged(f"unknown head code {float(code):g} in the manifest")
                for slot in head_layout(header, HEADS[int(code)]):
                    tensors[slot.name] = self._tensor(slot)
                self._check_head(tensors, f"heads.{HEADS[int(code)]}.")
        tokenizer = self._tokenizer()
        if self.left:
            raise Damaged(f"{self.left} unexpected records after the tokenizer")
        if self.end != len(self.data):
            raise Damaged(f"{len(self.data)} bytes where the directory accounts for {self.end}")
        return Container(header, self.codebooks, tensors, tokenizer)

    def _codebooks(self) -> dict[int, NDArray[np.float32]]:
        values = np.frombuffer(self.data, "<f4", self.header.codebook_len, HEADER.size)
        _check_finite(values, "a codebook")
        codebooks, start = {}, 0
        for bits in CODEBOOK_BITS[self.header.codebook_len]:
            codebooks[bits] = values[start : start + 2**bits]
            start += 2**bits
        return codebooks

    def _next_record(self, name: str) -> tuple[int, tuple[int, ...], int, int, int, int]:
        if not self.left:
            raise Damaged(f"the directory ends before {name}")
        self.left -= 1
        dtype, ndim, zero, *shape, offset, nbytes, group, bits = next(self.records)
        if zero or ndim > 4 or any(shape[ndim:]):
            raise Damaged(f"the directory record of {name} is not well-formed")
        expected = -(-self.end // ALIGNMENT) * ALIGNMENT
        if offset != expected:
            raise Damaged(f"{name} starts at byte {offset}, {expected} expected")
        self.end = offset + nbytes
        if self.end > len(self.data):
            raise Damaged(f"{name} ends at byte {self.end}, the file at {len(self.data)}: truncated")
        return dtype, tuple(shape[:ndim]), offset, nbytes, group, bits

    def _tensor(self, slot: Slot) -> Tensor:
        dtype, shape, offset, nbytes, group, bits = self._next_record(slot.name)
        fits = len(shape) == len(slot.shape) and all(s >= 1 and w in (None, s) for s, w in zip(shape, slot.shape))
        if not fits:
            wanted = "×".join("?" if size is None else str(size) for size in slot.shape)
            raise Damaged(f"{slot.name} has shape {'×'.join(map(str, shape)) or 'scalar'}, {wanted} expected")
        if dtype == QUANTISED and slot.matrix:
            return self._packed(slot.name, shape, offset, nbytes, group, bits)
        if dtype not in DENSE or group or bits:
            raise Damaged(f"{slot.name} has storage kind {dtype} (group {group}, bits {bits}), which it cannot have")
        kind = DENSE[dtype]
        if nbytes != math.prod(shape) * kind.itemsize:
            raise Damaged(f"{slot.name} takes {nbytes} bytes, {math.prod(shape) * kind.itemsize} expected")
        array = self.bytes[offset : offset + nbytes].view(kind).reshape(shape)
        _check_finite(array, slot.name)
        if slot.integers and not np.array_equal(np.sort(array), np.arange(array.size)):
            raise Damaged(f"{slot.name} is not a permutation")
        return array

    def _packed(self, name: str, shape: tuple[int, ...], offset: int, nbytes: int, group: int, bits: int) -> PackedTensor:
        if group < 8 or group > 1 << 16 or group & (group - 1):
            raise Damaged(f"{name} has group size {group}, which is not a power of two from 8 to 65536")
        if bits not in (BINARY, TERNARY) and bits not in self.codebooks:
            raise Damaged(f"{name} has {bits} bits, for which there is no codebook")
        rows, cols = shape
        width = padded(cols, group)
        packed_size, norm_size = rows * width * code_bits(bits) // 8, rows * (width // group) * 2
        if nbytes != packed_size + norm_size:
            raise Damaged(f"{name} takes {nbytes} bytes, {packed_size + norm_size} expected")
        codes = self.bytes[offset : offset + packed_size].reshape(rows, -1)
        norms = self.bytes[offset + packed_size : offset + nbytes].view("<f2").reshape(rows, -1)
        _check_finite(norms, name)
        if bits == TERNARY:
            check_ternary(codes, name)
        codebook = self.codebooks[bits] if bits in self.codebooks else fixed_codebook(bits, group)
        return PackedTensor(codes, norms, codebook, bits, group, (rows, cols))

    def _check_head(self, tensors: Mapping[str, Tensor], at: str) -> None:
        """The sizes that a head's tensors share: k probes per row, q queries."""
        rows, d = self.header.num_layers + 1, self.header.d_model
        k, q = tensors[at + "gain"].shape[1], tensors[at + "query"].shape[0]
        proj, bias = tensors[at + "proj"].shape, tensors[at + "bias"].shape
        if (
            tensors[at + "probes"].shape[0] != rows * k
            or tensors[at + "row_bias"].shape != (q, rows, k)
            or proj[1] != q * d
            or bias[0] != proj[0]
        ):
            raise Damaged(f"the shapes of {at}* do not agree with each other")

    def _tokenizer(self) -> bytes:
        dtype, shape, offset, nbytes, group, bits = self._next_record("tokenizer")
        if dtype != RAW or shape or group or bits:
            raise Damaged(f"the tokenizer has storage kind {dtype} and {len(shape)} dimensions, raw bytes expected")
        return self.data[offset : offset + nbytes]


def _check_finite(values: NDArray[np.floating], name: str) -> None:
    if not np.isfinite(values).all():
        raise Damaged(f"{name} holds a value that is not finite")
