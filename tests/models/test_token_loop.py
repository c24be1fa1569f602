from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
from ferrule.core.backends.numpy import REFERENCE
from ferrule.models import ConstraintError, ContextLengthError, Grammars, RandomSampler
from ferrule.models.errors import ModelError, WeightsError
from ferrule.models.token_loop import _finite
from hypothesis import given, settings
from hypothesis import strategies as st

TEXT = [2, *np.random.default_rng(3).integers(4, 272, 40).tolist()]
CLOSE = {"rtol": 2e-5, "atol": 2e-4}


class Scripted:
    """A constraint for tests: at each place the allowed tokens; a place with one allowed token may be forced."""

    def __init__(self, places: list[set[int]], forces: bool = True, vocab: int = 272):
        self.places, self.forces, self.vocab, self.at = places, forces, vocab, 0
        self.committed: list[int] = []

    def mask(self):
        bits = np.zeros(-(-self.vocab // 32) * 32, bool)
        bits[list(self.places[self.at])] = True
        return np.packbits(bits, bitorder="little").view(np.uint32)

    def commit(self, token):
        if self.is_done or token not in self.places[self.at]:
            raise ConstraintError(f"{token} is not allowed")
        self.committed.append(token)
        self.at += 1

    def forced(self):
        run = []
        for place in self.places[self.at :] if self.forces else []:
            if len(place) > 1:
                break
            run += place
        return run

    @property
    def is_done(self):
        return self.at == len(self.places)

    def fork(self):
        copy = Scripted(self.places, self.forces, self.vocab)
        copy.at = self.at
        return copy


@pytest.fixture(scope="module")
def model(small_model):
    return small_model("numpy")


@pytest.fixture
def loop(model):
    model.loop.prefixes.clear()
    return model.loop


def test_greedy_tokens_are_the_likeliest_of_a_full_pass(model, loop):
    stream = loop.stream(TEXT, max_tokens=12)
    tokens = list(stream)
    assert [token.id for token in tokens] == stream.ids
    logits = model.logits(TEXT + stream.ids).astype(np.float64)
    for token, row in zip(tokens, logits[len(TEXT) - 1 :]):
        p = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
        assert token.id == int(np.argmax(row))
        assert token.logprob == pytest.approx(np.log(p[token.id]), abs=1e-3)
        assert (token.forced, token.mass) == (False, 1.0)


def test_usage(loop):
    stream = loop.stream(TEXT, max_tokens=5, stop_ids=())
    assert stream.usage.generated_tokens == 0
    list(stream)
    u = stream.usage
    assert (u.prompt_tokens, u.reused_tokens, u.prefill_tokens, u.decode_tokens, u.generated_tokens) == (41, 0, 41, 4, 5)
    assert u.prefill_seconds > 0
    assert u.decode_seconds > 0
    assert stream.state.ids + stream.state.pending == TEXT + stream.ids


@pytest.mark.parametrize("most", [-3, 0, 1, 7])
def test_max_tokens(loop, most):
    stream = loop.stream(TEXT, max_tokens=most, stop_ids=())
    assert stream.stop_reason is None
    assert len(list(stream)) == max(0, most)
    assert stream.stop_reason == "length"
    assert stream.state.ids + stream.state.pending == TEXT + stream.ids


def test_the_context_ends_a_stream(loop):
    stream = loop.stream(TEXT, max_tokens=1000, stop_ids=())
    assert len(list(stream)) == 96 - 41
    assert stream.stop_reason == "length"
    assert np.isfinite(loop.feed(stream.state)).all()  # what was written last can still be read


def test_stop_ids_end_a_stream_and_are_its_last_token(loop):
    free = list(loop.stream(TEXT, max_tokens=20, stop_ids=()))
    stop = free[6].id
    first = [token.id for token in free].index(stop)
    stream = loop.stream(TEXT, max_tokens=20, stop_ids=[stop])
    assert [token.id for token in stream] == [token.id for token in free[: first + 1]]
    assert stream.stop_reason == "stop"
    assert stream.state.pending == [stop]


def test_the_tokenizers_own_end(small_model):
    model = small_model("numpy")
    model.module.embedding.weight[1] = model.module.embedding.weight.mean(0) * 0 + 3  # whatever stands before: </s> is likely
    stream = model.stream_tokens(TEXT, max_tokens=50, sampler=lambda logits: 1)
    assert [token.id for token in stream] == [1]
    assert (stream.stop_reason, stream.text) == ("stop", "")


# -- constraints -------------------------------------------------------------------------------------------------------

places = st.lists(st.sets(st.integers(0, 271), min_size=1, max_size=4), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(places=places, forces=st.booleans(), seed=st.integers(0, 99))
def test_masks_are_respected_and_forced_tokens_are_not_sampled(model, places, forces, seed):
    asked = []

    def sampler(logits):
        asked.append(set(np.flatnonzero(np.isfinite(logits)).tolist()))
        return RandomSampler(temperature=50.0, seed=seed + len(asked))(logits)

    model.loop.prefixes.clear()
    constraint = Scripted(places, forces)
    stream = model.loop.stream(TEXT[:9], constraint=constraint, sampler=sampler, stop_ids=())
    tokens = list(stream)
    assert [token.id for token in tokens] == constraint.committed
    assert all(token.id in place for token, place in zip(tokens, places, strict=True))
    assert stream.stop_reason == "stop"
    assert [token.forced for token in tokens] == [forces and len(place) == 1 for place in places]
    assert asked == [place for place in places if not (forces and len(place) == 1)]
    for token in tokens:
        assert token.logprob <= 1e-6
        assert 0 <= token.mass <= 1
        if token.forced:
            assert (token.logprob, token.mass) == (0.0, 1.0)


def test_forced_tokens_go_through_the_model_together(model, loop):
    fixed = [{i} for i in range(10, 20)]
    stream = loop.stream(TEXT, constraint=Scripted([{5, 6}, *fixed, {7, 8}, {9, 10}]), stop_ids=())
    list(stream)
    # 41 of the prompt, then the first choice with the ten behind it; the second choice alone; the last one is not needed
    assert (stream.usage.prefill_tokens, stream.usage.decode_tokens) == (41 + 11, 1)
    full = model.logits(TEXT + stream.ids)
    np.testing.assert_allclose(stream.state.logits, full[-2], **CLOSE)


def test_a_turn_forced_from_the_start_is_not_asked_for(loop):
    stream = loop.stream(TEXT, constraint=Scripted([{4}, {5}]), stop_ids=())
    assert [token.forced for token in stream] == [True, True]
    assert stream.usage.prefill_tokens == 0
    assert stream.state.pending[-2:] == [4, 5]


def test_a_constraint_that_is_done_at_once(loop):
    stream = loop.stream(TEXT, constraint=Scripted([]))
    assert list(stream) == []
    assert stream.stop_reason == "stop"


def test_max_tokens_cuts_forced_tokens_too(loop):
    constraint = Scripted([{4}, {5}, {6}, {7}])
    stream = loop.stream(TEXT, max_tokens=3, constraint=constraint, stop_ids=())
    assert [token.id for token in stream] == [4, 5, 6]
    assert (stream.stop_reason, constraint.committed) == ("length", [4, 5, 6])
    done = loop.stream(TEXT, max_tokens=4, constraint=Scripted([{4}, {5}, {6}, {7}]), stop_ids=())
    assert len(list(done)) == 4
    assert done.stop_reason == "stop"


def test_a_stop_token_among_the_forced_ones(loop):
    stream = loop.stream(TEXT, constraint=Scripted([{4}, {1}, {6}]))
    assert [token.id for token in stream] == [4, 1]
    assert stream.stop_reason == "stop"


def test_a_mask_of_nothing(loop):
    with pytest.raises(ConstraintError, match="allows no token"):
        list(loop.stream(TEXT, constraint=Scripted([{4, 5}, set()], forces=False)))


def test_a_sampler_that_breaks_the_mask_is_caught(loop):
    with pytest.raises(ConstraintError):
        list(loop.stream(TEXT, constraint=Scripted([{4, 5}], forces=False), sampler=lambda logits: 9))


def test_probabilities_are_those_among_the_allowed_tokens(model, loop):
    (token,) = loop.stream(TEXT, constraint=Scripted([{40, 50, 60}]), stop_ids=())
    row = model.logits(TEXT)[-1].astype(np.float64)
    p = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
    assert token.id == max((40, 50, 60), key=lambda i: p[i])
    assert token.mass == pytest.approx(p[[40, 50, 60]].sum(), rel=1e-3)
    assert np.exp(token.logprob) == pytest.approx(p[token.id] / p[[40, 50, 60]].sum(), rel=1e-3)


@pytest.mark.parametrize("allowed", [{7}, {7, 9}, {40, 50, 60, 70}, {40, 50, 60, 70, 80}, set(range(4, 272))])
def test_the_likeliest_other_tokens_are_told(model, loop, allowed):
    row = model.logits(TEXT)[-1].astype(np.float64)
    p = np.exp(row - row.max()) / np.exp(row - row.max())[list(allowed)].sum()
    best = sorted(allowed, key=lambda i: -p[i])
    for chosen in best[:5]:
        (token,) = loop.stream(TEXT, constraint=Scripted([allowed], forces=False), sampler=lambda _, c=chosen: c, stop_ids=())
        assert [other for other, _ in token.others] == [i for i in best if i != chosen][:3]
        for other, logprob in token.others:
            assert logprob == pytest.approx(np.log(p[other]), abs=1e-3)
    (forced,) = loop.stream(TEXT, constraint=Scripted([{7}]), stop_ids=())
    (free,) = loop.stream(TEXT, max_tokens=1, stop_ids=())
    assert forced.others == free.others == ()


def test_under_a_grammar(small_model, tiny_tokenizer):
    constraint = Grammars(tiny_tokenizer).compile('start: "{\\"ab\\":" /[0-9]{2,4}/ "}" <[3]>')
    for seed in range(10):
        stream = small_model("numpy").stream_tokens(
            TEXT, constraint=constraint.fork(), sampler=RandomSampler(temperature=100.0, seed=seed)
        )
        list(stream)
        assert stream.text.startswith('{"ab":')
        assert stream.text[6:].removesuffix("}<mark>").isdigit()
        assert stream.stop_reason == "stop"
        assert any(token.forced for token in stream.tokens)


# -- text --------------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    ids=st.lists(
        st.integers(0, 271) | st.sampled_from([4 + 0xE2, 4 + 0x82, 4 + 0xAC, 4 + 0xC3, 265, 266]), min_size=1, max_size=20
    )
)
def test_streamed_text_is_the_decoded_text(model, ids):
    """Never half a character, and all of it at the end, wherever the stream ends."""
    stream = model.loop.stream(TEXT[:3], max_tokens=len(ids), constraint=Scripted([{i} for i in ids]), stop_ids=())
    pieces = [token.text for token in stream]
    assert "".join(pieces) == stream.text == model.tokenizer.decode(ids)
    so_far = ""
    for i, piece in enumerate(pieces[:-1]):
        so_far += piece
        assert model.tokenizer.decode(ids[: i + 1]).startswith(so_far)


# -- prefixes ----------------------------------------------------------------------------------------------------------


def test_a_second_prompt_with_the_same_beginning_pays_for_the_rest_only(model, loop):
    first = loop.stream(TEXT[:30], pin=20, max_tokens=3, stop_ids=())
    list(first)
    other = [*TEXT[:20], 9, 8, 7, 6]
    second = loop.stream(other, pin=20, max_tokens=1, stop_ids=())
    list(second)
    assert (first.usage.reused_tokens, first.usage.prefill_tokens) == (0, 30)
    assert (second.usage.reused_tokens, second.usage.prefill_tokens) == (20, 4)
    np.testing.assert_allclose(second.state.logits, model.logits(other)[-1], **CLOSE)


def test_the_prompt_that_is_the_pinned_text(model, loop):
    for reused in (0, 20):
        stream = loop.stream(TEXT[:20], pin=20, max_tokens=2, stop_ids=())
        list(stream)
        assert stream.usage.reused_tokens == reused
        np.testing.assert_allclose(stream.state.logits, model.logits([*TEXT[:20], stream.ids[0]])[-1], **CLOSE)


def test_a_pin_longer_than_the_prompt(model, loop):
    stream = loop.stream(TEXT[:5], pin=50, max_tokens=1, stop_ids=())
    list(stream)
    np.testing.assert_allclose(stream.state.logits, model.logits(TEXT[:5])[-1], **CLOSE)


def test_turns_of_one_run_go_on_from_each_other(loop):
    """The agent keeps the state after each turn; the tools survive a run of many turns."""
    text, pin, before = TEXT[:20], 15, []
    for _ in range(7):
        stream = loop.stream(text, pin=pin, max_tokens=3, stop_ids=())
        list(stream)
        assert stream.usage.reused_tokens == len(before)
        loop.feed(stream.state)
        loop.keep(stream.state)
        before = text + stream.ids
        text = [*before, 9, 10]
    other = loop.stream([*TEXT[:15], 3, 4], pin=pin, max_tokens=1)
    assert other.usage.reused_tokens == 15


def test_streams_side_by_side_do_not_disturb_each_other(loop):
    alone = [[token.id for token in loop.stream([*TEXT[:20], i], pin=20, max_tokens=9, stop_ids=())] for i in range(5)]
    streams = [loop.stream([*TEXT[:20], i], pin=20, max_tokens=9, stop_ids=()) for i in range(5)]
    for _ in range(9):
        for stream in streams:
            next(stream)
    assert [stream.ids for stream in streams] == alone


def test_streams_of_several_threads_take_turns(small_model):
    loop = small_model("numpy").loop
    alone = [list(loop.stream([*TEXT[:20], i], pin=20, max_tokens=9, stop_ids=())) for i in range(6)]
    loop.prefixes.clear()
    found = {}

    def go(i):
        stream = loop.stream([*TEXT[:20], i], pin=20, max_tokens=9, stop_ids=())
        found[i] = list(stream)
        loop.feed(stream.state)
        loop.keep(stream.state)

    threads = [threading.Thread(target=go, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(len(tokens) for tokens in found.values()) == {9: 6}
    assert [[token.id for token in found[i]] for i in range(6)] == [[token.id for token in tokens] for tokens in alone]


# -- what does not fit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [96, 97, 500])
def test_prompts_that_leave_no_room(loop, length):
    with pytest.raises(
        ContextLengthError, match=rf"^{length} tokens together with one to be written do not fit .*of 96; shorten"
    ) as error:
        loop.stream([2] * length)
    assert isinstance(error.value, ModelError)
    assert "\n" not in str(error.value)
    assert len(list(loop.stream([2] * 95, max_tokens=9, stop_ids=()))) == 1


def test_texts_longer_than_the_context(model, loop):
    with pytest.raises(ContextLengthError, match=r"^97 tokens do not fit"):
        model.logits([2] * 97)
    with pytest.raises(ContextLengthError, match=r"^97 tokens do not fit"):
        loop.read([2] * 97)
    assert model.logits([2] * 96).shape == (96, 272)


def test_an_empty_prompt(loop):
    with pytest.raises(ValueError, match="received an empty prompt"):
        list(loop.stream([]))
    with pytest.raises(ValueError, match="received an empty prompt"):
        loop.read([])


def test_a_long_text_meets_the_vocabulary_once(small_model, short_chunks, monkeypatch):
    """What follows a chunk in the midst of it is not asked."""
    model = small_model(REFERENCE)
    expected, plain = model.logits(TEXT)[-1], type(model.module).logits
    asked = []
    monkeypatch.setattr(type(model.module), "logits", lambda self, hidden: asked.append(hidden.shape) or plain(self, hidden))
    found = model.loop.read(TEXT)
    assert asked == [(1, 48)], "six chunks, one row"
    np.testing.assert_allclose(found.logits, expected, **CLOSE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers(bad):
    fine = np.linspace(-3, 3, 40, dtype=np.float32)
    assert _finite(fine) is fine
    for at in (0, 17, 39):
        with pytest.raises(WeightsError, match="gives NaN or infinite logits"):
            _finite(np.where(np.arange(40) == at, np.float32(bad), fine))
