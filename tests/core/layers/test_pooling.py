"""Adaptive pooling against PyTorch's, in both orders of the axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ferrule.core import Backend, Module, ShapeError, layers, ops
from hypothesis import given, settings
from hypothesis import strategies as st

CLASSES = [layers.AdaptiveAveragePooling1D, layers.AdaptiveAveragePooling2D, layers.AdaptiveAveragePooling3D]

# lengths of the axes, output sizes: smaller, larger, equal, one, not divisible
CASES = [
    ((12,), 4),
    ((7,), 3),
    ((3,), 8),
    ((5,), 5),
    ((9,), 1),
    ((1,), 3),
    ((6, 9), (3, 3)),
    ((5, 7), 3),
    ((2, 11), (5, 4)),
    ((4, 6, 8), 2),
    ((3, 5, 7), (2, 7, 3)),
    ((1, 2, 3), (2, 1, 5)),
]


def oracle(x: np.ndarray, size: Any) -> np.ndarray:
    """PyTorch in float64; x is channels-first."""
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    pool = getattr(torch.nn, f"AdaptiveAvgPool{x.ndim - 2}d")(size)
    return pool(torch.from_numpy(x.astype(np.float64))).numpy()


@pytest.mark.parametrize(("lengths", "size"), CASES, ids=str)
def test_against_torch(backend: Backend, run: Callable[..., Any], lengths: tuple[int, ...], size: Any) -> None:
    rank = len(lengths)
    x = np.random.default_rng(rank).standard_normal((2, 3, *lengths)).astype(np.float32)
    expected = oracle(x, size)
    first = run(lambda pool, x: pool(x), CLASSES[rank - 1](size, channels_first=True), backend.asarray(x))
    assert backend.owns(first)
    np.testing.assert_allclose(ops.to_numpy(first), expected, rtol=1e-5, atol=1e-6)
    last = run(lambda pool, x: pool(x), CLASSES[rank - 1](size), backend.asarray(np.moveaxis(x, 1, -1)))
    np.testing.assert_allclose(ops.to_numpy(last), np.moveaxis(expected, 1, -1), rtol=1e-5, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 40), size=st.integers(1, 40))
def test_any_length_and_size(length: int, size: int) -> None:
    x = np.random.default_rng(length).standard_normal((1, 2, length)).astype(np.float32)
    result = layers.AdaptiveAveragePooling1D(size, channels_first=True)(x)
    np.testing.assert_allclose(result, oracle(x, size), rtol=1e-5, atol=1e-6)


def test_compiled(backend: Backend) -> None:
    pool = layers.AdaptiveAveragePooling2D((2, 3))
    x = np.random.default_rng(0).standard_normal((1, 5, 4, 2)).astype(np.float32)
    result = backend.compile(lambda module, x: module(x), pool)(backend.asarray(x))
    np.testing.assert_allclose(ops.to_numpy(result), ops.to_numpy(pool(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "int32"])
def test_other_element_types(backend: Backend, dtype: str) -> None:
    """Half precision stays; integers are averaged, not rounded."""
    x = backend.asarray(np.arange(6).reshape(1, 6, 1).astype(dtype))
    result = ops.to_numpy(layers.AdaptiveAveragePooling1D(3)(x))
    assert result.dtype == (np.float16 if dtype == "float16" else np.float32)
    assert result.ravel().tolist() == [0.5, 2.5, 4.5]


@pytest.mark.parametrize(
    ("pool", "size"),
    [(CLASSES[0], 0), (CLASSES[0], (1, 2)), (CLASSES[1], (3,)), (CLASSES[1], (2, -1)), (CLASSES[2], (1, 2, 2.5))],
)
def test_sizes_that_make_no_sense(pool: type[Module], size: Any) -> None:
    with pytest.raises(ShapeError, match=f"{pool.__name__} takes a positive size or . of them, received output_size="):
        pool(size)


def test_inputs_that_make_no_sense() -> None:
    with pytest.raises(ShapeError, match=r"AdaptiveAveragePooling2D takes 4 axes, received shape \(2, 3, 4\)"):
        CLASSES[1](2)(np.zeros((2, 3, 4), np.float32))
    with pytest.raises(ShapeError, match=r"cannot average over nothing, received shape \(2, 0, 4\)"):
        CLASSES[0](2)(np.zeros((2, 0, 4), np.float32))
