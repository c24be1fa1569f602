from __future__ import annotations

import numpy as np
import pytest
from ferrule.core import get_backend, initialize, map_arrays, ops
from ferrule.models.needle.heads import ProbeHead, new_pool, pool_tokens
from hypothesis import given, settings
from hypothesis import strategies as st


def unit(x):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def at_once(head: ProbeHead, cells: np.ndarray) -> tuple[np.ndarray, float]:
    """Spec §3.10 over all tokens in float64: cells [T, R, D] -> pooled [Q·D], logit."""
    C = cells.astype(np.float64)
    D = C.shape[-1]
    s = np.einsum("tld,lkd->lkt", C, head.probes) / np.sqrt(D)
    r = unit(np.einsum("lkt,tld->lkd", softmax(s, -1), C)) * head.gain[..., None]
    u = np.einsum("lkd,qd->qlk", r, head.query) / np.sqrt(D) + head.row_bias
    weights = softmax(u.reshape(u.shape[0], -1), -1).reshape(u.shape)
    pooled = np.einsum("qlk,lkd->qd", weights, r).reshape(-1)
    return pooled, float(head.proj[0] @ pooled + head.bias[0])


def run(head, backend, config, cells, cuts, padding=0):
    """The same, fed in pieces; `padding` rows of rubbish behind each."""
    pool = new_pool(config, backend, 1)
    for start, end in zip([0, *cuts], [*cuts, len(cells)]):
        piece = np.concatenate([cells[start:end], np.full((padding, *cells.shape[1:]), 1e6, np.float32)])
        pool = pool_tokens(head, pool, backend.asarray(piece[None]), end - start)
    return ops.to_numpy(head.pooled(pool))[0], float(ops.to_numpy(head(pool))[0])


@pytest.fixture(scope="module")
def head(small_config) -> ProbeHead:
    return initialize(ProbeHead(small_config), seed=3)


@settings(deadline=None, max_examples=40)
@given(data=st.data(), tokens=st.integers(1, 12), seed=st.integers(0, 99), padding=st.integers(0, 3))
def test_pooling_in_any_pieces_equals_pooling_at_once(head, small_config, data, tokens, seed, padding):
    # Cells of a trained model reach 1e7 (spec §3.6): their scores must not overflow.
    scale = data.draw(st.sampled_from([1e-3, 1.0, 1e2, 1e6]))
    cells = (np.random.default_rng(seed).standard_normal((tokens, 5, 48)) * scale).astype(np.float32)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, tokens - 1)), max_size=4))) if tokens > 1 else []
    pooled, logit = run(head, get_backend("numpy"), small_config, cells, cuts, padding)
    expected, expected_logit = at_once(head, cells)
    np.testing.assert_allclose(pooled, expected, atol=2e-5, rtol=2e-4)
    assert logit == pytest.approx(expected_logit, abs=1e-4)


def test_on_every_backend(backend, head, small_config):
    cells = np.random.default_rng(0).standard_normal((7, 5, 48)).astype(np.float32)
    pooled, logit = run(map_arrays(backend.asarray, head), backend, small_config, cells, [3, 4])
    expected, expected_logit = at_once(head, cells)
    np.testing.assert_allclose(pooled, expected, atol=1e-5)
    assert logit == pytest.approx(expected_logit, abs=1e-5)
