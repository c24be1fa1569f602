from __future__ import annotations

import asyncio
import json
import logging

import pytest
from ferrule.agents import Agent, ScriptedModel, UsageError, replay
from ferrule.agents.errors import LogError
from ferrule.agents.retrieval_shortlist import FEW
from ferrule.tools import Tool, ToolCall

NAMES = [
    f"{verb}_{noun}" for noun in ("invoice", "lamp", "ticket", "photo", "door") for verb in ("open", "find", "move", "print")
]


def tools(names=NAMES, reply=None):
    schema = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
    return [
        Tool.from_schema(
            {"name": n, "description": n.replace("_", " the "), "parameters": schema}, lambda label: reply or label
        )
        for n in names
    ]


def call(name, label="winter"):
    return [ToolCall(name, {"label": label})]


def shown(prompt):
    declared = prompt[prompt.index("<tools>") + 7 : prompt.index("</tools>")]
    return [tool["name"] for tool in json.loads(declared)]


def scripted(*turns, **options):
    return ScriptedModel.from_calls(turns, **options)


def test_few_tools_are_all_shown():
    model = scripted(call("open_door"), "done")
    agent = Agent(model, tools(NAMES[-FEW:]))
    agent.run("open the door called winter")
    assert agent.settings.retrieve is None
    assert shown(model.prompts[0]) == NAMES[-FEW:]


def test_of_many_tools_those_are_shown_that_the_goal_is_about():
    model = scripted(call("print_photo"), "done")
    agent = Agent(model, tools())
    run = agent.run("print the photo called winter")
    assert agent.settings.retrieve == 8
    found = shown(model.prompts[0])
    assert len(found) == 8
    assert "print_photo" in found
    assert found == [name for name in NAMES if name in found]  # in their own order
    assert shown(model.prompts[1]) == found  # so that the prompt goes on where it was
    assert run.status == "answered"


def test_few_tools_that_fill_the_context_are_many():
    names, model = NAMES[:10], scripted(call("open_lamp"), "done", context_length=900)
    agent = Agent(model, tools(names))
    assert agent.settings.retrieve == 8
    agent.run("open the lamp called winter")
    assert "open_lamp" in shown(model.prompts[0])
    assert len(shown(model.prompts[0])) < 8
    assert len(model.tokenizer.encode(model.prompts[0])) < 600


def test_the_grammar_has_no_other_tools():
    agent = Agent(scripted(call("open_door")), tools(), retrieve=2)
    with pytest.raises(Exception, match="not possible under the agent's grammar"):
        agent.run("print the photo called winter")


def test_called_tools_stay_and_named_ones_come_in():
    note = "no such photo; use move_invoice, or ask for print"
    model = scripted(call("print_photo"), call("move_invoice"), "done")
    agent = Agent(model, tools(reply=note), retrieve=3)
    agent.run("print the photo called winter")
    first, second, third = (set(shown(prompt)) for prompt in model.prompts[:3])
    assert "move_invoice" not in first
    assert second == first | {"move_invoice"} == third


def test_a_reply_is_ranked_by(tmp_path):
    log = tmp_path / "runs.jsonl"
    model = scripted(call("print_photo", "summer"), call("open_door"), "done")
    reply = "no: open the door called winter"
    agent = Agent(model, tools(), retrieve=2, grounding="strict", ask=lambda question: reply, log=log)
    agent.run("print the photo called winter")
    assert "open_door" not in shown(model.prompts[0])
    assert {"open_door", "print_photo"} <= set(shown(model.prompts[1]))
    chosen = [json.loads(line) for line in log.read_text().splitlines() if '"kind":"chosen"' in line]
    assert [len(line["names"]) for line in chosen] == [2, 2]


def test_a_goal_about_nothing_shows_the_first_tools():
    model = scripted([])
    run = Agent(model, tools(), retrieve=3).run("xyzzy")
    assert shown(model.prompts[0]) == NAMES[:3]
    assert run.status == "refused"


class Backwards:
    """A retriever whose ranking changes each time."""

    def __init__(self):
        self.times = 0

    def rank(self, text):
        self.times += 1
        return [(name, 1.0) for name in [*NAMES[::-1], "unknown"][self.times - 1 :]]


def test_what_was_chosen_is_replayed_from_the_log(tmp_path):
    log = tmp_path / "runs.jsonl"
    retriever = Backwards()
    model = scripted(call("print_door"), "done")
    with Agent(model, tools(), retrieve=2, retriever=retriever, log=log) as agent:
        run = agent.run("anything called winter")
    assert shown(model.prompts[0]) == ["move_door", "print_door"]
    assert [again.steps for again in replay(log)] == [run.steps]
    # cut behind the choice: the run goes on with it
    lines = log.read_text().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if '"kind":"chosen"' in line)
    log.write_text("".join(lines[: at + 1]))
    retriever.times = 9
    again = scripted(call("print_door"), "done")
    with Agent(again, tools(), retrieve=2, retriever=retriever, log=log) as agent:
        assert agent.resume().status == "answered"
    assert shown(again.prompts[0]) == ["move_door", "print_door"]
    # a log without the choice is not this run's
    log.write_text("".join(line for line in lines if '"kind":"chosen"' not in line))
    with pytest.raises(LogError, match="does not follow its log"):
        replay(log)


def test_a_coroutine_chooses_too():
    model = scripted(call("print_photo"), "done")
    run = asyncio.run(Agent(model, tools()).arun("print the photo called winter"))
    assert run.status == "answered"
    assert len(shown(model.prompts[0])) == 8


def test_a_schema_that_no_grammar_can_guarantee_is_left_out(caplog):
    bad = Tool.from_schema({"name": "print_photo_twice", "parameters": {"properties": {"a": {"not": {"const": 1}}}}})
    model = scripted(call("print_photo"), "done")
    with caplog.at_level(logging.WARNING):
        agent = Agent(model, [*tools(), bad])
        agent.run("print the photo called winter twice")
    assert "print_photo_twice" not in shown(model.prompts[0])
    assert [record.message for record in caplog.records if "print_photo_twice" in record.message]


@pytest.mark.parametrize("most", [0, -1, True, 2.0, "8"])
def test_a_number_that_is_none(most):
    with pytest.raises(UsageError, match="retrieve is a number of tools above 0, received"):
        Agent(scripted(), tools(), retrieve=most)


def test_as_many_as_there_are_is_all():
    assert Agent(scripted(), tools(), retrieve=len(NAMES)).settings.retrieve is None
    assert Agent(scripted(), tools(NAMES[:3]), retrieve=2).settings.retrieve == 2
