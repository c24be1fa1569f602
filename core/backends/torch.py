"""PyTorch, run eagerly without autograd bookkeeping (`torch.inference_mode`); caches are written in place."""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F

from ..backend import Backend, host_array
from ..errors import ElementTypeError
from ..host import host_copy


def _dtype(dtype):
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise ElementTypeError(f"PyTorch has no element type {name!r}: use float32, float16, bfloat16, an integer type or bool")
    return found


class TorchBackend(Backend):
    name = "torch"
    dynamic_shapes = True

    def owns(self, x):
        return isinstance(x, torch.Tensor)

    def asarray(self, x, dtype=None):
        if isinstance(x, torch.Tensor):
            return x if dtype is None else x.to(_dtype(dtype))
        if not isinstance(x, np.ndarray):
            x = host_array(x)
        if not x.flags.writeable or any(step < 0 for step in x.strides):
            x = x.copy()  # a tensor over read-only memory (a memory map) could be written through
        if x.dtype.name == "bfloat16":  # NumPy knows it only through the package ml_dtypes, PyTorch not at all
            return torch.as_tensor(x.view(np.int16)).view(torch.bfloat16).to(_dtype(dtype) or torch.bfloat16)
        return torch.as_tensor(x, dtype=_dtype(dtype))

    def parameter(self, x, dtype=None):
        return self.asarray(host_copy(x, dtype) if isinstance(x, np.ndarray) else x, dtype)

    def to_numpy(self, x):
        if not isinstance(x, torch.Tensor):
            return np.asarray(x)
        x = x.detach().cpu()
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy()

    def copy(self, x, rows=None):
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
    reshape, transpose = staticmethod(torch.reshape), staticmethod(torch.permute)
    expand_dims, broadcast_to = staticmethod(torch.unsqueeze), staticmethod(torch.broadcast_to)

    def maximum(self, x, y):
        return torch.maximum(*self._tensors(x, y))

    def minimum(self, x, y):
        return torch.minimum(*self._tensors(x, y))

    def remainder(self, x, y):
        return torch.remainder(*self._tensors(x, y))

    def bitwise_and(self, x, y):
        return torch.bitwise_and(*self._tensors(x, y))

    def bitwise_xor(self, x, y):
        return torch.bitwise_xor(*self._tensors(x, y))

    def shift_right(self, x, y):
        return torch.bitwise_right_shift(*self._tensors(x, y))

    def matmul(self, x, y):
        return torch.matmul(*self._tensors(x, y))

    def einsum(self, equation, *xs):
        return torch.einsum(equation, *self._tensors(*xs))

    def where(self, condition, x, y):
        return torch.where(*self._tensors(condition, x, y))

    def concatenate(self, xs, axis=-1):
        return torch.cat(self._tensors(*xs), axis)

    def stack(self, xs, axis=0):
        return torch.stack(self._tensors(*xs), axis)

    def pad(self, x, widths, value=0):
        return F.pad(x, [n for pair in reversed(widths) for n in pair], value=value)

    def take(self, x, indices, axis=0):
        x, indices = self._tensors(x, indices)
        axis %= x.ndim
        rows = torch.index_select(x, axis, indices.reshape(-1))
        return rows.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])

    def write(self, buffer, rows, index):
        buffer[:, index] = self.asarray(rows)
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
        return F.linear(*self._tensors(x, weight), bias)

    def compile(self, fn, module, donate=()):
        @functools.wraps(fn)
        def program(*args):
            with torch.inference_mode():
                return fn(module, *args)

        return program

    def _tensors(self, *xs):
        return [x if isinstance(x, torch.Tensor) else self.asarray(x) for x in xs]


BACKEND = TorchBackend()
