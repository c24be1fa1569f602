"""Norms against PyTorch in float64."""

from __future__ import annotations

import numpy as np
import pytest
from ferrule.core import Backend, initialize, layers, load_arrays, ops

RNG = np.random.default_rng(0)
X = (RNG.standard_normal((2, 3, 7)) * 4 + 1).astype(np.float32)
GAIN, BIAS = (RNG.standard_normal(7).astype(np.float32) for _ in range(2))


@pytest.mark.parametrize("zero_centred", [False, True])
@pytest.mark.parametrize("eps", [1e-6, 0.1])
def test_rms_norm(backend: Backend, zero_centred: bool, eps: float) -> None:
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    layer = load_arrays(layers.RMSNorm(7, eps, zero_centred), {"gain": GAIN}, backend)
    gain = torch.from_numpy(GAIN.astype(np.float64)) + zero_centred
    expected = torch.nn.functional.rms_norm(torch.from_numpy(X.astype(np.float64)), (7,), gain, eps)
    np.testing.assert_allclose(ops.to_numpy(layer(backend.asarray(X))), expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_layer_norm(backend: Backend, bias: bool, eps: float) -> None:
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    layer = load_arrays(layers.LayerNorm(7, eps, bias), {"gain": GAIN, **({"bias": BIAS} if bias else {})}, backend)
    gain, shift = (torch.from_numpy(a.astype(np.float64)) for a in (GAIN, BIAS))
    wide = torch.from_numpy(X.astype(np.float64))
    expected = torch.nn.functional.layer_norm(wide, (7,), gain, shift if bias else None, eps)
    np.testing.assert_allclose(ops.to_numpy(layer(backend.asarray(X))), expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", [layers.RMSNorm(7), layers.RMSNorm(7, zero_centred=True), layers.LayerNorm(7)])
def test_a_fresh_norm_only_normalises(layer: layers.RMSNorm | layers.LayerNorm) -> None:
    result = initialize(layer, 0)(X).astype(np.float64)
    centred = result - result.mean(-1, keepdims=True) * isinstance(layer, layers.LayerNorm)
    np.testing.assert_allclose((centred**2).mean(-1), 1, rtol=1e-4)
