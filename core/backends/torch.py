"""PyTorch, run eagerly without autograd bookkeeping (`torch.inference_mode`); caches are written in place."""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F

from ..backend import Backend

_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "int32": torch.int32,
    "int64": torch.int64,
    "bool": torch.bool,
}


def _dtype(dtype):
    return (
        dtype
        if dtype is None or isinstance(dtype, torch.dtype)
        else _DTYPES[str(np.dtype(dtype)) if dtype != "bfloat16" else dtype]
    )


class TorchBackend(Backend):
    name = "torch"
    dynamic_shapes = True

    def owns(self, x):
        return isinstance(x, torch.Tensor)

    def asarray(self, x, dtype=None):
        if isinstance(x, np.ndarray) and not x.flags.writeable:
            x = x.copy()  # a tensor over read-only memory (a memory map) could be written through
        return torch.as_tensor(x, dtype=_dtype(dtype))

    def to_numpy(self, x):
        return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)

    def copy(self, x):
        return x.clone()

    def zeros(self, shape, dtype="float32"):
        return torch.zeros(shape, dtype=_dtype(dtype))

    def full(self, shape, value, dtype="float32"):
        return torch.full(shape, value, dtype=_dtype(dtype))

    def arange(self, n, dtype="int32"):
        return torch.arange(n, dtype=_dtype(dtype))

    def cast(self, x, dtype):
        return self.asarray(x).to(_dtype(dtype))

    exp, log, sqrt, rsqrt, sin, cos = (
        staticmethod(f) for f in (torch.exp, torch.log, torch.sqrt, torch.rsqrt, torch.sin, torch.cos)
    )
    tanh, erf, sigmoid, silu, abs, round = (
        staticmethod(f) for f in (torch.tanh, torch.erf, torch.sigmoid, F.silu, torch.abs, torch.round)
    )
    remainder, bitwise_and, bitwise_xor = (staticmethod(f) for f in (torch.remainder, torch.bitwise_and, torch.bitwise_xor))
    shift_right, einsum, reshape, transpose = (
        staticmethod(f) for f in (torch.bitwise_right_shift, torch.einsum, torch.reshape, torch.permute)
    )
    expand_dims, broadcast_to = staticmethod(torch.unsqueeze), staticmethod(torch.broadcast_to)

    def maximum(self, x, y):
        return torch.maximum(*self._pair(x, y))

    def minimum(self, x, y):
        return torch.minimum(*self._pair(x, y))

    def matmul(self, x, y):
        return torch.matmul(*self._pair(x, y))

    def where(self, condition, x, y):
        return torch.where(condition, x, y)

    def concatenate(self, xs, axis=-1):
        return torch.cat(xs, axis)

    def stack(self, xs, axis=0):
        return torch.stack(xs, axis)

    def pad(self, x, widths, value=0):
        return F.pad(x, [n for pair in reversed(widths) for n in pair], value=value)

    def take(self, x, indices, axis=0):
        indices = self.asarray(indices)
        rows = torch.index_select(x, axis, indices.reshape(-1))
        return rows.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])

    def write(self, buffer, rows, index):
        buffer[:, index] = rows
        return buffer

    def rows(self, x, start, size):
        return x[:, start : start + size]

    def sum(self, x, axis=-1, keepdims=False):
        return torch.sum(x, axis, keepdim=keepdims)

    def max(self, x, axis=-1, keepdims=False):
        return torch.amax(x, axis, keepdim=keepdims)

    def argmax(self, x, axis=-1):
        return torch.argmax(x, axis).to(torch.int32)

    def softmax(self, x, axis=-1):
        return torch.softmax(x, axis)

    def gelu(self, x, approximate=True):
        return F.gelu(x, approximate="tanh" if approximate else "none")

    def linear(self, x, weight, bias=None):
        return F.linear(x, weight, bias)

    def compile(self, fn, module, donate=()):
        @functools.wraps(fn)
        def program(*args):
            with torch.inference_mode():
                return fn(module, *args)

        return program

    def _pair(self, x, y):
        return self.asarray(x), self.asarray(y)


BACKEND = TorchBackend()
