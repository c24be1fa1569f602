"""The op vocabulary: few, well-named operations that every backend implements.

An op runs on the backend that its arrays belong to; NumPy arrays and Python numbers go along with the others. Arithmetic and
comparison are Python's operators (``x * y + 1``, ``a <= b``) and basic slicing is ``x[:, 1:3]``: every framework has both.
Axis letters: B batch, T new tokens, S cached positions, H query heads, K key/value heads, C channels of one head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .backend import Array, backend_of
from .quantized import CodebookArray

# ---- moving and making -----------------------------------------------------------------------------------------------


def to_numpy(x: Array) -> np.ndarray:
    """The array on the host; int, float and bool types keep their width."""
    return backend_of(x).to_numpy(x)


def asarray(x: Any, like: Array, dtype: str | None = None) -> Array:
    """`x` as an array of the backend that `like` belongs to."""
    return backend_of(like).asarray(x, dtype)


def zeros(shape: Sequence[int], like: Array, dtype: str = "float32") -> Array:
    """Zeros on the backend that `like` belongs to."""
    return backend_of(like).zeros(tuple(shape), dtype)


def full(shape: Sequence[int], value: float, like: Array, dtype: str = "float32") -> Array:
    """One value everywhere, on the backend that `like` belongs to."""
    return backend_of(like).full(tuple(shape), value, dtype)


def arange(n: int, like: Array, dtype: str = "int32") -> Array:
    """0 … n-1 on the backend that `like` belongs to."""
    return backend_of(like).arange(n, dtype)


def element_type(x: Array) -> str:
    """Name of the element type, alike on every backend: "float32", "bfloat16", "int32" …"""
    return backend_of(x).element_type(x)


def cast(x: Array, dtype: str) -> Array:
    """The same values in another element type; float to int truncates towards zero."""
    return backend_of(x).cast(x, dtype)


# ---- element by element ----------------------------------------------------------------------------------------------


def exp(x: Array) -> Array:
    """e to the power x."""
    return backend_of(x).exp(x)


def log(x: Array) -> Array:
    """Natural logarithm."""
    return backend_of(x).log(x)


def sqrt(x: Array) -> Array:
    """Square root."""
    return backend_of(x).sqrt(x)


def rsqrt(x: Array) -> Array:
    """1 / sqrt(x)."""
    return backend_of(x).rsqrt(x)


def sin(x: Array) -> Array:
    """Sine; x in radians."""
    return backend_of(x).sin(x)


def cos(x: Array) -> Array:
    """Cosine; x in radians."""
    return backend_of(x).cos(x)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    return backend_of(x).tanh(x)


def erf(x: Array) -> Array:
    """Gauss error function."""
    return backend_of(x).erf(x)


def abs(x: Array) -> Array:
    """Absolute value."""
    return backend_of(x).abs(x)


def round(x: Array) -> Array:
    """Nearest integer, halves to the even one."""
    return backend_of(x).round(x)


def sigmoid(x: Array) -> Array:
    """Logistic function 1 / (1 + exp(-x))."""
    return backend_of(x).sigmoid(x)


def silu(x: Array) -> Array:
    """x · sigmoid(x) (Hendrycks and Gimpel 2016)."""
    return backend_of(x).silu(x)


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return backend_of(x).relu(x)


def gelu(x: Array, approximate: bool = True) -> Array:
    """Gaussian error linear unit (Hendrycks and Gimpel 2016); `approximate` takes the tanh form."""
    return backend_of(x).gelu(x, approximate)


def soft_cap(x: Array, cap: float) -> Array:
    """cap · tanh(x / cap): keeps values inside (-cap, cap)."""
    return backend_of(x).soft_cap(x, cap)


def maximum(x: Array, y: Array | float) -> Array:
    """The larger of two, with broadcasting."""
    return backend_of(x, y).maximum(x, y)


def minimum(x: Array, y: Array | float) -> Array:
    """The smaller of two, with broadcasting."""
    return backend_of(x, y).minimum(x, y)


def where(condition: Array, x: Array | float, y: Array | float) -> Array:
    """x where the condition holds, else y, with broadcasting."""
    return backend_of(condition, x, y).where(condition, x, y)


def remainder(x: Array, y: Array | int) -> Array:
    """Remainder with the sign of the divisor (Python's ``%``)."""
    return backend_of(x, y).remainder(x, y)


def bitwise_and(x: Array, y: Array | int) -> Array:
    """Bit by bit and, of integers of one type."""
    return backend_of(x, y).bitwise_and(x, y)


def bitwise_xor(x: Array, y: Array | int) -> Array:
    """Bit by bit exclusive or, of integers of one type."""
    return backend_of(x, y).bitwise_xor(x, y)


def shift_right(x: Array, y: Array | int) -> Array:
    """Arithmetic shift: copies of the sign bit come in from the left."""
    return backend_of(x, y).shift_right(x, y)


# ---- shape -----------------------------------------------------------------------------------------------------------


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """The same elements, row-major, in another shape; one size may be -1."""
    return backend_of(x).reshape(x, tuple(shape))


def transpose(x: Array, axes: Sequence[int]) -> Array:
    """Axis i of the result is axis axes[i] of x."""
    return backend_of(x).transpose(x, tuple(axes))


def expand_dims(x: Array, axis: int) -> Array:
    """A new axis of size 1 at that place of the result."""
    return backend_of(x).expand_dims(x, axis)


def broadcast_to(x: Array, shape: Sequence[int]) -> Array:
    """Repeated along axes of size 1 or new leading ones."""
    return backend_of(x).broadcast_to(x, tuple(shape))


def concatenate(xs: Sequence[Array], axis: int = -1) -> Array:
    """Joined along an axis that they have."""
    return backend_of(*xs).concatenate(xs, axis)


def stack(xs: Sequence[Array], axis: int = 0) -> Array:
    """Joined along a new axis."""
    return backend_of(*xs).stack(xs, axis)


def split(x: Array, sizes: Sequence[int], axis: int = -1) -> list[Array]:
    """Consecutive parts of these sizes along the axis."""
    return backend_of(x).split(x, sizes, axis)


def pad(x: Array, widths: Sequence[tuple[int, int]], value: float = 0) -> Array:
    """(before, after) of every axis filled with one value."""
    return backend_of(x).pad(x, widths, value)


def take(x: Array | CodebookArray, indices: Array, axis: int = 0) -> Array:
    """Slices of `x` along the axis by index; of a quantised array, its rows. Indices must be in range."""
    if isinstance(x, CodebookArray):
        if axis:
            raise ValueError(f"a quantised array is taken from by row; received axis={axis}")
        return x.take(indices)
    return backend_of(x, indices).take(x, indices, axis)


def write(buffer: Array, rows: Array, index: Array) -> Array:
    """`buffer` [B, S, …] with `rows` [B, T, …] at the distinct positions `index` int32 [T] of axis 1. May consume
    `buffer`: use only what comes back.
    """
    return backend_of(buffer).write(buffer, rows, index)


def rows(x: Array, start: Array | int, size: int) -> Array:
    """`size` consecutive positions of axis 1 from `start`, which may be an int32 scalar array."""
    return backend_of(x).rows(x, start, size)


# ---- reductions ------------------------------------------------------------------------------------------------------


def sum(x: Array, axis: int | tuple[int, ...] = -1, keepdims: bool = False) -> Array:
    """Sum over one or more axes."""
    return backend_of(x).sum(x, axis, keepdims)


def mean(x: Array, axis: int | tuple[int, ...] = -1, keepdims: bool = False) -> Array:
    """Mean over one or more axes."""
    return backend_of(x).mean(x, axis, keepdims)


def max(x: Array, axis: int | tuple[int, ...] = -1, keepdims: bool = False) -> Array:
    """Maximum over one or more axes."""
    return backend_of(x).max(x, axis, keepdims)


def argmax(x: Array, axis: int = -1) -> Array:
    """Index of the maximum, int32; the first one on ties."""
    return backend_of(x).argmax(x, axis)


def top_k(x: Array, k: int) -> tuple[Array, Array]:
    """The k largest values of the last axis, descending, and their places, int32: both [..., k]."""
    return backend_of(x).top_k(x, k)


def logsumexp(x: Array, axis: int | tuple[int, ...] = -1, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) without overflow."""
    return backend_of(x).logsumexp(x, axis, keepdims)


def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x) normalised to sum 1 along the axis, without overflow."""
    return backend_of(x).softmax(x, axis)


# ---- products --------------------------------------------------------------------------------------------------------


def matmul(x: Array, y: Array) -> Array:
    """Matrix product of the last two axes, the leading ones broadcast."""
    return backend_of(x, y).matmul(x, y)


def einsum(equation: str, *xs: Array) -> Array:
    """Einstein summation (NumPy's notation)."""
    return backend_of(*xs).einsum(equation, *xs)


def linear(x: Array, weight: Array | CodebookArray, bias: Array | None = None) -> Array:
    """x [..., in] · weightᵀ [out, in] (+ bias [out]) -> [..., out]; the weight may be quantised."""
    return weight.linear(x, bias) if isinstance(weight, CodebookArray) else backend_of(x, weight).linear(x, weight, bias)


def kronecker(z: Array, a: Array, b: Array) -> Array:
    """Product with a Kronecker product: Aᵀ·Z·B for each row of z [..., m·n] seen as [m, n]; a [m, p], b [n, q] -> [..., pq]."""
    return backend_of(z).kronecker(z, a, b)


# ---- blocks of language models ---------------------------------------------------------------------------------------


def rms_norm(x: Array, gain: Array | None = None, eps: float = 1e-6) -> Array:
    """gain · x / sqrt(mean(x²) + eps) over the last axis (Zhang and Sennrich 2019)."""
    return backend_of(x).rms_norm(x, gain, eps)


def layer_norm(x: Array, gain: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    """gain · (x - mean) / sqrt(variance + eps) + bias over the last axis (Ba et al. 2016)."""
    return backend_of(x).layer_norm(x, gain, bias, eps)


def rotary(x: Array, cos: Array, sin: Array) -> Array:
    """Rotary position embedding (Su et al. 2021), half-split: pairs are (i, i + C/2) of the last axis; cos and sin
    broadcast to [..., C/2].
    """
    return backend_of(x).rotary(x, cos, sin)


def attention(q: Array, k: Array, v: Array, mask: Array | None, scale: float, cap: float | None = None) -> Array:
    """Grouped scaled dot-product attention (Vaswani et al. 2017, Ainslie et al. 2023): q [B, T, H, C], k [B, S, K, C],
    v [B, S, K, Cv], mask bool [1 or B, T, S] (true = visible; None = all), scores scaled, then soft-capped -> [B,
    T, H, Cv]. Query head h uses key head h·K // H.
    """
    return backend_of(q).attention(q, k, v, mask, scale, cap)


def causal_conv(x: Array, taps: Array, dilation: int = 1) -> Array:
    """Depthwise convolution over time: x [B, R + T, D] whose first R = (len(taps) - 1) · dilation rows are the past,
    taps [N, D]; y[t] = Σ_j taps[j] · x[R + t - j·dilation] -> [B, T, D].
    """
    return backend_of(x).causal_conv(x, taps, dilation)


def sinkhorn(logits: Array, iterations: int) -> Array:
    """exp(logits) [..., n, n] with its rows, then its columns, normalised to sum 1, that many times (Sinkhorn and
    Knopp 1967).
    """
    return backend_of(logits).sinkhorn(logits, iterations)
