"""Arguments that a model took too literally, put as the user meant them."""

from __future__ import annotations

import pytest
from ferrule.agents import Agent, ScriptedModel
from ferrule.agents.as_meant import as_meant, takes_share
from ferrule.agents.evidence import Evidence
from ferrule.agents.grounding import ground
from ferrule.tools import Tool, ToolCall
from hypothesis import given
from hypothesis import strategies as st


def made(properties, required=(), permission="read"):
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return Tool.from_schema({"name": "f", "parameters": schema}, lambda **given: given, permission=permission)


def meant(goal, tool, arguments, words=None, **options):
    said = Evidence()
    said.add("goal", goal)
    return as_meant(ToolCall("f", arguments), tool, said, goal if words is None else words, **options).arguments


# -- shares ------------------------------------------------------------------------------------------------------------

RATE = {"type": "number", "description": "The annual interest rate."}


@pytest.mark.parametrize(
    ("name", "schema", "share"),
    [
        ("interest_rate", {"type": "number"}, True),
        ("x", {"type": "number", "description": "Probability of success."}, True),
        ("x", {"type": "number", "description": "How much, as a decimal, e.g. 5% is 0.05."}, True),
        ("x", {"type": "number", "description": "The rate in percent."}, False),
        ("rate", {"type": "number", "description": "The rate, e.g. 5%."}, False),
        ("brightness", {"type": "number", "description": "Brightness of the light."}, False),
        ("rate", {"type": "number", "maximum": 100}, False),
        ("rate", {"type": "number", "maximum": 1}, True),
        ("rate", {"type": "integer"}, False),
    ],
)
def test_parameters_that_take_a_share(name, schema, share):
    assert takes_share(name, schema) is share
    found = meant("set it to 5%", made({name: schema}), {name: 5})
    assert found == {name: 0.05 if share else 5}


@pytest.mark.parametrize(
    ("goal", "value", "wanted"),
    [
        ("at 5% for 7 years", 5, 0.05),
        ("at 5 percent", 5.0, 0.05),
        ("at 2.5 per cent", 2.5, 0.025),
        ("at 5%", 0.05, 0.05),
        ("at a rate of 5", 5, 5),
        ("at 5%", 7, 7),
    ],
)
def test_what_was_said_in_percent(goal, value, wanted):
    assert meant(goal, made({"rate": RATE}), {"rate": value})["rate"] == pytest.approx(wanted)


@given(st.integers(1, 9999))
def test_any_percentage_is_its_hundredth(hundredths):
    said = f"{hundredths / 100:g}"
    found = meant(f"The rate is {said}%.", made({"rate": RATE}), {"rate": float(said)})
    assert found["rate"] == pytest.approx(float(said) / 100)


# -- numbers -----------------------------------------------------------------------------------------------------------

PAYOUT = made(
    {"total_payout": {"type": "integer"}, "outstanding_shares": {"type": "integer"}}, ["total_payout", "outstanding_shares"]
)
SEASON = made({"season": {"type": "integer"}}, ["season"])


def test_a_number_that_nobody_said_is_the_one_that_was_said():
    assert meant("Who won in the 2021 season?", SEASON, {"season": 7}) == {"season": 2021}


def test_several_numbers_go_by_their_words():
    goal = "What does a company with 100 million outstanding shares and a total payout of 50 million pay?"
    found = meant(goal, PAYOUT, {"total_payout": 3, "outstanding_shares": 4})
    assert found == {"total_payout": 50_000_000, "outstanding_shares": 100_000_000}


def test_two_parameters_with_the_same_number():
    properties = {
        "coverage": {"type": "integer", "description": "Square feet that a gallon covers."},
        "height": {"type": "integer", "description": "Height of the wall."},
    }
    goal = "A gallon covers 400 square feet, and the height is 30."
    tool = made(properties, ["coverage", "height"])
    assert meant(goal, tool, {"coverage": 400, "height": 400}) == {"coverage": 400, "height": 30}
    assert meant("A gallon covers 400, as high as it is.", tool, {"coverage": 400, "height": 400})["height"] == 400


@pytest.mark.parametrize(
    ("goal", "arguments"),
    [
        ("Who won in the season?", {"season": 7}),  # no number
        ("Was it 5 or 6?", {"season": 7}),  # no word says which
        ("Who won at 3 pm?", {"season": 7}),  # nor what it is
        ("Which one won the season?", {"season": 7}),  # no number
        ("from -5 on", {"season": 7}),  # its sign may be lost
        ("the 2.5th season", {"season": 7}),  # no whole number
        ("Who won in the 2021 season?", {"season": 2021}),
    ],
)
def test_numbers_that_stay(goal, arguments):
    assert meant(goal, SEASON, arguments) == arguments


def test_beside_another_call_a_number_may_be_that_one_s():
    assert meant("the season 2021", SEASON, {"season": 7}, alone=False) == {"season": 7}
    assert meant("a direct flight", made({"direct": {"type": "boolean"}}), {}, alone=False) == {}


def test_only_the_words_that_the_call_is_for_count():
    goal = "Add 3 mugs. Who won in that season?"
    assert meant(goal, SEASON, {"season": 7}, words="Who won in that season?") == {"season": 7}
    assert meant(goal, SEASON, {"season": 7}, words="not of this goal") == {"season": 7}


def test_with_several_goals_nothing_is_put_in():
    said = Evidence()
    said.add("goal", "Who won in the 2021 season?")
    said.add("goal", "Who won in the 2022 season?")
    call = ToolCall("f", {"season": 7})
    assert as_meant(call, SEASON, said, "Who won in the 2022 season?") is call


def test_what_the_schema_forbids_is_not_put_in():
    tool = made({"season": {"type": "integer", "maximum": 100}}, ["season"])
    assert meant("Who won in the 2021 season?", tool, {"season": 7}) == {"season": 7}


def test_what_is_put_in_has_its_evidence():
    said = Evidence()
    said.add("goal", "Who won in the 2021 season?")
    call = ToolCall("f", {"season": 7})
    assert ground(call, SEASON, said).missing == ("f.season",)
    found = ground(as_meant(call, SEASON, said, "Who won in the 2021 season?"), SEASON, said)
    assert (found.missing, found.evidence["/season"].text) == ((), "2021")


# -- flags and names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("goal", "name", "found"),
    [
        ("Book a direct flight", "direct_flight", {"direct_flight": True}),
        ("What was the full name?", "fullName", {"fullName": True}),
        ("Book a flight", "direct_flight", {}),
        ("Book a flight, not a direct flight", "direct_flight", {}),
        ("Book it without details", "details", {}),
    ],
)
def test_flags_that_were_named(goal, name, found):
    assert meant(goal, made({name: {"type": "boolean"}}), {}) == found


def test_a_word_that_may_be_said_of_anything_changes_nothing():
    properties = {"public": {"type": "boolean"}, "with_receipt": {"type": "boolean"}, "notify_guests": {"type": "boolean"}}
    tool = made(properties, permission="write")
    assert meant("plan the public holiday and notify guests", tool, {}) == {"notify_guests": True}


def test_flags_that_are_set_or_were_decided_stay():
    tool = made({"details": {"type": "boolean"}, "direct": {"type": "boolean", "default": True}})
    assert meant("direct, with details", tool, {"details": False}) == {"details": False}


TEXT = {"x": {"type": "string"}}


@pytest.mark.parametrize(
    ("goal", "value", "wanted"),
    [
        ("mutations of rs6034464, please", "s6034464", "rs6034464"),
        ("mutations of rs6034464.", "rs603446", "rs6034464"),
        ("on the 12th", "12", "12"),
        ("the theory of evolution", "the theory of evolution", "theory of evolution"),
        ("watch 'the end' now", "the end", "the end"),
        ("The Beatles", "The Beatles", "The Beatles"),
        ("say the thing that nobody else would ever dare", "the thing that nobody else would ever dare", None),
    ],
)
def test_names_and_codes(goal, value, wanted):
    assert meant(goal, made(TEXT), {"x": value}) == {"x": wanted or value}


def test_an_article_stays_where_something_is_written():
    assert meant("note the plan", made(TEXT, permission="write"), {"x": "the plan"}) == {"x": "the plan"}


def test_an_agent_decides_and_calls_as_it_was_meant():
    tool = made({"rate": RATE, "season": {"type": "integer"}}, ["rate", "season"])
    model = ScriptedModel.from_calls(
        [[ToolCall("f", {"rate": 5, "season": 3})], [ToolCall("f", {"rate": 5, "season": 3})], "done"]
    )
    goal = "How is a rate of 5% in the season 2021?"
    assert Agent(model, [tool]).decide(goal).calls[0].arguments == {"rate": 0.05, "season": 2021}
    assert Agent(model, [tool]).run(goal).calls[0].arguments == {"rate": 0.05, "season": 2021}


def test_without_grounding_the_model_has_the_last_word():
    model = ScriptedModel.from_calls([[ToolCall("f", {"season": 3})]])
    assert Agent(model, [SEASON], grounding=False).decide("the season 2021").calls[0].arguments == {"season": 3}
