"""The model with small random weights: whatever the shapes, chunks, rings and caches, it says what one pass says."""

from __future__ import annotations

import time

import numpy as np
import pytest
from ferrule.core import get_backend, ops
from ferrule.core.backends.numpy import REFERENCE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEXT = np.random.default_rng(7).integers(0, 272, 90).tolist()
CLOSE = {"rtol": 2e-5, "atol": 2e-4}  # logits reach 30


@pytest.fixture(scope="module")
def expected(small_model) -> np.ndarray:
    """Logits of one pass over the whole text: every layer masks the full attention to its window."""
    return small_model(REFERENCE).logits(TEXT)


def feed(model, pieces, text=TEXT):
    """Logits after each piece."""
    state = model.loop.read(text[: pieces[0]])
    found = [state.logits]
    for start, end in zip(np.cumsum(pieces), np.cumsum(pieces)[1:]):
        state.pending = text[start:end]
        found.append(model.loop.feed(state))
    return np.stack(found)


def test_one_pass_is_what_the_layers_say(small_needle):
    """The pass itself, without the loop: hidden states do not depend on what comes later, and padding changes nothing."""
    model, backend = small_needle("numpy"), get_backend("numpy")
    ids = np.array([TEXT[:30]], np.int32)
    hidden, cache = model(ids, 30, model.new_cache(backend, 64))
    for count in (1, 7, 29):
        shorter, _ = model(ids[:, :count], count, model.new_cache(backend, 64))
        np.testing.assert_allclose(shorter, hidden[:, :count], **CLOSE)
    padded, cache_padded = model(ids, 12, model.new_cache(backend, 64))
    np.testing.assert_allclose(padded[:, :12], hidden[:, :12], **CLOSE)
    assert (cache["length"], cache_padded["length"]) == (30, 12)
    assert cache_padded["ids"].tolist() == [TEXT[10:12]]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.integers(1, 25), min_size=1, max_size=8))
def test_a_text_in_any_pieces(small_model, form, short_chunks, expected, pieces):
    """Also where windows of 6 lie in rings of 14 rows and the other caches grow from 16 rows to 104."""
    found = feed(small_model(form), pieces)
    np.testing.assert_allclose(found[: len(pieces)], expected[np.minimum(np.cumsum(pieces), 90) - 1][: len(found)], **CLOSE)


@pytest.fixture(scope="module")
def loaded(small_model):
    """One model for each backend, so that each of its few shapes is compiled once."""
    models = {}
    return lambda backend: models.setdefault(backend.name, small_model(backend))


PIECES = [4, 1, 3, 4, 1, 1, 16, 2, 1, 30, 1]  # with chunks of 1 and 4 tokens: rings of 10 rows wrap many times


@pytest.fixture
def few_shapes(monkeypatch, backend):
    from ferrule.models import kv_cache, token_loop

    monkeypatch.setattr(kv_cache, "MAX_CHUNK", 4)
    monkeypatch.setattr(backend, "chunk_sizes", (1, 4, 4))
    monkeypatch.setattr(token_loop, "CAPACITIES", ())


def test_on_every_backend(backend, loaded, few_shapes, expected):
    found = feed(loaded(backend), PIECES)
    np.testing.assert_allclose(found, expected[np.cumsum(PIECES) - 1], **CLOSE)


def test_all_logits_at_once_on_every_backend(backend, loaded, few_shapes, expected):
    texts = np.array([TEXT[:40], TEXT[40:80]])
    found = loaded(backend).logits(texts)
    assert found.shape == (2, 40, 272)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected[:40], **CLOSE)
    assert np.abs(found[1] - expected[:40]).max() > 1


def test_a_kept_beginning_is_not_touched_by_what_follows(backend, loaded, few_shapes, small_model, expected):
    """Backends write their caches in place, or give the old one away; a snapshot must survive both."""
    loop, reference = loaded(backend).loop, small_model(REFERENCE)
    loop.prefixes.clear()
    for _ in range(2):
        for text in (TEXT[:30], TEXT[:20] + TEXT[60:70], TEXT[:12]):
            stream = loop.stream(text, max_tokens=4, pin=12)
            list(stream)
            np.testing.assert_allclose(stream.state.logits, reference.logits(text + stream.ids[:-1])[-1], **CLOSE)
    assert stream.usage.reused_tokens == 12
    np.testing.assert_allclose(loop.prefixes.find(TEXT[:12]).logits, expected[11], **CLOSE)


def test_programs_are_compiled_for_shapes_not_for_lengths(backend, loaded, few_shapes):
    if backend.dynamic_shapes:
        pytest.skip("nothing is compiled here")
    loop = loaded(backend).loop
    loop.read(TEXT[:4])
    slowest = 0.0
    for count in (3, 2, 4, 7, 6):
        began = time.perf_counter()
        loop.read(TEXT[:count])
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 1.0


def test_windows_bound_how_far_a_model_sees(small_model):
    """Four layers look back 5 positions each and their convolutions 2; memory of n-grams 9 + 2, at two of them."""
    other = [5, *TEXT[1:]]
    local, all_seeing = small_model(REFERENCE, global_layers=()), small_model("numpy")
    differs = np.abs(local.logits(TEXT) - local.logits(other)).max(-1)
    assert (differs[: 4 * 5] > 1e-3).any()
    assert differs[4 * (5 + 2) + 2 * (9 + 2) + 1 :].max() == 0
    assert np.abs(all_seeing.logits(TEXT) - all_seeing.logits(other))[-1].max() > 0


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.integers(1, 20), min_size=1, max_size=6), window=st.integers(1, 12), pin=st.integers(0, 30))
def test_narrowed_attention_in_any_pieces(small_model, form, short_chunks, pieces, window, pin):
    model = small_model(form, kv_window=window)
    whole = model.loop.stream(TEXT[: sum(pieces)][:90], pin=min(pin, sum(pieces)), max_tokens=1)
    list(whole)
    model.loop.prefixes.clear()
    state = model.loop._begin(TEXT[: pieces[0]], 0)
    if "sink" in state.cache:
        state.cache["sink"] = model.loop._scalar(min(pin, sum(pieces)))
    for start, end in zip([0, *np.cumsum(pieces)], np.cumsum(pieces)):
        state.pending = TEXT[start:end]
        model.loop.feed(state)
    np.testing.assert_allclose(state.logits, whole.state.logits, **CLOSE)


def test_narrowed_attention_sees_the_pinned_beginning_and_a_window(small_model):
    """With every layer narrowed to 4 positions, a change in the middle is out of sight; one in the pinned part is not."""
    model = small_model(REFERENCE, kv_window=4, global_layers=(0, 1, 2, 3), engram_sites=())

    def last(text, pin):
        model.loop.prefixes.clear()
        stream = model.loop.stream(text, pin=pin, max_tokens=1)
        list(stream)
        return stream.state.logits

    text = TEXT[:80]
    middle, start = [*text[:30], 9, *text[31:]], [text[0], 9, *text[2:]]
    np.testing.assert_allclose(last(middle, 8), last(text, 8), **CLOSE)
    assert np.abs(last(start, 8) - last(text, 8)).max() > 1e-3
    np.testing.assert_allclose(last(start, 0), last(text, 0), **CLOSE)


def test_a_state_is_not_reused_under_another_pin(small_model):
    """What a token saw depends on the pin, so a state of the same text with another pin is another state."""
    model = small_model(REFERENCE, kv_window=4)

    def last(pin):
        stream = model.loop.stream(TEXT[:60], pin=pin, max_tokens=1)
        list(stream)
        model.loop.keep(stream.state)
        return stream.state.logits, stream.usage.reused_tokens

    pinned, _ = last(16)
    unpinned, reused = last(0)
    assert reused == 0
    assert np.abs(pinned - unpinned).max() > 1e-3
    again, reused = last(16)
    assert reused == 60
    np.testing.assert_array_equal(again, pinned)


def test_a_ladder_has_the_layers_of_its_selection(small_needle, small_config):
    full = small_needle("numpy")
    assert [block.engram is not None for block in full.blocks] == [False, True, False, True]
    config = small_config.ladder(3)
    part = type(full)(config)
    assert [block.attn.window for block in part.blocks] == [6, 6, 6]
    assert [block.engram is not None for block in part.blocks] == [False, True, True]


def test_the_confidence_pool_is_that_of_the_text(backend, loaded, few_shapes, small_model):
    one_pass = small_model(REFERENCE).loop.read(TEXT[:30])
    expected = ops.to_numpy(small_model(REFERENCE).module.confidence(one_pass.cache["pool"]))
    model = loaded(backend)
    state = model.loop.read(TEXT[:7])
    for start, end in ((7, 8), (8, 20), (20, 30)):
        state.pending = TEXT[start:end]
        model.loop.feed(state)
    assert model.confidence(state) == pytest.approx(float(1 / (1 + np.exp(-expected[0]))), abs=1e-5)
