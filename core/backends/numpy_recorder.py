"""Records what a function does to arrays, as instructions for compiled kernels and steps for NumPy.

While a function is recorded its arrays are `Recorded`: a place in a buffer, without values. Slices, transposes and most
reshapes are only other places in the same buffer and cost nothing when the program runs. What no kernel does becomes a step
that calls NumPy. `numpy_program.py` lays the buffers out in memory and runs the result.
"""

from __future__ import annotations

import functools
import math
import operator
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import backend as contract
from ..quantized import CodebookArray, hadamard
from .numpy import REFERENCE, NumpyBackend
from .numpy_machine import MACHINE
from .numpy_tiles import HAS_LOOKUP, PANEL, ROWS, TILE, WIDE

MUCH = 1 << 14  # numbers from which on sharing work out saves more than threads' waiting for each other costs
FEW = 2 * TILE  # rows of activations below which the rows of a matrix are shared out instead
SMALL = 1 << 18  # weights of a matrix below which a kernel beats a call of BLAS
_AXES = 4  # that a kernel loops over, after those that lie side by side are joined


class Buffer:
    """Memory of a program.

    Attributes:
        nbytes: its size.
        base: address that the places of its recorded arrays count from.
        array: its values, where they are known already.
        leaf: number of the argument that it is, where the caller owns it.
        version: how often it was written in place.
    """

    __slots__ = ("array", "base", "keep", "leaf", "nbytes", "offset", "version")

    def __init__(self, nbytes: int, base: int, array: np.ndarray | None = None, leaf: int | None = None):
        self.nbytes, self.base, self.array, self.leaf = nbytes, base, array, leaf
        self.version = 0
        self.offset = -1  # in the arena, once it is planned
        self.keep = False  # it lives from the first step to the last


@dataclass
class Step:
    """One instruction, or one call of NumPy.

    Attributes:
        reads, writes: buffers.
        kernel: name; None for a call of NumPy.
        args: of the kernel: integers, and places as (buffer, offset in bytes).
        alone: one thread does it.
        call: of NumPy: from the arrays of `inputs` to that of `out`.
        fresh: `out` is written by this step alone and as a whole.
    """

    reads: list[Buffer]
    writes: list[Buffer]
    kernel: str | None = None
    args: list[Any] = field(default_factory=list)
    alone: bool = True
    call: Callable[..., Any] | None = None
    inputs: list[Any] = field(default_factory=list)
    out: Recorded | None = None
    fresh: bool = True


def address_of(array: np.ndarray) -> int:
    """Where its first element lies."""
    return array.__array_interface__["data"][0]


class Recorded:
    """An array of a program that is being recorded: where it lies, not what it holds."""

    __slots__ = ("buffer", "view")
    __array_ufunc__ = None  # NumPy arrays leave arithmetic with it to this class

    def __init__(self, buffer: Buffer, view: np.ndarray):
        self.buffer = buffer
        self.view = view  # of its shape and strides, at the buffer's base; never read

    shape = property(lambda self: self.view.shape)
    dtype = property(lambda self: self.view.dtype)
    ndim = property(lambda self: self.view.ndim)
    size = property(lambda self: self.view.size)

    @property
    def offset(self) -> int:
        return address_of(self.view) - self.buffer.base

    @property
    def steps(self) -> tuple[int, ...]:
        """Strides in elements."""
        return tuple(n // self.view.itemsize for n in self.view.strides)

    @property
    def place(self) -> tuple[Buffer, int]:
        return self.buffer, self.offset

    def __getitem__(self, index: Any) -> Recorded:
        view = self.view[index]
        if not isinstance(view, np.ndarray):  # one element
            index = index if isinstance(index, tuple) else (index,)
            view = self.view[(*index, None)].reshape(())
        return Recorded(self.buffer, view)

    def __len__(self) -> int:
        return len(self.view)

    def _unknown(self, *_: Any) -> Any:
        raise TypeError("a value that a compiled program computes decides nothing in Python: use ops.where, or an int argument")

    __bool__ = __int__ = __index__ = __float__ = __iter__ = _unknown

    def __neg__(self) -> Recorded:
        return RECORDER.negative(self)


def _operator(name: str, native: str | None = None, swapped: bool = False) -> Callable[[Any, Any], Recorded]:
    function = getattr(operator, name)

    def apply(self: Recorded, other: Any) -> Any:
        if not isinstance(other, Recorded | np.ndarray | np.generic | int | float):
            return NotImplemented
        a, b = (other, self) if swapped else (self, other)
        return RECORDER.element_by_element(native, function, a, b)

    return apply


for _name, _native in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "mod": None, "floordiv": None, "pow": None,
    "and": None, "or": None, "xor": None, "lshift": None, "rshift": None,
}.items():  # fmt: skip
    _function = _name + "_" if _name in ("and", "or") else _name
    setattr(Recorded, f"__{_name}__", _operator(_function, _native))
    setattr(Recorded, f"__r{_name}__", _operator(_function, _native, swapped=True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Recorded, f"__{_name}__", _operator(_name))


def _joined(shape: Sequence[int], strides: Sequence[Sequence[int]], axes: int) -> tuple[list[int], list[list[int]]] | None:
    """Sizes and strides with neighbouring axes joined where they lie side by side in every array; None beyond `axes`.

    Sizes come back with 1s in front, `axes` of them.
    """
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for i in reversed(range(len(shape))):
        if shape[i] == 1:
            continue
        if sizes and all(s[i] == out[0] * sizes[0] for s, out in zip(strides, steps)):
            sizes[0] *= shape[i]
            continue
        sizes.insert(0, shape[i])
        for s, out in zip(strides, steps):
            out.insert(0, s[i])
    if not sizes:  # one element
        sizes = [1]
        for out in steps:
            out.append(1)
    missing = axes - len(sizes)
    if missing < 0:
        return None
    return [1] * missing + sizes, [[0] * missing + out for out in steps]


def _is_float(*arrays: Any) -> bool:
    return all(array.dtype == np.float32 for array in arrays)


class Recording:
    """The steps of one function, in order."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._scratch = np.empty(1 << 16, np.uint8)
        self._known: dict[Any, Recorded] = {}
        self._constants: dict[int, Recorded] = {}

    def new(self, shape: Sequence[int], dtype: Any = np.float32, leaf: int | None = None) -> Recorded:
        """An array in a buffer of its own."""
        dtype = np.dtype(dtype)
        count = math.prod(shape)
        nbytes = count * dtype.itemsize
        if nbytes > self._scratch.size:  # all buffers pretend to lie in the same place
            self._scratch = np.empty(nbytes, np.uint8)
        view = self._scratch[:nbytes].view(dtype).reshape(tuple(shape))
        return Recorded(Buffer(nbytes, address_of(self._scratch), leaf=leaf), view)

    def constant(self, array: np.ndarray) -> Recorded:
        """An array whose values are known."""
        known = self._constants.get(id(array))
        if known is None:
            low, high = np.lib.array_utils.byte_bounds(array) if array.size else (address_of(array), address_of(array))
            known = self._constants[id(array)] = Recorded(Buffer(high - low, low, array=array), array)
        return known

    def of(self, x: Any, dtype: Any = None) -> Recorded:
        """`x` as a recorded array."""
        if isinstance(x, Recorded):
            return x
        if isinstance(x, int | float) and dtype is not None:
            key = ("number", float(x), np.dtype(dtype).str)
            if key not in self._known:
                self._known[key] = self.constant(np.asarray(x, dtype))
            return self._known[key]
        return self.constant(contract.host_array(x))

    def native(self, kernel: str, out: Recorded, reads: Sequence[Any], args: Sequence[Any], alone: bool) -> Recorded:
        """Adds an instruction; places among `args` are recorded arrays, `out` first."""
        reads = [x.buffer for x in reads]
        flat: list[Any] = []
        for value in args:
            if isinstance(value, Recorded):
                flat.append(value.place)
            elif isinstance(value, float):
                flat.append(int(np.float64(value).view(np.int64)))
            else:
                flat.append(int(value))
        scratch = [value[0] for value in flat if isinstance(value, tuple) and value[0] not in reads]
        self.steps.append(Step(reads, list({id(b): b for b in (out.buffer, *scratch)}.values()), kernel, flat, alone))
        return out

    def host(self, name: str, call: Callable[..., Any], *inputs: Any, into: Recorded | None = None) -> Recorded:
        """Adds a call of NumPy. `call` takes the arrays; `into` is an array that it writes in place and hands back."""
        arrays = [x for x in inputs if isinstance(x, Recorded)]
        if into is None:
            key = (name, *(self._key(x) for x in inputs))
            if key in self._known:
                return self._known[key]
            if all(x.buffer.array is not None for x in arrays):  # nothing that is not known yet
                result = np.asarray(call(*(x.view if isinstance(x, Recorded) else x for x in inputs)))
                self._known[key] = self.constant(result)
                return self._known[key]
            with np.errstate(all="ignore"):
                like = np.asarray(call(*(np.zeros(x.shape, x.dtype) if isinstance(x, Recorded) else x for x in inputs)))
            out = self.new(like.shape, like.dtype)
            self._known[key] = out
        else:
            out = into
            out.buffer.version += 1
        reads = [x.buffer for x in arrays]
        self.steps.append(Step(reads, [out.buffer], call=call, inputs=list(inputs), out=out, fresh=into is None))
        return out

    def _key(self, x: Any) -> Any:
        if not isinstance(x, Recorded):
            return repr(x)
        if x.buffer.array is not None and x.size <= 64:
            return x.view.tobytes(), x.shape, x.dtype.str
        return id(x.buffer), x.buffer.version, x.offset, x.shape, x.view.strides, x.dtype.str

    def contiguous(self, x: Recorded) -> Recorded:
        return x if x.view.flags.c_contiguous else self.copy(x)

    def copy(self, x: Recorded, out: Recorded | None = None) -> Recorded:
        """The same values, in `out` or in an array of its own."""
        out = self.new(x.shape, x.dtype) if out is None else out
        joined = _joined(x.shape, [out.steps, x.steps], _AXES) if x.size and x.dtype.itemsize == 4 else None
        if joined is None:
            return self.host("copy", lambda a, b: np.copyto(a, b) or a, out, x, into=out)
        sizes, (to, source) = joined
        return self.native("copy", out, [x], [out, x, *sizes, *to, *source], x.size < MUCH)


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
        return x if x.dtype == np.dtype(dtype) else self._host("cast", x, dtype)

    def _host(self, op, *inputs):
        inputs = [self.now.of(x) if isinstance(x, np.ndarray | np.generic) else x for x in inputs]
        return self.now.host(op, getattr(REFERENCE, op), *inputs)

    # ---- element by element ----------------------------------------------------------------------------------------------
    def element_by_element(self, kernel, function, a, b):
        """One of the binary operations: by a kernel for float32, else by `function` of NumPy arrays."""
        now = self.now
        if kernel is not None and np.float32 in (getattr(a, "dtype", None), getattr(b, "dtype", None)):
            x, y = now.of(a, np.float32), now.of(b, np.float32)
            if _is_float(x, y):
                shape = np.broadcast_shapes(x.shape, y.shape)
                strides = [_broadcast_steps(part, shape) for part in (x, y)]
                joined = _joined(shape, [_steps_of(shape), *strides], _AXES)
                out = now.new(shape)
                if joined is not None and out.size:
                    sizes, (_, left, right) = joined
                    return now.native(kernel, out, [x, y], [out, x, y, *sizes, *left, *right], out.size < MUCH)
        a, b = (now.of(x) if isinstance(x, np.ndarray | np.generic) else x for x in (a, b))
        return now.host(function.__name__, function, a, b)

    def _one(self, kernel, op, x):
        now, x = self.now, self.now.of(x)
        out = now.new(x.shape)
        joined = _joined(x.shape, [out.steps, x.steps], _AXES) if x.size and _is_float(x) else None
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
            strides = [_broadcast_steps(part, shape) for part in (condition, a, b)]
            joined = _joined(shape, [_steps_of(shape), *strides], _AXES)
            if _is_float(a, b) and joined is not None and 0 not in shape:
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
        if all(x.buffer.array is not None for x in xs) or not _is_float(*xs):
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
        if _is_float(x) and indices.dtype == np.int32 and indices.view.flags.c_contiguous and x.size and indices.size:
            if axis == 0 and x.view.flags.c_contiguous:
                out = now.new((*indices.shape, *x.shape[1:]))
                D = x.size // x.shape[0]
                return now.native("take", out, [x, indices], [out, x, indices, indices.size, D], out.size < MUCH)
            joined = _joined(x.shape[:-1], [x.steps[:-1]], 1)
            if axis == x.ndim - 1 and indices.ndim == 1 and x.steps[-1] == 1 and joined is not None:
                out = now.new((*x.shape[:-1], indices.size))
                ([N], [[stride]]) = joined
                args = [out, x, indices, N, indices.size, stride]
                return now.native("gather", out, [x, indices], args, out.size < MUCH)
        return now.host(f"take-{axis}", lambda x, i: np.take(x, i, axis), x, indices)

    def write(self, buffer, rows, index):
        now = self.now
        buffer, rows, index = now.of(buffer), now.of(rows), now.of(index)
        if buffer.buffer.array is not None or not buffer.view.flags.c_contiguous:
            buffer = now.copy(buffer)
        joined = _joined(rows.shape[2:], [rows.steps[2:]], 1)
        fits = joined is not None and joined[1][0][0] == 1 and rows.size
        if not fits or not _is_float(buffer, rows) or index.dtype != np.int32 or not index.view.flags.c_contiguous:
            return now.host("write", lambda b, r, i: REFERENCE.write(b, r, i), buffer, rows, index, into=buffer)
        B, S, T = *buffer.shape[:2], rows.shape[1]
        args = [buffer, rows, index, B, S, T, buffer.size // (B * S), *rows.steps[:2]]
        buffer.buffer.version += 1
        return now.native("write", buffer, [buffer, rows, index], args, rows.size < MUCH)

    def rows(self, x, start, size):
        now, x = self.now, self.now.of(x)
        if not isinstance(start, Recorded):
            return x[:, start : start + size]
        joined = _joined(x.shape[2:], [x.steps[2:]], 1)
        if x.dtype.itemsize != 4 or start.dtype != np.int32 or joined is None or joined[1][0][0] != 1 or not x.size:
            return now.host(f"rows-{size}", lambda x, start: x[:, int(start) : int(start) + size], x, start)
        out = now.new((x.shape[0], size, *x.shape[2:]), x.dtype)
        args = [out, x, start, x.shape[0], size, joined[0][0], *x.steps[:2]]
        return now.native("rows", out, [x, start], args, out.size < MUCH)

    # ---- reductions ------------------------------------------------------------------------------------------------------
    def _reduce(self, op, x, axis, keepdims):
        now, x = self.now, self.now.of(x)
        axes = sorted(a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis))
        if not _is_float(x) or not x.size or axes != list(range(axes[0], axes[-1] + 1)):
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
        joined = _joined(x.shape[:-1], [x.steps[:-1]], 1)
        if axis % x.ndim != x.ndim - 1 or not _is_float(x) or not x.size or joined is None or x.steps[-1] != 1:
            return contract.Backend.softmax(self, x, axis)
        out = now.new(x.shape)
        ([N], [[stride]]) = joined
        return now.native("softmax", out, [x], [out, x, N, x.shape[-1], stride], x.size < MUCH)

    # ---- products --------------------------------------------------------------------------------------------------------
    def matmul(self, x, y):
        now = self.now
        x, y = now.of(x), now.of(y)
        fits = x.ndim > 1 and y.ndim > 1 and _is_float(x, y) and x.size and y.size
        if fits and x.shape[-2] * x.shape[-1] * y.shape[-1] <= 1 << 21:  # threads of BLAS would then spin beside ours
            leading = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
            P, M, D = x.shape[-2], x.shape[-1], y.shape[-1]
            strides = [_broadcast_steps(part, (*leading, *part.shape[-2:]))[:-2] for part in (x, y)]
            joined = _joined(leading, strides, 1)
            if joined is not None:
                out = now.new((*leading, P, D))
                ([N], [[a], [b]]) = joined
                args = [out, x, y, N, P, M, D, a, *x.steps[-2:], b, *y.steps[-2:]]
                return now.native("matmul", out, [x, y], args, N * P * M * D < MUCH)
        return now.host("matmul", np.matmul, x, y)

    def einsum(self, equation, *xs):
        return self.now.host(f"einsum-{equation}", lambda *xs: REFERENCE.einsum(equation, *xs), *map(self.now.of, xs))

    def _rows_of(self, x):
        """(array, number of rows, stride between them): the last axis lies side by side."""
        joined = _joined(x.shape[:-1], [x.steps[:-1]], 1)
        if joined is None or x.steps[-1] != 1:
            return self.now.copy(x), x.size // x.shape[-1], x.shape[-1]
        return x, joined[0][0], joined[1][0][0]

    def linear(self, x, weight, bias=None):
        now = self.now
        x, weight = now.of(x), now.of(weight)
        R, D = weight.shape
        known = weight.buffer.array is not None and weight.view.flags.c_contiguous
        N = x.size // D
        if not x.size or not _is_float(x, weight) or not known or (N >= ROWS and R * D > SMALL):
            flat = self.reshape(x, (-1, D))
            y = now.host("linear", lambda x, w: x @ w.T, flat, weight)
            y = self.reshape(y, (*x.shape[:-1], R))
        elif N < ROWS:
            x, N, stride = self._rows_of(x)
            y = now.new((*x.shape[:-1], R))
            now.native("linear_few", y, [x, weight], [y, x, weight, N, D, R, stride], N * R * D < MUCH)
        else:
            x, N, stride = self._rows_of(x)
            panels = self._layout(weight, _panels)
            wide = -(-R // PANEL) * PANEL
            y = now.new((*x.shape[:-1], wide))
            now.native("linear", y, [x, panels], [y, x, panels, N, D, wide, stride], N * R * D < MUCH)
            y = y[..., :R]
        return y if bias is None else y + bias

    def _layout(self, weight, arrange):
        """A constant arranged as a kernel reads it, once for each array however many programs use it."""
        return self.now.constant(arranged(weight.buffer.array, arrange))

    def codebook_linear(self, x, weight, bias=None):
        now = self.now
        x = now.of(x)
        (R, D), bits, group = weight.shape, weight.bits, weight.group
        if not HAS_LOOKUP or bits not in (2, 4) or D % group or group % (16 * ROWS) or not _is_float(x) or not x.size:
            return self.linear(x, arranged(weight, CodebookArray.dequantize), bias)
        blocks, norms, patterns = (now.constant(part) for part in arranged(weight, _blocks))
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
        return self.now.constant(_scaled_hadamard(group))

    def codebook_take(self, weight, indices):
        now, indices = self.now, self.now.contiguous(self.now.of(indices))
        D = weight.norms.shape[1] * weight.group
        if indices.dtype != np.int32 or not indices.size or weight.group % (16 * ROWS):
            return now.host(f"codebook_take-{id(weight)}", lambda i: weight.take(i), indices)
        codes, codebook = now.constant(weight.codes), now.constant(np.ascontiguousarray(weight.codebook, np.float32))
        norms = now.constant(arranged(weight, _wide_norms))
        out = now.new((*indices.shape, D))
        args = [out, codes, norms, indices, codebook, indices.size, D, weight.bits, weight.group]
        args.append(self._small_hadamard(weight.group))
        now.native("packed_take", out, [codes, norms, indices, codebook], args, out.size < MUCH // 4)
        return out[..., : weight.shape[1]]

    def kronecker(self, z, a, b):
        now = self.now
        z, a, b = now.of(z), now.contiguous(now.of(a)), now.contiguous(now.of(b))
        (m, p), (n, q) = a.shape, b.shape
        if m % ROWS or p % ROWS or q % PANEL or not _is_float(z, a, b) or not z.size:
            return contract.Backend.kronecker(self, z, a, b)
        z, N, stride = self._rows_of(z)
        out, half = now.new((*z.shape[:-1], p * q)), now.new((MACHINE.parts, m, q))
        args = [out, z, a, b, half, N, m, p, n, q, stride]
        return now.native("kronecker", out, [z, a, b], args, N < 2)

    # ---- blocks of models ------------------------------------------------------------------------------------------------
    def rms_norm(self, x, gain=None, eps=1e-6):
        now, x = self.now, self.now.of(x)
        gain = None if gain is None else now.of(gain)
        joined = _joined(x.shape[:-1], [x.steps[:-1]], 2)
        fits = _is_float(x) and x.size and x.steps[-1] == 1 and joined is not None
        if gain is not None:
            fits = fits and _is_float(gain) and gain.view.flags.c_contiguous
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
        if not fits or not _is_float(x, cos, sin) or x.steps[-1] != 1 or not x.size:
            return contract.Backend.rotary(self, x, cos, sin)
        out = now.new(x.shape)
        args = [out, x, cos, sin, *x.shape[1:], *x.steps[1:3]]
        return now.native("rotary", out, [x, cos, sin], args, x.size < MUCH)

    def attention(self, q, k, v, mask, scale, cap=None):
        now = self.now
        q, k, v = now.of(q), now.of(k), now.of(v)
        mask = None if mask is None else now.contiguous(now.of(mask))
        S, Cv = v.shape[1], v.shape[-1]
        fits = cap is None and _is_float(q, k, v) and all(x.steps[-1] == 1 for x in (q, k, v)) and q.size and k.size
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
        T = rows - (taps.shape[0] - 1) * dilation
        if not _is_float(x, taps) or B * T * D == 0:
            return contract.Backend.causal_conv(self, x, taps, dilation)
        out = now.new((B, T, D))
        args = [out, x, taps, B, T, D, taps.shape[0], dilation]
        return now.native("causal_conv", out, [x, taps], args, T == 1 or out.size < MUCH)

    def sinkhorn(self, logits, iterations):
        now = self.now
        x = now.contiguous(now.of(logits))
        size = x.shape[-1]
        if not _is_float(x) or size > 8 or size != x.shape[-2] or not x.size:
            return contract.Backend.sinkhorn(self, x, iterations)
        out, scratch = now.new(x.shape), now.new((MACHINE.parts, 16))
        N = x.size // (size * size)
        return now.native("sinkhorn", out, [x], [out, x, N, size, iterations, scratch], N < 8)


for _op in ("log", "sin", "cos", "tanh", "erf", "abs", "round", "remainder", "bitwise_and", "bitwise_xor", "shift_right"):
    setattr(Recorder, _op, lambda self, *xs, _op=_op: self._host(_op, *xs))

RECORDER = Recorder()
contract.register_arrays(Recorded, RECORDER)


def _steps_of(shape: Sequence[int]) -> list[int]:
    """Strides in elements of a contiguous array."""
    steps, step = [], 1
    for n in reversed(shape):
        steps.insert(0, step)
        step *= n
    return steps


def _broadcast_steps(x: Recorded, shape: Sequence[int]) -> list[int]:
    missing = len(shape) - x.ndim
    return [0] * missing + [step if n == wide else 0 for n, step, wide in zip(x.shape, x.steps, shape[missing:])]


_arranged: dict[tuple[int, Callable], tuple[Any, Any]] = {}


def arranged(source: Any, arrange: Callable[[Any], Any]) -> Any:
    """`arrange(source)`, computed once as long as the source lives."""
    key = (id(source), arrange)
    if key not in _arranged:
        _arranged[key] = (source, arrange(source))
    return _arranged[key][1]


def _panels(weight: np.ndarray) -> np.ndarray:
    """[R, D] -> [R/PANEL, D, PANEL], filled up with zeros."""
    weight = np.pad(weight, ((0, -weight.shape[0] % PANEL), (0, 0)))
    return np.ascontiguousarray(weight.reshape(-1, PANEL, weight.shape[1]).transpose(0, 2, 1))


@functools.cache
def _scaled_hadamard(group: int) -> np.ndarray:
    return np.ascontiguousarray(hadamard(16) * np.float32(math.sqrt(16 / group)))


def _blocks(weight: CodebookArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A packed matrix as the kernel goes through it, from one end to the other: group by group, WIDE rows side by side.

    Codes [groups, R/WIDE, bytes of a group, WIDE]; norms float32 [groups, R/WIDE, WIDE], 0 where rows are filled up; and what the
    16 entries of a table take from the codebook for the lower and for the upper index, float32 [2, 16].
    """
    missing = -weight.codes.shape[0] % WIDE
    groups = weight.norms.shape[1]

    def blocked(x: np.ndarray) -> np.ndarray:
        x = np.pad(x, ((0, missing), (0, 0)))
        return np.ascontiguousarray(x.reshape(-1, WIDE, groups, x.shape[1] // groups).transpose(2, 0, 3, 1))

    codebook, entry = np.asarray(weight.codebook, np.float32), np.arange(16)
    patterns = codebook[[entry & 3, entry >> 2]] if weight.bits == 2 else np.stack([codebook, codebook])
    return blocked(weight.codes), blocked(weight.norms.astype(np.float32)), np.ascontiguousarray(patterns)


def _wide_norms(weight: CodebookArray) -> np.ndarray:
    return np.ascontiguousarray(weight.norms, np.float32)
