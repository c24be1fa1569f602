from __future__ import annotations

from typing import Literal

from ferrule.agents import Agent, ScriptedModel
from ferrule.agents.evidence import Evidence
from ferrule.agents.grounding import grounded
from ferrule.tools import Tool, ToolCall, tool

BOOK = Tool(
    "book",
    "Book a table.",
    {
        "type": "object",
        "properties": {
            "place": {"type": "string"},
            "people": {"type": "integer"},
            "name": {"type": "string"},
            "tip": {"type": "number"},
            "note": {"type": ["string", "null"]},
            "area": {"type": "string", "enum": ["inside", "outside"]},
            "quiet": {"type": "boolean"},
            "dishes": {"type": "array", "items": {"type": "string"}},
            "prices": {"type": "array", "items": {"type": "number"}},
            "at": {"type": "object", "properties": {"lat": {"type": "number"}}},
        },
        "required": ["place", "people"],
    },
)


def ground(goal, parameters=BOOK.parameters, **arguments):
    return grounded(ToolCall("book", arguments), Tool("book", "", parameters), Evidence(goal)).arguments


def test_optional_inventions_are_left_out():
    said = ground("a table at Noma for Ada", place="Noma", people=2, name="Ada", tip=3, note="window seat")
    assert said == {"place": "Noma", "people": 2, "name": "Ada"}


def test_what_is_required_listed_or_structured_stays():
    arguments = {"place": "Noma", "people": 4, "area": "outside", "quiet": True, "dishes": ["soup"], "note": None}
    assert ground("book something", **arguments) == arguments


def test_nothing_is_left_out_that_the_schema_misses():
    either = {**BOOK.parameters, "required": [], "anyOf": [{"required": ["place"]}, {"required": ["name"]}]}
    assert ground("a table", either, place="Noma") == {"place": "Noma"}
    assert ground("a table for Ada", either, place="Noma", name="Ada") == {"name": "Ada"}


def test_numbers_are_floats():
    made = ground(
        "Noma for 2, tip 3, prices 4 and 5.5, at latitude 6", place="Noma", people=2, tip=3, prices=[4, 5.5], at={"lat": 6}
    )
    assert made == {"place": "Noma", "people": 2, "tip": 3.0, "prices": [4.0, 5.5], "at": {"lat": 6.0}}
    assert [type(made[key]) for key in ("people", "tip")] == [int, float]
    assert [type(price) for price in made["prices"]] == [float, float]
    assert type(made["at"]["lat"]) is float


def test_a_number_that_no_float_can_hold_stays_as_it_is():
    assert ground("9007199254740993", place="Noma", people=2, tip=9007199254740993)["tip"] == 9007199254740993


def test_calls_that_become_equal_are_made_once():
    notes = []

    @tool
    def note(text: str, color: str = "blue", kind: Literal["todo", "idea"] = "todo") -> str:
        notes.append((text, color, kind))
        return "noted"

    calls = [ToolCall("note", {"text": "milk", "color": color}) for color in ("red", "green")]
    run = Agent(ScriptedModel.from_calls([calls, "Done."]), [note]).run("write down milk")
    assert run.calls == [ToolCall("note", {"text": "milk"})]
    assert notes == [("milk", "blue", "todo")]


def test_results_and_instructions_are_evidence():
    @tool
    def owner(car: str) -> str:
        return "Grace"

    @tool
    def write(text: str, to: str = "", language: str = "") -> str:
        return "sent"

    script = [
        [ToolCall("owner", {"car": "ABC"})],
        [ToolCall("write", {"text": "lights", "to": "Grace", "language": "English"})],
    ]
    agent = Agent(ScriptedModel.from_calls([*script, "Done."]), [owner, write], instructions="language: English")
    assert agent.run("tell the owner of ABC about the lights").calls == [call for [call] in script]
    agent = Agent(ScriptedModel.from_calls([*script, "Done."]), [owner, write])
    assert agent.run("tell the owner of ABC about the lights").calls[1].arguments == {"text": "lights", "to": "Grace"}
