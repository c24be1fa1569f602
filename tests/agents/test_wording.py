from __future__ import annotations

import pytest
from ferrule.agents.wording import exactly, inflected, initials, lowered, phrase, squashed, squashed_places, stem, tokens
from hypothesis import given
from hypothesis import strategies as st


@given(st.text(max_size=40))
def test_lower_case_keeps_places(text):
    assert len(lowered(text)) == len(text)


@given(st.text(max_size=40))
def test_every_squashed_character_has_its_place(text):
    places = squashed_places(text)
    assert len(places) == len(squashed(text))
    assert all(character in text[place].casefold() for character, place in zip(squashed(text), places))
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("value", "text", "span"),
    [
        ("12", "room 12, please", (5, 7)),
        ("12", "112 12", (4, 6)),
        ("12", "12.5 A12 12a 1,12", None),
        ("12", "it is 12.", (6, 8)),
        ("Oslo", "oslo", None),
        ("上海", "我想知道上海目前", (4, 6)),
    ],
)
def test_exactly(value, text, span):
    assert exactly(value, text) == span


@given(st.text("ab 1", max_size=8), st.text("ab1", min_size=1, max_size=3), st.text("ab 1", max_size=8))
def test_what_stands_between_spaces_is_found(before, value, after):
    text = f"{before} {value} {after}"
    span = exactly(value, text)
    assert span is not None
    assert text[slice(*span)] == value
    assert span == phrase(value, text) or phrase(value, text) is not None


@pytest.mark.parametrize(
    ("words", "one"),
    [
        ("opens opened opening open", "open"),
        ("cities city", "city"),
        ("planned planning plan", "plan"),
        ("women woman", "woman"),
        ("classes class", "class"),
    ],
)
def test_stems(words, one):
    assert {stem(word) for word in words.split()} == {stem(one)}


def test_stems_of_other_words_differ():
    assert len({stem(word) for word in ("bus", "analysis", "sing", "red", "glass", "lens", "university", "universe")}) == 8


@pytest.mark.parametrize(
    ("value", "text", "words"),
    [
        ("open on Sundays", "a place that opens on sundays", "opens on sundays"),
        ("history books", "books about history", "books about history"),
        ("C major", "c sharp major", None),
        ("x 3", "at 3 x", None),
        ("plan 3", "plans 3", "plans 3"),
        ("red wine", "red cars and white wine", None),
        ("", "anything", None),
    ],
)
def test_inflected(value, text, words):
    span = inflected(value, tokens(text))
    assert (text[slice(*span)] if span else None) == words


@pytest.mark.parametrize(
    ("value", "text", "words"),
    [
        ("NYC", "in New York City today", "New York City"),
        ("USA", "the United States of America", "United States of America"),
        ("SD", "in San Diego", "San Diego"),
        ("SD", "San is not Diego", None),
        ("nyc", "New York City", None),
        ("N", "New York", None),
    ],
)
def test_initials(value, text, words):
    span = initials(value, text)
    assert (text[slice(*span)] if span else None) == words
