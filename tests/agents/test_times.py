from __future__ import annotations

import pytest
from ferrule.agents.times import ends, times_of_day
from hypothesis import given
from hypothesis import strategies as st


def read(text):
    return {reading for time in times_of_day(text) for reading in time.readings}


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("at 3pm", {(15, 0, 0)}),
        ("at 3 p.m.", {(15, 0, 0)}),
        ("12 am", {(0, 0, 0)}),
        ("12pm", {(12, 0, 0)}),
        ("15:30", {(15, 30, 0)}),
        ("3:30", {(3, 30, 0), (15, 30, 0)}),
        ("9:05:07 am", {(9, 5, 7)}),
        ("half past three", {(3, 30, 0), (15, 30, 0)}),
        ("a quarter to four", {(3, 45, 0), (15, 45, 0)}),
        ("twenty past six in the evening", {(18, 20, 0)}),
        ("ten to one", {(0, 50, 0), (12, 50, 0)}),
        ("seven o'clock in the morning", {(7, 0, 0)}),
        ("at noon", {(12, 0, 0)}),
        ("by midnight", {(0, 0, 0)}),
        ("at 7 in the evening", {(19, 0, 0)}),
        ("at 7", {(7, 0, 0), (19, 0, 0)}),
        ("at 25", set()),
        ("nothing", set()),
    ],
)
def test_times_of_day(text, times):
    # a looser reading of the same words may be there, too
    found = read(text)
    assert times <= found
    assert found if times else not found


def test_part_of_the_day_decides():
    (time,) = [t for t in times_of_day("twenty past six in the evening") if t.end - t.start > 25]
    assert time.readings == {(18, 20, 0)}


@given(st.integers(0, 23), st.integers(0, 59))
def test_every_time_on_the_clock(hour, minute):
    assert (hour, minute, 0) in read(f"at {hour:02}:{minute:02} sharp")
    half = "am" if hour < 12 else "pm"
    assert read(f"{(hour - 1) % 12 + 1}:{minute:02} {half}") == {(hour, minute, 0)}


@pytest.mark.parametrize(
    ("text", "end"),
    [("from 3pm for 2 hours", (17, 0, 0)), ("90 minutes from 11:00 pm", (0, 30, 0)), ("an hour before 3pm", (14, 0, 0))],
)
def test_when_it_ends(text, end):
    found = list(ends(text, times_of_day(text)))
    assert any(end in time.readings for time in found)
    assert all((time.start, time.end) != (0, 0) for time in found)
