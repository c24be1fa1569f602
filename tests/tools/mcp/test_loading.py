from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time

import pytest
from ferrule.tools import ArgumentError, ToolDefinitionError, load_tools
from ferrule.tools.mcp import StartError, load_mcp, parse_command

from .conftest import RAW

OBJECT = {"type": "object"}
LOOP = {
    "type": "object",
    "properties": {"a": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}]}},
    "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}},
}


def listed(raw, *tools, **options):
    return raw("list", json.dumps([{"name": "good", "inputSchema": OBJECT}, *tools]), **options)


# -- what tools become ---------------------------------------------------------------------------------------------------


def test_every_page_is_listed_in_order(tools):
    assert tools.names == (
        *("add", "echo", "say", "fail", "wipe", "lie", "forget", "media", "several"),
        *("nothing", "big", "wait", "variables", "change", "ask", "wrong", "die"),
    )
    assert tools["add"].schema() == {
        "name": "add",
        "description": "Does add.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 7}},
            "required": ["a"],
        },
    }


def test_hints_make_marks_stricter_and_never_milder(demo):
    assert {tool.permission for tool in demo if tool.name not in ("echo", "wipe")} == {"write"}
    assert (demo["echo"].permission, demo["wipe"].permission) == ("destructive", "destructive")
    assert not any(tool.may_repeat or tool.trusted for tool in demo)
    assert demo["add"].is_sensitive("a")


def test_hints_of_a_trusted_server_count(raw):
    hints = {
        "reads": {"readOnlyHint": True, "destructiveHint": True},
        "adds": {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": True},
        "wipes": {"destructiveHint": True},
    }
    entries = [{"name": name, "inputSchema": OBJECT, "annotations": hint} for name, hint in hints.items()]
    tools = listed(raw, *entries, trust_hints=True, trust_results=True, prefix="my_")
    assert {tool.name: (tool.permission, tool.may_repeat) for tool in tools} == {
        "my_good": ("write", False),
        "my_reads": ("read", True),
        "my_adds": ("write", True),
        "my_wipes": ("destructive", False),
    }
    assert all(tool.trusted for tool in tools)
    assert tools["my_adds"].call({}) == "fine"


def test_the_servers_own_defaults_are_left_to_it(tools):
    assert tools["add"].call({"a": 1}) == {"sum": 1001}


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        (
            {"name": "bad", "inputSchema": {"type": "string"}},
            "'bad': parameters must have \"type\": \"object\", received 'string'",
        ),
        ({"name": "bad", "inputSchema": []}, "'bad': its input schema must be a JSON object, received []"),
        ({"name": "bad"}, "'bad': its input schema must be a JSON object, received None"),
        ({"name": "bad", "inputSchema": {"type": "object", "required": "a"}}, "'bad': not a valid JSON Schema at /required"),
        (
            {"name": "bad", "inputSchema": {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}},
            "'bad': $ref '#/properties/a' leads back to itself",
        ),
        ({"name": "bad", "inputSchema": LOOP}, "'bad': the schema leads back to itself without an end"),
        (
            {"name": "bad", "inputSchema": OBJECT, "outputSchema": LOOP},
            "its output schema cannot be used: tool 'bad': the schema",
        ),
        (
            {"name": "bad", "inputSchema": {"type": "object", "properties": {"a": {"$ref": "https://a.example/b"}}}},
            "'bad': $ref 'https://a.example/b' leads nowhere",
        ),
        (
            {"name": "bad", "inputSchema": {"type": "object", "properties": {"a": {"type": "thing"}}}},
            "'bad': /properties/a/type is 'thing', which is no type",
        ),
        ({"name": "bad", "inputSchema": OBJECT, "outputSchema": "text"}, "'bad': its output schema must be a JSON object"),
        (
            {"name": "bad", "inputSchema": OBJECT, "outputSchema": {"type": "object", "properties": {"a": {"type": 5}}}},
            "its output schema cannot be used: tool 'bad'",
        ),
        ({"name": "bad", "inputSchema": OBJECT, "annotations": {"readOnlyHint": {}}}, "'bad': tools.0.annotations"),
        ({"name": "bad\nname", "inputSchema": OBJECT}, "a tool's name must be printable text on one line"),
        ({"name": "x" * 129, "inputSchema": OBJECT}, "a tool's name has at most 128 characters"),
        ({"name": 7, "inputSchema": OBJECT}, "a tool's name must be text, received 7"),
        ({"name": "good", "inputSchema": OBJECT}, "it lists two tools called 'good'; the first is used"),
        ("tool", "a tool must be a JSON object, received 'tool'"),
    ],
)
def test_a_tool_that_cannot_be_used_is_left_out_in_one_line(raw, caplog, tool, said):
    tools = listed(raw, tool)
    assert tools.names == ("good",)
    (why,) = tools.refused.values()
    assert why.startswith("MCP server 'python")
    assert said in why
    assert "\n" not in why
    assert [record.getMessage() for record in caplog.records] == [f"{why} (left out)"]
    assert tools["good"].call({}) == "fine"


def test_draft_7_schemas_are_read(raw):
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/n"}},
        "definitions": {"n": {"type": "integer", "exclusiveMinimum": 0}},
    }
    tools = listed(raw, {"name": "seven", "inputSchema": schema})
    assert "$schema" not in tools["seven"].parameters
    assert tools["seven"].call({"a": 1}) == "fine"


def test_a_schema_that_goes_deeper_each_time_is_no_loop(raw):
    tree = {
        "type": "object",
        "properties": {
            "root": {"$ref": "#/$defs/node"},
            "twice": {"allOf": [{"$ref": "#/$defs/node"}, {"$ref": "#/$defs/node"}]},
        },
        "$defs": {"node": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}},
    }
    tools = listed(raw, {"name": "tree", "inputSchema": tree, "outputSchema": tree})
    assert tools.refused == {}
    with pytest.raises(ArgumentError, match="/root/children/0: 5 is not of type object"):
        tools["tree"].call({"root": {"children": [5]}})


def test_only_the_wanted_tools_are_looked_at(raw, caplog):
    tools = listed(raw, {"name": "bad", "inputSchema": []}, {"name": "get_a", "inputSchema": OBJECT}, tools=["get_*"])
    assert (tools.names, tools.refused, caplog.records) == (("get_a",), {}, [])


def test_a_server_that_says_its_tools_have_changed_goes_on(raw):
    tools = raw("change")
    assert not tools.has_changed
    assert [tools["ok"].call({}) for _ in range(2)] == ["fine", "fine"]
    assert tools.has_changed


# -- what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "options", "said"),
    [
        ("", {}, "the command of the MCP server is empty"),
        ("A=b", {}, "the command of the MCP server is empty"),
        ("'open", {}, "the command of the MCP server cannot be read: ValueError: No closing quotation"),
        ("A=$NO_SUCH_VARIABLE_42 x", {}, "wants $NO_SUCH_VARIABLE_42, which is not set"),
        ([], {}, "an MCP server is a command or an address, received []"),
        (7, {}, "an MCP server is a command or an address, received 7"),
        ("x", {"timeout": 0}, "timeout must be a positive number of seconds, received 0"),
        ("x", {"start_timeout": "5"}, "start_timeout must be a positive number of seconds, received '5'"),
        ("x", {"headers": {"A": "b"}}, "headers and allow_private are for an address"),
        ("x", {"env": {"A": 5}}, "env gives texts by name; 'A' is no such pair"),
        ("https://a.example", {"env": {"A": "b"}}, "env and folder are for a program"),
        ("https://me:xyzzy@a.example/mcp", {}, "an address must not hold a user name or password"),
        (
            "https://a.example",
            {"headers": {"A": "b\nc"}},
            "https://a.example: the header 'A' is not plain ASCII text on one line",
        ),
        ("http://", {}, "names no host"),
    ],
)
def test_bad_arguments_are_one_line(server, options, said):
    with pytest.raises(ToolDefinitionError) as caught:
        load_mcp(server, **options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "xyzzy" not in str(caught.value)


def test_a_pattern_without_a_tool(raw):
    with pytest.raises(ToolDefinitionError, match=r"has no tool 'set_\*'; its tools are: good"):
        listed(raw, tools=["set_*"])


def test_a_server_without_tools(raw):
    with pytest.raises(ToolDefinitionError, match=r"has no tool that can be used \(it lists none\)"):
        raw("list", "[]")
    with pytest.raises(ToolDefinitionError, match=r"has no tool that can be used: MCP server .* received 7"):
        raw("list", '[{"name": "a", "inputSchema": 7}]')


def test_the_sdk_is_imported_when_it_is_used_and_named_when_it_is_missing():
    code = """
import sys
import ferrule.tools.mcp
assert not {"mcp", "mcp_types", "httpx2", "pydantic", "uvicorn"} & set(sys.modules), "imported too early"
sys.modules["mcp"] = sys.modules["mcp_types"] = None
from ferrule.tools import ArgumentError, ToolDefinitionError, load_tools
for use in (lambda: load_tools("mcp:server"), lambda: ferrule.tools.mcp.make_server([])):
    try:
        use()
    except ToolDefinitionError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("MCP needs a package that is missing") for line in lines)
    assert all(line.endswith("pip install 'ferrule[mcp]'") for line in lines)


# -- commands ------------------------------------------------------------------------------------------------------------


def test_commands_with_variables_in_front(monkeypatch):
    monkeypatch.setenv("SESAME", "open says me")
    words, env = parse_command("TOKEN=$SESAME MODE='a b' npx -y 'the server' X=1 $SESAME")
    assert words == ["npx", "-y", "the server", "X=1", "$SESAME"]
    assert env == {"TOKEN": "open says me", "MODE": "a b"}


def test_load_tools_takes_both_kinds(address, monkeypatch):
    monkeypatch.setenv("SESAME", "open says me")
    with load_tools(f"mcp: TOKEN=$SESAME {' '.join(RAW)} fine") as tools:
        assert tools["ok"].call({}) == "fine"
    with load_tools(f"mcp:{address}", tools=["say"]) as tools:
        assert tools["say"].call({"text": "hi"}) == "hi"


def test_a_python_file_may_hold_sets_of_tools(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from ferrule.tools import tool\nfrom ferrule.tools.mcp import load_mcp\n"
        f"theirs = load_mcp({[*RAW, 'fine']!r}, prefix='raw_')\nagain = theirs\n"
        "@tool\ndef mine() -> int:\n    '''Mine.'''\n    return 1\n"
    )
    tools = load_tools(tmp_path / "mine.py")
    assert tools.names == ("mine", "raw_ok")
    assert tools["raw_ok"].call({}) == "fine"


# -- how long a session lasts ----------------------------------------------------------------------------------------------


def _children() -> set[str]:
    found = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True).stdout
    return {line.split()[0] for line in found.splitlines() if "raw_server.py" in line}


def test_a_forgotten_set_ends_its_server():
    before = _children()
    tools = load_mcp([*RAW, "fine"])
    tool = tools["ok"]
    del tools
    gc.collect()
    assert tool.call({}) == "fine"  # a tool alone keeps it
    assert len(_children() - before) == 1
    del tool
    gc.collect()
    assert not _children() - before


def test_a_start_that_fails_leaves_nothing_behind():
    before, threads = _children(), threading.active_count()
    with pytest.raises(StartError, match=r"was not ready within 0\.3 s: no answer \(load_mcp\(\.\.\., start_timeout="):
        load_mcp([*RAW, "stall"], start_timeout=0.3)
    assert not _children() - before
    assert threading.active_count() == threads


def test_the_end_of_the_program_ends_the_server(tmp_path):
    code = f"""
from ferrule.tools.mcp import load_mcp
tools = load_mcp({[*RAW, "fine"]!r})
print(tools["ok"].call({{}}), tools._session._worker.endpoint._process.pid)
"""
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said, pid = done.stdout.split()
    assert (said, done.stderr, done.returncode) == ("fine", "", 0)
    assert time.monotonic() - start < 15
    assert subprocess.run(["ps", "-p", pid], capture_output=True).returncode == 1
