"""Every op on every backend against plain float64 formulas.

One table serves three tests: the op run eagerly, the op inside `backend.compile`, and the check that no op is left out.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ferrule.core import Backend, CodebookArray, ElementTypeError, get_backend, ops
from ferrule.core import backend as contract
from hypothesis import given, settings
from hypothesis import strategies as st


@dataclass(frozen=True)
class Case:
    """A call of one op, and the same in float64: `call` gets the inputs on a backend, `oracle` gets them in NumPy."""

    op: str
    call: Callable[..., Any]
    oracle: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    label: str


CASES: list[Case] = []


def case(call: Callable[..., Any], oracle: Callable[..., Any], *inputs: np.ndarray, label: str = "") -> None:
    """Adds a row to the table; the op is the first name of `ops` that `call` mentions."""
    op = next(name for name in call.__code__.co_names if name != "ops")
    CASES.append(Case(op, call, oracle, inputs, label or f"{op}-{sum(c.op == op for c in CASES)}"))


def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
    seed = [len(CASES), *shape]
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def integers(low: int, high: int, *shape: int, dtype: type = np.int32) -> np.ndarray:
    return np.random.default_rng([len(CASES), *shape]).integers(low, high, shape, dtype=dtype)


def check(result: Any, expected: Any) -> None:
    """Relative error at most 1e-5, or 1e-6 of the largest value where terms cancel; other types are equal."""
    if isinstance(expected, list):
        assert isinstance(result, list)
        assert len(result) == len(expected)
        for part, wanted in zip(result, expected):
            check(part, wanted)
        return
    result, expected = ops.to_numpy(result), np.asarray(expected)
    assert result.shape == expected.shape
    if expected.dtype.kind != "f":
        assert result.dtype.kind == expected.dtype.kind
        np.testing.assert_array_equal(result, expected)
        return
    assert result.dtype == np.float32
    finite = np.abs(expected[np.isfinite(expected)])
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6 * finite.max(initial=0.0))


# ---- the oracles that NumPy does not have ----------------------------------------------------------------------------

erf = np.vectorize(math.erf, otypes=[np.float64])


def logistic(x):
    return np.where(x >= 0, 1, np.exp(np.minimum(x, 0))) / (1 + np.exp(-np.abs(x)))


def logsumexp(x, axis=-1, keepdims=False):
    with np.errstate(divide="ignore"):
        return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def attention(q, k, v, mask=None, scale=1.0, cap=None):
    """One query at a time, in the words of the docstring. A query that sees nothing gets the mean of all values."""
    (B, T, H, _), (S, K) = q.shape, k.shape[1:3]
    out = np.zeros((B, T, H, v.shape[-1]))
    for b, t, h in np.ndindex(B, T, H):
        key = h * K // H
        scores = scale * k[b, :, key] @ q[b, t, h]
        scores = scores if cap is None else cap * np.tanh(scores / cap)
        seen = np.ones(S, bool) if mask is None else mask[b % len(mask), t].astype(bool)
        weights = softmax(scores[seen]) if seen.any() else np.full(S, 1 / S)
        out[b, t, h] = weights @ v[b, seen if seen.any() else slice(None), key]
    return out


def causal_conv(x, taps, dilation=1):
    N = len(taps)
    R = (N - 1) * dilation
    y = np.zeros((x.shape[0], x.shape[1] - R, x.shape[2]))
    for b, t, d in np.ndindex(y.shape):
        y[b, t, d] = sum(taps[j, d] * x[b, R + t - j * dilation, d] for j in range(N))
    return y


def sinkhorn(x, iterations):
    m = np.exp(x)
    for _ in range(iterations):
        m = m / m.sum(-1, keepdims=True)
        m = m / m.sum(-2, keepdims=True)
    return m


def rotary(x, cos, sin):
    pairs = x.reshape(*x.shape[:-1], 2, x.shape[-1] // 2)
    turned = np.stack([pairs[..., 0, :] * cos - pairs[..., 1, :] * sin, pairs[..., 1, :] * cos + pairs[..., 0, :] * sin], -2)
    return turned.reshape(x.shape)


def written(buffer, rows, index):
    out = buffer.copy()
    for t, position in enumerate(index):
        out[:, position] = rows[:, t]
    return out


# ---- moving and making -----------------------------------------------------------------------------------------------

x35 = normal(3, 5)
case(lambda x: ops.to_numpy(x), lambda x: x, x35)
case(lambda x: ops.asarray(x35, like=x), lambda x: x35, x35)
case(lambda x: ops.asarray(x35[::-1, ::2], like=x), lambda x: x35[::-1, ::2], x35, label="asarray-strided")
case(lambda x: ops.asarray([[1.5, 2.0]], like=x), lambda x: np.array([[1.5, 2.0]]), x35, label="asarray-list")
case(lambda x: ops.asarray(x35, like=x, dtype="int32"), lambda x: x35.astype(np.int32), x35, label="asarray-cast")
case(lambda x: ops.zeros((2, 0, 3), like=x), lambda x: np.zeros((2, 0, 3)), x35)
case(lambda x: ops.zeros([4], like=x, dtype="int8"), lambda x: np.zeros(4, np.int8), x35)
case(lambda x: ops.full((2, 3), -1.5, like=x), lambda x: np.full((2, 3), -1.5), x35)
case(lambda x: ops.full((2,), True, like=x, dtype="bool"), lambda x: np.full(2, True), x35)
case(lambda x: ops.full((), 7, like=x, dtype="int32"), lambda x: np.int32(7), x35)
case(lambda x: ops.arange(5, like=x), lambda x: np.arange(5), x35)
case(lambda x: ops.arange(3, like=x, dtype="float32"), lambda x: np.arange(3.0), x35)
case(lambda x: ops.cast(x, "int32"), lambda x: np.trunc(x).astype(np.int32), normal(4, 3, scale=5))
case(lambda x: ops.cast(x, "float32"), lambda x: x.astype(np.float64), integers(-9, 9, 7))
case(lambda x: ops.cast(x, "bool"), lambda x: x != 0, np.array([0, 0.5, -1], np.float32))

# ---- element by element ----------------------------------------------------------------------------------------------

wide = np.concatenate([np.linspace(-9, 9, 31), [0, -0.0, -60, 60]]).astype(np.float32)
positive = np.concatenate([np.abs(normal(13)) + 1e-3, [1e-30, 1e30]]).astype(np.float32)
case(lambda x: ops.exp(x), np.exp, wide)
case(lambda x: ops.log(x), np.log, positive)
case(lambda x: ops.sqrt(x), np.sqrt, positive)
case(lambda x: ops.rsqrt(x), lambda x: 1 / np.sqrt(x), positive)
case(lambda x: ops.sin(x), np.sin, normal(3, 7, scale=4))
case(lambda x: ops.cos(x), np.cos, normal(3, 7, scale=4))
case(lambda x: ops.tanh(x), np.tanh, wide)
case(lambda x: ops.erf(x), erf, wide)
case(lambda x: ops.erf(x), erf, normal(2, 0, 3), label="erf-empty")
case(lambda x: ops.abs(x), np.abs, wide)
case(lambda x: ops.abs(x), np.abs, integers(-5, 5, 6))
case(lambda x: ops.round(x), np.round, np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4, -2.6], np.float32))
case(lambda x: ops.sigmoid(x), logistic, wide)
case(lambda x: ops.silu(x), lambda x: x * logistic(x), wide)
case(lambda x: ops.relu(x), lambda x: np.maximum(x, 0), wide)
case(lambda x: ops.relu(x), lambda x: np.maximum(x, 0), integers(-5, 5, 2, 3))
case(lambda x: ops.gelu(x), lambda x: 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))), wide)
case(lambda x: ops.gelu(x, False), lambda x: 0.5 * x * (1 + erf(x / 2**0.5)), wide, label="gelu-exact")
case(lambda x: ops.soft_cap(x, 30.0), lambda x: 30 * np.tanh(x / 30), wide * np.float32(1e4))
case(lambda x, y: ops.maximum(x, y), np.maximum, normal(2, 1, 5), normal(3, 1))
case(lambda x: ops.maximum(x, 0), lambda x: np.maximum(x, 0), normal(4))
case(lambda x: ops.maximum(0.25, x), lambda x: np.maximum(x, 0.25), normal(4))
case(lambda x, y: ops.minimum(x, y), np.minimum, normal(2, 1, 5), normal(3, 1))
case(lambda x: ops.minimum(x, 3), lambda x: np.minimum(x, 3), integers(0, 9, 7))
case(lambda c, x, y: ops.where(c, x, y), np.where, normal(3, 1) > 0, normal(3, 5), normal(5))
case(lambda c, x: ops.where(c, x, -3.0e38), lambda c, x: np.where(c, x, -3.0e38), normal(3, 5) > 0, normal(3, 5))
case(lambda c, x: ops.where(c, 0, x), lambda c, x: np.where(c, 0, x), normal(3, 5) > 0, normal(3, 5))
case(lambda c: ops.where(c, 1.0, 0.0), lambda c: np.where(c, 1.0, 0.0), normal(3, 5) > 0, label="where-numbers")
case(lambda c: ops.where(c, 2, -2), lambda c: np.where(c, 2, -2), normal(3, 5) > 0, label="where-integers")
case(lambda x, y: ops.remainder(x, y), np.mod, integers(-50, 50, 4, 6), np.array([3, -3, 7, -7, 1, 11], np.int32))
case(lambda x: ops.remainder(x, -4), lambda x: np.mod(x, -4), integers(-50, 50, 9))
case(lambda x: ops.remainder(x, 1.5), lambda x: x - 1.5 * np.floor(x / 1.5), normal(9, scale=5), label="remainder-float")
case(lambda x, y: ops.bitwise_and(x, y), np.bitwise_and, integers(-(2**31), 2**31 - 1, 9), integers(-99, 99, 9))
case(lambda x: ops.bitwise_and(x, 15), lambda x: x & 15, integers(0, 256, 9, dtype=np.uint8), label="bitwise_and-uint8")
case(lambda x, y: ops.bitwise_xor(x, y), np.bitwise_xor, integers(-(2**31), 2**31 - 1, 9), integers(-99, 99, 9))
case(lambda x: ops.bitwise_xor(x, -1), lambda x: x ^ -1, integers(-99, 99, 9))
case(lambda x: ops.shift_right(x, 3), lambda x: x // 8, integers(-(2**31), 2**31 - 1, 9), label="shift_right-negative")
case(lambda x, y: ops.shift_right(x, y), lambda x, y: x // 2**y, integers(-(2**31), 0, 3, 1), np.arange(31, dtype=np.int32))
case(lambda x: ops.shift_right(x, 4), lambda x: x // 16, integers(0, 256, 9, dtype=np.uint8), label="shift_right-uint8")

# ---- shape -----------------------------------------------------------------------------------------------------------

x234 = normal(2, 3, 4)
case(lambda x: ops.reshape(x, (4, -1)), lambda x: x.reshape(4, 6), x234)
case(lambda x: ops.reshape(x, [3, 0, 2]), lambda x: x.reshape(3, 0, 2), normal(0, 6), label="reshape-empty")
case(lambda x: ops.reshape(x, ()), lambda x: x.reshape(()), normal(1, 1), label="reshape-scalar")
case(lambda x: ops.transpose(x, (2, 0, 1)), lambda x: x.transpose(2, 0, 1), x234)
case(lambda x: ops.expand_dims(x, 1), lambda x: x[:, None], x234)
case(lambda x: ops.expand_dims(x, -1), lambda x: x[..., None], x234)
case(lambda x: ops.expand_dims(x, -2), lambda x: x[..., None, :], x234)
case(lambda x: ops.broadcast_to(x, (5, 2, 3, 4)), lambda x: np.broadcast_to(x, (5, 2, 3, 4)), normal(2, 1, 4))
case(lambda x, y: ops.concatenate([x, y]), lambda x, y: np.concatenate([x, y], -1), x234, normal(2, 3, 1))
case(lambda x, y: ops.concatenate([x, y, x], 1), lambda x, y: np.concatenate([x, y, x], 1), x234, normal(2, 0, 4))
case(lambda x, y: ops.stack([x, y]), lambda x, y: np.stack([x, y]), x234, normal(2, 3, 4))
case(lambda x, y: ops.stack([x, y], -1), lambda x, y: np.stack([x, y], -1), x234, normal(2, 3, 4))
case(lambda x: ops.split(x, [1, 3]), lambda x: [x[..., :1], x[..., 1:]], x234)
case(lambda x: ops.split(x, (2, 0, 1), axis=-2), lambda x: [x[:, :2], x[:, 2:2], x[:, 2:]], x234)
case(lambda x: ops.split(x, (1, 1), axis=0), lambda x: [x[:1], x[1:]], x234)
case(lambda x: ops.pad(x, [(0, 0), (2, 1), (0, 3)]), lambda x: np.pad(x, [(0, 0), (2, 1), (0, 3)]), x234)
case(lambda x: ops.pad(x, [(1, 0)], -1.5), lambda x: np.pad(x, [(1, 0)], constant_values=-1.5), normal(4))
case(lambda x: ops.pad(x, [(1, 2)], 7), lambda x: np.pad(x, [(1, 2)], constant_values=7), integers(0, 9, 3))
case(lambda x: ops.pad(x, [(0, 1)], True), lambda x: np.pad(x, [(0, 1)], constant_values=True), normal(3) > 0)
case(lambda x, i: ops.take(x, i), lambda x, i: x[i], normal(7, 3), integers(0, 7, 2, 4))
case(lambda x, i: ops.take(x, i, 1), lambda x, i: x[:, i], normal(2, 7, 3), integers(0, 7, 4))
case(lambda x, i: ops.take(x, i, -1), lambda x, i: x[..., i], normal(2, 3, 7), integers(0, 7, 3, 2), label="take-last")
case(lambda x, i: ops.take(x, i), lambda x, i: x[i], normal(7, 3), np.array(6, np.int32), label="take-one")
case(lambda x, i: ops.take(x, i), lambda x, i: x[i], normal(7, 3), integers(0, 7, 0), label="take-none")
case(
    lambda x, i: ops.take(x, i),
    lambda x, i: x[i],
    integers(0, 256, 5, 3, dtype=np.uint8),
    integers(0, 5, 9),
    label="take-uint8",
)
case(lambda b, r, i: ops.write(b, r, i), written, normal(2, 6, 3), normal(2, 3, 3), np.array([5, 0, 3], np.int32))
case(lambda b, r, i: ops.write(b, r, i), written, normal(2, 6, 3), normal(2, 1, 3), np.array([5], np.int32), label="write-one")
case(
    lambda b, r, i: ops.write(b, r, i),
    written,
    integers(-9, 9, 1, 4, 2, 3, dtype=np.int8),
    integers(-9, 9, 1, 4, 2, 3, dtype=np.int8),
    np.array([2, 3, 0, 1], np.int32),
    label="write-int8",
)
case(lambda x: ops.rows(x, 2, 3), lambda x: x[:, 2:5], normal(2, 6, 3))
case(lambda x, i: ops.rows(x, i, 1), lambda x, i: x[:, 5:6], normal(2, 6, 3), np.array(5, np.int32), label="rows-array")
case(lambda x, i: ops.rows(x, i, 2), lambda x, i: x[:, :2], normal(2, 6), np.array(0, np.int32), label="rows-2d")

# ---- reductions ------------------------------------------------------------------------------------------------------

case(lambda x: ops.sum(x), lambda x: x.sum(-1), x234)
case(lambda x: ops.sum(x, (0, -1)), lambda x: x.sum((0, 2)), x234)
case(lambda x: ops.sum(x, 1, True), lambda x: x.sum(1, keepdims=True), integers(-9, 9, 2, 3))
case(lambda x: ops.sum(x, 0), lambda x: x.sum(0), normal(0, 3), label="sum-empty")
case(lambda x: ops.mean(x), lambda x: x.mean(-1), x234)
case(lambda x: ops.mean(x, (-3, 2), True), lambda x: x.mean((0, 2), keepdims=True), x234)
case(lambda x: ops.max(x, 1), lambda x: x.max(1), x234)
case(lambda x: ops.max(x, (0, -2), True), lambda x: x.max((0, 1), keepdims=True), x234)
case(lambda x: ops.max(x), lambda x: x.max(-1), np.array([[-np.inf, -2], [-np.inf, -np.inf]], np.float32), label="max-inf")
case(lambda x: ops.argmax(x), lambda x: x.argmax(-1), normal(3, 9))
case(lambda x: ops.argmax(x, 0), lambda x: x.argmax(0), integers(0, 3, 9, 4), label="argmax-ties")
case(lambda x: ops.argmax(x), lambda x: np.zeros(2, int), np.full((2, 40), -np.inf, np.float32), label="argmax-all-equal")
case(lambda x: x if ops.element_type(x) == "float32" else x * 2.0, lambda x: x, normal(2, 3))
case(lambda x: x if ops.element_type(x) == "int32" else x * 2, lambda x: x, integers(0, 9, 4), label="element_type-int32")
case(
    lambda x: [*ops.top_k(x, 3)],
    lambda x: [-np.sort(-x)[..., :3], np.argsort(-x, kind="stable")[..., :3].astype(np.int32)],
    normal(2, 4, 7),
)
case(lambda x: ops.logsumexp(x), logsumexp, normal(3, 5, scale=20))
case(lambda x: ops.logsumexp(x, (0, -1)), lambda x: logsumexp(x, (0, 2)), x234)
case(lambda x: ops.logsumexp(x, 1, True), lambda x: logsumexp(x, 1, True), x234)
case(lambda x: ops.logsumexp(x), lambda x: logsumexp(x - 500) + 500, normal(4, 3) + 500, label="logsumexp-large")
case(lambda x: ops.logsumexp(x), logsumexp, np.array([[-np.inf, 1], [-np.inf, -np.inf]], np.float32), label="logsumexp-inf")
case(lambda x: ops.softmax(x), softmax, normal(3, 5, scale=30))
case(lambda x: ops.softmax(x, 0), lambda x: softmax(x, 0), normal(3, 5) + 500)
case(lambda x: ops.softmax(x, -2), lambda x: softmax(x, -2), x234)
case(lambda x: ops.softmax(x), softmax, np.array([[-np.inf, 1, 2], [0, -np.inf, -np.inf]], np.float32), label="softmax-inf")

# ---- products --------------------------------------------------------------------------------------------------------

case(lambda x, y: ops.matmul(x, y), np.matmul, normal(3, 5), normal(5, 2))
case(lambda x, y: ops.matmul(x, y), np.matmul, normal(2, 1, 3, 5), normal(4, 5, 1))
case(lambda x, y: ops.matmul(x, y), np.matmul, normal(2, 3, 4, 5), normal(2, 3, 5, 7), label="matmul-small")
case(lambda x, y: ops.matmul(x, y), np.matmul, normal(2, 3, 0), normal(0, 4), label="matmul-empty")
case(
    lambda x, y: ops.einsum("bthc,bshc->bhts", x, y),
    lambda x, y: np.einsum("bthc,bshc->bhts", x, y),
    normal(2, 3, 2, 4),
    normal(2, 5, 2, 4),
)
case(lambda x, y, z: ops.einsum("ij,jk,kl->il", x, y, z), lambda x, y, z: x @ y @ z, normal(2, 3), normal(3, 4), normal(4, 2))
case(lambda x: ops.einsum("...i->...", x), lambda x: x.sum(-1), x234)
case(lambda x, w: ops.linear(x, w), lambda x, w: x @ w.T, normal(2, 3, 5), normal(4, 5))
case(lambda x, w: ops.linear(x, w), lambda x, w: x @ w.T, normal(3, 7, 19), normal(33, 19), label="linear-many-rows")
case(
    lambda x, w, b: ops.linear(x, w, b), lambda x, w, b: x @ w.T + b, normal(5), normal(4, 5), normal(4), label="linear-vector"
)
case(
    lambda x, w, b: ops.linear(x, w, b),
    lambda x, w, b: x @ w.T + b,
    normal(2, 0, 5),
    normal(4, 5),
    normal(4),
    label="linear-empty",
)

# ---- blocks of language models ---------------------------------------------------------------------------------------


def rms(x, gain=1.0, eps=1e-6):
    return gain * x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)


def standardised(x, gain=1.0, bias=0.0, eps=1e-5):
    return gain * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) + bias


case(lambda x, g: ops.rms_norm(x, g), rms, normal(2, 3, 5), normal(5))
case(lambda x: ops.rms_norm(x), rms, normal(5), label="rms_norm-vector")
case(lambda x: ops.rms_norm(x, eps=0.5), lambda x: rms(x, eps=0.5), normal(2, 5) * np.float32(1e-3), label="rms_norm-eps")
case(lambda x: ops.rms_norm(x), rms, np.zeros((2, 3), np.float32), label="rms_norm-zeros")
case(lambda x, g, b: ops.layer_norm(x, g, b), standardised, normal(2, 3, 5), normal(5), normal(5))
case(lambda x, g: ops.layer_norm(x, g), standardised, normal(2, 5) + 2, normal(5))
case(lambda x: ops.layer_norm(x, eps=1e-2), lambda x: standardised(x, eps=1e-2), normal(1, 7))
case(lambda x, c, s: ops.rotary(x, c, s), rotary, normal(2, 3, 4, 6), normal(3, 1, 3), normal(3, 1, 3))
case(lambda x, c, s: ops.rotary(x, c, s), rotary, normal(1, 2), normal(1), normal(1), label="rotary-one-pair")


def visible(*shape: int) -> np.ndarray:
    """A random mask whose second query sees nothing, where there is one."""
    mask = np.random.default_rng(shape).random(shape) < 0.6
    mask[:, 1:2] = False
    return mask


def attention_case(B, T, S, K, G, C, Cv, masks=0, cap=None, scale=0.3):
    q, k, v = normal(B, T, K * G, C, scale=3), normal(B, S, K, C, scale=2), normal(B, S, K, Cv)
    label = f"attention-B{B}-T{T}-S{S}-K{K}-G{G}-mask{masks}-cap{cap}"
    if masks:
        case(
            lambda q, k, v, mask: ops.attention(q, k, v, mask, scale, cap),
            lambda q, k, v, mask: attention(q, k, v, mask, scale, cap),
            *(q, k, v, visible(masks, T, S)),
            label=label,
        )
    else:
        case(
            lambda q, k, v: ops.attention(q, k, v, None, scale, cap),
            lambda q, k, v: attention(q, k, v, None, scale, cap),
            *(q, k, v),
            label=label,
        )


def kronecker(z, a, b):
    """The definition: z times the Kronecker product of the two matrices."""
    return z @ np.kron(a, b)


case(lambda z, a, b: ops.kronecker(z, a, b), kronecker, normal(2, 7, 12), normal(3, 3), normal(4, 4))
case(lambda z, a, b: ops.kronecker(z, a, b), kronecker, normal(2, 12), normal(3, 2), normal(4, 5), label="kronecker-oblong")
case(lambda z, a, b: ops.kronecker(z, a, b), kronecker, normal(15), normal(5, 5), normal(3, 3), label="kronecker-vector")
case(lambda z, a, b: ops.kronecker(z, a, b), kronecker, normal(3, 40), normal(8, 16), normal(5, 32), label="kronecker-tiles")
case(
    lambda z, a, b: ops.kronecker(z, a, b), kronecker, normal(11, 40), normal(8, 8), normal(5, 64), label="kronecker-many-tiles"
)
attention_case(B=2, T=3, S=5, K=2, G=3, C=4, Cv=6, masks=1, cap=5.0)
attention_case(B=2, T=3, S=5, K=2, G=3, C=4, Cv=4, masks=2)
attention_case(B=1, T=4, S=4, K=3, G=1, C=5, Cv=2, masks=1)
attention_case(B=2, T=1, S=7, K=1, G=6, C=3, Cv=3)
attention_case(B=1, T=3, S=9, K=2, G=3, C=17, Cv=5)
attention_case(B=1, T=9, S=9, K=2, G=2, C=4, Cv=5)
attention_case(B=1, T=11, S=37, K=2, G=2, C=9, Cv=32, masks=1)
attention_case(B=1, T=1, S=1, K=1, G=1, C=1, Cv=1, cap=0.5)
case(lambda x, t: ops.causal_conv(x, t), causal_conv, normal(2, 8, 3), normal(4, 3))
case(lambda x, t: ops.causal_conv(x, t, 3), lambda x, t: causal_conv(x, t, 3), normal(2, 11, 3), normal(4, 3))
case(
    lambda x, t: ops.causal_conv(x, t, 2),
    lambda x, t: causal_conv(x, t, 2),
    normal(1, 5, 2),
    normal(3, 2),
    label="causal_conv-one-row",
)
case(lambda x, t: ops.causal_conv(x, t, 5), lambda x, t: x * t[0], normal(2, 4, 3), normal(1, 3), label="causal_conv-one-tap")
case(lambda x, t: ops.causal_conv(x, t), causal_conv, normal(2, 3, 1), normal(4, 1), label="causal_conv-no-rows")
case(lambda x: ops.sinkhorn(x, 5), lambda x: sinkhorn(x, 5), normal(2, 3, 4, 4, scale=2))
case(lambda x: ops.sinkhorn(x, 1), lambda x: sinkhorn(x, 1), normal(3, 3))
case(lambda x: ops.sinkhorn(x, 4), lambda x: np.ones((2, 1, 1)), normal(2, 1, 1) + 200, label="sinkhorn-one")


# ---- the tests -------------------------------------------------------------------------------------------------------


def on(backend: Backend, case: Case) -> list[Any]:
    return [backend.copy(backend.asarray(x)) for x in case.inputs]


def expected(case: Case) -> Any:
    """What the oracle says; its floats come in as float64."""
    return case.oracle(*(x.astype(np.float64) if x.dtype.kind == "f" else x for x in case.inputs))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # log(0) of a row that is all -inf
def test_parity(backend: Backend, run: Callable[..., Any], case: Case) -> None:
    if case.op == "to_numpy":
        result = case.call(*on(backend, case))
    else:
        result = run(lambda _, *arrays: case.call(*arrays), None, *on(backend, case))
        assert all(backend.owns(part) for part in (result if isinstance(result, list) else [result]))
    check(result, expected(case))


# One case of each op: compiling takes a tenth of a second. JAX runs all cases compiled, the others have no compiler.
@pytest.mark.parametrize("case", {c.op: c for c in reversed(CASES) if c.op != "to_numpy"}.values(), ids=lambda case: case.op)
def test_parity_compiled_by_tensorflow(case: Case) -> None:
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    backend = get_backend("tensorflow")
    program = backend.compile(lambda module, *arrays: case.call(*arrays), None)
    result = program(*on(backend, case))
    check(list(result) if isinstance(result, tuple) else result, expected(case))


def public_ops() -> list[str]:
    return [name for name, f in vars(ops).items() if inspect.isfunction(f) and f.__module__ == ops.__name__ and name[0] != "_"]


def test_every_op_is_in_the_table() -> None:
    assert sorted(public_ops()) == sorted({case.op for case in CASES})
    assert len({case.label for case in CASES}) == len(CASES)


def test_backends_are_complete(backend: Backend) -> None:
    primitives = [name for name, value in vars(contract.Backend).items() if value is contract._missing]
    missing = [name for name in primitives if getattr(type(backend), name) is contract._missing]
    assert not missing
    absent = [name for name in public_ops() if not callable(getattr(backend, name, None))]
    assert not absent


def test_every_op_says_what_it_does() -> None:
    assert not [name for name in public_ops() if not getattr(ops, name).__doc__]


MIXED = {
    "maximum": (x35, x35[::-1]),
    "minimum": (x35, x35[::-1]),
    "where": (x35 > 0, x35, x35[::-1]),
    "remainder": (integers(-9, 9, 3, 5), np.array([2, 3, 4, 5, -6], np.int32)),
    "bitwise_and": (integers(-9, 9, 3, 5), integers(-9, 9, 5)),
    "bitwise_xor": (integers(-9, 9, 3, 5), integers(-9, 9, 5)),
    "shift_right": (integers(-9, 9, 3, 5), integers(0, 3, 5)),
    "matmul": (x35, x35.T),
    "linear": (x35, x35),
    "take": (x35, np.array([2, 0], np.int32)),
}


@pytest.mark.parametrize("name", MIXED)
def test_numpy_arrays_go_along(backend: Backend, name: str) -> None:
    inputs, op = MIXED[name], getattr(ops, name)
    whole = ops.to_numpy(op(*(backend.asarray(x) for x in inputs)))
    for own in range(len(inputs)):
        result = op(*(backend.asarray(x) if i == own else x for i, x in enumerate(inputs)))
        assert backend.owns(result)
        np.testing.assert_array_equal(ops.to_numpy(result), whole)


def test_numpy_arrays_go_along_in_joins(backend: Backend) -> None:
    x = backend.asarray(x35)
    joined = [ops.concatenate([x35, x], 0), ops.stack([x35, x]), ops.einsum("ij,kj->ik", x35, x)]
    joined.append(ops.write(backend.zeros((1, 3, 5)), x35[None], np.array([2, 0, 1], np.int32)))
    assert all(backend.owns(result) for result in joined)
    check(joined, [np.concatenate([x35, x35]), np.stack([x35, x35]), x35.astype(float) @ x35.T, x35[None, [1, 2, 0]]])


def test_half_precision_survives_masks(backend: Backend, run: Callable[..., Any]) -> None:
    q = backend.asarray(np.ones((1, 2, 1, 4), np.float16))
    mask = backend.asarray(np.array([[[True, False], [False, False]]]))
    result = ops.to_numpy(run(lambda _, q, mask: ops.attention(q, q, q, mask, 0.5), None, q, mask))
    assert result.dtype == np.float16
    np.testing.assert_array_equal(result, np.ones((1, 2, 1, 4)))


def test_what_is_masked_weighs_nothing(backend: Backend, run: Callable[..., Any]) -> None:
    """Exactly nothing: the values behind a mask may be anything finite."""
    weights = ops.to_numpy(ops.softmax(backend.asarray(np.array([[-np.inf, 0, -3e38, 0]], np.float32))))
    np.testing.assert_array_equal(weights, [[0, 0.5, 0, 0.5]])
    q, k, v = np.ones((1, 1, 2, 4), np.float32), np.ones((1, 3, 2, 4), np.float32), np.full((1, 3, 2, 4), 3e38, np.float32)
    v[:, 1] = 0.25
    mask = np.array([[[False, True, False]]])
    result = run(lambda _, *arrays: ops.attention(*arrays, 0.5), None, *(backend.asarray(x) for x in (q, k, v, mask)))
    np.testing.assert_array_equal(ops.to_numpy(result), np.full((1, 1, 2, 4), 0.25))


def test_bfloat16(backend: Backend) -> None:
    x = backend.asarray(np.array([1.0, 1 + 2**-7, 1 + 2**-9, -3e38], np.float32))
    short = ops.cast(x, "bfloat16")
    assert "bfloat16" in str(short.dtype)
    host = ops.to_numpy(short)
    assert host.dtype == np.float32
    np.testing.assert_array_equal(host[:3], [1.0, 1 + 2**-7, 1.0])
    np.testing.assert_array_equal(ops.to_numpy(ops.cast(short, "float32")), host)
    assert ops.element_type(short) == ops.element_type(ops.zeros((2,), like=x, dtype="bfloat16")) == "bfloat16"


def test_products_with_bfloat16_are_float32_on_numpy(numpy_backend: Backend) -> None:
    """NumPy keeps matrices in it and computes in float32: as exact as if the matrix had been float32."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 2, 40), np.float32), rng.standard_normal((70_000, 40), np.float32)
    short = ops.cast(w, "bfloat16")
    wide = ops.to_numpy(short)
    ids = np.array([[0, 69_999, 3]], np.int32)
    results = [
        (ops.linear(x, short), x @ wide.T),
        (ops.matmul(x, ops.transpose(short, (1, 0))), x @ wide.T),
        (ops.einsum("abd,rd->abr", x, short), x @ wide.T),
        (ops.take(short, ids), wide[ids]),
        (short * np.float32(3), wide * np.float32(3)),
    ]
    for found, expected in results:
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_element_types_that_are_not_there(numpy_backend: Backend) -> None:
    with pytest.raises(ElementTypeError, match="there is no element type 'float12': use float32"):
        ops.cast(np.ones(2, np.float32), "float12")


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "uint8", "int16", "int32", "bool"])
def test_element_types_keep_their_width(backend: Backend, dtype: str) -> None:
    assert ops.to_numpy(ops.cast(backend.asarray(x35), dtype)).dtype == dtype
    assert ops.to_numpy(backend.zeros((2,), dtype)).dtype == dtype
    assert ops.to_numpy(backend.asarray(np.zeros(2, dtype))).dtype == dtype


@pytest.mark.parametrize(
    ("value", "dtype"), [(1.5, "float32"), ([1, 2], "int32"), ([[True]], "bool"), (np.float64(2), "float64")]
)
def test_python_numbers_are_32_bits_wide(backend: Backend, value: Any, dtype: str) -> None:
    if dtype == "float64" and backend.name == "jax":
        pytest.skip("JAX keeps 64-bit types only with jax_enable_x64")
    assert ops.to_numpy(backend.asarray(value)).dtype == dtype


def test_tails_of_the_logistic(backend: Backend) -> None:
    """Small results keep their digits: silu and gates of trained models live there."""
    x = np.array([-80, -40, -20, -10, -5, 20], np.float32)
    result = ops.to_numpy(ops.sigmoid(backend.asarray(x)))
    np.testing.assert_allclose(result, logistic(x.astype(np.float64)), rtol=1e-5)
    assert ops.to_numpy(ops.sigmoid(backend.asarray(np.array([-1e30, 1e30], np.float32)))).tolist() == pytest.approx([0, 1])


def test_compile_hands_over(backend: Backend) -> None:
    """The module and the arguments arrive, structures come back, and a donated argument may be consumed."""
    weight = backend.asarray(x35)
    program = backend.compile(
        lambda module, x, cache: (ops.linear(x, module["w"]), {"cache": ops.write(cache, x[:, None], np.array([1], np.int32))}),
        {"w": weight},
        donate=(1,),
    )
    for step in range(2):
        x = np.full((2, 5), step, np.float32)
        y, state = backend.synchronize(program(backend.asarray(x), backend.zeros((2, 3, 5))))
        check(y, x.astype(float) @ x35.T)
        np.testing.assert_array_equal(ops.to_numpy(state["cache"])[:, 1], x)


def test_copy_is_independent(backend: Backend) -> None:
    buffer = backend.zeros((1, 3, 2))
    kept = backend.copy(buffer)
    ops.write(buffer, backend.full((1, 1, 2), 1.0), backend.asarray(np.array([1], np.int32)))
    assert not ops.to_numpy(kept).any()


sizes = st.integers(1, 4)


@settings(max_examples=40, deadline=None)
@given(B=sizes, T=sizes, S=sizes, K=st.integers(1, 3), G=st.sampled_from([1, 3, 6]), C=sizes, data=st.data())
def test_attention_of_any_shape(
    numpy_backend: Backend, B: int, T: int, S: int, K: int, G: int, C: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    q, k, v = (rng.standard_normal(shape).astype(np.float32) for shape in ((B, T, K * G, C), (B, S, K, C), (B, S, K, C + 1)))
    masks, cap = data.draw(st.sampled_from([0, 1, B])), data.draw(st.sampled_from([None, 2.0]))
    mask = rng.random((masks, T, S)) < 0.5 if masks else None
    check(ops.attention(q, k, v, mask, 0.7, cap), attention(q.astype(float), k.astype(float), v.astype(float), mask, 0.7, cap))


@settings(max_examples=40, deadline=None)
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), data=st.data())
def test_reductions_over_any_axes(numpy_backend: Backend, shape: list[int], data: st.DataObject) -> None:
    rank = len(shape)
    axes = data.draw(st.lists(st.integers(0, rank - 1), min_size=1, unique=True))
    axis = tuple(a - rank if data.draw(st.booleans()) else a for a in axes)
    keepdims = data.draw(st.booleans())
    x = np.random.default_rng(rank).standard_normal(shape).astype(np.float32)
    wide = x.astype(np.float64)
    for op, oracle in ((ops.sum, np.sum), (ops.mean, np.mean), (ops.max, np.max), (ops.logsumexp, logsumexp)):
        check(op(x, axis, keepdims), oracle(wide, axis=axis, keepdims=keepdims))


def test_quantised_arrays_stand_in_for_weights(backend: Backend, run: Callable[..., Any]) -> None:
    codes = integers(0, 256, 6, 4, dtype=np.uint8)
    table = CodebookArray(backend.asarray(codes), backend.full((6, 2), 0.5), backend.asarray(normal(4)), 2, 8, 15)
    dense = ops.to_numpy(run(CodebookArray.dequantize, table)).astype(float)
    x, index = normal(3, 15), np.array([[5, 0]], np.int32)
    check(run(lambda table, x: ops.linear(x, table), table, backend.asarray(x)), x @ dense.T)
    check(run(ops.take, table, backend.asarray(index)), dense[index])
