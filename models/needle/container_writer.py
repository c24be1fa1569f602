"""Writing `.cact` containers: small models for tests, and quantised models of our own (spec §1)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsError
from .container import ALIGNMENT, DENSE, FLOAT, HALF, QUANTISED, RAW, RECORD, Tensor, read_container
from .layout import HEADER, HEADS, Header, head_layout, pack_header, tensor_layout
from .packed import PackedTensor


def write_container(
    path: str | os.PathLike[str],
    header: Header,
    codebooks: Mapping[int, NDArray[np.float32]],
    tensors: Mapping[str, Tensor],
    tokenizer: bytes,
) -> None:
    """Write a container; `num_tensors` and `codebook_len` of the header are filled in.

    The file appears under its name only when it is complete and has been read back.

    Args:
        tensors: In any order; names and shapes as `tensor_layout` gives them, heads after a `heads.manifest`.

    Raises:
        WeightsError: A tensor is missing, unknown or of another shape than the header says.
    """
    path = Path(path)
    names = [slot.name for slot in tensor_layout(header)]
    if "heads.manifest" in tensors:
        names.append("heads.manifest")
        for code in np.asarray(tensors["heads.manifest"]):
            names += [slot.name for slot in head_layout(header, HEADS.get(int(code), "unknown"))]
    if set(names) != set(tensors):
        missing, unknown = sorted(set(names) - set(tensors)), sorted(set(tensors) - set(names))
        raise WeightsError(f"cannot write {path}: missing tensors {missing}, unknown tensors {unknown}")
    tables = [np.asarray(codebooks[bits], "<f4") for bits in sorted(codebooks)]
    header = replace(header, num_tensors=len(names) + 1, codebook_len=sum(table.size for table in tables))

    payloads = [_payload(tensors[name]) for name in names] + [((RAW, 0, 0, 0), (), tokenizer)]
    offset = HEADER.size + 4 * header.codebook_len + RECORD.size * len(payloads)
    records, body = [], []
    for (dtype, ndim, group, bits), shape, payload in payloads:
        padding = -offset % ALIGNMENT
        offset += padding
        records.append(RECORD.pack(dtype, ndim, 0, *shape, *[0] * (4 - ndim), offset, len(payload), group, bits))
        body += [bytes(padding), payload]
        offset += len(payload)

    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.writelines([pack_header(header), *(table.tobytes() for table in tables), *records, *body])
        read_container(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _payload(tensor: Tensor) -> tuple[tuple[int, int, int, int], tuple[int, ...], bytes]:
    """(dtype, ndim, group, bits), shape, bytes of one tensor."""
    if isinstance(tensor, PackedTensor):
        payload = tensor.codes.tobytes() + tensor.norms.astype("<f2").tobytes()
        return (QUANTISED, 2, tensor.group, tensor.bits), tensor.shape, payload
    dtype = HALF if tensor.dtype == np.float16 else FLOAT
    return (dtype, tensor.ndim, 0, 0), tensor.shape, tensor.astype(DENSE[dtype]).tobytes()
