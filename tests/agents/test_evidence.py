from __future__ import annotations

import pytest
from ferrule.agents.evidence import Evidence
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("the weather in São Paulo", "são paulo"),
        ("call John O'Neill back", "John ONeill"),
        ("use the user_id column", "user id"),
        ("compute 3 + 4", "+"),
        ("a pasta timer for 9 minutes", 9),
        ("heights of 5.6 feet", 5.6),
        ("a budget of $1,250,000", 1250000),
        ("factorials of 5,10 and 15", 10),
        ("coefficients 2 and -4", -4),
        ("a loss of 1000 dollars", -1000),
        ("charges of 1e-9 C", 1e-9),
        ("an interest rate of 5%", 5),
        ("an interest rate of 5%", 0.05),
        ("a rate of 2.5 percent", 0.025),
        ("open until 11 PM", 23),
        ("a population of 1.2 million", 1200000),
        ("about 30k people", 30000),
        ("wake me in twenty-five minutes", 25),
        ("two hundred and five apples", 205),
        ("three thousand two hundred", 3200),
        ("the second item", 2),
        ("half an hour", 30),
        ("a dozen eggs", 12),
        ("for 2 hours", 120),
        ("for 2 hours", 7200),
        ("an hour and a half", 90),
        ("two and a half hours", 150),
        ("1/2 hour", 30),
        ("2½ hours", 150),
        ("1 hour 30", 90),
        ("1h30m", 90),
        ("three quarters of an hour", 45),
        ("90 seconds", 1.5),
        ("100 minutes", 1.67),
        ("two days", 48),
        ("three quarters of the cake", 0.75),
        ("into German", "de"),
        ("into Brazilian Portuguese", "pt-BR"),
        ("in euros", "EUR"),
        ("meet on Friday", "2026-11-27"),
        ("meet at noon", "12:00"),
        ("meet on Friday at noon", "2026-11-27T12:00:00Z"),
        ("anything", True),
        ("anything", None),
        ("anything", ["free"]),
    ],
)
def test_what_is_said_supports(text, value):
    assert Evidence(text).supports(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("the weather in Lagos", "Oslo"),
        ("the weather in Lagos", ""),
        ("the weather in Lagos", " "),
        ("compute 3 plus 4", "+"),
        ("a pasta timer for 9 minutes", 90),
        ("a pasta timer for 9 minutes", 0),
        ("heights of 5.6 feet", 5),
        ("12 apples", 2),
        ("a rate of 5", 0.05),
        ("set a timer", 10),
        ("New York", "New York, NY"),
        ("for 2 hours", 60),
        ("for 2 hours", 0),
        ("into German", "fr"),
    ],
)
def test_what_is_not_said_does_not(text, value):
    assert not Evidence(text).supports(value)


def test_texts_are_kept_apart():
    evidence = Evidence("weather in New", "York")
    assert not evidence.supports("New York")
    evidence.add("It is 7 degrees in New York.")
    assert evidence.supports("New York")
    assert evidence.supports(7)


@given(st.integers(0, 10**9), st.sampled_from(["{}", "{:,}", "in {} days", "({})", "${}", "x={}."]))
def test_every_number_in_digits_is_found(number, form):
    assert Evidence(form.format(number)).supports(number)


@given(st.text(max_size=30), st.text(max_size=30), st.text(min_size=1, max_size=10).filter(str.strip))
def test_every_span_supports_itself(before, after, span):
    assert Evidence(before + span + after).supports(span)
