from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import sys
import threading
from collections.abc import Iterator

import jsonschema
import pytest
from ferrule.tools import Tool, ToolDefinitionError, tool
from ferrule.tools.mcp import load_mcp, make_server
from ferrule.tools.mcp.serving import allowed, listen, url
from hypothesis import HealthCheck, given, settings
from mcp import Client, MCPError, StdioServerParameters

from .test_session import VALUES

TOOLS = '''
from ferrule.tools import RetryCall, tool

@tool
def add(a: int, b: int = 2) -> int:
    """Adds."""
    print("adding")
    return a + b

@tool(permission="write", idempotent=True, name="keep it")
def keep(value: object) -> dict:
    """Keeps."""
    return {"kept": value}

@tool(permission="destructive")
def wipe(path: str) -> str:
    """Wipes."""
    return f"{path} is gone"

@tool(permission="write", timeout=0.2)
def slow() -> str:
    """Takes its time."""
    import time
    time.sleep(3)
    return "done"

@tool
async def choose(number: int) -> str:
    """Wants another number."""
    if number < 5:
        raise RetryCall("a larger\\nnumber")
    return "fine"
'''
SERVE = """
import sys
from ferrule.tools import load_tools
from ferrule.tools.mcp import make_server, serve_stdio
from ferrule.tools.mcp.serving import allowed
outputs = {"keep it": {"type": "object", "required": ["kept"]}}
serve_stdio(make_server(allowed(load_tools(sys.argv[1]), sys.argv[2]), name="mine", outputs=outputs))
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of our server."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "tools.py").write_text(TOOLS)
    (folder / "serve.py").write_text(SERVE)
    return [sys.executable, str(folder / "serve.py"), str(folder / "tools.py"), "destructive"]


@pytest.fixture(scope="module")
def ours(served: list[str]) -> Iterator[object]:
    with load_mcp(served, trust_hints=True) as tools:
        yield tools


def test_the_official_client(served):
    async def use() -> tuple:
        async with Client(StdioServerParameters(command=served[0], args=served[1:])) as client:
            listed = (await client.list_tools()).tools
            calls = [
                await client.call_tool("add", {"a": 3}),
                await client.call_tool("keep_it", {"value": [1, None]}),
                await client.call_tool("add", {"a": "three", "c": 1}),
                await client.call_tool("choose", {"number": 1}),
                await client.call_tool("slow", {}),
            ]
            with pytest.raises(MCPError, match=r"there is no tool called 'ad'; the tools are: add, keep_it"):
                await client.call_tool("ad", {})
            return client.server_info.name, listed, calls

    name, listed, (added, kept, wrong, choose, slow) = asyncio.run(use())
    assert name == "mine"
    hints = {
        t.name: (t.annotations.read_only_hint, t.annotations.destructive_hint, t.annotations.idempotent_hint) for t in listed
    }
    assert hints == {
        "add": (True, False, True),
        "keep_it": (False, False, True),
        "wipe": (False, True, False),
        "slow": (False, False, False),
        "choose": (True, False, True),
    }
    assert listed[0].input_schema["required"] == ["a"]
    jsonschema.Draft202012Validator.check_schema(listed[0].input_schema)
    assert (added.is_error, added.structured_content, added.content[0].text) == (False, {"result": 5}, "5")
    assert (kept.structured_content, json.loads(kept.content[0].text)) == ({"kept": [1, None]}, {"kept": [1, None]})
    errors = [result.content[0].text for result in (wrong, choose, slow)]
    assert all(result.is_error for result in (wrong, choose, slow))
    assert errors[0] == "wrong arguments for add: /a: 'three' is not of type integer; /c: unknown (allowed: a, b)"
    assert errors[1] == "a larger number"
    assert errors[2].startswith("tool 'slow' took longer than its limit of 0.2 s")
    assert errors[2].endswith("(nobody knows whether it was carried out)")


def test_our_client_finds_the_same_marks(ours):
    marks = {tool.name: (tool.permission, tool.may_repeat) for tool in ours}
    assert marks == {
        "add": ("read", True),
        "keep_it": ("write", True),
        "wipe": ("destructive", False),
        "slow": ("write", False),
        "choose": ("read", True),
    }
    assert ours["wipe"].call({"path": "/tmp/x"}) == {"result": "/tmp/x is gone"}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES)
def test_values_come_back_as_they_were_given(ours, value):
    assert ours["keep_it"].call({"value": value}) == {"kept": value}


@pytest.mark.parametrize(("most", "names"), [("read", ["a"]), ("write", ["a", "b"]), ("destructive", ["a", "b", "c"])])
def test_only_tools_with_a_mark_that_is_allowed_are_offered(most, names):
    tools = [
        Tool(name, function=lambda: 1, permission=permission)
        for name, permission in zip("abc", ("read", "write", "destructive"), strict=True)
    ]
    assert [tool.name for tool in allowed(tools, most)] == names


def test_what_cannot_be_offered():
    wipe = Tool("wipe", function=lambda: 1, permission="destructive")
    with pytest.raises(ToolDefinitionError, match="no tool is left: all of them are marked harsher than 'write'"):
        allowed([wipe], "write")
    with pytest.raises(ToolDefinitionError, match="what may be offered is read, write, destructive, received 'all'"):
        allowed([wipe], "all")
    with pytest.raises(ToolDefinitionError, match="tool 'f' has no function to run"):
        allowed([Tool("f")], "read")
    with pytest.raises(ToolDefinitionError, match=r"the tools 'a b' and 'a_b' are both 'a_b' in MCP"):
        make_server([dataclasses.replace(wipe, name=name) for name in ("a b", "a_b")])


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1", "an address to serve at is HOST:PORT"),
        ("127.0.0.1:http", "an address to serve at is HOST:PORT"),
        ("127.0.0.1:70000", "an address to serve at is HOST:PORT"),
        ("0.0.0.0:8000", "'0.0.0.0' can be reached by others"),
        ("[::]:8000", "'::' can be reached by others"),
        ("example.com:8000", "'example.com' can be reached by others"),
    ],
)
def test_addresses_that_are_not_served_at(address, said):
    with pytest.raises(ToolDefinitionError) as caught:
        listen(address)
    assert said in str(caught.value)


def test_an_address_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ToolDefinitionError, match=f"cannot serve at {address}: OSError"):
            listen(address)


def test_over_http_on_this_machine():
    import uvicorn

    @tool
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    with listen("localhost:0") as listening:
        app = make_server([add]).streamable_http_app()
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        with load_mcp(url(listening)) as tools:
            assert tools["add"].call({"a": 2, "b": 3}) == {"result": 5}
        server.should_exit = True
        thread.join(10)
