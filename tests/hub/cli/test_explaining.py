"""`--explain` of `ferrule run`, `replay` and `resume`."""

from __future__ import annotations

import datetime
import io
import json

import pytest
from ferrule.hub.cli import console, explaining, showing
from ferrule.tools import ToolCall
from rich.cells import cell_len
from rich.console import Console

TOOLS = '''
from typing import Literal
from ferrule.tools import tool

@tool
def find(name: str) -> dict:
    """Finds a person."""
    return {"id": 4711, "town": "Lagos"}

@tool
def send(to: int, text: str, level: Literal["low", "high"] = "low", day: str = "", copies: int = 1) -> str:
    """Sends words to a person."""
    return "sent"
'''
GOAL = "find Ada, tell her hello tomorrow at a high level"
ARGUMENTS = {"to": 4711, "text": "hello from Lagos", "level": "high", "day": "2026-11-24", "copies": 3}
TURNS = [[ToolCall("find", {"name": "Ada"})], [ToolCall("send", ARGUMENTS)], "Sent."]
CLOCK = ("--clock", "2026-11-23")


@pytest.fixture
def run(ferrule, script, folder):
    (folder / "tools.py").write_text(TOOLS)

    def call(*options, turns=TURNS, goal=GOAL, **scripted):
        script(*turns, **{"confidence": 0.8, **scripted})
        return ferrule("run", goal, "--tools", "tools.py", *options)

    return call


LINES = f"""goal {GOAL}
→ find(name="Ada")  confidence 0.80
    name = "Ada"  goal 5:8 "Ada"
  ✓ {{"id": 4711, "town": "Lagos"}}
→ send(to=4711, text="hello from Lagos", level="high", day="2026-11-24")  confidence 0.80
  left out, since nothing that was said supports it: copies=3
    to    = 4711                result 1 of find at /id 4711  not trusted
    text  = "hello from Lagos"  free: the model's own words, written after the untrusted result 1  not trusted
    level = "high"              enum: one of the values that the schema lists, mentioned by goal 39:43 "high"
    day   = "2026-11-24"        date of goal 25:33 "tomorrow"
  ✓ "sent"
Sent.
evidence of 5 values checked again: it holds"""


def test_for_people(run):
    result = run("--explain", *CLOCK)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[:-1] == LINES.splitlines()
    assert "\x1b" not in result.stdout


def test_without_it_nothing_is_explained(run):
    assert "evidence" not in run(*CLOCK).stdout
    assert "explained" not in json.loads(run("--json", *CLOCK).stdout)


def test_for_machines(run):
    explained = json.loads(run("--explain", "--json", *CLOCK).stdout)["explained"]
    assert explained["checked"] == {"values": 5, "wrong": []}
    first, second = explained["calls"]
    assert (first["call"], first["name"], first["confidence"]) == (1, "find", 0.8)
    assert second["dropped"] == [{"argument": "copies=3", "reason": "nothing that was said supports it"}]
    found = {item["at"]: item for item in second["arguments"]}
    assert found["/to"]["words"][0] | {"text": ""} == {
        "kind": "observation",
        "text": "",
        "span": None,
        "call": 1,
        "tool": "find",
        "pointer": "/id",
        "there": 4711,
        "is_name": False,
    }
    assert [found[at]["kind"] for at in ("/to", "/text", "/level", "/day")] == ["observation", "free", "schema", "goal"]
    assert [found[at]["trusted"] for at in ("/to", "/text", "/level", "/day")] == [False, False, True, True]
    assert (found["/level"]["keyword"], found["/day"]["rule"], found["/text"]["after"]) == ("enum", "date", 1)


def test_what_was_withheld(run):
    low = run("--explain", turns=[[TURNS[0][0]]], confidence=0.01)
    assert low.exit_code == 3
    assert '    withheld: find(name="Ada")  confidence 0.01' in low.stdout.splitlines()
    assert "lower --min-confidence" in low.stdout
    missing = run("--explain", "--json", turns=[[ToolCall("send", {"to": 12, "text": "hello"})]], goal="say hello")
    assert missing.exit_code == 3
    assert json.loads(missing.stdout)["explained"]["withheld"] == [
        {"name": "send", "arguments": {"to": 12, "text": "hello"}, "confidence": 0.8, "reason": "missing_value"}
    ]


def test_old_runs(run, ferrule):
    run("--log", "log", *CLOCK)
    run("--log", "log", turns=[[TURNS[0][0]]], confidence=0.01)
    result = ferrule("replay", "log", "--explain")
    assert result.exit_code == 0
    opening, *lines = result.stdout.splitlines()
    assert opening.startswith("run ")
    assert opening.endswith(": answered")
    assert lines[: len(LINES.splitlines())] == LINES.splitlines()
    assert '    withheld: find(name="Ada")  confidence 0.01' in lines
    first, second = json.loads(ferrule("replay", "log", "--explain", "--json").stdout)
    assert first["explained"] == json.loads(run("--explain", "--json", *CLOCK).stdout)["explained"]
    assert second["explained"]["calls"] == []


def test_evidence_that_does_not_hold(run, ferrule, monkeypatch):
    monkeypatch.setattr(explaining, "audit", lambda *_: ["call 1: /name: there is nothing at goal 5:8"])
    result = run("--explain", *CLOCK)
    assert "the evidence does not hold: call 1: /name: there is nothing at goal 5:8" in result.stdout.splitlines()


def test_decided_calls_are_explained_and_can_be_run_again(ferrule, script, folder):
    parameters = {"type": "object", "properties": {"minutes": {"type": "integer"}}, "required": ["minutes"]}
    (folder / "tools.json").write_text(json.dumps({"name": "set_timer", "parameters": parameters}))
    script([ToolCall("set_timer", {"minutes": 9})])
    result = ferrule("run", "a timer of nine minutes", "--tools", "tools.json", "--explain", "--log", "log")
    assert result.exit_code == 0, result.stderr
    line = '    minutes = 9  number word of goal 11:15 "nine"'
    assert line in result.stdout.splitlines()
    assert "nothing was run" in result.stdout
    again = ferrule("replay", "log", "--explain")
    assert again.exit_code == 0, again.stderr
    assert line in again.stdout.splitlines()


def test_columns_are_aligned_and_bounded(run):
    text = "東京" * 30
    result = run("--explain", turns=[[ToolCall("send", {"to": 7, "text": text})], "Sent."], goal=f"send {text} to 7")
    rows = [line for line in result.stdout.splitlines() if line.startswith("    ")]
    assert rows[0].startswith("    to   = 7 ")
    assert "…" in rows[1]
    assert len({cell_len(row[: row.index("goal")]) for row in rows}) == 1


def test_colour_on_a_terminal_only(run, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", width=200, highlight=False, soft_wrap=True
    )
    for module in (console, showing):
        monkeypatch.setattr(module, "out", terminal)
    run("--explain", *CLOCK)
    assert '\x1b[32mgoal 5:8 "Ada"\x1b[0m' in terminal.file.getvalue()


def test_what_is_quoted_gives_no_orders_to_the_terminal(run):
    result = run("--explain", turns=[[ToolCall("find", {"name": "\x9b2JAda"})], "Found."], goal="\x1b[2Jfind \x9b2JAda")
    assert result.exit_code == 0
    assert 'goal 9:15 "\\u009b2JAda"' in result.stdout
    assert not {"\x1b", "\x9b"} & set(result.stdout)


# -- the clock and the grounding ---------------------------------------------------------------------------------------


def evidence(result):
    return {item["at"]: item["rule"] for item in json.loads(result.stdout)["explained"]["calls"][-1]["arguments"]}


def test_the_clock_is_now_or_as_instructed(run):
    turns = [[ToolCall("send", {"to": 7, "text": "hello", "day": "2031-02-04"})], "Sent."]
    goal = "tell 7 hello tomorrow"
    assert evidence(run("--explain", "--json", "--clock", "2031-02-03", turns=turns, goal=goal))["/day"] == "date"
    instructed = ("--instructions", "date: 2031-02-03 Mon 10:00")
    assert evidence(run("--explain", "--json", *instructed, turns=turns, goal=goal))["/day"] == "date"

    day = (datetime.date.today() + datetime.timedelta(1)).isoformat()
    turns = [[ToolCall("send", {"to": 7, "text": "hello", "day": day})], "Sent."]
    document = json.loads(run("--explain", "--json", turns=turns, goal=goal).stdout)
    words = {item["at"]: item["words"] for item in document["explained"]["calls"][0]["arguments"]}
    assert words["/day"][0]["text"] == "tomorrow"


def test_grounding(run):
    turns = [[ToolCall("send", {"to": 7, "text": "greetings", "copies": 3})], "Sent."]
    goal = "tell 7 hello"
    assert json.loads(run("--json", turns=turns, goal=goal).stdout)["calls"][0]["arguments"] == {"to": 7, "text": "greetings"}
    off = json.loads(run("--json", "--grounding", "off", turns=turns, goal=goal).stdout)
    assert off["calls"][0]["arguments"] == {"to": 7, "text": "greetings", "copies": 3}
    strict = run("--json", "--grounding", "strict", turns=turns, goal=goal)
    assert strict.exit_code == 3
    assert "send.text" in json.loads(strict.stdout)["answer"]


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("--clock", "soon", "a local date and time such as '2026-11-22T14:30' is expected, received 'soon'"),
        ("--clock", "2026-11-22T14:30+01:00", "a local date and time such as '2026-11-22T14:30' is expected, received"),
        ("--clock", "", "a local date and time such as"),
        ("--grounding", "yes", "one of strict, on, off is expected, received 'yes'"),
    ],
)
def test_values_that_are_none(refused, option, value, line):
    assert line in refused("run", "go", "--tools", "tools.py", option, value, status=2)
