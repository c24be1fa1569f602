"""Normalisation over the last axis."""

from __future__ import annotations

from .. import ops
from ..backend import Array
from ..module import ArraySpec, Module


class RMSNorm(Module):
    """Root-mean-square norm (Zhang and Sennrich 2019): [..., width] -> [..., width].

    Args:
        width: size of the last axis.
        eps: added to the mean square.
        zero_centred: the stored gain is an offset from 1, as in Gemma and Needle checkpoints.
    """

    def __init__(self, width: int, eps: float = 1e-6, zero_centred: bool = False):
        self.gain = ArraySpec((width,), init="zeros" if zero_centred else "ones")
        self.eps = eps
        self.zero_centred = zero_centred

    def __call__(self, x: Array) -> Array:
        kind = ops.element_type(x)
        wide = "float32" if kind in ("float16", "bfloat16") else kind  # squares of 16 bits lose what the norm is made of
        gain = ops.cast(self.gain, wide)
        y = ops.rms_norm(ops.cast(x, wide), gain + 1.0 if self.zero_centred else gain, self.eps)
        return ops.cast(y, kind)


class LayerNorm(Module):
    """Layer norm (Ba et al. 2016): [..., width] -> [..., width]."""

    def __init__(self, width: int, eps: float = 1e-5, bias: bool = True):
        self.gain = ArraySpec((width,), init="ones")
        self.bias = ArraySpec((width,), init="zeros") if bias else None
        self.eps = eps

    def __call__(self, x: Array) -> Array:
        return ops.layer_norm(x, self.gain, self.bias, self.eps)
