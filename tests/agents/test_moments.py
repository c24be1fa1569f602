from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from ferrule.agents.moments import Calendar, pieces, wanted
from ferrule.agents.wording import lowered
from hypothesis import given
from hypothesis import strategies as st

CLOCK = datetime(2026, 11, 22, 14, 30)  # a Sunday


def find(text, value, clock=CLOCK):
    found = Calendar.of(lowered(text), clock).find(value)
    return None if found is None else (text[slice(*found[0])], found[1])


@pytest.mark.parametrize(
    ("text", "value", "words", "rule"),
    [
        ("call me tomorrow", "2026-11-23", "tomorrow", "date"),
        ("call me tomorrow", "Monday", "tomorrow", "date"),
        ("meet next Friday at 3pm", "2026-11-27T15:00:00", "next Friday at 3pm", "date"),
        ("meet next Friday at 3pm", "2026-11-27 15:00", "next Friday at 3pm", "date"),
        ("meet next Friday at 3pm", "2026-11-27T15:00:00Z", "next Friday at 3pm", "date"),
        ("meet next Friday at 3pm", "15:00", "3pm", "time"),
        ("at half past three", "15:30", "half past three", "time"),
        ("at 15:30", "3:30 PM", "15:30", "time"),
        ("3pm for 2 hours", "17:00", "3pm for 2 hours", "time"),
        ("from July 10, 2022", "07-10-2022", "July 10, 2022", "date"),
        ("from July 10, 2022", "10/07/2022", "July 10, 2022", "date"),
        ("on 2026-11-25", "November 25, 2026", "2026-11-25", "date"),
        ("on 2026-11-25", "November", "2026-11-25", "date"),
        ("next month (April 2022)", "04-2022", "April 2022", "date"),
        ("since 2020", "2020-01-01", "2020", "date"),
        ("in two hours", "2026-11-22T16:30:00", "in two hours", "date"),
        ("remind me at 7pm", "2026-11-22T19:00", "7pm", "date"),
        ("the whole of 25 November", "2026-11-25T23:59:59", "25 November", "date"),
        ("for 90 minutes", "PT1H30M", "90 minutes", "duration"),
    ],
)
def test_what_a_date_or_a_time_rests_on(text, value, words, rule):
    assert find(text, value) is not None
    found, how = find(text, value)
    assert words in found
    assert how == rule


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("call me tomorrow", "2026-11-24"),
        ("call me tomorrow", "Tuesday"),
        ("meet next Friday at 3pm", "2026-11-27T16:00:00"),
        ("meet next Friday at 3pm", "2026-11-28T15:00:00"),
        ("meet next Friday at 3pm", "2026-11-27T03:00:00"),
        ("meet next Friday", "2026-11-27T15:00:00"),
        ("from July 10, 2022", "08-10-2022"),
        ("for 90 minutes", "PT2H"),
        ("on 25 November", "not a date 25"),
    ],
)
def test_what_it_does_not_rest_on(text, value):
    assert find(text, value) is None


def test_relative_dates_need_a_clock():
    assert find("tomorrow", "2026-11-23", None) is None
    assert find("on 25 November 2026", "2026-11-25", None) == ("25 November 2026", "date")
    assert find("on 25 November", "2026-11-25", None) is None
    assert find("in 2026, on 25 November", "2026-11-25", None) is not None


def test_zones_are_those_of_the_clock():
    clock = datetime.fromisoformat("2026-11-22T14:30:00+01:00")
    assert find("tomorrow at 9", "2026-11-23T08:00:00Z", clock) is not None
    assert find("tomorrow at 9", "2026-11-23T09:00:00+01:00", clock) is not None


@given(st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)).map(lambda at: at.replace(second=0, microsecond=0)))
def test_a_moment_and_another_one(at):
    text = at.strftime("%d %B %Y at %H:%M")
    assert find(text, at.isoformat()) is not None
    for other in (at + timedelta(days=1), at + timedelta(minutes=61)):
        assert find(text, other.isoformat()) is None


def test_dates_and_times_apart():
    assert pieces("2026-11-27T15:00:00Z") == ("2026-11-27", "15:00:00")
    assert pieces("2026-11-27") is None


def test_numbers_of_dates():
    values = {reading.value for reading in Calendar.of("tomorrow at 3pm", CLOCK).numbers()}
    assert {2026, 11, 23, 1, 15, 0} <= values


@given(st.text(max_size=30))
def test_any_value_can_be_read(value):
    wanted(value, CLOCK)
    Calendar.of("on friday at 3pm for two hours", CLOCK).find(value)
