from __future__ import annotations

import pytest
from ferrule.agents.passages import Passage, key, passages_of, plain_number, split_place
from hypothesis import given
from hypothesis import strategies as st


def words(text, value):
    found = Passage("goal", text).words_at(value)
    return None if found is None else (text[slice(*found[0])], found[1])


@pytest.mark.parametrize(
    ("text", "value", "said", "rule"),
    [
        ("weather in Oslo", "Oslo", "Oslo", ""),
        ("weather in oslo", "Oslo", "oslo", "spelling"),
        ("the user id column", "user_id", "user id", "spelling"),
        ("compute 3 + 4", "+", "+", ""),
        ("a piece in c# major", "C#", "c#", "spelling"),
        ("call 555 12 34", "5551234", "555 12 34", "spelling"),
    ],
)
def test_words_as_they_stand(text, value, said, rule):
    assert words(text, value) == (said, rule)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Naples, Florida", "Naples, FL"),
        ("a C major piece", "C#"),
        ("4 5", "45"),
        ("also", "so"),
        ("also", "als o k"),
        ("", "x"),
        ("x", ""),
    ],
)
def test_words_that_do_not_stand_there(text, value):
    assert words(text, value) is None


@pytest.mark.parametrize(
    ("text", "value", "rule"),
    [
        ("into German", "de", "code"),
        ("into Brazilian Portuguese", "pt-BR", "code"),
        ("key war events in German history", "Germany", "nation"),
        ("a book in DE please", "German", "code"),
        ("age greater than 25", ">", "operator"),
        ("a run of 5 miles", "mi", "unit"),
        ("in New York City", "NYC", "initials"),
        ("in Boston", "Boston, MA", "place"),
        ("3pm London time", "Europe/London", "time zone"),
        ("opens on Sundays", "open on Sunday", "wording"),
        ("flights to New Yorkers", "New York", "wording"),
        ("twenty five of them", "25", "number word"),
        ("on 25 November 2026", "2026-11-25", "date"),
    ],
)
def test_what_follows_from_words(text, value, rule):
    assert rule in {found for _, found in Passage("goal", text).derived_at(value)}


def test_years_are_no_codes():
    assert list(Passage("goal", "in April 2022").derived_at("2022-05-27")) == []


@pytest.mark.parametrize(
    ("text", "value", "said", "rule"),
    [
        ("from -2 to 2", -2, "-2", ""),
        ("x^2 - 7 = 0", -7, "- 7", ""),
        ("a loss of 1000 dollars", -1000, "loss of 1000", "sign"),
        ("1000 dollars", -1000, "1000", "unsigned"),
        ("2 pi", 6.2832, "2 pi", "number word"),
        ("12 apples", 2, None, None),
    ],
)
def test_numbers(text, value, said, rule):
    reading = Passage("goal", text).number_at(value)
    assert (reading and (text[reading.start : reading.end], reading.rule)) == (said and (said, rule))


NAMES = st.text(max_size=4) | st.sampled_from(["#", ":1:2", "a;b", "%23", "~1", "/"])
JSON = st.recursive(
    st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.integers(1, 99), JSON)
def test_every_place_of_a_result_resolves(number, value):
    for leaf in passages_of(number, value, False, None):
        for start, end in ((0, len(leaf.text)), (0, 1)) if leaf.text else ():
            call, names, is_name, span = split_place(leaf.at(start, end))
            there = value
            for name in names[:-1] if is_name else names:
                there = there[int(name)] if isinstance(there, list) else there[name]
            text = names[-1] if is_name else str(there)
            assert call == number
            assert not is_name or names[-1] in there
            assert text[slice(*(span or (0, len(text))))] == leaf.text[start:end]


def test_no_places():
    assert split_place("12:18") is None
    assert split_place("x#/a") is None


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers())
def test_keys_are_equal_for_equal_numbers(number):
    if key(number) is not None:
        assert key(number) == key(number * 1)
        assert key(number) == pytest.approx(number)
    assert key(0.1 + 0.2) == key(0.3)


@given(st.integers(-(10**20), 10**20))
def test_plain_numbers(number):
    assert plain_number(str(number)) == number
    assert plain_number(f"{number:,}") == number
    assert plain_number(f"{number} m") is None
