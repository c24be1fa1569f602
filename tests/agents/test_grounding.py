from __future__ import annotations

from typing import Literal

import pytest
from ferrule.agents import Agent, ScriptedModel, grounding
from ferrule.agents.evidence import Evidence
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
    return grounding.ground(ToolCall("book", arguments), Tool("book", "", parameters), Evidence(goal)).call.arguments


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


def test_a_required_number_that_nobody_said_is_not_passed_on():
    timers = []

    @tool
    def set_timer(minutes: float, label: str = "timer") -> str:
        timers.append(minutes)
        return "set"

    nine = ToolCall("set_timer", {"minutes": 9})
    refused = Agent(ScriptedModel.from_calls([[nine]]), [set_timer]).run("start a timer for the eggs")
    assert (refused.status, refused.steps[-1].reason) == ("asked", "missing_value")
    assert refused.steps[-1].withheld == (ToolCall("set_timer", {"minutes": 9.0}),)
    assert "nothing that was said gives the number for set_timer.minutes" in refused.answer
    copied_wrong = Agent(ScriptedModel.from_calls([[nine]]), [set_timer]).decide("a timer for 19 minutes")
    assert (copied_wrong.calls, copied_wrong.missing) == ((), ("set_timer.minutes",))
    assert timers == []
    for goal in ("a timer for 9 minutes", "nine minutes for the eggs please"):
        assert Agent(ScriptedModel.from_calls([[nine], "Done."]), [set_timer]).run(goal).calls == [nine]
    assert timers == [9.0, 9.0]


def test_a_number_from_a_result_may_be_passed_on():
    @tool
    def length_of(film: str) -> int:
        return 142

    @tool
    def set_timer(minutes: int) -> str:
        return "set"

    script = [[ToolCall("length_of", {"film": "Solaris"})], [ToolCall("set_timer", {"minutes": 142})]]
    run = Agent(ScriptedModel.from_calls([*script, "Done."]), [length_of, set_timer]).run("a timer as long as Solaris")
    assert run.calls == [call for [call] in script]


def test_without_grounding_the_model_may_work_values_out():
    @tool
    def tip(amount: float, note: str = "") -> str:
        return "tipped"

    call = ToolCall("tip", {"amount": 12, "note": "thanks"})
    agent = Agent(ScriptedModel.from_calls([[call], "Done."]), [tip], grounding=False)
    assert agent.run("tip 15 per cent of 80 dollars").calls == [call]


@tool
def set_pasta_timer(minutes: int = 5, label: str = "timer") -> int:
    return minutes


@tool
def translate(text: str, target_language: str = "en") -> str:
    """Translates.

    Args:
        text: What to translate.
        target_language: Code of the language, such as "fr".
    """
    return target_language


def made(call, goal, *tools):
    return Agent(ScriptedModel.from_calls([[call], "Done."]), tools or [set_pasta_timer, translate]).run(goal)


def test_a_number_in_another_unit_is_kept():
    call = ToolCall("set_pasta_timer", {"minutes": 120})
    assert made(call, "set a pasta timer for 2 hours").observations[0].value == 120


@pytest.mark.parametrize(
    ("goal", "code", "used"),
    [
        ("say hello in German", "de", "de"),
        ("say hello in Klingon", "tlh", "tlh"),
        ("say hello in English", "tlh", "en"),
        ("say hello", "fr", "en"),
        ("say hello", "en", "en"),
    ],
)
def test_codes(goal, code, used):
    call = ToolCall("translate", {"text": "hello", "target_language": code})
    assert made(call, goal).observations[0].value == used


def test_what_is_left_out_is_in_the_step():
    call = ToolCall("set_pasta_timer", {"minutes": 9, "label": "window seat"})
    run = made(call, "a timer for 9 minutes")
    assert run.steps[1].dropped == ('label="window seat"',)
    assert run.calls == [ToolCall("set_pasta_timer", {"minutes": 9})]
    decision = Agent(ScriptedModel.from_calls([[call]]), [set_pasta_timer]).decide("a timer for 9 minutes")
    assert decision.dropped == (('label="window seat"',),)


def timer(required):
    minutes = {"type": "integer", "minimum": 1, "maximum": 1440}
    schema = {"type": "object", "properties": {"minutes": minutes, "room": {"type": "string"}}, "required": required}
    return Tool("timer", "", schema, lambda **arguments: arguments)


@pytest.mark.parametrize("required", [["minutes"], []])
def test_a_number_beyond_the_schemas_limits(required):
    run = made(ToolCall("timer", {"minutes": 300}), "a timer for 3000 minutes", timer(required))
    assert run.steps[-1].reason == "out_of_range"
    assert run.answer == "not called, since 3000 was said, and timer.minutes must be at most 1440; say one that is allowed"
    assert run.calls == []


def test_a_number_that_is_another_arguments_is_not_beyond_limits():
    call = ToolCall("timer", {"minutes": 300, "room": "room 3000"})
    assert made(call, "a timer in room 3000", timer([])).calls == [ToolCall("timer", {"room": "room 3000"})]
