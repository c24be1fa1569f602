"""Linear maps and the causal convolution against PyTorch in float64."""

from __future__ import annotations

import numpy as np
import pytest
from ferrule.core import Backend, initialize, layers, load_arrays, named_arrays, ops
from hypothesis import given, settings
from hypothesis import strategies as st


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(5,), (2, 3, 5), (0, 5)], ids=str)
def test_linear(backend: Backend, bias: bool, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    arrays = {"weight": normal(4, 5), **({"bias": normal(4)} if bias else {})}
    layer = load_arrays(layers.Linear(5, 4, bias), arrays, backend)
    x = normal(*shape)
    expected = torch.nn.functional.linear(*(torch.from_numpy(a.astype(np.float64)) for a in (x, *arrays.values())))
    np.testing.assert_allclose(ops.to_numpy(layer(backend.asarray(x))), expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("taps", "dilation"), [(4, 1), (3, 3), (1, 2), (2, 5)])
def test_causal_conv(backend: Backend, taps: int, dilation: int) -> None:
    """PyTorch's convolution slides a kernel whose last weight meets the newest row: ours, with the taps turned round."""
    torch = pytest.importorskip("torch", reason="torch, the oracle, is not installed")
    layer = initialize(layers.CausalConv(3, taps, dilation), 0, backend)
    assert layer.history == (taps - 1) * dilation
    x = normal(2, 6, 3)
    kernel = torch.from_numpy(ops.to_numpy(layer.weight)[::-1].T[:, None].astype(np.float64))
    past = torch.nn.functional.pad(torch.from_numpy(x.astype(np.float64)).permute(0, 2, 1), (layer.history, 0))
    expected = torch.nn.functional.conv1d(past, kernel, dilation=dilation, groups=3).permute(0, 2, 1)
    y, rows = layer(backend.asarray(x), backend.zeros((2, layer.history, 3)))
    np.testing.assert_allclose(ops.to_numpy(y), expected.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ops.to_numpy(rows)[:, layer.history :], x)


@settings(max_examples=40, deadline=None)
@given(
    taps=st.integers(1, 4),
    dilation=st.integers(1, 3),
    pieces=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    batch=st.integers(1, 2),
)
def test_pieces_of_any_length(numpy_backend: Backend, taps: int, dilation: int, pieces: list[int], batch: int) -> None:
    """A sequence fed in pieces, each with the past that the last one left, gives what the whole gives."""
    layer = initialize(layers.CausalConv(2, taps, dilation), 1)
    x = normal(batch, sum(pieces), 2)
    past = np.zeros((batch, layer.history, 2), np.float32)
    whole, _ = layer(x, past)
    parts, start = [], 0
    for size in pieces:
        y, rows = layer(x[:, start : start + size], past)
        assert y.shape == (batch, size, 2)
        assert rows.shape == (batch, layer.history + size, 2)
        past = rows[:, size:]
        parts.append(y)
        start += size
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, rtol=1e-5, atol=1e-6)


def test_pieces_on_every_backend(backend: Backend) -> None:
    layer = initialize(layers.CausalConv(2, 3, 2), 1, backend)
    x = normal(1, 5, 2)
    whole, _ = layer(backend.asarray(x), backend.zeros((1, 4, 2)))
    past, parts = backend.zeros((1, 4, 2)), []
    for piece in (x[:, :1], x[:, 1:4], x[:, 4:]):
        y, rows = layer(backend.asarray(piece), past)
        past = rows[:, piece.shape[1] :]
        parts.append(ops.to_numpy(y))
    np.testing.assert_allclose(np.concatenate(parts, 1), ops.to_numpy(whole), rtol=1e-5, atol=1e-6)


def test_names() -> None:
    assert list(named_arrays(layers.Linear(2, 3, bias=True))) == ["weight", "bias"]
    assert list(named_arrays(layers.Linear(2, 3))) == ["weight"]
    assert named_arrays(layers.CausalConv(5, 4))["weight"].shape == (4, 5)
