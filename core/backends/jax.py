"""JAX: `compile` is `jax.jit`, with the module's arrays as arguments (never as constants in the program)."""

from __future__ import annotations

import os

import jax
import jax.numpy as jnp
import numpy as np

from ..backend import Backend, host_array
from ..host import host_copy
from ..module import flatten, unflatten


def _keep_programs() -> None:
    """Compiled programs are kept on disk between processes, unless the user has decided where or whether."""
    if jax.config.jax_compilation_cache_dir is None:
        root = os.environ.get("FERRULE_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "ferrule")
        folder = os.path.join(root, "jax")
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError:
            return
        if not os.access(folder, os.W_OK):  # JAX would warn of each program
            return
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


class JaxBackend(Backend):
    name = "jax"

    def owns(self, x):
        return isinstance(x, jax.Array)

    def asarray(self, x, dtype=None):
        return jnp.asarray(x if isinstance(x, jax.Array) else host_array(x), dtype)

    def parameter(self, x, dtype=None):
        # Aligned memory that nobody writes to is used as it is where the device is the processor
        return jax.device_put(host_copy(x, dtype)) if isinstance(x, np.ndarray) else self.asarray(x, dtype)

    def to_numpy(self, x):
        return np.asarray(x.astype("float32") if x.dtype.name == "bfloat16" else x)

    def copy(self, x, rows=None):
        return jnp.array(x, copy=True)

    def zeros(self, shape, dtype="float32"):
        return jnp.zeros(shape, dtype)

    def full(self, shape, value, dtype="float32"):
        return jnp.full(shape, value, dtype)

    def arange(self, n, dtype="int32"):
        return jnp.arange(n, dtype=dtype)

    def cast(self, x, dtype):
        return jnp.asarray(x).astype(dtype)

    exp, log, sqrt, rsqrt, sin, cos = (staticmethod(f) for f in (jnp.exp, jnp.log, jnp.sqrt, jax.lax.rsqrt, jnp.sin, jnp.cos))
    tanh, erf, sigmoid, abs, round = (
        staticmethod(f) for f in (jnp.tanh, jax.scipy.special.erf, jax.nn.sigmoid, jnp.abs, jnp.round)
    )
    maximum, minimum, where = (staticmethod(f) for f in (jnp.maximum, jnp.minimum, jnp.where))
    remainder, bitwise_and, bitwise_xor = (staticmethod(f) for f in (jnp.remainder, jnp.bitwise_and, jnp.bitwise_xor))
    shift_right, einsum = (staticmethod(f) for f in (jnp.right_shift, jnp.einsum))
    reshape, transpose, broadcast_to, expand_dims = (
        staticmethod(f) for f in (jnp.reshape, jnp.transpose, jnp.broadcast_to, jnp.expand_dims)
    )

    def concatenate(self, xs, axis=-1):
        return jnp.concatenate(xs, axis)

    def stack(self, xs, axis=0):
        return jnp.stack(xs, axis)

    def pad(self, x, widths, value=0):
        return jnp.pad(x, widths, constant_values=value)

    def take(self, x, indices, axis=0):
        return jnp.take(x, indices, axis, mode="clip")

    def write(self, buffer, rows, index):
        if rows.shape[1] == 1:  # one row: a slice update, which XLA does in place
            start = (0, index[0]) + (0,) * (buffer.ndim - 2)
            return jax.lax.dynamic_update_slice(buffer, rows, start)
        return buffer.at[:, index].set(rows, unique_indices=True)

    def rows(self, x, start, size):
        return jax.lax.dynamic_slice_in_dim(x, start, size, 1)

    def sum(self, x, axis=-1, keepdims=False):
        return jnp.sum(x, axis, keepdims=keepdims)

    def max(self, x, axis=-1, keepdims=False):
        return jnp.max(x, axis, keepdims=keepdims)

    def argmax(self, x, axis=-1):
        return jnp.argmax(x, axis).astype(jnp.int32)

    def linear(self, x, weight, bias=None):
        y = jax.lax.dot_general(x, weight, (((x.ndim - 1,), (1,)), ((), ())))
        return y if bias is None else y + bias

    def matmul(self, x, y):
        x, y = jnp.asarray(x), jnp.asarray(y)
        if x.ndim > 2 and x.ndim == y.ndim and x.shape[-1] == y.shape[-2] <= 8:  # many tiny products: XLA fuses sums, not dots
            return sum(x[..., k, None] * y[..., None, k, :] for k in range(x.shape[-1]))
        return jnp.matmul(x, y)

    def sinkhorn_scales(self, e, iterations):
        def step(_, scales):
            rows = 1.0 / jnp.sum(e * scales[1], 1)
            return rows, 1.0 / jnp.sum(e * rows[:, None], 0)

        one = jnp.ones_like(e[0])
        return jax.lax.fori_loop(0, iterations, step, (one, one))  # a loop: forty unrolled steps a layer take long to compile

    def compile(self, fn, module, donate=()):
        leaves, structure = flatten(module)

        def program(leaves, *args):
            return fn(unflatten(structure, leaves), *args)

        compiled = jax.jit(program, donate_argnums=tuple(i + 1 for i in donate))
        return lambda *args: compiled(leaves, *args)

    def synchronize(self, tree):
        return jax.block_until_ready(tree)


_keep_programs()
BACKEND = JaxBackend()
