from __future__ import annotations

import numpy as np
import pytest
from ferrule.core import get_backend, ops
from ferrule.core.backends.numpy import REFERENCE
from ferrule.models import kv_cache
from hypothesis import given, settings
from hypothesis import strategies as st

K, C, CV = 2, 3, 4


def rows_of(text: np.ndarray, width: int) -> np.ndarray:
    """Keys or values of these tokens, float32 [1, T, K, width]: every position has its own."""
    return (text[:, None, None] * 100 + np.arange(K * width).reshape(K, width)).astype(np.float32)[None]


def visible(backend, buffer, keys, values, length, valid, new, window):
    """For each new token the (key, value) rows that it may look at, by position."""
    positions = ops.to_numpy(kv_cache.row_positions(buffer, length, valid, new, keys))
    keys, values = ops.to_numpy(keys)[0], ops.to_numpy(values)[0]
    assert len(positions) == len(keys) == len(values)
    for q in range(int(length), int(length) + int(valid)):
        chosen = [i for i, p in enumerate(positions) if 0 <= p <= q and (not window or q - p < window)]
        yield {int(positions[i]): (keys[i], values[i]) for i in chosen}


def check(backend, steps, window, rows):
    """Feed pieces of these sizes (tokens, padding) and compare with all rows ever written."""
    total = sum(size for size, _ in steps)
    text = np.arange(1, total + 1)
    all_keys, all_values = rows_of(text, C)[0], rows_of(text, CV)[0]
    buffer, length = kv_cache.new_buffer(backend, 1, rows, K, C, CV), 0
    for size, padding in steps:
        piece = np.concatenate([text[length : length + size], np.full(padding, -7)])
        at = length if backend.dynamic_shapes else backend.asarray(np.int32(length))
        valid = size if backend.dynamic_shapes else backend.asarray(np.int32(size))
        k, v = (backend.asarray(rows_of(piece, width)) for width in (C, CV))
        keys, values, buffer = kv_cache.extend(buffer, k, v, at, window)
        for q, seen in enumerate(visible(backend, buffer, keys, values, at, valid, len(piece), window), length):
            first = max(0, q - window + 1) if window else 0
            assert sorted(seen) == list(range(first, q + 1))
            for p, (key, value) in seen.items():
                np.testing.assert_array_equal(key, all_keys[p])
                np.testing.assert_array_equal(value, all_values[p])
        length += size
    return buffer


pieces = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 3)), min_size=1, max_size=12)


@settings(deadline=None, max_examples=150)
@given(steps=pieces, window=st.integers(1, 9))
def test_rings_keep_what_the_window_needs(fixed_shapes, steps, window):
    """However a text is cut and padded, each token sees exactly its window, long after the ring has wrapped."""
    largest = max(size + padding for size, padding in steps)
    check(fixed_shapes, steps, window, window + largest)


@settings(deadline=None, max_examples=150)
@given(steps=pieces, window=st.integers(0, 9), rows=st.integers(1, 12))
def test_growing_buffers_keep_what_the_window_needs(steps, window, rows):
    buffer = check(REFERENCE, [(size, 0) for size, _ in steps], window, rows)
    if window:  # out of the window is dropped: the buffer does not grow with the text
        assert buffer["k"].shape[1] <= max(2 * rows, 4 * (window + max(size for size, _ in steps)))


@pytest.mark.parametrize("window", [0, 5])
def test_on_every_backend(backend, window):
    steps = [(4, 0), (1, 0), (2, 2), (4, 0), (1, 0), (3, 1)]
    check(backend, steps if not backend.dynamic_shapes else [(size, 0) for size, _ in steps], window, 20 if not window else 9)


def test_a_ring_grows_before_it_has_wrapped():
    backend = get_backend("numpy")
    text = np.arange(1, 5)
    ring = {"k": backend.zeros((1, 4, K, C)), "v": backend.zeros((1, 4, K, CV))}
    _, _, ring = kv_cache.extend(ring, rows_of(text, C), rows_of(text, CV), np.int32(0), 0)
    ring = kv_cache.grow(ring, 10)
    more = np.arange(5, 9)
    keys, values, ring = kv_cache.extend(ring, rows_of(more, C), rows_of(more, CV), np.int32(4), 0)
    assert keys.shape == (1, 10, K, C)
    np.testing.assert_array_equal(keys[:, :8], rows_of(np.arange(1, 9), C))
    np.testing.assert_array_equal(values[:, :8], rows_of(np.arange(1, 9), CV))
    assert kv_cache.row_positions(ring, np.int32(4), 4, 4, keys).tolist() == [*range(8), -2, -1]


def test_rows_of_a_ring():
    assert kv_cache.ring_rows(0, 500) == 500
    assert kv_cache.ring_rows(1024, 8448) == 1024 + kv_cache.MAX_CHUNK
    assert kv_cache.ring_rows(1024, 512) == 512
