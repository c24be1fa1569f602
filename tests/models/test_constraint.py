from __future__ import annotations

import json

import numpy as np
import pytest
from ferrule.models.constraint import Constraint, GrammarConstraint, Grammars
from ferrule.models.errors import ConstraintError, GrammarError
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def grammars(tokenizer) -> Grammars:
    return Grammars(tokenizer)


def allowed(constraint: Constraint) -> set[int]:
    return set(np.flatnonzero(np.unpackbits(constraint.mask().view(np.uint8), bitorder="little")).tolist())


def test_mask_holds_exactly_the_tokens_that_fit(grammars, tokenizer):
    constraint = grammars.compile('start: "abc" | "abd" | "x"')
    mask = constraint.mask()
    assert mask.dtype == np.uint32
    assert mask.shape == (8192 // 32,)
    pieces = {i: tokenizer.token_bytes(i) for i in range(28, 8192)}
    expected = {i for i, piece in pieces.items() if any(word.startswith(piece) for word in (b"abc", b"abd", b"x"))}
    assert allowed(constraint) == expected


def test_vocabulary_that_is_no_multiple_of_32(tokenizer):
    class Cut:
        """The tokenizer without its last pieces."""

        vocab_size, bos_id, eos_ids, special_ids = 8170, 2, (1,), tokenizer.special_ids
        encode, decode = staticmethod(tokenizer.encode), staticmethod(tokenizer.decode)
        token_bytes = staticmethod(tokenizer.token_bytes)

    mask = Grammars(Cut()).compile("start: <[*]> <[*]>").mask()
    assert mask.shape == (256,)
    assert max(np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))) < 8170


def test_forced_tokens_are_the_tokenizers_own(grammars, tokenizer):
    text = '\n{"city":"<think>","kind":"naïve 東京"}'
    constraint = grammars.compile(f"start: <[6]> {json.dumps(text)} <[5]>")
    forced = constraint.forced()
    assert forced == [6, *tokenizer.encode(text, markers=False), 5]
    for token in forced:
        assert token in allowed(constraint)
        constraint.commit(token)
    assert constraint.is_done
    assert constraint.forced() == []


def test_no_forced_tokens_where_there_is_a_choice(grammars):
    constraint = grammars.compile('start: "yes" | "no"')
    assert constraint.forced() == []
    assert not constraint.is_done


def test_wrong_token_is_refused_and_changes_nothing(grammars, tokenizer):
    constraint = grammars.compile('start: "ab"')
    before = allowed(constraint)
    with pytest.raises(ConstraintError) as error:
        constraint.commit(5)
    assert "\n" not in str(error.value)
    with pytest.raises(ConstraintError):
        constraint.commit(999_999)
    assert allowed(constraint) == before
    for token in tokenizer.encode("ab"):
        constraint.commit(token)
    assert constraint.is_done
    with pytest.raises(ConstraintError):
        constraint.commit(28)


def test_end_is_allowed_where_the_grammar_may_end(grammars, tokenizer):
    constraint = grammars.compile('start: "a" "b"?')
    constraint.commit(tokenizer.encode("a")[0])
    assert not constraint.is_done
    assert constraint.is_accepting
    assert tokenizer.eos_ids[0] in allowed(constraint)
    constraint.commit(tokenizer.eos_ids[0])
    assert constraint.is_done


def test_forks_are_independent(grammars, tokenizer):
    constraint = grammars.compile('start: "a" ("b" | "c")')
    constraint.commit(tokenizer.encode("a")[0])
    fork = constraint.fork()
    fork.commit(tokenizer.encode("b")[0])
    assert fork.is_done
    assert not constraint.is_done
    constraint.commit(tokenizer.encode("c")[0])
    assert constraint.is_done


def test_compiled_grammars_are_kept_and_not_shared(tokenizer):
    grammars = Grammars(tokenizer, keep=2)
    first = grammars.compile('start: "a"')
    first.commit(tokenizer.encode("a")[0])
    assert not grammars.compile('start: "a"').is_done
    for text in "bcd":
        grammars.compile(f'start: "{text}"')
    assert len(grammars._compiled) == 2


@pytest.mark.parametrize("lark", ["start: nothing", "start: (", 'x: "a"', "start: /(?=a)b/", "start: <[99999]>"])
def test_bad_grammars(grammars, lark):
    with pytest.raises(GrammarError) as error:
        grammars.compile(lark)
    assert "\n" not in str(error.value)


def test_dead_end_is_an_error(grammars, tokenizer):
    constraint = grammars.compile('start: "a" NONE\nNONE: /b/ & /c/')
    with pytest.raises(ConstraintError):  # noqa: PT012  (where the engine notices is its own affair)
        constraint.commit(tokenizer.encode("a")[0])
        constraint.mask()


def test_tokens_are_counted_by_the_grammar(grammars):
    """A bound on free tokens really ends: then only the closing marker is left."""
    constraint = grammars.compile("start: <[6]> <[^0-27]>{0,3} <[7]>")
    assert constraint.forced() == [6]
    constraint.commit(6)
    for _ in range(3):
        assert allowed(constraint) == {7, *range(28, 8192)}
        assert constraint.forced() == []
        constraint.commit(1000)
    assert constraint.forced() == [7]
    assert allowed(constraint) == {7}


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('abé"', max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(value=values)
def test_every_token_of_a_valid_text_is_allowed(grammars, tokenizer, value):
    """The tokenizer's own segmentation of JSON passes a JSON grammar token by token."""
    constraint = grammars.compile('start: <[6]> x <[7]>\nx: %json {"x-guidance":{"whitespace_flexible":false}}')
    constraint.commit(6)
    for token in [*tokenizer.encode(json.dumps(value, ensure_ascii=False, separators=(",", ":")), markers=False), 7]:
        assert token in allowed(constraint)
        forced = constraint.forced()
        assert not forced or token == forced[0] or tokenizer.token_bytes(token).startswith(tokenizer.token_bytes(forced[0])[:1])
        constraint.commit(token)
    assert constraint.is_done


def test_grammar_constraint_is_a_constraint(grammars):
    constraint: Constraint = grammars.compile('start: "a"')
    assert isinstance(constraint, GrammarConstraint)
    assert not constraint.mask().flags.writeable
