from __future__ import annotations

import asyncio
import dataclasses
import math
import threading
import time

import pytest
from ferrule.tools import ArgumentError, RetryCall, ToolCall, ToolFailed, Toolset, ToolTimeout
from ferrule.tools.mcp import LostError, RefusedError, ResponseError, SessionError, load_mcp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import RAW

NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4), max_leaves=20
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.dictionaries(st.text(max_size=20), VALUES, max_size=5))
def test_arguments_arrive_as_they_were_given(demo, arguments):
    assert demo["echo"].call(arguments) == arguments


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.dictionaries(st.text(max_size=20), VALUES, max_size=5))
def test_arguments_arrive_over_http_as_they_were_given(remote, arguments):
    assert remote["echo"].call(arguments) == arguments


@pytest.mark.parametrize("name", ["self", "name", "arguments", "session", "seconds", "cls", "", "a b"])
def test_parameters_of_any_name(demo, name):
    assert demo["echo"].call({name: 1}) == {name: 1}


def test_arguments_are_validated_here_first(tools):
    with pytest.raises(ArgumentError, match="wrong arguments for add: /a: missing"):
        tools["add"].call({"b": 2})


# -- what a server says of a call ----------------------------------------------------------------------------------------


def test_what_the_tool_calls_an_error_is_one_the_model_can_react_to(tools):
    result = tools.execute(ToolCall("fail", {"text": "cat"}))
    assert (result.ok, result.error, result.retry, result.unknown) == (False, "fail: that does not work: cat", True, False)


def test_errors_of_the_protocol(tools):
    with pytest.raises(RetryCall, match=r"^wrong: not like this$"):
        tools["wrong"].call({})
    with pytest.raises(RefusedError, match=r"refused wrong: not like this \(code -32050\)") as caught:
        tools["wrong"].call({"code": -32050})
    assert caught.value.code == -32050
    with pytest.raises(RefusedError):  # a server cannot pass its errors off as ours
        tools["wrong"].call({"code": -32095})


def test_structured_content_keeps_to_its_schema(tools):
    with pytest.raises(
        ResponseError, match="lie: the result breaks its output schema at /sum: 'many' is not of type 'integer'"
    ):
        tools["lie"].call({})
    with pytest.raises(ResponseError, match="has an output schema but did not return structured content") as caught:
        tools["forget"].call({})
    assert caught.value.outcome_unknown


def test_a_tool_that_asks_its_user(tools):
    with pytest.raises(ToolFailed, match="ask asks its user for more while it runs"):
        tools["ask"].call({})


# -- time, and many at once --------------------------------------------------------------------------------------------


def test_calls_run_side_by_side_from_threads(tools):
    start = time.monotonic()
    threads = [threading.Thread(target=tools["wait"].call, args=({"seconds": 0.4},)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - start < 2


def test_calls_run_side_by_side_from_a_coroutine(tools):
    async def both():
        calls = [tools.aexecute(ToolCall("wait", {"seconds": 0.4})) for _ in range(8)]
        return await asyncio.gather(*calls, tools.aexecute(ToolCall("add", {"a": 1})))

    start = time.monotonic()
    results = asyncio.run(both())
    assert [result.value for result in results] == ["done"] * 8 + [{"sum": 1001}]
    assert time.monotonic() - start < 2


def test_a_call_that_takes_too_long_is_cancelled_at_the_server(tools, tmp_path):
    mark = tmp_path / "mark"
    with pytest.raises(ToolTimeout) as caught:
        tools["wait"].call({"seconds": 20, "mark": str(mark)}, seconds=0.3)
    assert caught.value.outcome_unknown
    _appears(mark)
    assert tools["say"].call({"text": "still here"}) == "still here"


def test_a_caller_that_is_cancelled_has_the_server_told_so(tools, tmp_path):
    mark = tmp_path / "mark"

    async def give_up():
        task = asyncio.ensure_future(tools["wait"].acall({"seconds": 20, "mark": str(mark)}))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    _appears(mark)


def _appears(mark):
    end = time.monotonic() + 5
    while not mark.exists():
        assert time.monotonic() < end, "the server was not told"
        time.sleep(0.02)


def test_a_session_that_is_closed_while_it_is_called():
    tools = load_mcp([*RAW, "silent"])
    found: list[BaseException] = []

    def call():
        try:
            tools["ok"].call({})
        except ToolFailed as error:
            found.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.3)
    tools.close()
    thread.join(5)
    (error,) = found
    assert type(error) is LostError
    assert "was closed before ok was answered" in str(error)
    with pytest.raises(SessionError, match="is closed") as caught:
        tools["ok"].call({})
    assert not caught.value.outcome_unknown
    tools.close()  # again does no harm


def test_unknown_outcomes_are_told_apart_by_what_may_be_repeated(raw):
    once = raw("exit").execute(ToolCall("ok", {}))
    assert (once.ok, once.unknown, once.retry) == (False, True, False)
    tools = raw("exit")
    repeatable = Toolset([dataclasses.replace(tools["ok"], idempotent=True)])
    assert repeatable.execute(ToolCall("ok", {})).unknown is False


def test_floats_keep_their_sign_and_size(demo):
    values = [-0.0, 5e-324, 1.7976931348623157e308, 0.1]
    found = demo["echo"].call({"v": values})["v"]
    assert found == values
    assert math.copysign(1, found[0]) == -1
