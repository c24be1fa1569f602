"""Products of compiled programs with matrices as they lie in memory, in float32 and in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest
from ferrule.core import ArraySpec, Module, get_backend, load_arrays, ops
from ferrule.core.backends.numpy import REFERENCE
from ferrule.core.host import BFLOAT16
from ferrule.core.layers import Linear, ReversibleEmbedding
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")
from ferrule.core.backends.numpy_compiled import machine, program, recorder

BACKEND = get_backend("numpy")


def small_integers(*shape, seed=0):
    """Of which every sum is exact, whatever its order."""
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(np.float32)


@settings(deadline=None, max_examples=80)
@given(
    N=st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 16, 19, 64]),
    D=st.sampled_from([1, 15, 16, 17, 31, 64, 100, 256]),
    R=st.sampled_from([1, 2, 3, 5, 33, 130, 1100]),
    dtype=st.sampled_from(["float32", "bfloat16"]),
    first=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_every_size_is_exact(N, D, R, dtype, first, seed):
    """Few rows and many, sizes that are no multiple of any vector, columns of a wider array, memory at any address."""
    x = small_integers(N, D + 5, seed=seed)
    weight = ops.cast(small_integers(R * D + first, seed=seed + 1)[first:].reshape(R, D), dtype)
    found = BACKEND.compile(lambda w, x: ops.linear(ops.silu(x[:, 2 : 2 + D] * 0.0) + x[:, 2 : 2 + D], w), weight)(x)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, x[:, 2 : 2 + D] @ ops.to_numpy(weight).T)


@pytest.mark.parametrize("parts", [1, 2, 3, 8])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("N", [1, 4, 16, 18])
def test_shared_out_among_any_number_of_threads(monkeypatch, parts, dtype, N):
    another = machine.Machine()
    another.parts = parts
    monkeypatch.setattr(program, "MACHINE", another)
    monkeypatch.setattr(recorder, "MACHINE", another)
    x, weight = small_integers(N, 96), ops.cast(small_integers(3001, 96), dtype)
    found = BACKEND.compile(lambda w, x: ops.linear(x, w), weight)(x)
    np.testing.assert_array_equal(found, x @ ops.to_numpy(weight).T)


class Tied(Module):
    """A table that is taken from and multiplied with, a matrix with a bias, and experts."""

    def __init__(self):
        self.table = ReversibleEmbedding(300, 48)
        self.up = Linear(48, 80, bias=True)
        self.down = Linear(80, 48)
        self.experts = ArraySpec((3, 48, 48))

    def __call__(self, ids):
        x = self.table(ids)
        x = x + self.down(ops.gelu(self.up(x)))
        x = x + ops.sum(ops.einsum("btd,efd->betf", x, self.experts), 1)
        chosen = ops.take(self.experts, np.array([2], np.int32))[0]
        return self.table(ops.linear(x, chosen), reverse=True)


def tied(backend, dtype):
    rng = np.random.default_rng(0)
    shapes = {"table.weight": (300, 48), "up.weight": (80, 48), "up.bias": (80,), "down.weight": (48, 80)}
    arrays = {name: rng.standard_normal(shape, np.float32) / 7 for name, shape in shapes.items()}
    arrays["experts"] = rng.standard_normal((3, 48, 48), np.float32) / 7
    return load_arrays(Tied(), arrays, backend, dtype)


@pytest.mark.parametrize("T", [1, 3, 16, 40])
def test_a_model_in_bfloat16(T):
    """Matrices in bfloat16 and everything else in float32: what float32 makes of the same rounded matrices."""
    ids = np.arange(T, dtype=np.int32)[None] * 7
    short, rounded = tied("numpy", "bfloat16"), tied("numpy", None)
    assert [x.dtype == BFLOAT16 for x in (short.table.weight, short.up.weight, short.up.bias, short.experts)] == [1, 1, 0, 1]
    for module in (rounded.table, rounded.up, rounded.down):
        module.weight = ops.to_numpy(ops.cast(module.weight, "bfloat16"))
    rounded.experts = ops.to_numpy(ops.cast(rounded.experts, "bfloat16"))
    expected = rounded(ids)
    for backend in (REFERENCE, BACKEND):
        found = backend.compile(lambda module, ids: module(ids), short)(ids)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("N", [1, 16])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_large_matrices_are_read_where_they_lie(N, dtype):
    """No copy in another order or another element type, and nothing left to NumPy."""
    weight = ops.cast(small_integers(1024, 640), dtype)
    compiled = BACKEND.compile(lambda w, x: ops.linear(x, w), weight)
    compiled(small_integers(N, 640))
    (only,) = compiled._programs.values()
    (step,) = only._steps
    assert step.kernel is not None
    assert [buffer.array is weight for buffer in step.reads] == [False, True]
    assert only._arena.nbytes < 4 * N * (1024 + 640) + 1024


def test_values_of_any_size_survive():
    """Infinities, NaN, subnormal and huge numbers are read as what they are."""
    values = np.array([np.inf, -np.inf, np.nan, 1e-40, -3e38, 0.0], np.float32)
    weight = np.zeros((64, 64), np.float32)
    weight[: len(values), 0] = values
    short = ops.cast(weight, "bfloat16")
    x = np.zeros((1, 64), np.float32)
    x[0, 0] = 1
    found = BACKEND.compile(lambda w, x: ops.linear(x, w), short)(x)[0, : len(values)]
    np.testing.assert_array_equal(found, ops.to_numpy(short)[: len(values), 0])
    rows = BACKEND.compile(lambda w, i: ops.take(w, i), short)(np.array([0, 2, 3], np.int32))
    np.testing.assert_array_equal(rows[:, 0], ops.to_numpy(short)[[0, 2, 3], 0])
