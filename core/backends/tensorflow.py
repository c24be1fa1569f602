"""TensorFlow: `compile` is `tf.function(jit_compile=True)`; the module's arrays are captured by reference."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

import numpy as np

from ..backend import Backend, host_array
from ..host import BFLOAT16, host_copy


@contextlib.contextmanager
def _without_greeting() -> Iterator[None]:
    """Keeps two lines off the terminal that TensorFlow writes in C++ at import, before its log level is in force (they name
    oneDNN as its default on CPUs). Everything else that is written meanwhile follows when the import has ended.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            held.seek(0)
            for line in held:
                if b"absl::InitializeLog()" not in line and b"oneDNN custom operations are on" not in line:
                    os.write(stderr, line)
            os.close(stderr)


# Read once, when TensorFlow starts; who sets 0 wants to see everything.
with contextlib.nullcontext() if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2") == "0" else _without_greeting():
    import tensorflow as tf


_LARGE = 1 << 16  # bytes of an array of a model that is not copied twice


class TensorflowBackend(Backend):
    name = "tensorflow"

    def owns(self, x):
        return isinstance(x, tf.Tensor | tf.Variable)

    def asarray(self, x, dtype=None):
        x = tf.convert_to_tensor(x if self.owns(x) else host_array(x))
        return x if dtype is None else tf.cast(x, dtype)

    def parameter(self, x, dtype=None):
        if not isinstance(x, np.ndarray) or x.nbytes < _LARGE or tf.config.list_physical_devices("GPU"):
            return self.asarray(x, dtype)
        # convert_to_tensor would make two copies; through DLPack, which knows no bfloat16 here, memory is used as it is
        x = host_copy(x, dtype)
        if x.dtype == BFLOAT16:
            return tf.bitcast(tf.experimental.dlpack.from_dlpack(x.view(np.uint16).__dlpack__()), tf.bfloat16)
        return tf.experimental.dlpack.from_dlpack(x.__dlpack__())

    def to_numpy(self, x):
        return np.asarray(tf.cast(x, "float32") if x.dtype == tf.bfloat16 else x)

    def zeros(self, shape, dtype="float32"):
        return tf.zeros(shape, dtype)

    def full(self, shape, value, dtype="float32"):
        return tf.cast(tf.fill(shape, value), dtype)

    def arange(self, n, dtype="int32"):
        return tf.cast(tf.range(n), dtype)

    def cast(self, x, dtype):
        return tf.cast(x, dtype)

    exp, log, sqrt, rsqrt, sin, cos = (staticmethod(f) for f in (tf.exp, tf.math.log, tf.sqrt, tf.math.rsqrt, tf.sin, tf.cos))
    tanh, erf, sigmoid, silu, abs, round = (
        staticmethod(f) for f in (tf.tanh, tf.math.erf, tf.sigmoid, tf.nn.silu, tf.abs, tf.round)
    )
    maximum, minimum, where = (staticmethod(f) for f in (tf.maximum, tf.minimum, tf.where))
    remainder, bitwise_and, bitwise_xor = (
        staticmethod(f) for f in (tf.math.floormod, tf.bitwise.bitwise_and, tf.bitwise.bitwise_xor)
    )
    shift_right, matmul, einsum = (staticmethod(f) for f in (tf.bitwise.right_shift, tf.matmul, tf.einsum))
    reshape, transpose, broadcast_to, expand_dims = (
        staticmethod(f) for f in (tf.reshape, tf.transpose, tf.broadcast_to, tf.expand_dims)
    )

    def concatenate(self, xs, axis=-1):
        return tf.concat(xs, axis)

    def stack(self, xs, axis=0):
        return tf.stack(xs, axis)

    def pad(self, x, widths, value=0):
        return tf.pad(x, widths, constant_values=value)

    def take(self, x, indices, axis=0):
        return tf.gather(x, indices, axis=axis)

    def write(self, buffer, rows, index):
        B, S = buffer.shape[:2]
        flat = tf.reshape(tf.range(B)[:, None] * S + index[None, :], (-1, 1))
        rest = buffer.shape[2:]
        updated = tf.tensor_scatter_nd_update(
            tf.reshape(buffer, (B * S, *rest)), flat, tf.reshape(rows, (B * rows.shape[1], *rest))
        )
        return tf.reshape(updated, buffer.shape)

    def rows(self, x, start, size):
        # Not tf.slice: XLA would compile the program again for every value of `start`.
        return tf.gather(x, start + tf.range(size), axis=1)

    def sum(self, x, axis=-1, keepdims=False):
        return tf.reduce_sum(x, axis, keepdims)

    def max(self, x, axis=-1, keepdims=False):
        return tf.reduce_max(x, axis, keepdims)

    def argmax(self, x, axis=-1):
        return tf.argmax(x, axis, output_type=tf.int32)

    def softmax(self, x, axis=-1):
        return tf.nn.softmax(x, axis)

    def linear(self, x, weight, bias=None):
        rows = tf.reshape(x, (-1, x.shape[-1]))
        y = tf.reshape(tf.matmul(rows, weight, transpose_b=True), (*x.shape[:-1], weight.shape[0]))
        return y if bias is None else y + bias

    def sinkhorn_scales(self, e, iterations):
        def step(i, rows, columns):
            rows = 1.0 / tf.reduce_sum(e * columns, 1)
            return i + 1, rows, 1.0 / tf.reduce_sum(e * rows[:, None], 0)

        one = tf.ones_like(e[0])
        # a loop: forty unrolled steps a layer take long to trace and compile
        return tf.while_loop(lambda i, *_: i < iterations, step, (0, one, one), maximum_iterations=iterations)[1:]

    def compile(self, fn, module, donate=()):
        return tf.function(lambda *args: fn(module, *args), jit_compile=True, reduce_retracing=False, autograph=False)

    def synchronize(self, tree):
        for leaf in tf.nest.flatten(tree):
            if isinstance(leaf, tf.Tensor):
                leaf.numpy()
        return tree


BACKEND = TensorflowBackend()
