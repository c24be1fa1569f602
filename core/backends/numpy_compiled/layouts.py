"""Weights arranged as kernels read them; each once, however many programs use it."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from ...quantized import CodebookArray, hadamard
from .tiles import PANEL, WIDE

_arranged: dict[tuple[int, Callable], tuple[weakref.ref, Any]] = {}


def arranged(source: Any, arrange: Callable[[Any], Any]) -> Any:
    """`arrange(source)`, computed once as long as the source lives."""
    key = (id(source), arrange)
    if key not in _arranged:
        gone = weakref.ref(source, lambda _: _arranged.pop(key, None))
        _arranged[key] = (gone, arrange(source))
    return _arranged[key][1]


def panels(weight: np.ndarray) -> np.ndarray:
    """[R, D] -> [R/PANEL, D, PANEL], filled up with zeros."""
    weight = np.pad(weight, ((0, -weight.shape[0] % PANEL), (0, 0)))
    return np.ascontiguousarray(weight.reshape(-1, PANEL, weight.shape[1]).transpose(0, 2, 1))


@functools.cache
def small_hadamard(group: int) -> np.ndarray:
    return np.ascontiguousarray(hadamard(16) * np.float32(math.sqrt(16 / group)))


def packed_blocks(weight: CodebookArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A packed matrix as the kernel goes through it, from one end to the other: group by group, WIDE rows side by side.

    Codes [groups, R/WIDE, bytes of a group, WIDE]; norms float32 [groups, R/WIDE, WIDE], 0 where rows are filled up; and what
    the 16 entries of a table take from the codebook for the lower and for the upper index, float32 [2, 16].
    """
    missing = -weight.codes.shape[0] % WIDE
    groups = weight.norms.shape[1]

    def blocked(x: np.ndarray) -> np.ndarray:
        x = np.pad(x, ((0, missing), (0, 0)))
        return np.ascontiguousarray(x.reshape(-1, WIDE, groups, x.shape[1] // groups).transpose(2, 0, 3, 1))

    codebook, entry = np.asarray(weight.codebook, np.float32), np.arange(16)
    patterns = codebook[[entry & 3, entry >> 2]] if weight.bits == 2 else np.stack([codebook, codebook])
    return blocked(weight.codes), blocked(weight.norms.astype(np.float32)), np.ascontiguousarray(patterns)


def wide_norms(weight: CodebookArray) -> np.ndarray:
    return np.ascontiguousarray(weight.norms, np.float32)
