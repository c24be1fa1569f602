"""NumPy: the reference, the default, and the embedded engine. Runs eagerly, unless Numba is there to compile programs."""

from __future__ import annotations

import math

import numpy as np

from ..backend import Backend, host_array
from ..errors import ElementTypeError


def _dtype(dtype):
    if dtype == "bfloat16":
        raise ElementTypeError("NumPy has no element type bfloat16: use float32 or float16, or another backend")
    return dtype


class NumpyBackend(Backend):
    name = "numpy"
    dynamic_shapes = True

    def owns(self, x):
        return isinstance(x, np.ndarray | np.generic)

    def asarray(self, x, dtype=None):
        x = x if isinstance(x, np.ndarray) else host_array(x)
        return x if dtype is None else x.astype(_dtype(dtype), copy=False)

    def to_numpy(self, x):
        return np.asarray(x)

    def copy(self, x, rows=None):
        if rows is None or rows >= x.shape[1]:
            return x.copy()
        y = np.zeros(x.shape, x.dtype)  # memory that nobody touches costs nothing
        y[:, :rows] = x[:, :rows]
        return y

    def zeros(self, shape, dtype="float32"):
        return np.zeros(shape, _dtype(dtype))

    def full(self, shape, value, dtype="float32"):
        return np.full(shape, value, _dtype(dtype))

    def arange(self, n, dtype="int32"):
        return np.arange(n, dtype=dtype)

    def cast(self, x, dtype):
        return np.asarray(x).astype(_dtype(dtype), copy=False)

    exp, log, sqrt, sin, cos, tanh = (staticmethod(f) for f in (np.exp, np.log, np.sqrt, np.sin, np.cos, np.tanh))
    abs, maximum, minimum, round = (staticmethod(f) for f in (np.abs, np.maximum, np.minimum, np.round))
    remainder, bitwise_and, bitwise_xor = (staticmethod(f) for f in (np.remainder, np.bitwise_and, np.bitwise_xor))
    shift_right, matmul = staticmethod(np.right_shift), staticmethod(np.matmul)
    broadcast_to = staticmethod(np.broadcast_to)

    def erf(self, x):
        # NumPy has no erf. Python's is exact; an array of activations of a NumPy model is small enough for it.
        return np.vectorize(math.erf, otypes=[np.asarray(x).dtype])(x)

    def where(self, condition, x, y):
        if not (hasattr(x, "dtype") or hasattr(y, "dtype")):  # two Python numbers would make a result of 64 bits
            x = host_array(x)
        return np.where(condition, x, y)

    # Methods and indexing of arrays take a fraction of the time of NumPy's functions of the same name, and a decode step
    # makes hundreds of such calls.
    def reshape(self, x, shape):
        return np.asarray(x).reshape(shape)

    def transpose(self, x, axes):
        return np.asarray(x).transpose(axes)

    def expand_dims(self, x, axis):
        axis = axis if axis >= 0 else axis + x.ndim + 1
        return np.asarray(x)[(slice(None),) * axis + (None,)]

    def concatenate(self, xs, axis=-1):
        return np.concatenate(xs, axis)

    def stack(self, xs, axis=0):
        return np.stack(xs, axis)

    def pad(self, x, widths, value=0):
        # np.pad takes ten times as long for the small arrays of a decode step
        y = np.full([before + n + after for n, (before, after) in zip(x.shape, widths)], value, x.dtype)
        y[tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, widths))] = x
        return y

    def take(self, x, indices, axis=0):
        return np.take(x, indices, axis)

    def write(self, buffer, rows, index):
        buffer[:, index] = rows
        return buffer

    def rows(self, x, start, size):
        return x[:, start : start + size]

    def sum(self, x, axis=-1, keepdims=False):
        return np.sum(x, axis, keepdims=keepdims)

    def max(self, x, axis=-1, keepdims=False):
        return np.max(x, axis, keepdims=keepdims)

    def argmax(self, x, axis=-1):
        return np.argmax(x, axis).astype(np.int32)

    def einsum(self, equation, *xs):
        return np.einsum(equation, *xs, optimize=True)

    # ---- faster than the derived forms ---------------------------------------------------------------------------------
    def linear(self, x, weight, bias=None):
        rows = x.reshape(-1, x.shape[-1])  # one BLAS call instead of one per leading index
        y = (rows @ weight.T).reshape(*x.shape[:-1], weight.shape[0])
        return y if bias is None else y + bias

    def rms_norm(self, x, gain=None, eps=1e-6):
        scale = np.einsum("...i,...i->...", x, x)
        scale = 1.0 / np.sqrt(scale / x.shape[-1] + eps)
        y = x * scale[..., None]
        if gain is not None:
            y *= gain
        return y

    def softmax(self, x, axis=-1):
        e = x - np.max(x, axis, keepdims=True)
        np.exp(e, out=e)
        e /= np.sum(e, axis, keepdims=True)
        return e


REFERENCE = NumpyBackend()  # what other backends are compared with
BACKEND = REFERENCE
