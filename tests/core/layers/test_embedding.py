"""Embeddings, and their reverse, against PyTorch in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ferrule.core import Backend, CodebookArray, initialize, layers, load_arrays, named_arrays, ops

IDS = np.array([[3, 0, 10], [7, 7, 1]], np.int32)
HIDDEN = np.random.default_rng(0).standard_normal((2, 3, 6)).astype(np.float32) * 3


def double(array: object) -> object:
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    return torch.from_numpy(ops.to_numpy(array).astype(np.float64))


@pytest.mark.parametrize("layer", [layers.Embedding(11, 6), layers.ReversibleEmbedding(11, 6)], ids=lambda m: type(m).__name__)
def test_lookup(backend: Backend, layer: layers.Embedding) -> None:
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    layer = initialize(layer, 0, backend)
    expected = torch.nn.functional.embedding(torch.from_numpy(IDS), double(layer.weight)).numpy()
    result = layer(backend.asarray(IDS))
    assert backend.owns(result)
    np.testing.assert_array_equal(ops.to_numpy(result), expected.astype(np.float32))


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("soft_cap", [None, 2.0])
def test_reverse(backend: Backend, tied: bool, soft_cap: float | None) -> None:
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    layer = initialize(layers.ReversibleEmbedding(11, 6, tied=tied, soft_cap=soft_cap), 0, backend)
    assert list(named_arrays(layer)) == (["weight"] if tied else ["weight", "reverse_weight"])
    weight = layer.weight if tied else layer.reverse_weight
    expected = torch.nn.functional.linear(double(HIDDEN), double(weight))
    if soft_cap is not None:
        expected = soft_cap * torch.tanh(expected / soft_cap)
    compiled = backend.compile(lambda layer, x: layer(x, reverse=True), layer)
    for logits in (layer(backend.asarray(HIDDEN), reverse=True), compiled(backend.asarray(HIDDEN))):
        result = ops.to_numpy(logits)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("dtype", "precision"), [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_reverse_dtype(backend: Backend, dtype: str, precision: float) -> None:
    """The product, and so the logits, are of that type (NumPy's, with bfloat16, of float32); the look-up is not."""
    layer = initialize(layers.ReversibleEmbedding(11, 6, reverse_dtype=dtype), 0, backend)
    logits = layer(backend.asarray(HIDDEN), reverse=True)
    assert ("float32" if backend.name == "numpy" and dtype == "bfloat16" else dtype) in str(logits.dtype)
    expected = HIDDEN.astype(np.float64) @ ops.to_numpy(layer.weight).T
    np.testing.assert_allclose(ops.to_numpy(logits), expected, atol=precision * np.abs(expected).max())
    assert "float32" in str(layer(backend.asarray(IDS)).dtype)


def test_quantised_table(backend: Backend, run: Callable[..., Any]) -> None:
    rng = np.random.default_rng(1)
    packed = CodebookArray(
        rng.integers(0, 256, (11, 4), dtype=np.uint8), np.ones((11, 2), np.float16), rng.random(4, np.float32), 2, 8, 16
    )
    layer = load_arrays(layers.ReversibleEmbedding(11, 16, reverse_dtype="float32"), {"weight": packed}, backend)
    dense = ops.to_numpy(packed.dequantize()).astype(np.float64)
    rows = run(lambda layer, ids: layer(ids), layer, backend.asarray(IDS))
    np.testing.assert_allclose(ops.to_numpy(rows), dense[IDS], rtol=1e-5, atol=1e-6)
    x = rng.random((2, 16), np.float32)
    logits = run(lambda layer, x: layer(x, reverse=True), layer, backend.asarray(x))
    np.testing.assert_allclose(ops.to_numpy(logits), x @ dense.T, rtol=1e-5, atol=1e-6)
