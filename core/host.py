"""Arrays in the memory of the host: an element type that NumPy lacks, and copies out of mapped files."""

from __future__ import annotations

import mmap
from typing import Any

import ml_dtypes
import numpy as np

from .errors import ElementTypeError

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
ALIGNMENT = 64  # bytes; what frameworks ask of memory that they are to use as it is
_BLOCK = 1 << 20  # elements that are copied at a time
_LARGE = 1 << 20  # bytes


def element_type(name: Any) -> np.dtype:
    """NumPy's element type of that name; bfloat16 is one that ml_dtypes adds.

    Raises:
        ElementTypeError: there is none.
    """
    try:
        return BFLOAT16 if name == "bfloat16" else np.dtype(name)
    except TypeError:
        choices = "float32, float16, bfloat16, an integer type or bool"
        raise ElementTypeError(f"there is no element type {name!r}: use {choices}") from None


def widened(x: Any) -> Any:
    """bfloat16 as float32, of which it is the upper half; anything else as it is."""
    if getattr(x, "dtype", None) != BFLOAT16:
        return x
    wide = np.asarray(x).view(np.uint16).astype(np.uint32)
    wide <<= np.uint32(16)
    return wide.view(np.float32)


def converted(x: np.ndarray, dtype: Any) -> np.ndarray:
    """The same values in another element type; `x` itself if it has that one."""
    dtype = element_type(dtype)
    return x if x.dtype == dtype else widened(x).astype(dtype, copy=False)


def host_copy(x: np.ndarray, dtype: Any = None) -> np.ndarray:
    """The values in memory of their own: aligned, writable, row-major, and in another element type if that is asked for.

    It goes block by block, and pages of a mapped file leave the process's memory as soon as they are copied: a model takes the
    memory of its weights, and not that of their file as well.
    """
    dtype = x.dtype if dtype is None else element_type(dtype)
    count = x.size
    copy = _new_memory(count * dtype.itemsize).view(dtype)
    source = x.reshape(-1)
    for first in range(0, count, _BLOCK):
        block = source[first : first + _BLOCK]
        copy[first : first + _BLOCK] = converted(block, dtype)
        _give_back(block)
    return copy.reshape(x.shape)


def _new_memory(size: int) -> np.ndarray:
    """Aligned bytes that nobody else has."""
    if size >= _LARGE and hasattr(mmap, "MAP_POPULATE"):
        # All pages at once take the system a quarter of the time that it needs to hand them out one by one
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
        return np.frombuffer(mmap.mmap(-1, size, flags), np.uint8)
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]


def _give_back(block: np.ndarray) -> None:
    """Take the pages of a mapped file out of the process's memory; they come back when they are read again."""
    mapped: Any = block
    while isinstance(mapped, np.ndarray) and not isinstance(mapped.base, mmap.mmap):
        mapped = mapped.base
    # Of a file that is only read: what was written to other mappings would be lost
    if not isinstance(mapped, np.memmap) or mapped.mode != "r" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    first = block.ctypes.data - np.frombuffer(mapped.base, np.uint8).ctypes.data
    start = first // mmap.PAGESIZE * mmap.PAGESIZE  # the rest of the last page is wanted by the next block
    length = (first + block.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - start
    if length > 0:
        mapped.base.madvise(mmap.MADV_DONTNEED, start, length)
