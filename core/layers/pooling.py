"""Adaptive average pooling: a fixed output size whatever the input size.

Window i of n over a length of L runs from floor(i·L/n) to ceil((i+1)·L/n), the rule of PyTorch and Keras. Inputs are
channels-last, [B, …, channels], or channels-first, [B, channels, …].
"""

from __future__ import annotations

import numpy as np

from .. import ops
from ..backend import Array
from ..errors import ShapeError
from ..module import Module


class _AdaptiveAveragePooling(Module):
    rank: int

    def __init__(self, output_size: int | tuple[int, ...], channels_first: bool = False):
        sizes = (output_size,) * self.rank if isinstance(output_size, int) else tuple(output_size)
        if len(sizes) != self.rank or any(not isinstance(n, int) or n < 1 for n in sizes):
            raise ShapeError(
                f"{type(self).__name__} takes a positive size or {self.rank} of them, received output_size={output_size!r}"
            )
        self.output_size = sizes
        self.channels_first = channels_first

    def __call__(self, x: Array) -> Array:
        if len(x.shape) != self.rank + 2:
            raise ShapeError(f"{type(self).__name__} takes {self.rank + 2} axes, received shape {tuple(x.shape)}")
        first = 2 if self.channels_first else 1
        if 0 in x.shape[first : first + self.rank]:
            raise ShapeError(f"{type(self).__name__} cannot average over nothing, received shape {tuple(x.shape)}")
        if "float" not in str(x.dtype):
            x = ops.cast(x, "float32")
        for offset, n in enumerate(self.output_size):
            x = _pool_axis(x, first + offset, n)
        return x


class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    """[B, L, channels] -> [B, n, channels] (or channels first); see the module's docstring for the windows."""

    rank = 1


class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    """[B, height, width, channels] -> [B, n, m, channels] (or channels first)."""

    rank = 2


class AdaptiveAveragePooling3D(_AdaptiveAveragePooling):
    """[B, depth, height, width, channels] -> [B, n, m, k, channels] (or channels first)."""

    rank = 3


def _pool_axis(x: Array, axis: int, n: int) -> Array:
    """One axis is pooled by a product with its averaging matrix [n, L]: one dense product on every backend."""
    length = x.shape[axis]
    i = np.arange(n)
    starts, ends = i * length // n, -(-(i + 1) * length // n)
    position = np.arange(length)
    inside = (position >= starts[:, None]) & (position < ends[:, None])
    weights = (inside / (ends - starts)[:, None]).astype(np.float64)
    last = len(x.shape) - 1
    order = [a for a in range(last + 1) if a != axis] + [axis]
    pooled = ops.linear(ops.transpose(x, order), ops.asarray(weights, like=x, dtype=x.dtype))
    return ops.transpose(pooled, [order.index(a) for a in range(last + 1)])
