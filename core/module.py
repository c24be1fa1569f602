"""Modules: trees of named arrays with a pure `__call__`.

A module is an ordinary class. Attributes that hold arrays, modules, or lists, tuples and dicts of those are its children;
everything else (sizes, configs, flags) is static. The same tree is saved, loaded, quantised, moved between backends and
compiled, always through the functions of this file.

>>> class Scale(Module):
...     def __init__(self, width):
...         self.gain = ArraySpec((width,), init="ones")
...     def __call__(self, x):
...         return x * self.gain
>>> layer = initialize(Scale(3), seed=0)
>>> list(named_arrays(layer))
['gain']
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .backend import Array, Backend, backend_of, get_backend
from .errors import ShapeError, first_few


@dataclass(frozen=True)
class ArraySpec:
    """The shape of an array that is not there yet: a module is built of these, then loaded or initialised.

    Attributes:
        shape: as the array will have it.
        dtype: its element type.
        init: "normal" (standard deviation 1/sqrt(last axis)), "zeros" or "ones".
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    init: str = "normal"

    def __post_init__(self) -> None:
        if self.init not in ("normal", "zeros", "ones"):
            raise ValueError(f"init is 'normal', 'zeros' or 'ones', received {self.init!r}")


class Module:
    """Base of every layer and model; see the module's docstring for what counts as a child.

    Attributes:
        stands_for_array: the whole module is one array, of its attribute `shape`, in another storage (a quantised array).
    """

    stands_for_array = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{type(self).__name__} defines no __call__")

    def __repr__(self) -> str:
        shapes = list(_logical_shapes(self))
        return f"{type(self).__name__}({len(shapes)} arrays, {sum(map(math.prod, shapes)):,} elements)"


def _children(node: Any) -> Iterator[tuple[str, Any]] | None:
    """Name and value of what hangs below a node; None when the node is a leaf or static."""
    if isinstance(node, Module):
        return iter(vars(node).items())
    if isinstance(node, dict):
        return iter(node.items())
    if type(node) in (list, tuple):
        return ((str(i), child) for i, child in enumerate(node))
    return None


def _is_array(value: Any) -> bool:
    if isinstance(value, ArraySpec | np.ndarray):
        return True
    if isinstance(value, np.generic) or not hasattr(type(value), "shape"):
        return False
    try:
        return backend_of(value).owns(value)
    except TypeError:
        return False


def _logical_shapes(node: Any) -> Iterator[tuple[int, ...]]:
    """The shape of every array of a tree, a quantised one counted as the array that it stands for."""
    children = _children(node)
    if isinstance(node, Module) and node.stands_for_array:
        yield tuple(node.shape)
    elif children is None:
        if _is_array(node):
            yield tuple(node.shape)
    else:
        for _, child in children:
            yield from _logical_shapes(child)


def _map(node: Any, fn: Callable[[str, Any], Any], path: str) -> Any:
    children = _children(node)
    if children is None:
        return fn(path, node) if _is_array(node) else node
    prefix = f"{path}." if path else ""
    mapped = {name: _map(child, fn, prefix + str(name)) for name, child in children}
    if isinstance(node, Module):
        twin = copy.copy(node)
        vars(twin).update(mapped)
        return twin
    if isinstance(node, dict):
        return mapped
    return type(node)(mapped.values())


def named_arrays(tree: Any) -> dict[str, Array]:
    """Every array of a tree by its path, as in ``{"layers.0.norm.gain": array}``, in the order of the tree.

    Raises:
        ShapeError: two arrays have one path, because a key of a dict contains a dot or is a number beside its text.
    """
    found: dict[str, Array] = {}

    def add(path: str, array: Array) -> None:
        if path in found:
            raise ShapeError(f"two arrays of {type(tree).__name__} have the path {path!r}: use dict keys without dots")
        found[path] = array

    _map(tree, add, "")
    return found


def map_arrays(fn: Callable[[Array], Array], tree: Any) -> Any:
    """A copy of the tree with `fn` applied to every array; the static parts are shared with the original."""

    def apply(_: str, array: Array) -> Array:
        result = fn(array)
        return np.asarray(result) if isinstance(result, np.generic) else result  # NumPy's result of 0-d arithmetic

    return _map(tree, apply, "")


def flatten(tree: Any) -> tuple[list[Array], Any]:
    """The arrays of a tree in order, and the structure that `unflatten` puts them back into."""
    leaves: list[Array] = []

    def take(_: str, array: Array) -> ArraySpec:
        leaves.append(array)
        return ArraySpec(tuple(array.shape))

    return leaves, _map(tree, take, "")


def unflatten(structure: Any, leaves: list[Array]) -> Any:
    """The tree of `flatten`, with these arrays in it.

    Raises:
        ShapeError: there are more or fewer arrays than places for them.
    """
    places = len(named_arrays(structure))
    if places != len(leaves):
        raise ShapeError(f"{type(structure).__name__} has {places} arrays, received {len(leaves)}")
    remaining = iter(leaves)
    return _map(structure, lambda _, __: next(remaining), "")


def load_arrays(tree: Any, arrays: Mapping[str, Array], backend: str | Backend = "numpy", dtype: str | None = None) -> Any:
    """A copy of the tree with its arrays taken from `arrays` by path and moved to the backend.

    A value may be a quantised array (a `Module` with a shape): it stands in for the float array of that path.

    Args:
        arrays: by path. Something that has a shape, a dtype and `__array__` stands for an array that is made when its turn
            comes, so they need not be in memory together.
        dtype: element type of all floats. Without it float64 becomes that of its place, and other floats keep theirs.

    Raises:
        ShapeError: names are missing, unknown, of another shape, or integers where floats belong and the other way round;
            the message names the first ones of each kind.
    """
    backend = get_backend(backend)
    wanted = named_arrays(tree)
    missing = [name for name in wanted if name not in arrays]
    unknown = [name for name in arrays if name not in wanted]
    misshaped = [
        f"{name} is {tuple(arrays[name].shape)}, expected {tuple(spec.shape)}"
        for name, spec in wanted.items()
        if name in arrays and tuple(arrays[name].shape) != tuple(spec.shape)
    ]
    mistyped = [
        f"{name} holds {arrays[name].dtype}, expected {spec.dtype}"
        for name, spec in wanted.items()
        if name in arrays and ("float" in str(arrays[name].dtype)) != ("float" in str(spec.dtype))
    ]
    problems = [f"{kind} {first_few(names)}" for kind, names in (("missing", missing), ("unknown", unknown)) if names]
    problems += [first_few(wrong, "; ") for wrong in (misshaped, mistyped) if wrong]
    if problems:
        raise ShapeError(f"the arrays do not fit {type(tree).__name__}: {'; '.join(problems)}")

    def place(name: str, spec: Array) -> Any:
        array = arrays[name]
        if isinstance(array, Module):
            return map_arrays(backend.asarray, array)
        if not _is_array(array):
            array = np.asarray(array)
        wanted = spec.dtype if "float" not in str(spec.dtype) or str(array.dtype).endswith("float64") else None
        return backend.parameter(array, dtype if dtype is not None and "float" in str(spec.dtype) else wanted)

    return _map(tree, place, "")


def initialize(tree: Any, seed: int, backend: str | Backend = "numpy") -> Any:
    """A copy of the tree with every `ArraySpec` replaced by random values that depend on the seed and the array's path only.

    The numbers come from the counter-based generator Philox (Salmon et al. 2011), drawn on the host: every backend gets the
    same values.
    """
    backend = get_backend(backend)

    def draw(path: str, spec: Array) -> Array:
        if not isinstance(spec, ArraySpec):
            return spec
        if spec.init == "zeros" or spec.init == "ones":
            return backend.full(spec.shape, float(spec.init == "ones"), spec.dtype)
        stream = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "little")
        # uint64 said outright: NumPy would take a list of a small and a large integer for floats, and round the large one
        philox = np.random.Philox(key=np.array([seed % 2**64, stream], np.uint64))
        values = np.random.Generator(philox).standard_normal(spec.shape, dtype=np.float32)
        return backend.asarray(values / np.float32(math.sqrt(spec.shape[-1] if spec.shape else 1)), spec.dtype)

    return _map(tree, draw, "")
