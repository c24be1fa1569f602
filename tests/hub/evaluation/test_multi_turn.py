from __future__ import annotations

import copy
import sys
from dataclasses import replace

import pytest
from ferrule.agents import Agent, Budget, ScriptedModel
from ferrule.hub.evaluation import MULTI_TURN, PlainLoop, check_talk, load_dialogues, talk
from ferrule.hub.evaluation.multi_turn import World
from ferrule.tools import Tool, ToolCall, Toolset

from .gold import gold

BUDGET = Budget(turns=21, calls=64, tokens=10_000)


def scripted(dialogue, turns, **options):
    script = [step or "Done." for turn in turns for step in [*turn, []]]
    return ScriptedModel.from_calls(
        script, tools=[Tool.from_schema(doc) for doc in dialogue.functions[-1]], context_length=200_000, check=False, **options
    )


def had(dialogue, turns, **options):
    model = scripted(dialogue, turns, **options)
    return talk(dialogue, lambda tools: PlainLoop(model, tools, budget=BUDGET)), model


@pytest.mark.parametrize("category", MULTI_TURN)
def test_expected_calls_are_right(category):
    for dialogue in load_dialogues([category], limit=40):
        verdict, right = check_talk(dialogue, gold(dialogue))
        assert verdict.ok, (dialogue.id, verdict)
        assert right == len(dialogue.answers)


@pytest.mark.parametrize("category", MULTI_TURN)
def test_a_conversation_with_the_expected_calls_is_right(category):
    for dialogue in load_dialogues([category], limit=3):
        found, model = had(dialogue, gold(dialogue))
        assert found.turns == gold(dialogue)
        assert check_talk(dialogue, found.turns)[0].ok
        for goal in filter(None, dialogue.goals):
            assert model.prompts[-1].count(" ".join(goal.split()[:4])) >= 1  # one conversation, to its end


@pytest.mark.parametrize("category", MULTI_TURN)
def test_a_conversation_with_other_calls_is_wrong(category):
    for dialogue in load_dialogues([category], limit=3):
        first = next(at for at, turn in enumerate(dialogue.answers) if turn)
        silent = [turn if at != first else [] for at, turn in enumerate(gold(dialogue))]
        found, _ = had(dialogue, silent)
        verdict, right = check_talk(dialogue, found.turns)
        assert (verdict.ok, verdict.kind, right) == (False, "multi_turn:empty_turn_model_response", first)
        last = max(at for at, turn in enumerate(dialogue.answers) if turn)
        broken = [turn if at != last else [[ToolCall("no_such_function", {})]] for at, turn in enumerate(gold(dialogue))]
        verdict, right = check_talk(dialogue, broken)
        assert not verdict.ok
        assert right == last
        assert "\n" not in verdict.detail


def test_another_state_is_wrong():
    (dialogue,) = load_dialogues(ids=["multi_turn_base_0"])
    turns = gold(dialogue)
    more = [*turns[:-1], [*turns[-1], [ToolCall("mkdir", {"dir_name": "other"})]]]
    assert check_talk(dialogue, more)[0].kind == "multi_turn:instance_state_mismatch"
    assert check_talk(dialogue, turns)[0].ok  # what was done in the check before is forgotten


def test_the_checker_keeps_nothing():
    (dialogue,) = load_dialogues(ids=["multi_turn_base_0"])
    check_talk(dialogue, gold(dialogue))
    kept = vars(sys.modules["bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils"])
    assert not [name for name in kept if name.startswith("ferrule")]


def test_our_agent_has_the_conversation():
    (dialogue,) = load_dialogues(ids=["multi_turn_base_0"])
    model = scripted(dialogue, gold(dialogue))
    found = talk(dialogue, lambda tools: Agent(model, tools, budget=BUDGET))
    assert check_talk(dialogue, found.turns) == (check_talk(dialogue, gold(dialogue))[0], len(dialogue.answers))
    numbers = [step.number for run in found.runs for step in run.steps if step.kind == "call"]
    assert numbers == list(range(1, len(numbers) + 1))


def test_functions_are_added_when_their_turn_comes():
    (dialogue,) = load_dialogues(ids=["multi_turn_miss_func_0"])
    (added,) = (at for at, goal in enumerate(dialogue.goals) if not goal)
    seen = []

    def talker(tools):
        seen.append([tool.name for tool in tools])
        return PlainLoop(model, tools, budget=BUDGET)

    model = scripted(dialogue, gold(dialogue))
    assert check_talk(dialogue, talk(dialogue, talker).turns)[0].ok
    assert len(seen) == 2
    assert set(seen[1]) - set(seen[0]) == set(dialogue.entry["missed_function"][str(added)])
    assert "updated some more functions" in model.prompts[-1]


def test_a_turn_that_does_not_end_ends_the_conversation():
    (dialogue,) = load_dialogues(ids=["multi_turn_base_0"])
    listing = [[ToolCall("ls", {})]] * 30
    found, _ = had(dialogue, [listing])
    assert found.stop is not None
    assert found.stop.reason == "turns"
    verdict, right = check_talk(replace(dialogue, answers=[["ls()"], *dialogue.answers[1:]]), found.turns)
    assert (verdict.kind, right) == ("multi_turn:force_terminated", 1)


def test_functions_that_are_marked_as_reading_change_nothing():
    """Nor do the defaults of the docs get into a call: what we run is what the checker runs."""
    seen = set()
    for dialogue in load_dialogues(["multi_turn_base"], limit=60):
        world = World(dialogue)
        tools = Toolset(world.tools(dialogue.functions[-1]))
        for call in [step[0] for turn in gold(dialogue) for step in turn]:
            before = state(world)
            tools.execute(call)
            if tools[call.name].permission == "read":
                seen.add(call.name)
                assert state(world) == before, call
    assert len(seen) > 25


def state(world):
    kept = ("_random", "_flight_cost_lookup")  # a cache
    return [
        copy.deepcopy({name: repr_of(value) for name, value in vars(instance).items() if name not in kept})
        for instance in world._instances
    ]


def repr_of(value):
    """Directories and files have no equality that tells everything apart."""
    if hasattr(value, "contents"):
        return {name: repr_of(item) for name, item in value.contents.items()}
    return getattr(value, "content", value)


def test_names_that_are_no_identifiers_are_not_evaluated():
    (dialogue,) = load_dialogues(ids=["multi_turn_base_0"])
    for call in (ToolCall("ls", {"a=print(1), b": True}), ToolCall("__import__('os').getcwd", {}), ToolCall("ls", {"if": 1})):
        verdict, right = check_talk(dialogue, [[[call]]])
        assert (verdict.kind, right) == ("multi_turn:name_error", 0)
        assert "is no identifier: it is not evaluated" in verdict.detail


def test_errors_of_the_classes_are_told():
    (dialogue,) = load_dialogues(ids=["multi_turn_base_0"])
    tools = Toolset(World(dialogue).tools(dialogue.functions[0]))
    missing = tools.execute(ToolCall("cat", {"file_name": "none.txt"}))
    assert not missing.ok
    assert missing.retry
    assert "No such file" in missing.error
