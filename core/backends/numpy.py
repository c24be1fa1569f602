"""NumPy: the reference, the default, and the embedded engine. Runs eagerly, unless Numba is there to compile programs.

It computes in no bfloat16: matrices may be kept in it (`parameter`), which halves their memory, and products with them, like
rows taken from them, are float32.
"""

from __future__ import annotations

import math

import numpy as np

from ..backend import Backend, host_array
from ..host import BFLOAT16, converted, element_type, host_copy, widened

_BLOCK = 1 << 22  # elements of a bfloat16 matrix that are widened at a time


class NumpyBackend(Backend):
    name = "numpy"
    dynamic_shapes = True

    def owns(self, x):
        return isinstance(x, np.ndarray | np.generic)

    def asarray(self, x, dtype=None):
        x = x if isinstance(x, np.ndarray) else host_array(x)
        return x if dtype is None else self.cast(x, dtype)

    def parameter(self, x, dtype=None):
        x = x if isinstance(x, np.ndarray) else host_array(x)
        if dtype == "bfloat16" and x.ndim < 2:  # vectors are small, and take part in arithmetic
            dtype = "float32"
        same = dtype is None or x.dtype == element_type(dtype)
        # A vector of a mapped file is copied all the same: a few bytes of it would keep whole pages in memory
        return x if same and (x.ndim > 1 or x.flags.writeable) else host_copy(x, dtype)

    def to_numpy(self, x):
        return widened(np.asarray(x))

    def copy(self, x, rows=None):
        if rows is None or rows >= x.shape[1]:
            return x.copy()
        y = np.zeros(x.shape, x.dtype)  # memory that nobody touches costs nothing
        y[:, :rows] = x[:, :rows]
        return y

    def zeros(self, shape, dtype="float32"):
        return np.zeros(shape, element_type(dtype))

    def full(self, shape, value, dtype="float32"):
        return np.full(shape, value, element_type(dtype))

    def arange(self, n, dtype="int32"):
        return np.arange(n, dtype=dtype)

    def cast(self, x, dtype):
        return converted(np.asarray(x), dtype)

    exp, log, sqrt, sin, cos, tanh = (staticmethod(f) for f in (np.exp, np.log, np.sqrt, np.sin, np.cos, np.tanh))
    abs, maximum, minimum, round = (staticmethod(f) for f in (np.abs, np.maximum, np.minimum, np.round))
    remainder, bitwise_and, bitwise_xor = (staticmethod(f) for f in (np.remainder, np.bitwise_and, np.bitwise_xor))
    shift_right, broadcast_to = staticmethod(np.right_shift), staticmethod(np.broadcast_to)

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
        return widened(np.take(x, indices, axis))

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

    def matmul(self, x, y):
        return np.matmul(widened(x), widened(y))

    def einsum(self, equation, *xs):
        return np.einsum(equation, *map(widened, xs), optimize=True)

    # ---- faster than the derived forms ---------------------------------------------------------------------------------
    def linear(self, x, weight, bias=None):
        rows = widened(x).reshape(-1, x.shape[-1])  # one BLAS call instead of one per leading index
        if weight.dtype == BFLOAT16:  # never the whole matrix in float32
            y = np.empty((rows.shape[0], weight.shape[0]), np.result_type(rows, np.float32))
            step = max(1, _BLOCK // max(1, weight.shape[1]))
            for i in range(0, weight.shape[0], step):
                y[:, i : i + step] = rows @ widened(weight[i : i + step]).T
        else:
            y = rows @ weight.T
        y = y.reshape(*x.shape[:-1], weight.shape[0])
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
