"""Codebook arrays on every backend against the NumPy reader of the Needle container, which shares no code with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ferrule.core import Backend, CodebookArray, map_arrays, named_arrays, ops
from ferrule.core.quantized import hadamard
from ferrule.models.needle import packed as reference
from hypothesis import given, settings
from hypothesis import strategies as st

# rows, columns, storage kind (5 is ternary, in 2 bits), group
SIZES = [(5, 32, 2, 16), (7, 40, 2, 16), (70, 64, 4, 32), (130, 256, 2, 128), (3, 24, 1, 8), (4, 48, 5, 16), (1, 16, 4, 16)]


def packed(rows: int, columns: int, kind: int, group: int) -> reference.PackedTensor:
    rng = np.random.default_rng([rows, columns, kind])
    levels = np.sort(rng.standard_normal(2**kind)).astype(np.float32) / group**0.5 if kind in (2, 4) else None
    return reference.quantize(rng.standard_normal((rows, columns)), kind, levels, group)


def codebook_array(tensor: reference.PackedTensor, backend: Backend | None = None) -> CodebookArray:
    array = CodebookArray(tensor.codes, tensor.norms, tensor.codebook, tensor.code_bits, tensor.group, tensor.shape[1])
    return array if backend is None else map_arrays(backend.asarray, array)


def close(result: object, expected: np.ndarray) -> None:
    result = ops.to_numpy(result)
    assert result.dtype == np.float32
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max(initial=0))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_dequantize(backend: Backend, run: Callable[..., Any], size: tuple[int, int, int, int]) -> None:
    tensor = packed(*size)
    array = codebook_array(tensor, backend)
    assert array.shape == size[:2]
    assert all(backend.owns(part) for part in named_arrays(array).values())
    dense = run(CodebookArray.dequantize, array)
    assert backend.owns(dense)
    close(dense, reference.dequantize(tensor))


@pytest.mark.parametrize("size", SIZES[:4], ids=str)
def test_take(backend: Backend, run: Callable[..., Any], size: tuple[int, int, int, int]) -> None:
    tensor = packed(*size)
    array, dense = codebook_array(tensor, backend), reference.dequantize(tensor)
    for index in (np.array([[0, size[0] - 1], [2, 2]], np.int32), np.array(1, np.int32)):
        rows = run(ops.take, array, backend.asarray(index))
        assert backend.owns(rows)
        close(rows, dense[index])


@pytest.mark.parametrize("size", SIZES[:4], ids=str)
@pytest.mark.parametrize("leading", [(), (1, 1), (2, 7)], ids=str)  # NumPy's kernels take few and many rows differently
def test_linear(backend: Backend, run: Callable[..., Any], size: tuple[int, int, int, int], leading: tuple[int, ...]) -> None:
    tensor = packed(*size)
    rng = np.random.default_rng(len(leading))
    x, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((*leading, size[1]), (size[0],)))
    expected = x.astype(np.float64) @ reference.dequantize(tensor).T.astype(np.float64)
    array = codebook_array(tensor, backend)
    close(run(lambda array, x: ops.linear(x, array), array, backend.asarray(x)), expected)
    # a NumPy array goes along
    close(run(lambda array, bias: ops.linear(x, array, bias), array, backend.asarray(bias)), expected + bias)


def test_compiled(backend: Backend) -> None:
    tensor = packed(*SIZES[1])
    dense = reference.dequantize(tensor)
    program = backend.compile(
        lambda module, x, index: (ops.linear(x, module["w"]), ops.take(module["w"], index)),
        {"w": codebook_array(tensor, backend)},
    )
    x, index = np.ones((2, SIZES[1][1]), np.float32), np.array([3, 0], np.int32)
    product, rows = program(backend.asarray(x), backend.asarray(index))
    close(product, x.astype(np.float64) @ dense.T)
    close(rows, dense[index])


def test_memory_maps_are_left_alone(backend: Backend, run: Callable[..., Any]) -> None:
    """Codes straight from a read-only file work, and the file's memory keeps its values."""
    tensor = packed(*SIZES[2])
    codes = tensor.codes.copy()
    for part in (tensor.codes, tensor.norms, tensor.codebook):
        part.setflags(write=False)
    array = codebook_array(tensor, backend)
    for rows in (1, 20):
        x = np.ones((rows, 64), np.float32)
        close(
            run(lambda array, x: ops.linear(x, array), array, backend.asarray(x)),
            x.astype(np.float64) @ reference.dequantize(tensor).T,
        )
    np.testing.assert_array_equal(tensor.codes, codes)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 140),
    groups=st.integers(1, 3),
    cut=st.integers(0, 7),
    kind=st.sampled_from([1, 2, 4, 5]),
    tokens=st.sampled_from([1, 2, 3, 4, 5, 8, 12, 13, 17]),
)
def test_products_of_any_size(numpy_backend: Backend, rows: int, groups: int, cut: int, kind: int, tokens: int) -> None:
    tensor = packed(rows, groups * 32 - cut, kind, 32)
    dense = reference.dequantize(tensor)
    x = np.random.default_rng(tokens).standard_normal((tokens, dense.shape[1])).astype(np.float32)
    close(ops.linear(x, codebook_array(tensor)), x.astype(np.float64) @ dense.T.astype(np.float64))


def test_bits_that_cross_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="indices of 1, 2 or 4 bits can be unpacked, received 3"):
        CodebookArray(np.zeros((2, 3), np.uint8), np.ones((2, 1)), np.zeros(8), bits=3, group=8, columns=8)


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_hadamard(n: int) -> None:
    matrix = hadamard(n).astype(np.float64)
    np.testing.assert_allclose(matrix @ matrix, np.eye(n), atol=1e-6)
    assert (matrix == matrix.T).all()
    assert (matrix[0] > 0).all()
    # Sylvester order: entry (i, j) has the sign of (-1)^popcount(i & j)
    signs = [[(-1) ** (i & j).bit_count() for j in range(n)] for i in range(n)]
    np.testing.assert_array_equal(np.sign(matrix), signs)


@pytest.mark.parametrize("n", [0, 3, 12, -2])
def test_hadamard_refuses_other_sizes(n: int) -> None:
    with pytest.raises(ValueError, match=f"power of two rows, received {n}"):
        hadamard(n)
