"""Linear maps: over the last axis, and over time."""

from __future__ import annotations

from .. import ops
from ..backend import Array
from ..module import ArraySpec, Module


class Linear(Module):
    """``x · Wᵀ + b``: [..., inputs] -> [..., outputs]; weight [outputs, inputs], possibly quantised."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False):
        self.weight = ArraySpec((outputs, inputs))
        self.bias = ArraySpec((outputs,), init="zeros") if bias else None

    def __call__(self, x: Array) -> Array:
        return ops.linear(x, self.weight, self.bias)


class CausalConv(Module):
    """Depthwise convolution over time that looks back only; see `ops.causal_conv`.

    `history` past rows come in and go out with each call, so that a sequence may be fed in pieces of any length.
    """

    def __init__(self, channels: int, taps: int, dilation: int = 1):
        self.weight = ArraySpec((taps, channels))
        self.dilation = dilation
        self.history = (taps - 1) * dilation

    def __call__(self, x: Array, past: Array) -> tuple[Array, Array]:
        """x [B, T, D], past [B, history, D] (zeros at the start) -> output [B, T, D] and all rows [B, history + T, D]."""
        rows = ops.concatenate([past, x], 1)
        return ops.causal_conv(rows, self.weight, self.dilation), rows
