"""The backend contract, and the choice of a backend at run time.

A backend implements the vocabulary of `ops.py` for one framework. The methods that raise `_missing` are the primitives:
a new backend writes those (one file in `backends/`), and may override any derived method below them where its framework has
something faster. Shapes and rules of every operation are documented once, in `ops.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from .errors import BackendNotInstalledError, UnknownBackendError

Array = Any  # an array of some backend; each framework has its own type

# name -> (module of this package, the import that must exist, what to install)
_BACKENDS: dict[str, tuple[str, str, str]] = {
    "numpy": ("numpy", "numpy", "numpy"),
    "jax": ("jax", "jax", "ferrule[jax]"),
    "torch": ("torch", "torch", "ferrule[torch]"),
    "tensorflow": ("tensorflow", "tensorflow", "ferrule[tensorflow]"),
}
_loaded: dict[str, Backend] = {}
_by_type: dict[type, Backend] = {}


def backend_names() -> list[str]:
    """Names of every backend that this version knows, installed or not."""
    return list(_BACKENDS)


def available_backends() -> list[str]:
    """Names of the backends whose framework is installed; nothing is imported to find out."""
    return [name for name, (_, package, _) in _BACKENDS.items() if importlib.util.find_spec(package) is not None]


def get_backend(name: str | Backend) -> Backend:
    """The backend of that name; its framework is imported by the first call.

    Raises:
        UnknownBackendError: no backend has that name.
        BackendNotInstalledError: its framework is not installed; the message names the extra.
    """
    if isinstance(name, Backend):
        return name
    if name in _loaded:
        return _loaded[name]
    if name not in _BACKENDS:
        raise UnknownBackendError(f"no backend is called {name!r}; choose one of: {', '.join(_BACKENDS)}")
    module, package, install = _BACKENDS[name]
    if importlib.util.find_spec(package) is None:
        raise BackendNotInstalledError(f"backend {name!r} needs {package}, which is not installed: pip install '{install}'")
    try:
        if name == "numpy" and _numba_is_usable():
            module = "numpy_compiled"
        backend = importlib.import_module(f".backends.{module}", __package__).BACKEND
    except ImportError as error:
        raise BackendNotInstalledError(
            f"backend {name!r}: {package} is installed but does not import ({error}): pip install '{install}'"
        ) from error
    _loaded[name] = backend
    return backend


def _numba_is_usable() -> bool:
    """Whether NumPy's programs can be compiled; Numba itself is imported when the first one is."""
    switched_off = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
    return not switched_off and importlib.util.find_spec("numba") is not None


def register_arrays(kind: type, backend: Backend) -> None:
    """Arrays of this type belong to that backend (for types that stand for arrays while a program is built)."""
    _by_type[kind] = backend


def backend_of(*arrays: Any) -> Backend:
    """The backend that the arrays belong to. NumPy arrays and Python numbers go along with any other backend's arrays."""
    for array in arrays:
        backend = _by_type.get(type(array)) or _find_owner(array)
        if backend is not _HOST:
            return backend
    return _loaded.get("numpy") or get_backend("numpy")


def _find_owner(array: Any) -> Backend:
    if isinstance(array, np.ndarray | np.generic | int | float | bool | list | tuple):
        _by_type[type(array)] = _HOST
        return _HOST
    for name, (_, package, _) in _BACKENDS.items():
        # An array of a framework is there only if its package is imported, by us or by the user.
        if name != "numpy" and (name in _loaded or sys.modules.get(package)) and get_backend(name).owns(array):
            _by_type[type(array)] = get_backend(name)
            return _by_type[type(array)]
    raise TypeError(f"expected an array of one of the backends {', '.join(_BACKENDS)}; received {type(array).__name__}")


def host_array(x: Any) -> np.ndarray:
    """Anything that `asarray` accepts as a NumPy array: arrays of any backend, and Python numbers and lists of them, which
    become float32, int32 or bool (NumPy alone would make them 64 bits wide, and every result after them).
    """
    if isinstance(x, np.ndarray | np.generic):
        return np.asarray(x)
    owner = backend_of(x)
    if owner.name != "numpy":
        return owner.to_numpy(x)
    array = np.asarray(x)
    return np.asarray(x, {"f": np.float32, "i": np.int32}.get(array.dtype.kind, array.dtype))


def _missing(self: Backend, *_: Any, **__: Any) -> NoReturn:
    raise NotImplementedError(f"backend {self.name!r} lacks a primitive of the contract")


class Backend:
    """One framework's implementation of the op vocabulary.

    Attributes:
        name: as given to `get_backend`.
        dynamic_shapes: programs run at any shape without being compiled again, arrays may be written in place, and sizes may
            be Python integers taken from data. The others want a few fixed shapes.
        chunk_sizes: numbers of tokens, ascending from 1, that a long text is best cut into.
    """

    name: str
    dynamic_shapes: bool = False
    chunk_sizes: tuple[int, ...] = (1, 16, 64, 256)

    # ---- primitives: what a new backend writes -------------------------------------------------------------------------
    owns: Callable[..., bool] = _missing
    asarray = to_numpy = zeros = full = arange = cast = _missing
    exp = log = sqrt = sin = cos = tanh = erf = abs = maximum = minimum = where = round = _missing
    remainder = bitwise_and = bitwise_xor = shift_right = _missing
    reshape = transpose = broadcast_to = concatenate = stack = pad = take = write = rows = _missing
    sum = max = argmax = matmul = einsum = _missing

    def parameter(self, x: Array, dtype: str | None = None) -> Array:
        """`asarray` of an array of a model; `dtype` is that of all of its floats, which a backend may keep in another one."""
        return self.asarray(x, dtype)

    def compile(self, fn: Callable, module: Any, donate: Sequence[int] = ()) -> Callable:
        return lambda *args: fn(module, *args)

    def keeps_packed(self) -> bool:
        """Whether products with packed matrices are fast here; otherwise a loader unpacks all but tables of rows."""
        return False

    def synchronize(self, tree: Any) -> Any:
        """Wait until the arrays of a result are computed (for timings); hands the result back."""
        return tree

    def element_type(self, x: Array) -> str:
        return getattr(x.dtype, "name", None) or str(x.dtype).removeprefix("torch.")

    def copy(self, x: Array, rows: int | None = None) -> Array:
        """An array that later in-place writes or donations of `x` do not touch; of axis 1, the first `rows` must be alike."""
        return x

    # ---- derived: overridden where the framework has something faster ----------------------------------------------------
    def expand_dims(self, x, axis):
        shape = list(x.shape)
        shape.insert(axis if axis >= 0 else axis + len(shape) + 1, 1)
        return self.reshape(x, tuple(shape))

    def split(self, x, sizes, axis=-1):
        parts, start, axis = [], 0, axis % len(x.shape)
        for size in sizes:
            parts.append(x[(slice(None),) * axis + (slice(start, start + size),)])
            start += size
        return parts

    def rsqrt(self, x):
        return 1.0 / self.sqrt(x)

    def sigmoid(self, x):
        # Not by tanh, which loses every digit where the result is small. The bound keeps exp finite in float32.
        return 1.0 / (1.0 + self.exp(self.minimum(-x, 88.0)))

    def silu(self, x):
        return x * self.sigmoid(x)

    def gelu(self, x, approximate=True):
        if approximate:
            return 0.5 * x * (1.0 + self.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))
        return 0.5 * x * (1.0 + self.erf(x * math.sqrt(0.5)))

    def relu(self, x):
        return self.maximum(x, self.zeros((), x.dtype))

    def soft_cap(self, x, cap):
        return cap * self.tanh(x / cap)

    def mean(self, x, axis=-1, keepdims=False):
        axes = (axis,) if isinstance(axis, int) else axis
        return self.sum(x, axis, keepdims) / math.prod(x.shape[a] for a in axes)

    def top_k(self, x, k):
        values, places = [], []
        numbers = self.arange(x.shape[-1])
        for _ in range(k):  # k is small: experts of a token
            place = self.expand_dims(self.argmax(x), -1)
            values.append(self.max(x, -1, True))
            places.append(place)
            x = self.where(numbers == place, _lowest(x), x)
        return self.concatenate(values), self.concatenate(places)

    def logsumexp(self, x, axis=-1, keepdims=False):
        top = self.maximum(self.max(x, axis, True), _lowest(x))  # finite where a whole row is -inf
        total = self.log(self.sum(self.exp(x - top), axis, True)) + top
        return total if keepdims else self.reshape(total, _without(total.shape, axis))

    def softmax(self, x, axis=-1):
        e = self.exp(x - self.max(x, axis, True))
        return e / self.sum(e, axis, True)

    def rms_norm(self, x, gain=None, eps=1e-6):
        y = x * self.rsqrt(self.mean(x * x, -1, True) + eps)
        return y if gain is None else y * gain

    def layer_norm(self, x, gain=None, bias=None, eps=1e-5):
        centred = x - self.mean(x, -1, True)
        y = centred * self.rsqrt(self.mean(centred * centred, -1, True) + eps)
        y = y if gain is None else y * gain
        return y if bias is None else y + bias

    def linear(self, x, weight, bias=None):
        y = self.matmul(x, self.transpose(weight, (1, 0)))
        return y if bias is None else y + bias

    def codebook_linear(self, x, weight, bias=None):
        return self.linear(x, weight.dequantize(), bias)

    def codebook_take(self, weight, indices):
        return weight.unpack(self, self.take(weight.codes, indices), self.take(weight.norms, indices))

    def kronecker(self, z, a, b):
        # Both products have the rows of all z in their rows: two plain products, whatever the number of z.
        (m, p), (n, q) = a.shape, b.shape
        y = self.matmul(self.reshape(z, (-1, n)), b)
        y = self.transpose(self.reshape(y, (-1, m, q)), (0, 2, 1))
        y = self.matmul(self.reshape(y, (-1, m)), a)
        y = self.transpose(self.reshape(y, (-1, q, p)), (0, 2, 1))
        return self.reshape(y, (*z.shape[:-1], p * q))

    def rotary(self, x, cos, sin):
        half = x.shape[-1] // 2
        first, second = x[..., :half], x[..., half:]
        return self.concatenate([first * cos - second * sin, second * cos + first * sin], -1)

    def attention(self, q, k, v, mask, scale, cap=None):
        B, T, H, C = q.shape
        S, K = k.shape[1], k.shape[2]
        G = H // K
        # [B, T, K·G, C] -> [B, K, G·T, C]: the query heads of a group share one product with their key head
        q = self.reshape(self.transpose(self.reshape(q * scale, (B, T, K, G, C)), (0, 2, 3, 1, 4)), (B, K, G * T, C))
        scores = self.matmul(q, self.transpose(k, (0, 2, 3, 1)))
        kind = self.element_type(scores)
        if kind in ("float16", "bfloat16"):  # sums of exponentials want more digits
            scores = self.cast(scores, "float32")
        if cap is not None:
            scores = self.soft_cap(scores, cap)
        if mask is not None:
            scores = self.reshape(scores, (B, K, G, T, S))
            scores = self.where(self.expand_dims(self.expand_dims(mask, 1), 1), scores, _lowest(scores))
            scores = self.reshape(scores, (B, K, G * T, S))
        weights = self.cast(self.softmax(scores), kind)
        out = self.matmul(weights, self.transpose(v, (0, 2, 1, 3)))
        out = self.transpose(self.reshape(out, (B, K, G, T, v.shape[-1])), (0, 3, 1, 2, 4))
        return self.reshape(out, (B, T, H, v.shape[-1]))

    def causal_conv(self, x, taps, dilation=1):
        length = x.shape[1] - (taps.shape[0] - 1) * dilation
        start = (taps.shape[0] - 1) * dilation
        y = x[:, start : start + length] * taps[0]
        for j in range(1, taps.shape[0]):
            y = y + x[:, start - j * dilation : start - j * dilation + length] * taps[j]
        return y

    def sinkhorn(self, logits, iterations):
        # exp(logits) scaled by rows and columns in turn: only the two scaling vectors change, so only they are computed.
        # Taking each row's maximum out first keeps exp in range; a row factor is undone by the first row step.
        n = logits.shape[-1]
        e = self.exp(logits - self.max(logits, -1, True))
        e = self.transpose(self.reshape(e, (-1, n, n)), (1, 2, 0))  # matrices side by side: sums run over whole vectors
        rows, columns = self.sinkhorn_scales(e, iterations)
        e = self.transpose(e * self.expand_dims(rows, 1) * columns, (2, 0, 1))
        return self.reshape(e, tuple(logits.shape))

    def sinkhorn_scales(self, e, iterations):
        """Factors of rows and columns [n, N] for matrices e [n, n, N]."""
        rows = columns = e[0] * 0.0 + 1.0
        for _ in range(iterations):
            rows = 1.0 / self.sum(e * columns, 1)
            columns = 1.0 / self.sum(e * self.expand_dims(rows, 1), 0)
        return rows, columns


def _lowest(x: Array) -> float:
    """Below every logit of that element type, yet finite: -inf would turn a fully masked row into NaN."""
    return -6.0e4 if "float16" in str(x.dtype) else -3.0e38


def _without(shape: Sequence[int], axis: int | tuple[int, ...]) -> tuple[int, ...]:
    axes = {a % len(shape) for a in ((axis,) if isinstance(axis, int) else axis)}
    return tuple(n for i, n in enumerate(shape) if i not in axes)


class _Host(Backend):
    """Stands for NumPy arrays and Python numbers before another backend's array decides."""

    name = "host"


_HOST = _Host()
