"""Runs that go on with the conversation of an earlier one."""

from __future__ import annotations

import asyncio
import json

import pytest
from ferrule.agents import Agent, Call, LogError, Observation, Permissions, ScriptedModel, UsageError, replay
from ferrule.agents.earlier import conversation_of, trace_from_json, trace_of, trace_to_json
from ferrule.agents.verification import audit
from ferrule.tools import ToolCall, tool


@tool
def price(of: str) -> dict:
    return {"price": {"tea": 2.5, "cake": 4.25}[of]}


@tool(permission="write")
def pay(amount: float, to: str) -> str:
    return f"paid {amount}"


FIRST = [[ToolCall("price", {"of": "cake"})], "It costs 4.25."]
SECOND = [[ToolCall("pay", {"amount": 4.25, "to": "Ada"})], "Paid."]


def scripted(turns, **options):
    return ScriptedModel.from_calls(turns, tools=[price, pay], **options)


def going_on(model, turns):
    """The same model with another script: the tokens of one model are no words of another."""
    other = scripted(turns)
    other.tokenizer = model.tokenizer
    return other


def agent(model, **options):
    return Agent(model, [price, pay], approve=lambda request: True, **options)


def test_what_was_said_and_done_is_prompt_and_evidence():
    model = scripted(FIRST + SECOND)
    one = agent(model)
    first = one.run("what is a cake?")
    second = one.run("pay it to Ada", earlier=first)
    assert second.status == "answered"
    assert second.answer == "Paid."
    (call,) = (step for step in second.steps if isinstance(step, Call))
    assert call.evidence["/amount"].at == "1#/price"  # a value of the earlier run …
    assert call.number == 2  # … whose calls have numbers, too
    assert [step.number for step in second.steps if isinstance(step, Observation)] == [2]
    # What the model read before, it reads again as it was, so that nothing of it is computed again.
    assert model.prompts[2].startswith(model.prompts[1])
    assert "It costs 4.25." in model.prompts[2]
    assert model.prompts[2].count("what is a cake?") == 1
    assert audit(second, one.tools, one.settings) == []


def test_without_the_earlier_run_nobody_said_it():
    assert agent(scripted(SECOND)).run("pay it to Ada").status == "asked"


def test_three_runs_and_a_reply():
    model = scripted([SECOND[0], SECOND[0], "Paid.", FIRST[0], "4.25.", "You paid 4.25."])
    one = agent(model, ask=lambda question: "it is 4.25")
    first = one.run("pay it to Ada")
    second = one.run("what is a cake?", earlier=first)
    third = one.run("how much did I pay?", earlier=second)
    assert third.status == "answered"
    assert third.answer == "You paid 4.25."
    assert model.prompts[-1].startswith(model.prompts[-2])
    said = [word for word in ("pay it to Ada", "it is 4.25", "what is a cake?", "how much") if word in model.prompts[-1]]
    assert len(said) == 4
    assert len(conversation_of(trace_of(third))) == 4 + 6 + 2  # texts, turns, results


def test_its_log_has_all_that_it_needs(tmp_path):
    first_model = scripted(FIRST)
    first = agent(first_model).run("what is a cake?")
    path = tmp_path / "log"
    with agent(going_on(first_model, SECOND), log=path) as one:
        second = one.run("pay it to Ada", earlier=first)
    (again,) = replay(path)
    assert again.steps == second.steps
    assert trace_of(again) == trace_of(second)
    lines = path.read_text().splitlines(keepends=True)
    for count in range(2, len(lines)):
        cut = tmp_path / f"cut{count}"
        cut.write_text("".join(lines[:count]))
        turns = sum('"kind":"written"' in line for line in lines[1:count])
        model = going_on(first_model, SECOND[turns:])
        resumed = agent(model).resume(cut)
        assert resumed.status in ("answered", "failed")  # failed: nobody knows whether it was paid
        assert all("what is a cake?" in prompt for prompt in model.prompts)
        assert replay(cut)[0].steps == resumed.steps


def test_a_run_that_goes_on_from_a_replayed_one():
    model = scripted(FIRST + SECOND)
    first = agent(model).run("what is a cake?")
    first.trace[:] = trace_from_json(json.loads(json.dumps(trace_to_json(tuple(first.trace)))))
    assert agent(model).run("pay it to Ada", earlier=first).calls == [ToolCall("pay", {"amount": 4.25, "to": "Ada"})]
    assert model.prompts[2].startswith(model.prompts[1])


def test_coroutines():
    async def talk():
        one = agent(scripted(FIRST + SECOND))
        first = await one.arun("what is a cake?")
        return await one.arun("pay it to Ada", earlier=first)

    assert asyncio.run(talk()).answer == "Paid."


def test_results_of_tools_that_are_gone_are_no_evidence():
    model = scripted([*FIRST, SECOND[0]])
    first = agent(model).run("what is a cake?")
    alone = Agent(model, [pay], approve=lambda request: True)
    second = alone.run("pay it to Ada", earlier=first)
    assert second.status == "asked"
    assert audit(second, alone.tools, alone.settings) == []


def test_what_was_not_allowed_is_told():
    model = scripted([SECOND[0], "I may not.", "As I said."])
    one = Agent(model, [price, pay], permissions=Permissions(write="deny"))
    first = one.run("pay 4.25 to Ada")
    assert first.answer.startswith("not allowed to call pay")
    one.run("why?", earlier=first)
    assert "not allowed: pay is marked write" in model.prompts[-1]


@pytest.mark.parametrize("room", [300, 420, 600])
def test_the_oldest_words_go_where_there_is_no_room(room):
    model = scripted([*FIRST, *FIRST, *FIRST, *FIRST], context_length=room)
    one, run = agent(model), None
    for number in range(4):
        run = one.run(f"question {number}: what is a cake?", earlier=run)
        assert run.status == "answered", run.answer
    assert "question 3" in model.prompts[-1]
    assert "question 0" not in model.prompts[-1]


def test_what_is_no_run_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match=r"earlier is a run, as agent\.run\(\.\.\.\) gives it, received 'yes'"):
        agent(scripted(FIRST)).run("what is a cake?", earlier="yes")
    first = agent(scripted(FIRST)).run("what is a cake?")
    with pytest.raises(UsageError, match="with the model scripted, and this agent's is other; use the same"):
        agent(scripted(FIRST, name="other")).run("and tea?", earlier=first)
    for wrong in (1, [1], [{"kind": "nothing"}], [{"kind": "written"}]):
        with pytest.raises(LogError):
            trace_from_json(wrong)
