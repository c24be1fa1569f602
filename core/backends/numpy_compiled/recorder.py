"""Records what a function does to arrays, as instructions for compiled kernels and steps for NumPy.

What no kernel does becomes a step that calls NumPy. `program.py` lays the result out in memory and runs it.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import backend as contract
from ...errors import ShapeError
from ...host import BFLOAT16, element_type
from ...quantized import CodebookArray
from ..numpy import REFERENCE, NumpyBackend
from .layouts import arranged, packed_blocks, panels, small_hadamard, wide_norms
from .machine import MACHINE
from .recorded import AXES, MUCH, Recorded, Recording, broadcast_steps, is_float, joined_axes, steps_of
from .tiles import HAS_LOOKUP, PANEL, ROWS, TILE, WIDE

FEW = 2 * TILE  # rows of activations below which the rows of a matrix are shared out instead
SMALL = 1 << 18  # weights of a matrix that are few enough to be kept a second time, in the order that is read fastest


def _require(fit: bool, op: str, *arrays: Any) -> None:
    """Kernels trust the shapes that they are given."""
    if not fit:
        shapes = ", ".join(str(tuple(array.shape)) for array in arrays)
        raise ShapeError(f"{op} takes arrays whose shapes go together, received {shapes}; see ops.{op}")


def _require_attention(q: Recorded, k: Recorded, v: Recorded, mask: Recorded | None) -> None:
    arrays = [x for x in (q, k, v, mask) if x is not None]
    if not all(x.ndim == 4 for x in (q, k, v)):
        _require(False, "attention", *arrays)
    (B, T, H, C), (S, K) = q.shape, k.shape[1:3]
    fit = k.shape == (B, S, K, C) and v.shape[:3] == (B, S, K) and K > 0 and H % K == 0
    if mask is not None:
        fit = fit and mask.dtype == np.bool_ and mask.shape in ((1, T, S), (B, T, S))
    _require(fit, "attention", *arrays)


class Recorder(NumpyBackend):
    """The backend of recorded arrays: each operation becomes a step. Derived operations come apart into primitives."""

    name = "numpy"
    dynamic_shapes = False

    def __init__(self) -> None:
        self._here = threading.local()

    @property
    def now(self) -> Recording:
        """What this thread records."""
        return self._here.recording

    def record(self, recording: Recording, function: Callable[..., Any], *args: Any) -> Any:
        self._here.recording = recording
        try:
            return function(*args)
        finally:
            del self._here.recording

    def owns(self, x):
        return isinstance(x, Recorded)

    # ---- making and moving -----------------------------------------------------------------------------------------------
    def asarray(self, x, dtype=None):
        x = self.now.of(x)
        return x if dtype is None else self.cast(x, dtype)

    def to_numpy(self, x):
        raise TypeError("the values of an array are not known while a program is recorded; hand it back as a result instead")

    def copy(self, x, rows=None):
        return self.now.copy(self.now.of(x))

    def zeros(self, shape, dtype="float32"):
        return self.full(shape, 0, dtype)

    def full(self, shape, value, dtype="float32"):
        one = self.now.constant(super().full((), value, dtype))
        return self.now.copy(self.broadcast_to(one, shape))

    def arange(self, n, dtype="int32"):
        return self.now.host(f"arange-{n}-{dtype}", lambda: np.arange(n, dtype=dtype))

    def cast(self, x, dtype):
        x = self.now.of(x)
        return x if x.dtype == element_type(dtype) else self._host("cast", x, dtype)

    def _host(self, op, *inputs):
        inputs = [self.now.of(x) if isinstance(x, np.ndarray | np.generic) else x for x in inputs]
        return self.now.host(op, getattr(REFERENCE, op), *inputs)

    # ---- element by element ----------------------------------------------------------------------------------------------
    def element_by_element(self, kernel, function, a, b):
        """One of the binary operations: by a kernel for float32, else by `function` of NumPy arrays."""
        now = self.now
        if kernel is not None and np.float32 in (getattr(a, "dtype", None), getattr(b, "dtype", None)):
            x, y = now.of(a, np.float32), now.of(b, np.float32)
            if is_float(x, y):
                shape = np.broadcast_shapes(x.shape, y.shape)
                strides = [broadcast_steps(part, shape) for part in (x, y)]
                joined = joined_axes(shape, [steps_of(shape), *strides], AXES)
                out = now.new(shape)
                if joined is not None and out.size:
                    sizes, (_, left, right) = joined
                    return now.native(kernel, out, [x, y], [out, x, y, *sizes, *left, *right], out.size < MUCH)
        a, b = (now.of(x) if isinstance(x, np.ndarray | np.generic) else x for x in (a, b))
        return now.host(function.__name__, function, a, b)

    def _one(self, kernel, op, x):
        now, x = self.now, self.now.of(x)
        out = now.new(x.shape)
        joined = joined_axes(x.shape, [out.steps, x.steps], AXES) if x.size and is_float(x) else None
        if joined is None:
            return op(x)
        sizes, (to, source) = joined
        return now.native(kernel, out, [x], [out, x, *sizes, *to, *source], x.size < MUCH)

    def negative(self, x):
        return self._one("negative", lambda x: self.now.host("negative", np.negative, x), x)

    def exp(self, x):
        return self._one("exp", lambda x: self._host("exp", x), x)

    def sqrt(self, x):
        return self._one("sqrt", lambda x: self._host("sqrt", x), x)

    def sigmoid(self, x):
        return self._one("sigmoid", super().sigmoid, x)

    def silu(self, x):
        return self._one("silu", super().silu, x)

    def gelu(self, x, approximate=True):
        derived = functools.partial(super().gelu, approximate=approximate)
        return self._one("gelu", derived, x) if approximate else derived(x)

    def maximum(self, x, y):
        return self.element_by_element("maximum", np.maximum, x, y)

    def minimum(self, x, y):
        return self.element_by_element("minimum", np.minimum, x, y)

    def where(self, condition, x, y):
        now = self.now
        condition = now.of(condition)
        if np.float32 in (getattr(x, "dtype", None), getattr(y, "dtype", None)) and condition.dtype == np.bool_:
            a, b = now.of(x, np.float32), now.of(y, np.float32)
            shape = np.broadcast_shapes(condition.shape, a.shape, b.shape)
            strides = [broadcast_steps(part, shape) for part in (condition, a, b)]
            joined = joined_axes(shape, [steps_of(shape), *strides], AXES)
            if is_float(a, b) and joined is not None and 0 not in shape:
                out = now.new(shape)
                sizes, (_, chosen, left, right) = joined
                args = [out, condition, a, b, *sizes, *chosen, *left, *right]
                return now.native("where", out, [condition, a, b], args, out.size < MUCH)
        return self._host("where", condition, x, y)

    # ---- shape -----------------------------------------------------------------------------------------------------------
    def reshape(self, x, shape):
        x = self.now.of(x)
        view = x.view.reshape(shape)
        if x.size and not np.may_share_memory(view, x.view):
            x = self.now.copy(x)
            view = x.view.reshape(shape)
        return Recorded(x.buffer, view) if x.size else self.now.new(view.shape, x.dtype)

    def transpose(self, x, axes):
        x = self.now.of(x)
        return Recorded(x.buffer, x.view.transpose(axes))

    def expand_dims(self, x, axis):
        x = self.now.of(x)
        return Recorded(x.buffer, np.expand_dims(x.view, axis))

    def broadcast_to(self, x, shape):
        x = self.now.of(x)
        return Recorded(x.buffer, np.broadcast_to(x.view, shape))

    def concatenate(self, xs, axis=-1):
        now = self.now
        xs = [now.of(x) for x in xs]
        if all(x.buffer.array is not None for x in xs) or not is_float(*xs):
            return now.host(f"concatenate-{axis}", lambda *xs: np.concatenate(xs, axis), *xs)
        axis %= xs[0].ndim
        shape = list(xs[0].shape)
        shape[axis] = sum(x.shape[axis] for x in xs)
        out = now.new(shape, xs[0].dtype)
        start = 0
        for x in xs:
            stop = start + x.shape[axis]
            if x.size:
                part = out[(slice(None),) * axis + (slice(start, stop),)]
                now.copy(x, Recorded(out.buffer, part.view))
            start = stop
        return out

    def stack(self, xs, axis=0):
        xs = [self.now.of(x) for x in xs]
        axis = axis if axis >= 0 else axis + xs[0].ndim + 1
        return self.concatenate([self.expand_dims(x, axis) for x in xs], axis)

    def pad(self, x, widths, value=0):
        now, x = self.now, self.now.of(x)
        if x.dtype.itemsize != 4 or x.buffer.array is not None:
            return now.host(f"pad-{widths}-{value}", lambda x: REFERENCE.pad(x, widths, value), x)
        out = self.full([before + n + after for n, (before, after) in zip(x.shape, widths)], value, x.dtype)
        now.copy(x, out[tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, widths))])
        return out

    def take(self, x, indices, axis=0):
        now = self.now
        x, indices = now.of(x), now.of(indices)
        axis %= x.ndim
        if indices.dtype == np.int32 and indices.view.flags.c_contiguous and x.size and indices.size:
            if (is_float(x) or x.dtype == BFLOAT16) and axis == 0 and x.view.flags.c_contiguous:
                out = now.new((*indices.shape, *x.shape[1:]))
                args = [out, x, indices, indices.size, x.size // x.shape[0], x.shape[0]]
                return now.native("take" if is_float(x) else "take_bfloat16", out, [x, indices], args, out.size < MUCH)
            joined = joined_axes(x.shape[:-1], [x.steps[:-1]], 1)
            if is_float(x) and axis == x.ndim - 1 and indices.ndim == 1 and x.steps[-1] == 1 and joined is not None:
                out = now.new((*x.shape[:-1], indices.size))
                ([N], [[stride]]) = joined
                args = [out, x, indices, N, indices.size, stride, x.shape[-1]]
                return now.native("gather", out, [x, indices], args, out.size < MUCH)
        return now.host(f"take-{axis}", lambda x, i: REFERENCE.take(x, i, axis), x, indices)

    def write(self, buffer, rows, index):
        now = self.now
        buffer, rows, index = now.of(buffer), now.of(rows), now.of(index)
        if buffer.buffer.array is not None or not buffer.view.flags.c_contiguous:
            buffer = now.copy(buffer)
        _require(rows.shape == (buffer.shape[0], *index.shape, *buffer.shape[2:]), "write", buffer, rows, index)
        joined = joined_axes(rows.shape[2:], [rows.steps[2:]], 1)
        fits = joined is not None and joined[1][0][0] == 1 and rows.size
        if not fits or not is_float(buffer, rows) or index.dtype != np.int32 or not index.view.flags.c_contiguous:
            return now.host("write", lambda b, r, i: REFERENCE.write(b, r, i), buffer, rows, index, into=buffer)
        B, S, T = *buffer.shape[:2], rows.shape[1]
        args = [buffer, rows, index, B, S, T, buffer.size // (B * S), *rows.steps[:2]]
        buffer.buffer.version += 1
        return now.native("write", buffer, [buffer, rows, index], args, rows.size < MUCH)

    def rows(self, x, start, size):
        now, x = self.now, self.now.of(x)
        if not isinstance(start, Recorded):
            return x[:, start : start + size]
        joined = joined_axes(x.shape[2:], [x.steps[2:]], 1)
        if x.dtype.itemsize != 4 or start.dtype != np.int32 or joined is None or joined[1][0][0] != 1 or not x.size:
            return now.host(f"rows-{size}", lambda x, start: x[:, int(start) : int(start) + size], x, start)
        out = now.new((x.shape[0], size, *x.shape[2:]), x.dtype)
        args = [out, x, start, x.shape[0], size, joined[0][0], *x.steps[:2], x.shape[1]]
        return now.native("rows", out, [x, start], args, out.size < MUCH)

    # ---- reductions ------------------------------------------------------------------------------------------------------
    def _reduce(self, op, x, axis, keepdims):
        now, x = self.now, self.now.of(x)
        axes = sorted(a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis))
        if not is_float(x) or not x.size or axes != list(range(axes[0], axes[-1] + 1)):
            return now.host(f"{op}-{axis}-{keepdims}", lambda x: getattr(REFERENCE, op)(x, axis, keepdims), x)
        x = now.contiguous(x)
        first, last = axes[0], axes[-1] + 1
        N, M, inner = (math.prod(part) for part in (x.shape[:first], x.shape[first:last], x.shape[last:]))
        middle = (1,) * len(axes) if keepdims else ()
        out = now.new((*x.shape[:first], *middle, *x.shape[last:]))
        return now.native(op, out, [x], [out, x, N, M, inner], x.size < MUCH)

    def sum(self, x, axis=-1, keepdims=False):
        return self._reduce("sum", x, axis, keepdims)

    def mean(self, x, axis=-1, keepdims=False):
        return self._reduce("mean", x, axis, keepdims)

    def max(self, x, axis=-1, keepdims=False):
        return self._reduce("max", x, axis, keepdims)

    def argmax(self, x, axis=-1):
        return self._host("argmax", x, axis)

    def softmax(self, x, axis=-1):
        now, x = self.now, self.now.of(x)
        joined = joined_axes(x.shape[:-1], [x.steps[:-1]], 1)
        if axis % x.ndim != x.ndim - 1 or not is_float(x) or not x.size or joined is None or x.steps[-1] != 1:
            return contract.Backend.softmax(self, x, axis)
        out = now.new(x.shape)
        ([N], [[stride]]) = joined
        return now.native("softmax", out, [x], [out, x, N, x.shape[-1], stride], x.size < MUCH)

    # ---- products --------------------------------------------------------------------------------------------------------
    def matmul(self, x, y):
        now = self.now
        x, y = now.of(x), now.of(y)
        if min(x.ndim, y.ndim) > 1:
            _require(x.shape[-1] == y.shape[-2], "matmul", x, y)
        fits = x.ndim > 1 and y.ndim > 1 and is_float(x, y) and x.size and y.size
        if fits and x.shape[-2] * x.shape[-1] * y.shape[-1] <= 1 << 21:  # threads of BLAS would then spin beside ours
            leading = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
            P, M, D = x.shape[-2], x.shape[-1], y.shape[-1]
            strides = [broadcast_steps(part, (*leading, *part.shape[-2:]))[:-2] for part in (x, y)]
            joined = joined_axes(leading, strides, 1)
            if joined is not None:
                out = now.new((*leading, P, D))
                ([N], [[a], [b]]) = joined
                args = [out, x, y, N, P, M, D, a, *x.steps[-2:], b, *y.steps[-2:]]
                return now.native("matmul", out, [x, y], args, N * P * M * D < MUCH)
        return now.host("matmul", REFERENCE.matmul, x, y)

    def einsum(self, equation, *xs):
        return self.now.host(f"einsum-{equation}", lambda *xs: REFERENCE.einsum(equation, *xs), *map(self.now.of, xs))

    def _rows_of(self, x):
        """(array, number of rows, stride between them): the last axis lies side by side."""
        joined = joined_axes(x.shape[:-1], [x.steps[:-1]], 1)
        if joined is None or x.steps[-1] != 1:
            return self.now.copy(x), x.size // x.shape[-1], x.shape[-1]
        return x, joined[0][0], joined[1][0][0]

    def linear(self, x, weight, bias=None):
        now = self.now
        x, weight = now.of(x), now.of(weight)
        R, D = weight.shape
        _require(x.shape[-1:] == (D,), "linear", x, weight)
        N, known = x.size // max(D, 1), weight.buffer.array is not None
        fits = is_float(x) and (is_float(weight) or weight.dtype == BFLOAT16) and weight.view.flags.c_contiguous
        if not fits or not x.size or not R:
            y = now.host("linear", REFERENCE.linear, x, weight)
        elif N >= ROWS and R * D <= SMALL and known and is_float(weight):
            x, N, stride = self._rows_of(x)
            laid = now.constant(arranged(weight.buffer.array, panels))
            wide = -(-R // PANEL) * PANEL
            y = now.new((*x.shape[:-1], wide))
            now.native("linear", y, [x, laid], [y, x, laid, N, D, wide, stride], N * R * D < MUCH)
            y = y[..., :R]
        else:
            x, N, stride = self._rows_of(x)
            y = now.new((*x.shape[:-1], R))
            kernel = ("linear_few" if N < ROWS else "linear_rows") + ("" if is_float(weight) else "_bfloat16")
            now.native(kernel, y, [x, weight], [y, x, weight, N, D, R, stride], N * R * D < MUCH)
        return y if bias is None else y + bias

    def codebook_linear(self, x, weight, bias=None):
        now = self.now
        x = now.of(x)
        (R, D), bits, group = weight.shape, weight.bits, weight.group
        _require(x.shape[-1:] == (D,), "linear", x, weight)
        if not HAS_LOOKUP or bits not in (2, 4) or D % group or group % (16 * ROWS) or not is_float(x) or not x.size:
            return self.linear(x, arranged(weight, CodebookArray.dequantize), bias)
        blocks, norms, patterns = (now.constant(part) for part in arranged(weight, packed_blocks))
        x, N, stride = self._rows_of(x)
        parts = MACHINE.parts
        y = now.new((*x.shape[:-1], blocks.shape[1] * WIDE))
        rotated = now.new((N * (parts if N < FEW else 1), D))
        tables = now.new((parts * TILE * group * bits * 4,))
        args = [y, x, blocks, norms, patterns, rotated, tables, N, D, blocks.shape[1], bits, group, stride, 1.0]
        args.append(self._small_hadamard(group))
        now.native("packed_linear", y, [x, blocks, norms, patterns], args, False)
        y = y[..., :R]
        return y if bias is None else y + bias

    def _small_hadamard(self, group):
        """That of 16 numbers, with the scale of the whole group."""
        return self.now.constant(small_hadamard(group))

    def codebook_take(self, weight, indices):
        now, indices = self.now, self.now.contiguous(self.now.of(indices))
        D = weight.norms.shape[1] * weight.group
        if indices.dtype != np.int32 or not indices.size or weight.group % (16 * ROWS):
            return now.host(f"codebook_take-{id(weight)}", lambda i: weight.take(i), indices)
        codes, codebook = now.constant(weight.codes), now.constant(np.ascontiguousarray(weight.codebook, np.float32))
        norms = now.constant(arranged(weight, wide_norms))
        out = now.new((*indices.shape, D))
        args = [out, codes, norms, indices, codebook, indices.size, D, weight.bits, weight.group]
        args += [self._small_hadamard(weight.group), codes.shape[0]]
        now.native("packed_take", out, [codes, norms, indices, codebook], args, out.size < MUCH // 4)
        return out[..., : weight.shape[1]]

    def kronecker(self, z, a, b):
        now = self.now
        z, a, b = now.of(z), now.contiguous(now.of(a)), now.contiguous(now.of(b))
        (m, p), (n, q) = a.shape, b.shape
        _require(z.shape[-1:] == (m * n,), "kronecker", z, a, b)
        if m % ROWS or p % ROWS or q % PANEL or not is_float(z, a, b) or not z.size:
            return contract.Backend.kronecker(self, z, a, b)
        z, N, stride = self._rows_of(z)
        out, half = now.new((*z.shape[:-1], p * q)), now.new((MACHINE.parts, m, q))
        args = [out, z, a, b, half, N, m, p, n, q, stride]
        return now.native("kronecker", out, [z, a, b], args, N < 2)

    # ---- blocks of models ------------------------------------------------------------------------------------------------
    def rms_norm(self, x, gain=None, eps=1e-6):
        now, x = self.now, self.now.of(x)
        gain = None if gain is None else now.of(gain)
        joined = joined_axes(x.shape[:-1], [x.steps[:-1]], 2)
        fits = is_float(x) and x.size and x.steps[-1] == 1 and joined is not None
        if gain is not None:
            fits = fits and is_float(gain) and gain.view.flags.c_contiguous
            fits = fits and gain.shape == x.shape[x.ndim - gain.ndim :]
        if not fits:
            return contract.Backend.rms_norm(self, x, gain, eps)
        out = now.new(x.shape)
        (N, M), (steps,) = joined
        rows = 1 if gain is None else gain.size // x.shape[-1]
        args = [out, x, 0 if gain is None else gain, N, M, x.shape[-1], *steps, rows, float(eps)]
        return now.native("rms_norm", out, [x] if gain is None else [x, gain], args, x.size < MUCH)

    def rotary(self, x, cos, sin):
        now = self.now
        x, cos, sin = now.of(x), now.contiguous(now.of(cos)), now.contiguous(now.of(sin))
        T, half = x.shape[1] if x.ndim == 4 else 0, x.shape[-1] // 2
        fits = x.ndim == 4 and x.shape[0] == 1 and cos.shape == sin.shape == (T, 1, half)
        if not fits or not is_float(x, cos, sin) or x.steps[-1] != 1 or not x.size:
            return contract.Backend.rotary(self, x, cos, sin)
        out = now.new(x.shape)
        args = [out, x, cos, sin, *x.shape[1:], *x.steps[1:3]]
        return now.native("rotary", out, [x, cos, sin], args, x.size < MUCH)

    def attention(self, q, k, v, mask, scale, cap=None):
        now = self.now
        q, k, v = now.of(q), now.of(k), now.of(v)
        mask = None if mask is None else now.contiguous(now.of(mask))
        _require_attention(q, k, v, mask)
        S, Cv = v.shape[1], v.shape[-1]
        fits = cap is None and is_float(q, k, v) and all(x.steps[-1] == 1 for x in (q, k, v)) and q.size and k.size
        if not fits or S % ROWS or Cv % PANEL:
            return contract.Backend.attention(self, q, k, v, mask, scale, cap)
        B, T, H, _ = q.shape
        out = now.new((B, T, H, v.shape[-1]))
        for b in range(B):
            visible = None if mask is None else mask[b % mask.shape[0]]
            self._attend(out[b], q[b], k[b], v[b], visible, float(scale))
        return out

    def _attend(self, out, q, k, v, mask, scale):
        now = self.now
        (T, H, C), (S, K, Cv) = q.shape, v.shape
        parts = MACHINE.parts
        many = T - T % ROWS if mask is not None else 0
        if many:
            width = -(-S // PANEL) * PANEL
            turned, scores = now.new((K, C, width)), now.new((parts, ROWS, width))
            now.native("turn_keys", turned, [k], [turned, k, S, K, C, width, *k.steps[:2], scale], False)
            args = [out, q, turned, v, mask, scores, many, H, C, S, K, Cv, width, *q.steps[:2], *v.steps[:2], mask.steps[0]]
            now.native("attention", out, [q, turned, v, mask], args, False)
        if many < T:
            out, q = out[many:], q[many:]
            mask = None if mask is None else mask[many:]
            parts, scratch = MACHINE.parts, S * 24 + C * 16 + ROWS * Cv
            seen, step = (0, 0) if mask is None else (mask, mask.steps[0])
            args = [out, q, k, v, seen, now.new((parts, scratch)), T - many, H, C, S, K, Cv]
            args += [*q.steps[:2], *k.steps[:2], *v.steps[:2], step, scale]
            now.native(
                "attention_few", out, [q, k, v] if mask is None else [q, k, v, mask], args, (T - many) * H * S * C < MUCH
            )

    def causal_conv(self, x, taps, dilation=1):
        now = self.now
        x, taps = now.contiguous(now.of(x)), now.contiguous(now.of(taps))
        B, rows, D = x.shape
        _require(taps.shape[1:] == (D,), "causal_conv", x, taps)
        T = rows - (taps.shape[0] - 1) * dilation
        if not is_float(x, taps) or B * T * D == 0:
            return contract.Backend.causal_conv(self, x, taps, dilation)
        out = now.new((B, T, D))
        args = [out, x, taps, B, T, D, taps.shape[0], dilation]
        return now.native("causal_conv", out, [x, taps], args, T == 1 or out.size < MUCH)

    def sinkhorn(self, logits, iterations):
        now = self.now
        x = now.contiguous(now.of(logits))
        size = x.shape[-1]
        if not is_float(x) or size > 8 or size != x.shape[-2] or not x.size:
            return contract.Backend.sinkhorn(self, x, iterations)
        out, scratch = now.new(x.shape), now.new((MACHINE.parts, 16))
        N = x.size // (size * size)
        return now.native("sinkhorn", out, [x], [out, x, N, size, iterations, scratch], N < 8)


for _op in ("log", "sin", "cos", "tanh", "erf", "abs", "round", "remainder", "bitwise_and", "bitwise_xor", "shift_right"):
    setattr(Recorder, _op, lambda self, *xs, _op=_op: self._host(_op, *xs))

RECORDER = Recorder()
contract.register_arrays(Recorded, RECORDER)
