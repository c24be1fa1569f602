from __future__ import annotations

import threading

import pytest
from ferrule.agents import Agent, Answer, Budget, Call, Observation, ScriptedModel, Stop, read_log, replay
from ferrule.agents.requests import Execute
from ferrule.agents.side_by_side import side_by_side
from ferrule.tools import ToolCall, ToolResult, tool
from hypothesis import given
from hypothesis import strategies as st

GOAL = "What is the weather in Oslo? What is the price of Apple shares?"


def part(first, rounds, log):
    """Executes one call a round; each number is a call's own."""
    for number in range(first, first + rounds):
        results, _ = yield Execute({number: ToolCall("f", {"n": number})}, None)
        assert [result.call.arguments["n"] for result in results] == [number]
        log.append(number)
    return first


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_every_part_gets_its_own_results_in_as_few_rounds_as_the_longest_needs(rounds):
    log: list[int] = []
    run = side_by_side([part(100 * at, count, log) for at, count in enumerate(rounds)])
    sizes, reply = [], None
    try:
        while True:
            request = run.send(reply)
            sizes.append(len(request.calls))
            reply = ([ToolResult(call, True, value=None) for call in request.calls.values()], 0.0)
    except StopIteration as stop:
        ends = stop.value
    assert ends == [100 * at for at in range(len(rounds))]
    assert len(sizes) == max(rounds)
    assert sizes == [sum(count > at for count in rounds) for at in range(max(rounds))]
    assert sorted(log) == [100 * at + n for at, count in enumerate(rounds) for n in range(count)]


def test_other_requests_are_passed_on_and_answered():
    def asking():
        reply = yield "question"
        results, _ = yield Execute({1: ToolCall("f", {})}, 5.0)
        return reply, results

    run = side_by_side([asking()])
    assert run.send(None) == "question"
    request = run.send("answer")
    assert (request.calls, request.seconds, request.dry) == ({1: ToolCall("f", {})}, 5.0, False)
    with pytest.raises(StopIteration) as stop:
        run.send((["result"], 0.0))
    assert stop.value.value == [("answer", ["result"])]


def test_what_waits_is_executed_before_a_stop():
    class OverError(Exception):
        pass

    def over():
        yield Stop("calls", "no more")
        raise OverError

    run = side_by_side([part(1, 1, []), over()])
    request = run.send(None)
    assert list(request.calls) == [1]
    assert run.send(([ToolResult(request.calls[1], True, value=None)], 0.0)) == Stop("calls", "no more")
    with pytest.raises(OverError):
        run.send(None)


@pytest.fixture
def readers():
    """Two tools that each wait until the other one runs, too."""
    both = threading.Barrier(2, timeout=20)

    @tool
    def get_weather(city: str) -> dict:
        """Get the weather in a city."""
        both.wait()
        return {"city": city, "temperature": 4}

    @tool
    def get_share_price(company: str) -> dict:
        """Get the price of a company's shares."""
        both.wait()
        return {"company": company, "price": 230}

    return [get_weather, get_share_price]


WEATHER, PRICE = ToolCall("get_weather", {"city": "Oslo"}), ToolCall("get_share_price", {"company": "Apple"})


def scripted(*turns):
    return ScriptedModel.from_calls(turns)


def test_parts_that_only_read_run_at_the_same_time(readers, tmp_path):
    path = tmp_path / "runs.jsonl"
    run = Agent(scripted([WEATHER], [PRICE], "It is 4 degrees.", "It is 230."), readers, planning=True, log=path).run(GOAL)
    kinds = [type(step) for step in run.steps if isinstance(step, Call | Observation | Answer)]
    assert kinds == [Call, Call, Observation, Observation, Answer]
    assert [step.result.ok for step in run.steps if isinstance(step, Observation)] == [True, True]
    assert run.answer == "It is 4 degrees. It is 230."
    assert replay(path)[0].steps == run.steps
    assert read_log(path)


@pytest.mark.parametrize(
    "goal",
    [
        "What is the weather in Oslo? Send Mia a note that says 'hello'.",  # the second one changes something
        "What is the weather in Oslo? What is its share price?",  # the second one points at the first
    ],
)
def test_other_parts_go_one_after_the_other(goal):
    @tool
    def get_weather(city: str) -> dict:
        """Get the weather in a city."""
        return {"city": city}

    @tool
    def get_share_price(company: str) -> dict:
        """Get the price of a company's shares."""
        return {"price": 1}

    @tool(permission="write")
    def send_note(name: str, text: str) -> str:
        """Send a note to a person."""
        return "sent"

    second = (
        ToolCall("send_note", {"name": "Mia", "text": "hello"})
        if "Mia" in goal
        else ToolCall("get_share_price", {"company": "Oslo"})
    )
    model = scripted([WEATHER], "Fine.", [second], "Done.")
    run = Agent(model, [get_weather, get_share_price, send_note], planning=True).run(goal)
    kinds = [type(step) for step in run.steps if isinstance(step, Call | Observation)]
    assert kinds == [Call, Observation, Call, Observation]


def test_a_budget_that_ends_among_parts_leaves_no_call_without_its_outcome(readers):
    @tool
    def get_weather(city: str) -> dict:
        """Get the weather in a city."""
        return {"city": city}

    run = Agent(scripted([WEATHER], [WEATHER]), [get_weather, readers[1]], planning=True, budget=Budget(turns=1)).run(GOAL)
    calls = [step.number for step in run.steps if isinstance(step, Call)]
    assert calls == [step.number for step in run.steps if isinstance(step, Observation)]
    assert isinstance(run.steps[-1], Stop)
