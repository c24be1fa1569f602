from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from ferrule.agents import Agent, Call, ScriptedModel, Source, replay
from ferrule.agents.evidence import Evidence
from ferrule.agents.grounding import ground
from ferrule.agents.verification import audit, verify
from ferrule.tools import Tool, ToolCall, tool
from hypothesis import given
from hypothesis import strategies as st

CLOCK = datetime(2026, 11, 22, 14, 30)
GOAL = "Book a business trip to Oslo for two next Friday at 3pm, 5 miles off, no pets, and pay the total in euros"
LOOK = Tool("look")
NUMBER, TEXT = {"type": "number"}, {"type": "string"}
BOOK = Tool(
    "book",
    "",
    {
        "type": "object",
        "properties": {
            "to": TEXT,
            "people": {"type": "integer"},
            "start": TEXT,
            "metres": NUMBER,
            "price": NUMBER,
            "currency": TEXT,
            "class": {"type": "string", "enum": ["economy", "business"]},
            "pets": {"type": "boolean"},
            "hotel": TEXT,
            "speed": {"type": "integer", "default": 90},
            "meet": TEXT,
            "zone": TEXT,
            "rooms": {"type": "array", "items": {"type": "object", "properties": {"beds": {"type": "integer"}}}},
        },
    },
)
CALL = ToolCall(
    "book",
    {
        "to": "oslo",
        "people": 2,
        "start": "2026-11-27T15:00:00",
        "metres": 8046.72,
        "price": 62.5,
        "currency": "EUR",
        "class": "business",
        "pets": False,
        "hotel": "Grand; by the sea",
        "speed": 90,
        "meet": "2026-11-27T18:30:00",
        "zone": "Europe/Oslo",
        "rooms": [{"beds": 4}],
    },
)


def said():
    evidence = Evidence(CLOCK)
    evidence.add("instructions", "be brief")
    evidence.add("goal", GOAL)
    evidence.add("reply", "half past six")
    found = {"prices": [{"p": 20}, {"p": 35.5}, {"p": 7}], "rooms": {"a:b#c": "with 4 beds"}, "hotel": "The Grand; by the sea"}
    evidence.observe(1, LOOK, {}, found)
    return evidence


EVIDENCE = said()
GROUNDED = ground(CALL, BOOK, EVIDENCE, strict=True)


def faults(call=GROUNDED.call, sources=GROUNDED.evidence, evidence=EVIDENCE):
    return verify(call, BOOK, sources, evidence)


def test_what_is_recorded_holds():
    assert (GROUNDED.call, GROUNDED.dropped, GROUNDED.missing) == (CALL, (), ())
    assert faults() == []
    rules = {at: source.rule for at, source in GROUNDED.evidence.items()}
    assert rules == {
        "/to": "spelling",
        "/people": "number word",
        "/start": "date",
        "/metres": "unit",
        "/price": "arithmetic: sum",
        "/currency": "code",
        "/class": "",
        "/pets": "wording",
        "/hotel": "",
        "/speed": "",
        "/meet": "date",
        "/zone": "time zone",
        "/rooms/0/beds": "",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("to", "Bergen"),
        ("people", 3),
        ("start", "2026-11-27T16:00:00"),
        ("start", "2026-11-28T15:00:00"),
        ("metres", 8000.5),
        ("price", 62.6),
        ("currency", "USD"),
        ("class", "economy"),
        ("pets", True),
        ("hotel", "Grand"),
        ("speed", 91),
        ("meet", "2026-11-27T18:31:00"),
        ("zone", "Europe/Berlin"),
        ("rooms", [{"beds": 5}]),
    ],
)
def test_a_value_that_was_changed(name, value):
    assert faults(ToolCall("book", {**CALL.arguments, name: value}))


@given(st.sampled_from(sorted(GROUNDED.evidence)), st.integers(-30, 30).filter(bool), st.integers(0, 1))
def test_a_span_that_was_moved(at, by, end):
    source = GROUNDED.evidence[at]
    head, sep, tail = source.at.rpartition(" ") if source.at.startswith(("goal ", "enum", "type; ")) else ("", "", source.at)
    if ":" not in tail or source.kind == "observation":
        return
    span = [int(number) for number in tail.split(":")]
    span[end] += by
    moved = f"{head}{sep}{span[0]}:{span[1]}"
    if (span[0], span[1]) != tuple(map(int, tail.split(":"))):
        assert faults(sources={**GROUNDED.evidence, at: replace(source, at=moved)})


@given(st.sampled_from(sorted(GROUNDED.evidence)), st.sampled_from(["kind", "at", "text", "rule"]), st.text(max_size=8))
def test_a_source_that_was_changed(at, part, text):
    source = GROUNDED.evidence[at]
    changed = replace(source, **{part: text})
    if changed != source:
        assert faults(sources={**GROUNDED.evidence, at: changed})


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_and_nothing_else(number, other):
    evidence = Evidence()
    evidence.add("goal", f"for {number} people")
    tool = Tool("count", "", {"type": "object", "properties": {"n": {"type": "integer"}}})
    found = ground(ToolCall("count", {"n": number}), tool, evidence, strict=True)
    assert verify(found.call, tool, found.evidence, evidence) == []
    assert bool(verify(ToolCall("count", {"n": other}), tool, found.evidence, evidence)) == (other != number)


@pytest.mark.parametrize(
    ("at", "source", "fault"),
    [
        ("/to", Source("goal", "24:28", "Oslo", "spelling", True), None),
        ("/to", Source("goal", "900:904", "Oslo", "spelling"), "there is nothing at goal 900:904"),
        ("/to", Source("goal", "28:24", "Oslo", "spelling"), "there is nothing at goal 28:24"),
        ("/to", Source("instructions", "0:2", "be", "spelling"), "'oslo' does not follow from 'be' by the rule 'spelling'"),
        ("/to", Source("dream", "24:28", "Oslo", "spelling"), "there is no source of the kind 'dream'"),
        (
            "/hotel",
            Source("observation", "1#/hotel:4:21", "Grand; by the sea"),
            "words of an untrusted result count as trusted",
        ),
        ("/hotel", Source("observation", "2#/hotel", "x", trusted=False), "there is nothing at observation 2#/hotel"),
        ("/hotel", Source("observation", "1#/hotels", "x", trusted=False), "there is nothing at observation 1#/hotels"),
        ("/class", Source("schema", "const", trusted=False), "the schema does not list 'business' under 'const'"),
        ("/speed", Source("schema", "default"), "a value that nobody mentioned counts as trusted"),
        ("/to", Source("free"), "words of the model count as trusted"),
        ("/to", Source("free", trusted=False), None),
    ],
)
def test_faults_are_named(at, source, fault):
    found = faults(sources={**GROUNDED.evidence, at: source})
    assert [line.startswith(f"{at}: {fault}") for line in found] == ([True] if fault else [])


def test_sources_and_values_belong_together():
    rest = {at: source for at, source in GROUNDED.evidence.items() if at != "/to"}
    assert faults(sources=rest) == ["/to: there is no source"]
    assert faults(sources={**GROUNDED.evidence, "/more": Source("free", trusted=False)}) == [
        "/more: there is no such value in the call"
    ]


def test_the_words_of_a_name_with_signs_in_it_are_found():
    source = GROUNDED.evidence["/rooms/0/beds"]
    assert source == Source("observation", "1#/rooms/a%3Ab%23c:5:6", "4", trusted=False)


# -- whole runs --------------------------------------------------------------------------------------------------------


@tool
def price(of: str) -> dict:
    return {"item": of, "price": {"tea": 2.5, "cake": 4.0}[of]}


@tool
def fail(of: str) -> str:
    raise RuntimeError("the line is down")


@tool(permission="write")
def pay(amount: float, to: str, on: str, note: str = "") -> str:
    return "paid"


def paid(path, grounding):
    turns = [
        [ToolCall("price", {"of": "tea"}), ToolCall("price", {"of": "cake"})],
        [ToolCall("fail", {"of": "cake"})],
        [ToolCall("pay", {"amount": 6.5, "to": "Ada", "on": "2026-11-23", "note": "bon appetit"})],
        "Paid 6.5.",
    ]
    settings = {"instructions": "date: 2026-11-22 Sun 14:30", "grounding": grounding, "log": path}
    with Agent(ScriptedModel.from_calls(turns), [price, fail, pay], approve=lambda request: True, **settings) as agent:
        agent.run("pay the total of tea and cake to Ada tomorrow")
        return agent


@pytest.mark.parametrize("grounding", [True, False, "strict"])
def test_a_log_can_be_audited(tmp_path, grounding):
    agent = paid(tmp_path / "log", grounding)
    (run,) = replay(tmp_path / "log")
    calls = [step for step in run.steps if isinstance(step, Call)]
    assert [step.call.name for step in calls] == ["price", "price", "fail", "pay"]
    source = calls[-1].evidence["/amount"]
    assert (source.rule, source.text, source.trusted) == ("arithmetic: sum", "2.5; 4.0", False)
    assert calls[-1].evidence["/on"] == Source("goal", "37:45", "tomorrow", "date")
    assert audit(run, agent.tools, agent.settings) == []
    for at, step in enumerate(run.steps):
        if isinstance(step, Call):
            name, value = next(iter(step.call.arguments.items()))
            other = {**step.call.arguments, name: 99.5 if isinstance(value, float) else "nothing"}
            changed = replace(run, steps=[*run.steps])
            changed.steps[at] = replace(step, call=ToolCall(step.call.name, other))
            assert audit(changed, agent.tools, agent.settings)[0].startswith(f"call {step.number}: /{name}: ")
