"""Slips of a small model put right by the words of the user."""

from __future__ import annotations

from datetime import datetime

import pytest
from ferrule.agents.clauses import Clause, whole
from ferrule.agents.evidence import Evidence
from ferrule.agents.filling import Filling, closest
from ferrule.agents.grounding import ground
from ferrule.tools import Tool, ToolCall, ToolResult

CLOCK = datetime(2026, 3, 2, 9, 0)  # a Monday
NUMBER, INTEGER, TEXT = {"type": "number"}, {"type": "integer"}, {"type": "string"}


def _tool(name: str = "act", /, **properties: dict) -> Tool:
    return Tool(name, "", {"type": "object", "properties": properties, "required": list(properties)})


def _filling(goal: str) -> tuple[Filling, Evidence]:
    said = Evidence(CLOCK)
    said.add("goal", goal)
    return Filling(goal, said, CLOCK), said


def _mended(goal: str, tool: Tool, arguments: dict, before: ToolResult | None = None, part: Clause | None = None) -> dict:
    filling, said = _filling(goal)
    call = ToolCall(tool.name, arguments)
    return filling.mended(call, tool, part or whole(goal), before, ground(call, tool, said, strict=True))


@pytest.mark.parametrize(
    ("goal", "written", "expected"),
    [
        ("Show the file invoices.txt now", "invoice.txt", "invoices.txt"),
        ("Show the file invoices.txt.", "invoice.txt", "invoices.txt"),
        ("Show invoices.txt", "invoices.txt", "invoices.txt"),
        ("Write to Katharina", "Katarina", "Katharina"),
        ("Write to Katharina", "Bob", "Bob"),
        ("Open the garden.", "garden.", "garden"),
        ("Write to Globex Inc.", "Globex Inc.", "Globex Inc."),
    ],
)
def test_words_are_copied_as_they_were_said(goal, written, expected):
    assert _mended(goal, _tool(name=TEXT), {"name": written}) == {"name": expected}


def test_the_closest_words():
    assert closest("anual report", "Print the annual report, please") == "annual report"
    assert closest("abc", "abd") is None  # too short to tell
    assert closest("", "text") is None
    assert closest("harbour", "Print the annual report") is None


@pytest.mark.parametrize(
    ("goal", "day"), [("Book a court on Wednesday", "2026-03-04"), ("Book a court tomorrow", "2026-03-03")]
)
def test_dates_follow_from_what_was_said(goal, day):
    assert _mended(goal, _tool(date=TEXT), {"date": "2026-03-20"}) == {"date": day}


def test_two_files_of_which_one_was_written_twice():
    tool = _tool(first=TEXT, second=TEXT)
    goal = "Compare old.csv with new.csv"
    assert _mended(goal, tool, {"first": "old.csv", "second": "old.csv"}) == {"first": "old.csv", "second": "new.csv"}
    assert _mended(goal, tool, {"first": "new.csv", "second": "new.csv"}) == {"first": "old.csv", "second": "new.csv"}


def test_the_id_that_was_said():
    assert _mended("Close the ticket 4711", _tool(ticket_id=INTEGER), {"ticket_id": 1}) == {"ticket_id": 4711}
    assert _mended("Close 4711 or 4712", _tool(ticket_id=INTEGER), {"ticket_id": 1}) == {"ticket_id": 1}


def test_three_shares_are_no_price():
    goal = "Buy three shares"
    filling, said = _filling(goal)
    tool, arguments = _tool(amount=INTEGER, price=NUMBER), {"amount": 3, "price": 3.0}
    found = ground(ToolCall("act", arguments), tool, said, strict=True)
    assert filling.unknown(arguments, tool, found) == ["price"]


def test_what_nothing_supports_with_keys_first():
    goal = "Tell Ada that lunch is ready"
    filling, said = _filling(goal)
    tool = _tool(when=TEXT, user_id=TEXT, body=TEXT)
    arguments = {"when": "12:30", "user_id": "Ada", "body": "lunch is ready"}
    found = ground(ToolCall("act", arguments), tool, said, strict=True)
    assert filling.unknown(arguments, tool, found) == ["user_id", "when"]


def _after(goal: str, words: str) -> Clause:
    at = goal.index(words)
    return Clause(words, at, at + len(words), True)


def test_a_number_that_is_referred_to():
    goal = "Add 4 and 5, then multiply the sum by 3"
    filling, _ = _filling(goal)
    before = ToolResult(ToolCall("add", {"a": 4, "b": 5}), True, {"sum": 9})
    unknown = ["a"]
    tool = _tool("multiply", a=NUMBER, b=NUMBER)
    found = filling.referred({"a": 4, "b": 3}, tool, _after(goal, "multiply the sum by 3"), before, unknown)
    assert found == {"a": 9, "b": 3}
    assert unknown == []


def test_a_file_that_is_pointed_at():
    goal = "Make the file plan.txt, then write 'hi' into it"
    before = ToolResult(ToolCall("touch", {"file": "plan.txt"}), True, {})
    tool = _tool("write", file=TEXT, content=TEXT)
    part = _after(goal, "write 'hi' into it")
    assert _mended(goal, tool, {"file": "it", "content": "hi"}, before, part) == {"file": "plan.txt", "content": "hi"}
