from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from ferrule.agents import Agent, ScriptedModel
from ferrule.hub.cli.mcp import OUTCOME
from ferrule.tools import ToolCall
from ferrule.tools.mcp import load_mcp
from mcp import Client

RAW = [sys.executable, str(Path(__file__).parents[2] / "tools/mcp/raw_server.py"), "fine"]
COMMAND = f"{shlex.quote(sys.executable)} -c 'from ferrule.hub.cli import main; main()' mcp"
MORE = '''
from pathlib import Path
from ferrule.tools import tool

@tool
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b

@tool(permission="write")
def note(text: str) -> str:
    """Keeps a note."""
    Path("note").write_text(text)
    return "kept"

@tool(permission="destructive")
def wipe(text: str) -> str:
    """Wipes."""
    Path("wiped").touch()
    return "gone"
'''


# -- an agent calls the tools of a server ---------------------------------------------------------------------------------


def test_an_agent_calls_a_tool_of_a_server():
    with load_mcp(RAW) as tools:
        model = ScriptedModel.from_calls([[ToolCall("ok", {})], "It is fine."])
        run = Agent(model, tools).run("is it ok?")
        assert (run.status, run.answer, run.observations[0].value) == ("answered", "It is fine.", "fine")
        assert '["fine"]' in model.prompts[1]
        model = ScriptedModel.from_calls([[ToolCall("ok", {})], "It is fine."])
        assert asyncio.run(Agent(model, tools).arun("is it ok?")).answer == "It is fine."


def test_an_agent_is_told_that_a_server_has_ended():
    with load_mcp([*RAW[:-1], "exit"]) as tools:
        run = Agent(ScriptedModel.from_calls([[ToolCall("ok", {})], "It did not work."]), tools).run("is it ok?")
    assert run.status == "failed"
    assert run.observations[0].unknown
    assert "ended before ok was answered" in run.observations[0].error


def test_ferrule_run_takes_a_server(ferrule, script):
    script([ToolCall("ok", {})], "It is fine.")
    result = ferrule("run", "is it ok?", "--tools", f"mcp:{shlex.join(RAW)}", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["steps"][-2]["result"]["value"] == "fine"


def test_a_server_that_does_not_start(refused):
    assert "there is no program 'no-such-server'" in refused("run", "is it ok?", "--tools", "mcp:no-such-server")


# -- tools and agents are offered -------------------------------------------------------------------------------------------


@pytest.fixture
def offered(monkeypatch, folder, ferrule):
    """What `ferrule mcp` would serve, and a way to call it with the official client in this process."""
    module = importlib.import_module("ferrule.hub.cli.mcp")
    (folder / "more.py").write_text(MORE)

    def offer(*options, turns=()):
        found = []
        monkeypatch.setattr(module, "serve_stdio", found.append)
        monkeypatch.setattr(module.signal, "signal", lambda *_: None)
        model = ScriptedModel.from_calls(turns)
        monkeypatch.setattr(module, "from_preset", lambda name, backend: model)
        result = ferrule("mcp", "--tools", "more.py", *options)
        assert result.exit_code == 0, result.output
        assert result.stdout == ""

        async def use(*calls):
            async with Client(found[0]) as client:
                listed = (await client.list_tools()).tools
                return listed, [await client.call_tool(name, arguments) for name, arguments in calls]

        return lambda *calls: asyncio.run(use(*calls))

    return offer


def test_tools_that_destroy_are_offered_when_that_is_allowed(offered):
    assert [tool.name for tool in offered()()[0]] == ["add", "note"]
    assert [tool.name for tool in offered("--allow", "read")()[0]] == ["add"]
    listed, (gone,) = offered("--allow", "destructive")(("wipe", {"text": "x"}))
    assert [tool.name for tool in listed] == ["add", "note", "wipe"]
    assert (gone.is_error, Path("wiped").exists()) == (False, True)


def test_an_agent_is_a_tool(offered):
    turns = [[ToolCall("add", {"a": 2, "b": 3})], "That makes 5."]
    listed, (result,) = offered("--preset", "my model", turns=turns)(("ask_my_model", {"goal": "what is 2 + 3?"}))
    assert [tool.name for tool in listed] == ["add", "note", "ask_my_model"]
    assert not listed[-1].annotations.read_only_hint
    assert listed[-1].output_schema == OUTCOME
    assert result.structured_content == {
        "answer": "That makes 5.",
        "status": "answered",
        "calls": [{"name": "add", "arguments": {"a": 2, "b": 3}, "ok": True, "value": 5}],
    }
    jsonschema.validate(result.structured_content, OUTCOME)


def test_an_agent_that_only_reads_says_so(offered):
    listed, results = offered("--preset", "p", "--allow", "read")(("ask_p", {"goal": ""}), ("ask_p", {}))
    assert listed[-1].annotations.read_only_hint
    assert [result.is_error for result in results] == [True, True]
    assert results[1].content[0].text == "wrong arguments for ask_p: /goal: missing"


@pytest.mark.parametrize("yes", [False, True])
def test_an_agent_does_what_needs_permission_only_with_yes(offered, yes):
    turns = [[ToolCall("wipe", {"text": "cat"})], "Done."]
    options = ["--preset", "p", "--allow", "destructive", *(["--yes"] if yes else [])]
    listed, (result,) = offered(*options, turns=turns)(("ask_p", {"goal": "wipe the cat"}))
    assert listed[-1].annotations.destructive_hint is yes
    assert Path("wiped").exists() is yes
    assert result.structured_content["status"] == ("answered" if yes else "refused")


@pytest.mark.parametrize(
    ("options", "said", "status"),
    [
        (["--tools", "tools.json"], "tool 'f' has no function to run: only its schema was given, so it cannot be offered", 1),
        (["--tools", "nothing.py"], "there is no file 'nothing.py'", 1),
        (["--tools", "tools.py", "--allow", "all"], "one of read, write, destructive is expected, received 'all'", 2),
        (["--tools", "tools.py", "--http", "0.0.0.0:80"], "can be reached by others", 1),
        (["--tools", "tools.py", "--preset", "no-such"], "no-such", 1),
    ],
)
def test_what_is_not_served(refused, folder, options, said, status):
    (folder / "tools.json").write_text('{"name": "f"}')
    assert said in refused("mcp", *options, status=status)


# -- the command itself -----------------------------------------------------------------------------------------------------


def test_the_command_serves_over_stdin_whatever_its_tools_print(folder):
    with load_mcp(f"{COMMAND} --tools tools.py", folder=folder) as tools:
        assert tools["add"].call({"a": 2, "b": 3}) == {"result": 5}


def test_the_command_can_be_interrupted_while_its_client_is_silent(folder):
    words = [*shlex.split(COMMAND), "--tools", "tools.py"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "ferrule"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT


def test_the_command_serves_by_http_until_it_is_interrupted(folder):
    words = [*shlex.split(COMMAND), "--tools", "tools.py", "--http", "127.0.0.1:0"]
    # Whoever runs the tests in the background has Ctrl-C ignored, and children inherit that.
    usual = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=folder, preexec_fn=usual) as process:
        assert process.stderr is not None
        with contextlib.ExitStack() as stack:
            stack.callback(process.kill)
            line = process.stderr.readline()
            assert line.startswith("serving 4 tools at http://127.0.0.1:")
            with load_mcp(line.split()[-1]) as tools:
                assert tools["add"].call({"a": 2, "b": 3}) == {"result": 5}
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
