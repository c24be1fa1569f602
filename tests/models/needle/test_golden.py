"""The published weights against the published implementation, on every backend (`data/needle/golden.json`, spec §6)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ferrule.core import available_backends, ops
from ferrule.core.backends.numpy import REFERENCE
from ferrule.hub import from_preset

TOLERANCE = 2e-3
PROMPTS = ["plain", "one_tool", "three_tools", "two_calls", "off_topic"]
CONFIDENCE = {"one_tool": 1.77055, "three_tools": 0.78008, "two_calls": 0.21979, "off_topic": 2.54583}
IM_END = 5
DYNAMIC = [name for name in ("numpy", "torch") if name in available_backends()]
FIXED = [name for name in ("jax", "tensorflow") if name in available_backends()]


def turn(golden, name: str) -> list[int]:
    """The greedy continuation without its `<|im_end|>`; what the list holds behind that is meaningless text."""
    greedy = golden[f"{name}.greedy64"].tolist()
    return greedy[: greedy.index(IM_END)] if IM_END in greedy else greedy


def padded(ids: np.ndarray, length: int) -> np.ndarray:
    """Longer by tokens that no earlier position sees, so that prompts share one compiled shape."""
    return np.concatenate([ids, np.full(length - len(ids), 300, ids.dtype)])


def difference(golden, name: str, logits: np.ndarray) -> float:
    return float(np.abs(logits[golden[f"{name}.positions"]] - golden[f"{name}.logits"]).max())


@pytest.mark.parametrize("name", PROMPTS)
@pytest.mark.parametrize("backend", DYNAMIC)
def test_logits(needle, golden, backend, name):
    assert difference(golden, name, needle(backend).logits(golden[f"{name}.ids"])) < TOLERANCE


@pytest.mark.parametrize("name", [*PROMPTS, "long"])
@pytest.mark.parametrize("backend", FIXED)
def test_logits_in_fixed_shapes(needle, golden, backend, name):
    """Padded to the cache that `long` needs: one program for all six."""
    ids = golden[f"{name}.ids"]
    assert difference(golden, name, needle(backend).logits(padded(ids, max(512, len(ids))))) < TOLERANCE


@pytest.mark.parametrize("backend", DYNAMIC)
def test_long_prompt_in_pieces_and_its_continuation(needle, golden, backend):
    """Longer than the windows of 1024: fed from one position of the golden logits to the next, then continued greedily."""
    model, ids = needle(backend), golden["long.ids"].tolist()
    state, start = model.loop.read(ids[:1]), 1
    for position, expected in zip(golden["long.positions"], golden["long.logits"]):
        state.pending = ids[start : position + 1]
        assert np.abs(model.loop.feed(state) - expected).max() < TOLERANCE
        start = position + 1
    model.loop.keep(state)
    stream = model.stream_tokens(ids, max_tokens=16)
    assert [token.id for token in stream] == golden["long.greedy64"][:16].tolist()
    assert stream.usage.reused_tokens == len(ids)
    model.loop.prefixes.clear()


@pytest.mark.parametrize(
    ("backend", "name"),
    # Every further length of prompt is a further program where shapes are fixed.
    [
        *((backend, name) for backend in DYNAMIC for name in PROMPTS),
        *((b, n) for b in FIXED for n in ("one_tool", "off_topic")),
    ],
)
def test_greedy_turn_and_confidence(needle, golden, backend, name):
    """Through the token loop up to the end of the turn; there the confidence is the published one."""
    model, ids, expected = needle(backend), golden[f"{name}.ids"].tolist(), turn(golden, name)
    stream = model.stream_tokens(ids, max_tokens=len(expected), stop_ids=[IM_END])
    assert [token.id for token in stream] == expected
    assert stream.stop_reason == "length"
    confidence = model.confidence(stream.state)
    if len(expected) < 64:
        assert int(np.argmax(stream.state.logits)) == IM_END
    if name in CONFIDENCE:
        assert math.log(confidence / (1 - confidence)) == pytest.approx(CONFIDENCE[name], abs=1e-3)
    model.loop.prefixes.clear()


@pytest.mark.parametrize("backend", [*DYNAMIC, *FIXED])
def test_token_by_token_is_one_pass(needle, golden, backend):
    """In full where shapes are dynamic; elsewhere the shortest prompt."""
    name = "plain" if backend in FIXED else "one_tool"
    model, ids = needle(backend), golden[f"{name}.ids"].tolist()
    state = model.loop.read(ids[:1])
    rows = [state.logits]
    for token in ids[1:]:
        state.pending = [token]
        rows.append(model.loop.feed(state))
    assert difference(golden, name, np.stack(rows)) < TOLERANCE
    at_once = model.logits(padded(golden[f"{name}.ids"], 512) if backend in FIXED else ids)
    assert np.abs(np.stack(rows) - at_once[: len(ids)]).max() < TOLERANCE


@pytest.mark.parametrize(
    ("backend", "depth"), [*(("numpy", depth) for depth in (2, 4, 8, 12, 19)), *((b, 8) for b in DYNAMIC if b != "numpy")]
)
def test_depth_ladder(needle_weights, golden, backend, depth):
    model = from_preset(needle_weights, backend, depth=depth)
    assert len(model.module.blocks) == depth
    for name in ("one_tool", "three_tools"):
        last = model.loop.read(golden[f"{name}.ids"].tolist()).logits
        assert np.abs(last - golden[f"ladder{depth}.{name}.logits_last"]).max() < TOLERANCE


@pytest.mark.parametrize("backend", DYNAMIC)
def test_attention_as_the_published_engine_narrows_it(needle_weights, golden, backend):
    model = from_preset(needle_weights, backend, kv_window=256)
    stream = model.stream_tokens(golden["long.ids"].tolist(), pin=int(golden["long.sink_tokens"]), max_tokens=1)
    list(stream)
    assert np.abs(stream.state.logits - golden["long.logits_window256_last"]).max() < TOLERANCE


def test_cells(needle, golden):
    """What each layer hands on, which says where a deviation begins; it reaches 1e7, so it is compared to its own size."""
    from ferrule.core import get_backend
    from ferrule.models.needle import model as definition

    module, ids = needle("numpy").module, golden["one_tool.ids"][None]
    seen, pool_tokens = [], definition.pool_tokens
    definition.pool_tokens = lambda head, pool, cells, valid: seen.append(cells) or pool_tokens(head, pool, cells, valid)
    try:
        module(ids, ids.shape[1], module.new_cache(get_backend("numpy"), 512, pool=True))
    finally:
        definition.pool_tokens = pool_tokens
    cells, expected = ops.to_numpy(seen[0])[0, -1], golden["one_tool.cells_last"]
    scale = np.abs(expected).max(-1, keepdims=True)
    assert (np.abs(cells - expected) / scale).max() < 1e-4


@pytest.mark.parametrize("backend", DYNAMIC)
def test_embeddings(needle, backend):
    vectors = needle(backend).embed(["Set a timer for nine minutes.", "Start a 9 minute timer", "The weather in Oslo"])
    assert vectors.shape == (3, 3072)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)
    near, far, _ = (vectors @ vectors.T)[np.triu_indices(3, 1)]
    assert near > far
    if backend != "numpy":
        np.testing.assert_allclose(
            vectors,
            needle("numpy").embed(["Set a timer for nine minutes.", "Start a 9 minute timer", "The weather in Oslo"]),
            atol=1e-5,
        )


def test_without_the_compiled_kernels(golden, needle_weights):
    """Where Numba is not installed: every weight unpacked, plain NumPy."""
    model = from_preset(needle_weights, REFERENCE, depth=4)
    last = model.loop.read(golden["one_tool.ids"].tolist()).logits
    assert np.abs(last - golden["ladder4.one_tool.logits_last"]).max() < TOLERANCE
