"""Trees of named arrays: naming, mapping, loading, initialising, and layers written by a user."""

from __future__ import annotations

import collections
import tracemalloc
from typing import Any

import numpy as np
import pytest
from ferrule.core import (
    ArraySpec,
    Backend,
    CodebookArray,
    Module,
    ShapeError,
    initialize,
    layers,
    load_arrays,
    map_arrays,
    named_arrays,
    ops,
)
from ferrule.core.module import flatten, unflatten
from hypothesis import given, settings
from hypothesis import strategies as st


class Block(Module):
    """A user's layer: a list of layers, a dict of arrays, a static size."""

    def __init__(self, width: int):
        self.width = width
        self.norm = layers.RMSNorm(width)
        self.maps = [layers.Linear(width, width, bias=True), layers.Linear(width, 2 * width)]
        self.extra = {"scale": ArraySpec((width,), init="ones"), "label": "static", "shift": ArraySpec((), init="zeros")}

    def __call__(self, x: Any) -> Any:
        for layer in self.maps[:1]:
            x = x + ops.silu(layer(self.norm(x))) * self.extra["scale"]
        return self.maps[1](x) + self.extra["shift"]


NAMES = ["norm.gain", "maps.0.weight", "maps.0.bias", "maps.1.weight", "extra.scale", "extra.shift"]

# ---- trees of any form -----------------------------------------------------------------------------------------------

shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
arrays = st.builds(lambda shape: np.zeros(shape, np.float32), shapes)
static = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just((1, 2)) | st.just(np.float32(2))
keys = st.text("abc", min_size=1, max_size=2)


def module_of(attributes: dict[str, Any]) -> Module:
    module = Module()
    vars(module).update(attributes)
    return module


trees = st.recursive(
    arrays | static,
    lambda below: (
        st.lists(below, max_size=3)
        | st.lists(below, max_size=3).map(tuple)
        | st.dictionaries(keys, below, max_size=3)
        | st.dictionaries(keys, below, max_size=3).map(module_of)
    ),
    max_leaves=12,
)


def outline(node: Any) -> Any:
    """The tree with every array replaced by its identity: equal outlines are equal trees."""
    if isinstance(node, Module):
        return ("module", {name: outline(child) for name, child in vars(node).items()})
    if isinstance(node, dict):
        return {name: outline(child) for name, child in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(outline(child) for child in node)
    return ("array", id(node)) if isinstance(node, np.ndarray) else ("static", node)


@settings(max_examples=80, deadline=None)
@given(trees)
def test_flatten_and_back(tree: Any) -> None:
    before = outline(tree)
    leaves, structure = flatten(tree)
    assert outline(unflatten(structure, leaves)) == before
    assert outline(tree) == before, "the tree itself was changed"
    assert [id(leaf) for leaf in leaves] == [id(leaf) for leaf in named_arrays(tree).values()]
    assert all(isinstance(leaf, ArraySpec) for leaf in named_arrays(structure).values())


@settings(max_examples=80, deadline=None)
@given(trees)
def test_map_arrays_changes_a_copy(tree: Any) -> None:
    before, names = outline(tree), list(named_arrays(tree))
    raised = map_arrays(lambda array: array + 1, tree)
    assert outline(tree) == before
    assert list(named_arrays(raised)) == names
    assert all((array == 1).all() for array in named_arrays(raised).values())
    assert outline(map_arrays(lambda array: array, tree)) == before


@settings(max_examples=80, deadline=None)
@given(trees)
def test_load_arrays_takes_every_path(tree: Any) -> None:
    values = {name: np.full(array.shape, i, np.float32) for i, (name, array) in enumerate(named_arrays(tree).items())}
    loaded = named_arrays(load_arrays(tree, values))
    assert list(loaded) == list(values)
    assert all(loaded[name] is values[name] for name in values)


# ---- names and what counts as an array -------------------------------------------------------------------------------


def test_names_follow_the_tree() -> None:
    assert list(named_arrays(Block(4))) == NAMES


def test_paths_that_collide_are_refused() -> None:
    x = np.zeros(2)
    for tree in ({"a.b": x, "a": {"b": x}}, {1: x, "1": x}):
        with pytest.raises(ShapeError, match=r"two arrays of dict have the path '(a\.b|1)'"):
            named_arrays(tree)


class Shaped:
    """Has a shape and is no array."""

    shape = (3,)


class Touchy:
    @property
    def shape(self) -> tuple[int, ...]:
        raise RuntimeError("not to be looked at")


Config = collections.namedtuple("Config", ["shape"])


@pytest.mark.parametrize("value", [Shaped(), Touchy(), Config((2, 3)), Config, np.float32(1), 3.0, "text", None, {1, 2}, len])
def test_static_attributes_are_no_arrays(value: Any) -> None:
    tree = {"x": value}
    assert named_arrays(tree) == {}
    assert map_arrays(lambda _: None, tree)["x"] is value


def test_arrays_of_every_backend_are_found(backend: Backend) -> None:
    tree = {"x": [backend.asarray([1.0, 2.0]), np.ones(2)]}
    assert list(named_arrays(tree)) == ["x.0", "x.1"]
    found: list[str] = []

    def program(module: Any, x: Any) -> Any:  # traced arrays are arrays too
        found.extend(named_arrays({"w": module, "x": x}))
        return ops.sum(map_arrays(lambda array: array * 2, {"x": x})["x"] * module["w"])

    result = backend.compile(program, {"w": backend.asarray([1.0, 3.0])})(backend.asarray([1.0, 2.0]))
    assert float(ops.to_numpy(result)) == 14
    assert found == ["w.w", "x"]


def test_unflatten_counts() -> None:
    leaves, structure = flatten(Block(2))
    for wrong in (leaves[:-1], [*leaves, leaves[0]]):
        with pytest.raises(ShapeError, match=f"Block has 6 arrays, received {len(wrong)}"):
            unflatten(structure, wrong)


def test_repr_counts_what_arrays_stand_for() -> None:
    assert repr(Block(4)) == "Block(6 arrays, 61 elements)"
    packed = CodebookArray(np.zeros((10, 8), np.uint8), np.zeros((10, 2)), np.zeros(4), bits=2, group=16, columns=30)
    assert repr(packed) == "CodebookArray(1 arrays, 300 elements)"
    assert repr(load_arrays(layers.Embedding(10, 30), {"weight": packed})) == "Embedding(1 arrays, 300 elements)"
    assert repr(Module()) == "Module(0 arrays, 0 elements)"


def test_a_module_without_call() -> None:
    with pytest.raises(TypeError, match="Module defines no __call__"):
        Module()(1)


# ---- specs -----------------------------------------------------------------------------------------------------------


def test_specs_allocate_nothing() -> None:
    tracemalloc.start()
    try:
        model = [Block(200_000) for _ in range(8)]  # 8 · 3 · 4·10¹⁰ floats, were they there
        assert sum(array.shape[0] for array in named_arrays(model).values() if array.shape) > 0
        assert "elements" in repr(model[0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_specs_refuse_an_unknown_init() -> None:
    with pytest.raises(ValueError, match="init is 'normal', 'zeros' or 'ones', received 'uniform'"):
        ArraySpec((2,), init="uniform")


# ---- loading ---------------------------------------------------------------------------------------------------------


def values_for(tree: Any) -> dict[str, np.ndarray]:
    return {name: np.ones(spec.shape, np.float32) for name, spec in named_arrays(tree).items()}


def test_load_arrays_lists_what_does_not_fit() -> None:
    values = values_for(Block(4))
    del values["norm.gain"], values["maps.0.bias"]
    values["surplus"] = np.ones(3)
    values["maps.1.weight"] = np.ones((4, 8), np.float32)
    with pytest.raises(ShapeError) as caught:
        load_arrays(Block(4), values)
    assert str(caught.value) == (
        "the arrays do not fit Block: missing norm.gain, maps.0.bias; unknown surplus; maps.1.weight is (4, 8), expected (8, 4)"
    )


def test_load_arrays_shortens_a_long_list() -> None:
    with pytest.raises(ShapeError) as caught:
        load_arrays([Block(2) for _ in range(5)], dict.fromkeys(map(str, range(9)), np.ones(1)))
    names = list(named_arrays([Block(2) for _ in range(5)]))
    assert str(caught.value) == (
        f"the arrays do not fit list: missing {', '.join(names[:3])} and {len(names) - 3} more; unknown 0, 1, 2 and 6 more"
    )


def test_load_arrays_moves_to_the_backend(backend: Backend) -> None:
    loaded = load_arrays(Block(3), values_for(Block(3)), backend)
    assert all(backend.owns(array) for array in named_arrays(loaded).values())
    again = load_arrays(Block(3), named_arrays(loaded), "numpy")  # and back
    assert all(isinstance(array, np.ndarray) for array in named_arrays(again).values())


def test_load_arrays_takes_quantised_ones(backend: Backend) -> None:
    packed = CodebookArray(
        np.full((3, 4), 0b11100100, np.uint8), np.ones((3, 2), np.float16), np.arange(4, dtype=np.float32), 2, 8, 16
    )
    table = load_arrays(layers.Embedding(3, 16), {"weight": packed}, backend)
    assert isinstance(table.weight, CodebookArray)
    assert backend.owns(table.weight.codes)
    np.testing.assert_allclose(ops.to_numpy(table(backend.asarray([2])))[0], packed.dequantize()[2], atol=1e-6)
    with pytest.raises(ShapeError, match=r"weight is \(3, 16\), expected \(3, 15\)"):
        load_arrays(layers.Embedding(3, 15), {"weight": packed}, backend)


# ---- initialising ----------------------------------------------------------------------------------------------------


def test_initialize_is_the_same_everywhere(backend: Backend) -> None:
    here = named_arrays(initialize(Block(5), 7, backend))
    reference = named_arrays(initialize(Block(5), 7))
    assert list(here) == NAMES
    for name, array in here.items():
        assert backend.owns(array)
        np.testing.assert_array_equal(ops.to_numpy(array), reference[name])


def test_initialize_depends_on_seed_and_path_only() -> None:
    first = named_arrays(initialize(Block(5), 7))
    assert all((array == named_arrays(initialize(Block(5), 7))[name]).all() for name, array in first.items())
    other = named_arrays(initialize(Block(5), 8))
    assert not (first["maps.0.weight"] == other["maps.0.weight"]).any()
    assert not (first["maps.0.weight"] == first["maps.1.weight"][:5]).any()
    # what stands beside an array does not matter
    alone = initialize({"maps": [{"weight": ArraySpec((5, 5))}]}, 7)
    np.testing.assert_array_equal(named_arrays(alone)["maps.0.weight"], first["maps.0.weight"])


def test_initialize_never_changes() -> None:
    """Philox keyed by the seed and the SHA-256 of the path: results of experiments rest on these values."""
    drawn = initialize({"weight": ArraySpec((4,))}, 0)["weight"]
    np.testing.assert_allclose(drawn * 2, [-2.0267313, 0.35541695, 0.23872173, -1.3397874], rtol=1e-6)


def test_initialize_scales() -> None:
    weight = initialize(ArraySpec((400, 100)), 1)
    assert weight.dtype == np.float32
    assert abs(weight.std() - 0.1) < 2e-3
    assert abs(weight.mean()) < 2e-3
    block = initialize(Block(3), 0)
    assert block.norm.gain.tolist() == [1, 1, 1]
    assert block.maps[0].bias.tolist() == [0, 0, 0]
    assert block.extra["shift"].shape == ()


def test_initialize_takes_scalars_seeds_and_types(backend: Backend) -> None:
    assert initialize(ArraySpec(()), -1, backend).shape == ()
    assert tuple(initialize(ArraySpec((3, 0)), 2**70, backend).shape) == (3, 0)
    assert "float16" in str(initialize(ArraySpec((2,), "float16"), 0, backend).dtype)
    if backend.name != "numpy":
        assert "bfloat16" in str(initialize(ArraySpec((2,), "bfloat16"), 0, backend).dtype)


def test_initialize_keeps_what_is_there() -> None:
    kept = np.ones(2)
    tree = initialize({"there": kept, "drawn": ArraySpec((2,))}, 0)
    assert tree["there"] is kept


# ---- a user's layer --------------------------------------------------------------------------------------------------


def oracle(block: Block, x: np.ndarray) -> np.ndarray:
    w = {name: np.asarray(array, np.float64) for name, array in named_arrays(block).items()}
    normed = w["norm.gain"] * x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
    h = normed @ w["maps.0.weight"].T + w["maps.0.bias"]
    y = x + h / (1 + np.exp(-h)) * w["extra.scale"]
    return y @ w["maps.1.weight"].T + w["extra.shift"]


def test_a_custom_layer_on_every_backend(backend: Backend) -> None:
    block = initialize(Block(5), 3, backend)
    x = np.random.default_rng(0).standard_normal((2, 3, 5)).astype(np.float32)
    expected = oracle(initialize(Block(5), 3), x.astype(np.float64))
    eager = ops.to_numpy(block(backend.asarray(x)))
    compiled = ops.to_numpy(backend.compile(lambda module, x: module(x), block)(backend.asarray(x)))
    for result in (eager, compiled):
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_element_types_of_loaded_arrays() -> None:
    """Double precision would slow down everything that it meets, and integers are no weights."""

    class Scale(Module):
        def __init__(self) -> None:
            self.gain = ArraySpec((3,))
            self.order = ArraySpec((3,), dtype="int32")

    order = np.arange(3, dtype=np.int32)
    loaded = load_arrays(Scale(), {"gain": np.ones(3), "order": order})
    assert loaded.gain.dtype == np.float32
    assert load_arrays(Scale(), {"gain": np.ones(3, np.float16), "order": order}).gain.dtype == np.float16
    with pytest.raises(ShapeError, match=r"gain holds int64, expected float32; order holds float32, expected int32"):
        load_arrays(Scale(), {"gain": np.arange(3), "order": np.ones(3, np.float32)})
