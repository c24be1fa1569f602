from __future__ import annotations

import pytest
from ferrule.agents.quantities import durations, numbers
from hypothesis import given
from hypothesis import strategies as st

SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}


def read(text):
    return {(reading.value, text[reading.start : reading.end], reading.rule) for reading in numbers(text)}


@pytest.mark.parametrize(
    ("text", "value", "words", "rule"),
    [
        ("for 12 people", 12, "12", ""),
        ("it costs $1,250.50", 1250.5, "1,250.50", ""),
        ("about 30k people", 30000, "30k", "number word"),
        ("a rate of 5%", 0.05, "5%", "percentage"),
        ("a rate of 5 per cent", 0.05, "5 per cent", "percentage"),
        ("at 3 pm", 15, "3 pm", "time"),
        ("two hundred and five", 205, "two hundred and five", "number word"),
        ("two dozen eggs", 24, "two dozen", "number word"),
        ("an hour and a half", 90, "an hour and a half", "duration"),
        ("1/2 hour", 30, "1/2 hour", "duration"),
        ("three quarters of the cake", 0.75, "three quarters", "fraction"),
        ("6 months", 0.5, "6 months", "duration"),
        ("6 months", 180, "6 months", "duration"),
        ("3 years", 36, "3 years", "duration"),
        ("group1", 1, "1", "number in a word"),
        ("a ticket", 1, "a", "article"),
    ],
)
def test_the_words_of_a_number_and_its_rule(text, value, words, rule):
    assert (value, words, rule) in read(text)


@given(st.integers(0, 10**400), st.sampled_from(["{}", "in {} days", "({})", "x={}."]))
def test_digits_are_read_exactly(number, form):
    found = [reading for reading in numbers(form.format(number)) if reading.rule == ""]
    assert number in [reading.value for reading in found] or number >= 10**300


@given(st.integers(1, 500), st.sampled_from(list(SECONDS)), st.sampled_from(list(SECONDS)))
def test_lengths_of_time_in_other_units(number, unit, other):
    seconds = number * SECONDS[unit]
    assert [d.seconds for d in durations(f"for {number} {unit}")] == [seconds]
    assert seconds / SECONDS[other] in [reading.value for reading in numbers(f"for {number} {unit}")]


@given(st.text(max_size=60))
def test_any_text_can_be_read(text):
    low = text.lower()
    for reading in numbers(low):
        assert 0 <= reading.start < reading.end <= len(low)
