from __future__ import annotations

import json
from typing import Literal

import pytest
from ferrule.agents import Agent, Call, Observation, ScriptedModel, Source
from ferrule.agents.explanation import explain
from ferrule.tools import ToolCall, ToolResult, tool

CALL = ToolCall("send", {"to": 7, "at": {"lat": 59.9}, "text": "hi", "items": ["a/b"]})
RESULTS = {
    2: ToolResult(ToolCall("look", {}), True, {"a/b": {"c": [7, "in Oslo; today"]}, "price": 12.5}),
}


def one(source, value=7, results=RESULTS):
    (found,) = explain(Call(ToolCall("send", {"to": value}), evidence={"/to": source}), results)
    assert json.loads(json.dumps(found.to_json()))["because"] == found.because
    return found


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (Source("goal", "3:8", "seven"), 'goal 3:8 "seven"'),
        (Source("goal", "3:8", "seven", "number word"), 'number word of goal 3:8 "seven"'),
        (Source("reply", "0:1", "7"), 'reply 0:1 "7"'),
        (Source("observation", "2#/a~1b/c/0", "7", trusted=False), "result 2 of look at /a~1b/c/0 7"),
        (
            Source("observation", "2#/a~1b/c/1:3:7", "Oslo"),
            'result 2 of look at /a~1b/c/1 3:7 "Oslo" in "in Oslo; today"',
        ),
        (Source("observation", "2#/price#", "price", "wording"), 'wording of result 2 of look, the name "price" at /price'),
        (Source("observation", "9#/x", "7"), 'result 9 at /x "7"'),
        (Source("schema", "default"), "default: the default of the schema"),
        (
            Source("schema", "enum; goal 3:7", "high"),
            'enum: one of the values that the schema lists, mentioned by goal 3:7 "high"',
        ),
        (Source("free"), "free: the model's own words"),
        (Source("free", "2#", trusted=False), "free: the model's own words, written after the untrusted result 2"),
        (Source("free", rule="date"), "free: a date that nothing said confirms"),
        (
            Source("observation", "goal 0:2; observation 2#/price", "12; 12.5", "arithmetic: sum"),
            'sum of goal 0:2 "12" and result 2 of look at /price 12.5',
        ),
        (
            Source("goal", "goal 0:5; observation 2#/a~1b/c/1; reply 1:3", "a; bc; in Oslo; today; xy", "date"),
            'date of goal 0:5 "a; bc" and result 2 of look at /a~1b/c/1 "in Oslo; today" and reply 1:3 "xy"',
        ),
    ],
)
def test_because(source, line):
    found = one(source)
    assert found.because == line
    assert found.trusted == source.trusted


def test_for_machines():
    source = Source("observation", "2#/a~1b/c/1:3:7", "Oslo", "code", trusted=False)
    record = one(source, "x").to_json()
    assert record["words"] == [
        {
            "kind": "observation",
            "text": "Oslo",
            "span": [3, 7],
            "call": 2,
            "tool": "look",
            "pointer": "/a~1b/c/1",
            "there": "in Oslo; today",
            "is_name": False,
        }
    ]
    assert {name: record[name] for name in ("at", "value", "kind", "rule", "trusted")} == {
        "at": "/to",
        "value": "x",
        "kind": "observation",
        "rule": "code",
        "trusted": False,
    }


def test_every_value_by_its_pointer():
    sources = {at: Source("free") for at in ("/to", "/at/lat", "/at/lat#", "/text", "/items/0")}
    found = explain(Call(CALL, evidence=sources), {})
    assert [(item.name, item.value) for item in found] == [
        ("to", 7),
        ("at/lat", 59.9),
        ("at/lat#", "lat"),
        ("text", "hi"),
        ("items/0", "a/b"),
    ]


def test_long_values_are_quoted_in_part():
    results = {1: ToolResult(ToolCall("look", {}), True, "x" * 10_000)}
    line = one(Source("observation", "1#:4:9", "xxxxx"), results=results).because
    assert len(line) < 200
    assert line.endswith("…")


def test_words_of_a_real_run_are_those_that_stand_there():
    """The places lead to the words, in goal and results as they are."""

    @tool
    def find(name: str) -> dict:
        return {"people": [{"id": 4711, "note": "lives in Lagos; called Ada"}], "price": 12.5}

    @tool
    def send(to: int, city: str, amount: float, level: Literal["low", "high"], day: str) -> str:
        return "sent"

    goal = "find Ada and send it there at a high level tomorrow, with 12 and the price in total"
    arguments = {"to": 4711, "city": "Lagos", "amount": 24.5, "level": "high", "day": "2026-11-24"}
    turns = [[ToolCall("find", {"name": "Ada"})], [ToolCall("send", arguments)], "Sent."]
    result = Agent(ScriptedModel.from_calls(turns), [find, send], clock="2026-11-23").run(goal)
    results = {step.number: step.result for step in result.steps if isinstance(step, Observation)}
    _, call = [step for step in result.steps if isinstance(step, Call)]
    found = {item.name: item for item in explain(call, results)}
    assert {name: item.value for name, item in found.items()} == arguments
    for item in found.values():
        assert item.words
        for words in item.words:
            if words.kind == "goal":
                assert goal[slice(*words.span)] == words.text
            else:
                assert words.call == 1
                there = words.there if words.span is None else words.there[slice(*words.span)]
                assert str(there) == words.text
    assert [words.kind for words in found["amount"].words] == ["goal", "observation"]
    assert found["city"].words[0].pointer == "/people/0/note"
    assert found["day"].because == f'date of goal {goal.index("tomorrow")}:{goal.index("tomorrow") + 8} "tomorrow"'
