"""Tools that lie, flood, block, fork, raise, or change what all others stand on."""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest
from ferrule.tools import Tool, ToolCall, ToolDefinitionError, Toolset, tool
from jsonschema import Draft202012Validator


def execute(made, **arguments):
    return Toolset([made]).execute(ToolCall(made.name, arguments))


def whole(name, parameters, function=None):
    return Tool.from_schema({"name": name, "parameters": parameters}, function)


# -- that lie in their schema ------------------------------------------------------------------------------------------


def test_a_result_of_another_type_than_declared_is_the_result():
    """A return annotation is documentation: what came back is what is told."""

    @tool
    def count() -> int:
        return {"not": "a number"}

    assert execute(count).value == {"not": "a number"}


def test_parameters_that_the_function_does_not_take():
    made = whole("f", {"type": "object", "properties": {"x": {"type": "integer"}}}, lambda: 1)
    result = execute(made, x=1)
    assert not result.ok
    assert "unexpected keyword argument 'x'" in result.error
    assert "\n" not in result.error


def test_parameters_that_the_schema_does_not_name():
    made = whole("f", {"type": "object", "properties": {}, "additionalProperties": False}, lambda x: x)
    assert "missing 1 required positional argument" in execute(made).error
    assert not execute(made, x=1).ok


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "properties": {"x": {"type": "int33"}}},
        {"type": "object", "properties": []},
        {"type": "object", "required": "x"},
        {"type": "object", "properties": {"x": {"enum": "a"}}},
        {"type": "object", "properties": {"x": {"pattern": "("}}},
        {"type": "object", "properties": {"x": {"minimum": "1"}}},
        {"type": "array"},
        [],
        "object",
        {"type": "object", "properties": {"x": {"$ref": "#/$defs/none"}}},
        {"type": "object", "properties": {"x": {"$ref": "https://example.com/schema.json"}}},
    ],
    ids=str,
)
def test_invalid_json_schema_is_one_line(parameters):
    with pytest.raises(ToolDefinitionError) as caught:
        whole("f", parameters)
    assert "\n" not in str(caught.value)
    assert "'f'" in str(caught.value)


def test_a_schema_that_holds_itself():
    tree = {"type": "object", "properties": {"x": {"$ref": "#/$defs/tree"}}}
    tree["$defs"] = {"tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}}
    made = whole("f", tree, lambda x: x)
    value: dict = {}
    for _ in range(20):
        value = {"next": value}
    assert execute(made, x=value).value == value
    assert not execute(made, x={"next": {"next": 5}}).ok


def circle(through):
    """Parameters whose x leads round and round."""
    definitions = {"a": {"$ref": "#/$defs/b"}, "b": through}
    return {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": definitions}


def test_references_in_a_circle_of_nothing():
    for leads_back in ({"$ref": "#/$defs/a"}, {"allOf": [{"$ref": "#/$defs/a"}]}):
        with pytest.raises(ToolDefinitionError) as caught:
            whole("f", circle(leads_back))
        assert "\n" not in str(caught.value)


def test_values_that_the_checker_cannot_follow():
    deeper = {"$ref": "#/$defs/node"}
    for _ in range(20):
        deeper = {"allOf": [deeper]}
    definitions = {"node": {"type": "object", "properties": {"next": deeper}}}
    made = whole("f", {"type": "object", "properties": {"x": {"$ref": "#/$defs/node"}}, "$defs": definitions}, lambda x: 1)
    value: dict = {}
    for _ in range(90):
        value = {"next": value}
    assert execute(made, x=value).error == "wrong arguments for f: arguments: nested too deeply to be checked"


def test_a_schema_that_is_a_circle_in_memory():
    parameters: dict = {"type": "object", "properties": {}}
    parameters["properties"]["x"] = parameters
    with pytest.raises(ToolDefinitionError) as caught:
        whole("f", parameters)
    assert len(str(caught.value)) < 500


def test_a_schema_of_a_megabyte():
    properties = {f"parameter_{n}": {"type": "string", "description": "words " * 30} for n in range(5000)}
    assert len(json.dumps(properties)) > 1_000_000
    start = time.perf_counter()
    made = whole("f", {"type": "object", "properties": properties}, lambda **found: len(found))
    assert execute(made, parameter_7="x", parameter_4999="y").value == 2
    assert not execute(made, parameter_7=7).ok
    assert time.perf_counter() - start < 10


def test_an_enum_of_ten_thousand():
    values = [f"value {n}" for n in range(10_000)]
    made = whole("f", {"type": "object", "properties": {"x": {"enum": values}}}, lambda x: x)
    assert execute(made, x="value 9999").value == "value 9999"
    result = execute(made, x="value 10000")
    assert not result.ok
    assert len(result.error) < 2000
    assert Draft202012Validator(made.parameters).is_valid({"x": "value 77"})


# -- that return what they should not ----------------------------------------------------------------------------------


def gives(value):
    return Tool.from_schema({"name": "give"}, lambda: value)


def cycle():
    value: dict = {}
    value["self"] = value
    return value


def endless() -> Iterator[int]:
    while True:
        yield 1


class Odd:
    def __repr__(self):
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (math.nan, "nan"),
        ({"deep": [math.inf]}, "/deep/0"),
        (b"bytes", "bytes"),
        (object(), "object"),
        (Odd(), "Odd"),
        (endless(), "generator"),
        (cycle(), "itself"),
        ("\ud800", "surrogate"),
        (lambda: 1, "function"),
        (threading.Lock(), "lock"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_a_failure_on_one_line(value, words):
    result = execute(gives(value))
    assert not result.ok
    assert words in result.error
    assert "\n" not in result.error
    assert len(result.error) < 500


@pytest.mark.parametrize("make", [lambda: "x" * 100_000_000, lambda: [0] * 12_500_000], ids=["text", "list"])
def test_a_hundred_megabytes(make):
    """Refused, with what came and what is allowed; what is kept of it is that line."""
    result = execute(Tool.from_schema({"name": "flood"}, make))
    assert not result.ok
    assert result.value is None
    assert "too large" in result.error
    assert "at most 1048576 bytes are allowed, so nothing of it was kept" in result.error
    assert len(result.error) < 300


# -- that block, fork, raise -------------------------------------------------------------------------------------------


def test_a_tool_that_blocks_is_not_waited_for():
    release = threading.Event()
    made = tool(timeout=0.1)(_named("block", lambda: release.wait(60)))
    start = time.perf_counter()
    result = execute(made)
    assert time.perf_counter() - start < 5
    assert not result.ok
    assert "limit of 0.1 s" in result.error
    release.set()


def _named(name, function):
    def run() -> object:
        return function()

    run.__name__ = name
    return run


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("timeout", [5, None])
def test_a_tool_that_forks(tmp_path, timeout):
    """The child ends with the tool: it neither goes on with the program nor writes anything twice."""
    code = textwrap.dedent(f"""
        import os, sys
        from ferrule.tools import tool, Toolset, ToolCall

        @tool(timeout={timeout})
        def fork() -> str:
            child = os.fork()
            if child:
                os.waitpid(child, 0)
            return "child" if not child else "parent"

        print("before", flush=True)
        result = Toolset([fork]).execute(ToolCall("fork", {{}}))
        print(result.value, flush=True)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["before", "parent"]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("timeout", [None, 5])
@pytest.mark.parametrize("error", [SystemExit(3), RecursionError("deep"), MemoryError(), StopIteration(7)])
def test_what_is_raised_is_a_failure_on_one_line(error, timeout, is_async):
    if is_async:

        async def fail() -> None:
            raise error
    else:

        def fail() -> None:
            raise error

    made = tool(timeout=timeout)(fail)
    for result in (execute(made), asyncio.run(Toolset([made]).aexecute(ToolCall("fail", {})))):
        assert not result.ok
        assert result.error
        assert "\n" not in result.error


def test_real_recursion():
    def deep(n: int = 0) -> int:
        return deep(n + 1)

    assert "RecursionError" in execute(tool(_named("deep", deep))).error


@pytest.mark.parametrize("is_async", [False, True])
def test_a_base_exception_of_a_strangers_library(is_async):
    class Panic(BaseException):
        pass

    if is_async:

        async def fail() -> None:
            raise Panic("rust panicked\nbadly")
    else:

        def fail() -> None:
            raise Panic("rust panicked\nbadly")

    for timeout in (None, 5):
        made = tool(timeout=timeout)(fail)
        assert execute(made).error == "Panic: rust panicked badly"
        assert asyncio.run(Toolset([made]).aexecute(ToolCall("fail", {}))).error == "Panic: rust panicked badly"


def test_an_error_that_cannot_be_written():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    def fail() -> None:
        raise Mute

    assert "Mute" in execute(tool(fail)).error


def test_a_tool_that_changes_the_working_directory(tmp_path):
    """Allowed, as it is one process; the result comes, and whoever minds uses absolute paths."""
    before = os.getcwd()

    @tool
    def move() -> str:
        os.chdir(tmp_path)
        return "moved"

    try:
        assert execute(move).value == "moved"
        assert execute(move).value == "moved"
    finally:
        os.chdir(before)
