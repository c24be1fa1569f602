"""Executing calls: whatever the model or the tool does wrong is a result, never an exception."""

import asyncio
import math
from typing import Literal

import pytest
from ferrule.tools import (
    RetryCall,
    Tool,
    ToolCall,
    ToolDefinitionError,
    ToolFailed,
    ToolResult,
    Toolset,
    UnknownToolError,
    tool,
)
from hypothesis import given, settings
from hypothesis import strategies as st


@tool
def greet(name: str, times: int = 1, tone: Literal["warm", "cold"] = "warm") -> str:
    """Greets."""
    return f"{tone} {name}" * times


@tool
def find(city: str) -> str:
    if city == "retry":
        raise RetryCall("write the city\nin English")
    if city == "fail":
        raise ToolFailed("the service is down")
    if city == "silent":
        raise RetryCall
    raise KeyError(city)


@tool(max_result_bytes=10)
def bad(kind: Literal["nan", "object", "large", "str"]) -> object:
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError

    if kind == "str":
        raise Broken
    return {"nan": math.nan, "object": object(), "large": "x" * 20}[kind]


TOOLS = Toolset([greet, find, bad])


def execute(name, arguments):
    result = TOOLS.execute(ToolCall(name, arguments))
    again = asyncio.run(TOOLS.aexecute(ToolCall(name, arguments)))
    assert (again.ok, again.value, again.error, again.retry) == (result.ok, result.value, result.error, result.retry)
    return result


def test_a_call_that_works():
    result = execute("greet", {"name": "Ada"})
    assert result.ok
    assert result.value == "warm Ada"
    assert result.error is None
    assert result.call.name == "greet"
    assert 0 <= result.seconds < 5


@pytest.mark.parametrize(
    ("name", "arguments", "error", "retry"),
    [
        ("find", {"city": "retry"}, "write the city in English", True),
        ("find", {"city": "silent"}, "RetryCall", True),
        ("find", {"city": "fail"}, "the service is down", False),
        ("find", {"city": "Oslo"}, "KeyError: 'Oslo'", False),
        ("find", {}, "wrong arguments for find: /city: missing", True),
        ("find", [], "wrong arguments for find: arguments: must be a JSON object, received []", True),
        ("bad", {"kind": "nan"}, "the result contains nan, which JSON does not have", False),
        ("bad", {"kind": "str"}, "Broken", False),
        ("gret", {}, "there is no tool called 'gret'; did you mean 'greet'?", False),
        ("", {}, "there is no tool called ''; the tools are: greet, find, bad", False),
        (None, {}, "there is no tool called None; the tools are: greet, find, bad", False),
    ],
)
def test_calls_that_do_not(name, arguments, error, retry):
    result = execute(name, arguments)
    assert not result.ok
    assert result.value is None
    assert (result.error, result.retry) == (error, retry)


@pytest.mark.parametrize(("kind", "word"), [("object", "not JSON"), ("large", "too large")])
def test_results_that_are_not_json(kind, word):
    assert word in execute("bad", {"kind": kind}).error


def test_a_tool_that_is_only_a_schema():
    tools = Toolset([Tool.from_schema({"name": "f", "description": "d"})])
    result = tools.execute(ToolCall("f", {}))
    assert not result.ok
    assert "only its schema was given" in result.error


def test_a_tool_cannot_change_the_call():
    seen = {}

    @tool
    def spoil(items: list, options: dict) -> None:
        items.clear()
        options.clear()
        seen["ran"] = True

    call = ToolCall("spoil", {"items": [1], "options": {"a": [1]}})
    assert Toolset([spoil]).execute(call).ok
    assert seen
    assert call.arguments == {"items": [1], "options": {"a": [1]}}


def test_a_set_of_tools():
    def plain(n: int) -> int:
        return n

    tools = Toolset([greet, plain])
    assert tools.names == ("greet", "plain")
    assert [item.name for item in tools] == ["greet", "plain"]
    assert len(tools) == 2
    assert "plain" in tools
    assert [] not in tools
    assert tools["greet"] is greet
    assert [schema["name"] for schema in tools.schemas()] == ["greet", "plain"]
    with pytest.raises(UnknownToolError, match="did you mean 'plain'"):
        tools["plian"]
    with pytest.raises(ToolDefinitionError, match="two tools are called 'greet'"):
        Toolset([greet, greet])


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
NEAR = st.dictionaries(st.sampled_from(["name", "times", "tone", "city", "kind", "x"]), JSON | st.integers(-3, 3))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["greet", "find", "bad", "none"]), NEAR | JSON)
def test_execute_never_raises(name, arguments):
    result = TOOLS.execute(ToolCall(name, arguments))
    assert isinstance(result, ToolResult)
    assert result.ok == (result.error is None)
    assert result.ok or ("\n" not in result.error and result.error)


@pytest.mark.parametrize("timeout", [None, 30.0])
def test_a_call_may_have_a_shorter_limit_than_its_tool(timeout):
    import asyncio
    import time

    def slow() -> None:
        time.sleep(1)

    tools = Toolset([Tool("slow", function=slow, timeout=timeout)])
    began = time.monotonic()
    results = [tools.execute(ToolCall("slow", {}), 0.05), asyncio.run(tools.aexecute(ToolCall("slow", {}), 0.05))]
    assert time.monotonic() - began < 0.9
    assert all("took longer than its limit of 0.05 s" in result.error for result in results)
