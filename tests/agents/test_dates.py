from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from ferrule.agents.dates import WEEKDAYS, clock_of, dates, days_from
from hypothesis import given
from hypothesis import strategies as st

CLOCK = datetime(2026, 11, 22, 14, 30)  # a Sunday
DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))


def read(text, clock=None):
    return {reading for said in dates(text, clock) for reading in said.readings}


FORMS = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%d %B %Y",
    "the %dth of %B %Y",
    "%B the %dth, %Y",
    "%d-%m-%Y",
]


@given(DAYS, st.sampled_from(FORMS))
def test_every_date_in_every_usual_form(day, form):
    text = f"on {day.strftime(form)} or so".lower()
    assert (day.year, day.month, day.day) in read(text)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)), st.integers(0, 400))
def test_days_from_now(clock, number):
    for text, sign in (("in {} days", 1), ("{} days ago", -1), ("{} days from now", 1)):
        day = clock.date() + timedelta(sign * number)
        assert (day.year, day.month, day.day) in read(text.format(number), clock)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)), st.integers(0, 6))
def test_weekdays(clock, weekday):
    name = WEEKDAYS[weekday]
    for words, low, high in ((f"on {name}", 0, 7), (f"next {name}", 1, 13), (f"last {name}", -14, -1)):
        found = [date(*reading) for reading in read(words, clock)]
        assert found
        assert all(day.weekday() == weekday and low <= (day - clock.date()).days <= high for day in found)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", (2026, 11, 22)),
        ("tomorrow", (2026, 11, 23)),
        ("the day after tomorrow", (2026, 11, 24)),
        ("yesterday", (2026, 11, 21)),
        ("next friday at 3pm", (2026, 11, 27)),
        ("in two weeks", (2026, 12, 6)),
        ("a week from today", (2026, 11, 29)),
        ("in 3 months", (2027, 2, 22)),
        ("a year ago", (2025, 11, 22)),
        ("the 25th", (2026, 11, 25)),
        ("on the twenty-first", (2026, 12, 21)),
        ("nov 25", (2026, 11, 25)),
        ("november 20", (2026, 11, 20)),
        ("january 5", (2027, 1, 5)),
        ("the fifth of may", (2027, 5, 5)),
        ("june01 2023", (2023, 6, 1)),
        ("may 3 to 7, 2022", (2022, 5, 7)),
        ("april 2022", (2022, 4, None)),
        ("since 2020", (2020, None, None)),
        ("christmas eve", (2026, 12, 24)),
        ("this weekend", (2026, 11, 28)),
        ("next month", (2026, 12, 1)),
        ("the end of the month", (2026, 11, 30)),
        ("next week", (2026, 11, 23)),
    ],
)
def test_relative_to_the_clock(text, day):
    assert day in read(text, CLOCK)


@pytest.mark.parametrize("text", ["tomorrow", "next friday", "in two weeks", "this weekend", "30 february 2022", "13/13/2022"])
def test_what_is_no_date_without_a_clock(text):
    assert not any(all(reading) for reading in read(text))


def test_days_without_a_clock_have_no_year():
    assert read("november 25") == {(None, 11, 25)}


def test_instants():
    (said,) = dates("in two hours", CLOCK)
    assert (said.readings, said.time) == ({(2026, 11, 22)}, (16, 30, 0))


@pytest.mark.parametrize(
    ("instructions", "clock"),
    [
        ("date: 2026-11-22 Sun 14:30; locale: en-GB", CLOCK),
        ("Today is 2026-11-22.", datetime(2026, 11, 22)),
        ("now: 2026-11-22T14:30:05", datetime(2026, 11, 22, 14, 30, 5)),
        ("Reports since 2020-01-01 are there. Current date: 2026-11-22", datetime(2026, 11, 22)),
        ("date: 2026-13-22", None),
        ("version 2026-11-22", None),
        ("", None),
    ],
)
def test_the_clock_of_instructions(instructions, clock):
    assert clock_of(instructions) == clock


def test_days_between():
    assert days_from(CLOCK, (2026, 12, 1)) == 9
    assert days_from(CLOCK, (2026, 12, None)) is None


@given(st.text(max_size=60), st.sampled_from([None, CLOCK]))
def test_any_text_can_be_read(text, clock):
    low = text.lower()
    for said in dates(low, clock):
        assert 0 <= said.start < said.end <= len(low)


@given(
    st.datetimes(),
    st.sampled_from(["in 9000 years", "next year", "last month", "in 99999999999 days", "the 31st", "next week"]),
)
def test_no_clock_is_too_early_or_too_late(clock, text):
    dates(text, clock)
