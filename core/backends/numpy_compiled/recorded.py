"""Arrays and steps of a program that is being recorded.

While a function is recorded its arrays are `Recorded`: a place in a buffer, without values. Slices, transposes and most
reshapes are only other places in the same buffer and cost nothing when the program runs.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ... import backend as contract
from ...errors import ShapeError

MUCH = 1 << 14  # numbers from which on sharing work out saves more than threads' waiting for each other costs
AXES = 4  # that a kernel loops over, after those that lie side by side are joined


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
        return contract.backend_of(self).negative(self)


def _operator(name: str, native: str | None = None, swapped: bool = False) -> Callable[[Any, Any], Recorded]:
    function = getattr(operator, name)

    def apply(self: Recorded, other: Any) -> Any:
        if not isinstance(other, Recorded | np.ndarray | np.generic | int | float):
            return NotImplemented
        a, b = (other, self) if swapped else (self, other)
        return contract.backend_of(self).element_by_element(native, function, a, b)

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


def joined_axes(shape: Sequence[int], strides: Sequence[Sequence[int]], axes: int) -> tuple[list[int], list[list[int]]] | None:
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


def is_float(*arrays: Any) -> bool:
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
        if out.shape != x.shape:
            raise ShapeError(f"an array of shape {x.shape} does not fit into {out.shape}")
        joined = joined_axes(x.shape, [out.steps, x.steps], AXES) if x.size and x.dtype.itemsize == 4 else None
        if joined is None:
            return self.host("copy", lambda a, b: np.copyto(a, b) or a, out, x, into=out)
        sizes, (to, source) = joined
        return self.native("copy", out, [x], [out, x, *sizes, *to, *source], x.size < MUCH)


def steps_of(shape: Sequence[int]) -> list[int]:
    """Strides in elements of a contiguous array."""
    steps, step = [], 1
    for n in reversed(shape):
        steps.insert(0, step)
        step *= n
    return steps


def broadcast_steps(x: Recorded, shape: Sequence[int]) -> list[int]:
    missing = len(shape) - x.ndim
    return [0] * missing + [step if n == wide else 0 for n, step, wide in zip(x.shape, x.steps, shape[missing:])]
