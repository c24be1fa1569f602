"""Which names, quotes and numbers of a goal stand in no call."""

from __future__ import annotations

import pytest
from ferrule.agents.coverage import covers, left_out, left_over, quotes, salient, spans
from ferrule.agents.steps import Source
from ferrule.tools import ToolCall
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Find trains from Graz to New York", ["Graz", "New York"]),
        ("Move notes.txt to ann@shop.example", ["notes.txt", "ann@shop.example"]),
        ("Post 'see you' for Ada", ["'see you'", "Ada"]),
        ("Add 12 and 3.5", ["12", "3.5"]),
        ("I'm here on Monday. Find a shop.", []),  # beginnings of sentences and days are no names
        ("list the lamps", []),
    ],
)
def test_what_is_salient(text, expected):
    assert [text[begin:end] for begin, end in salient(text)] == expected


def test_what_no_value_has():
    assert left_over("Compare old.csv with new.csv for Ada", {"first": "old.csv"}) == ["new.csv", "Ada"]
    assert left_over("Compare old.csv with new.csv", {"first": "old.csv", "rest": {"second": ["new.csv"]}}) == []


def test_quotes_come_with_their_marks():
    text = "Say 'one', “two” or `three`; it isn't Ada's"
    assert [text[begin:end] for begin, end in quotes(text)] == ["'one'", "“two”", "`three`"]


def _source(goal: str, words: str) -> Source:
    at = goal.index(words)
    return Source(kind="goal", at=f"{at}:{at + len(words)}", text=words)


@pytest.mark.parametrize(
    ("goal", "taken", "expected"),
    [
        ("How warm is it in Oslo, Paris and Rome?", ["Oslo", "Paris"], ["Rome"]),
        ("How warm is it in Oslo, Paris and Rome?", ["Oslo", "Paris", "Rome"], []),
        ("How warm is it in Oslo, Paris and Rome?", [], []),  # none of its like was taken up
        ("Check the number 4567 and the number 7890", ["4567"], ["7890"]),
        ("Send Ada a card from Rome", ["Ada"], []),  # they are not joined
    ],
)
def test_what_is_left_out(goal, taken, expected):
    calls = [ToolCall("look", {"value": words}) for words in taken]
    evidence = [{"/value": _source(goal, words)} for words in taken]
    found = left_out(goal, (0, len(goal)), calls, evidence)
    assert [goal[begin:end] for begin, end in found] == expected


def test_only_the_part_counts():
    goal = "Greet Ada and Tom. Greet Mia and Ben."
    found = left_out(goal, (19, len(goal)), [ToolCall("greet", {"name": "Mia"})], [{"/name": _source(goal, "Mia")}])
    assert [goal[begin:end] for begin, end in found] == ["Ben"]


def test_where_a_value_comes_from():
    source = _source("Greet Ada", "Ada")
    assert spans(source) == [(6, 9)]
    assert spans(Source(kind="observation", at="1#/name", text="Ada")) == []
    assert covers((0, 7), {"/name": source})
    assert not covers((0, 6), {"/name": source})


@given(st.text())
def test_salient_spans_of_any_text(text):
    for begin, end in salient(text):
        assert 0 <= begin < end <= len(text)
