"""Logs as what a run can be run again from, and go on from."""

from __future__ import annotations

import json

import pytest
from ferrule.agents import (
    Agent,
    Approval,
    LogError,
    Observation,
    Permissions,
    Question,
    ScriptedModel,
    read_log,
    replay,
    to_json,
)
from ferrule.agents.log import read_runs
from ferrule.tools import ToolCall, effect_key, tool


@pytest.fixture
def world():
    """What the tools below did."""
    return []


@pytest.fixture
def tools(world):
    @tool
    def look(x: int) -> int:
        return x

    @tool(permission="write")
    def note(x: int) -> str:
        world.append(x)
        return f"noted {x}"

    @tool(permission="write", idempotent=True)
    def keep(x: int) -> str:
        world.append(effect_key())
        return "kept"

    @tool(permission="destructive")
    def drop(x: int) -> str:
        world.append(-x)
        return "dropped"

    return [look, note, keep, drop]


TURNS = [
    [ToolCall("look", {"x": 1}), ToolCall("look", {"x": 2})],
    [ToolCall("note", {"x": 1}), ToolCall("note", {"x": 2})],
    [ToolCall("drop", {"x": 3})],
    [ToolCall("note", {"x": 3})],
    "All noted.",
]
GOAL = "note 1, 2 and 3, drop 3"


def agent(tools, path, turns=TURNS, **options):
    options = {"approve": lambda request: True, **options}
    return Agent(ScriptedModel.from_calls(turns), tools, log=path, **options)


def values(run):
    return {step.number: step.result.value for step in run.steps if isinstance(step, Observation)}


def logged(path):
    return [to_json(step) for step in read_log(path)[0]]


def test_replay_gives_the_same_steps_and_calls_nothing(tools, world, tmp_path):
    path = tmp_path / "log"
    result = agent(tools, path).run(GOAL)
    assert world == [1, 2, -3, 3]
    (again,) = replay(path)
    assert again.steps == result.steps == read_log(path)[0]
    assert again.usage == result.usage
    assert world == [1, 2, -3, 3]


def test_replay_notices_a_log_that_was_changed(tools, tmp_path):
    path = tmp_path / "log"
    agent(tools, path).run(GOAL)
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        record = json.loads(line)
        if record["kind"] not in ("call", "answer"):
            continue
        changed = {**record, "text": "Nothing."} if record["kind"] == "answer" else {**record, "reasoning": "because"}
        path.write_text("\n".join([*lines[:number], json.dumps(changed, separators=(",", ":")), *lines[number + 1 :]]) + "\n")
        with pytest.raises(LogError, match="does not follow its log"):
            replay(path)


def test_killed_after_any_line(tools, world, tmp_path):
    """The rest is done, nothing is done twice, and what nobody knows the outcome of is surfaced."""
    whole = tmp_path / "whole"
    result = agent(tools, whole).run(GOAL)
    lines = whole.read_text().splitlines(keepends=True)
    for count in range(2, len(lines)):  # the opening line and the goal are there
        path = tmp_path / f"cut{count}"
        path.write_text("".join(lines[:count]) + lines[count][: len(lines[count]) // 2])
        records = [json.loads(line) for line in lines[:count]]
        model_turns = sum(record["kind"] == "written" for record in records)
        world[:] = [
            -r["result"]["call"]["arguments"]["x"]
            if r["result"]["call"]["name"] == "drop"
            else r["result"]["call"]["arguments"]["x"]
            for r in records
            if r["kind"] == "observation" and r["result"]["call"]["name"] != "look"
        ]
        begun = {r["number"] for r in records if r["kind"] == "call" and r["call"]["name"] != "look"}
        ended = {r["number"] for r in records if r["kind"] == "observation"}
        resumed = agent(tools, path, TURNS[model_turns:]).resume()
        unknown = [seen.call for seen in resumed.observations if seen.unknown]
        assert len(unknown) == len(begun - ended)
        assert len(world) == len(set(world)) == 4 - len(unknown)
        assert [to_json(step) for step in resumed.steps] == logged(path)
        if not unknown:
            assert values(resumed) == values(result)
            assert resumed.status == "answered"
        assert read_runs(path)[0].reason == resumed.status
        replay(path)


def test_what_may_be_repeated_is_repeated_under_the_same_key(tools, world, tmp_path):
    path = tmp_path / "log"
    agent(tools, path, [[ToolCall("keep", {"x": 1})], "Kept."]).run("keep 1")
    lines = path.read_text().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if '"kind":"observation"' in line)
    path.write_text("".join(lines[:cut]))
    assert agent(tools, path, ["Kept."]).resume().status == "answered"
    assert len(world) == 2
    assert world[0] == world[1] != ""


def test_approvals_and_replies_are_not_asked_for_again(tools, tmp_path):
    path = tmp_path / "log"
    turns = [[ToolCall("note", {"x": 7})], [ToolCall("drop", {"x": 7})], "Done."]
    result = agent(tools, path, turns, ask=lambda question: "x is 7").run("note it")
    assert any(isinstance(step, Question) and step.reply == "x is 7" for step in result.steps)
    assert any(isinstance(step, Approval) and step.granted for step in result.steps)
    assert replay(path)[0].steps == result.steps
    lines = path.read_text().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if '"kind":"approval"' in line)
    path.write_text("".join(lines[: cut + 1]))

    def never(request):
        raise AssertionError("asked again")

    assert agent(tools, path, ["Done."], approve=never, ask=never).resume().status == "answered"


def test_other_tools_or_rules_do_not_go_on(tools, tmp_path):
    path = tmp_path / "log"
    agent(tools, path).run(GOAL)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))
    with pytest.raises(LogError, match="its tools were others"):
        agent(tools[:2], path).resume()
    with pytest.raises(LogError, match="its permissions were others"):
        agent(tools, path, permissions=Permissions(write="ask")).resume()


def test_nothing_to_go_on_with(tools, tmp_path):
    path = tmp_path / "log"
    agent(tools, path).run(GOAL)
    with pytest.raises(LogError, match=r"every run in .* got to its end"):
        agent(tools, path).resume()
    with pytest.raises(LogError, match="cannot read"):
        agent(tools, None).resume(tmp_path / "none")
