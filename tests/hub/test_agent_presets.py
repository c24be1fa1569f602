from __future__ import annotations

import json
import math
import os
import sqlite3
from pathlib import Path

import pytest
from ferrule.agents import Agent, Budget, Permissions, ScriptedModel, UsageError
from ferrule.agents import presets as door
from ferrule.hub import PresetError
from ferrule.hub.agent_presets import _AGENT
from ferrule.tools import Tool, ToolCall, ToolDefinitionError, load_tools, tool
from ferrule.tools.library import LIBRARY, make_tools, options_of

CLOCK = "2026-11-23T09:00"
PETS = {
    "openapi": "3.1.0",
    "info": {"title": "Pets", "version": "1"},
    "paths": {
        "/pets/{id}": {
            "get": {
                "operationId": "get_pet",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object"}}}}},
            }
        }
    },
}


@tool
def shout(text: str) -> str:
    """Says it louder."""
    return text.upper()


def scripted(*turns) -> ScriptedModel:
    return ScriptedModel.from_calls(turns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the agents work on."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/todo.txt").write_text("call Bob\nbuy stamps\n")
    (tmp_path / "report.md").write_text("# Report\n")
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.executescript(
        "create table customers(id integer primary key, name text, country text);"
        "insert into customers values(1,'Ada','Norway'),(2,'Bob','Kenya'),(3,'Cy','Norway');"
    )
    connection.close()
    return tmp_path


def given(name: str, folder: Path) -> dict[str, object]:
    return {
        "files": {"folder": folder},
        "calendar": {"file": folder / "c.ics"},
        "sqlite": {"database": folder / "shop.db"},
        "smart_home": {"state": folder / "home.json"},
    }[name]


# -- each of those that come along, exactly ----------------------------------------------------------------------------


def test_files(folder):
    calls = (
        [ToolCall("add_to_file", {"path": "notes/todo.txt", "text": "buy milk"})],
        [ToolCall("delete_file", {"path": "report.md"})],
    )
    agent = Agent.from_preset("files", model=scripted(*calls, "Done."), folder=folder)
    run = agent.run("add buy milk to notes/todo.txt and delete report.md")
    assert (folder / "notes/todo.txt").read_text() == "call Bob\nbuy stamps\nbuy milk\n"
    assert (folder / "report.md").exists()  # nobody was there to approve
    assert any(step.kind == "approval" and not step.granted for step in run.steps)


def test_calendar(folder):
    pytest.importorskip("icalendar")
    add = ToolCall("add_event", {"title": "lunch with Ann", "date": "2026-11-24", "time": "12:30"})
    agent = Agent.from_preset("calendar", model=scripted([add], "Added."), clock=CLOCK, **given("calendar", folder))
    assert agent.settings.instructions == "date: 2026-11-23 Mon 09:00; locale: en-GB"
    run = agent.run("add lunch with Ann tomorrow at 12:30")
    assert run.status == "answered"
    assert "SUMMARY:lunch with Ann" in (folder / "c.ics").read_text()
    wrong = ToolCall("add_event", {"title": "dentist", "date": "2026-11-24", "time": "15:00"})
    agent = Agent.from_preset("calendar", model=scripted([wrong]), clock=CLOCK, **given("calendar", folder))
    run = agent.run("add dentist on Friday at 3pm")  # Friday is the 27th
    assert run.status == "asked"
    assert "dentist" not in (folder / "c.ics").read_text()


def test_sqlite(folder):
    find = ToolCall("find_rows", {"table": "customers", "column": "country", "comparison": "is", "value": "Norway"})
    agent = Agent.from_preset("sqlite", model=scripted([find], "Ada and Cy."), **given("sqlite", folder))
    run = agent.run("find the customers whose country is Norway")
    assert [row["name"] for row in run.observations[0].value["rows"]] == ["Ada", "Cy"]
    assert agent.settings.permissions.write == "deny"


def test_smart_home(folder):
    calls = [ToolCall("set_lights", {"room": "kitchen", "state": "on"}), ToolCall("unlock_door", {"door": "garage"})]
    asked = []
    agent = Agent.from_preset(
        "smart_home",
        model=scripted(calls, "Done."),
        approve=lambda request: asked.append(request.call) or True,
        **given("smart_home", folder),
    )
    agent.run("turn on the kitchen lights and unlock the garage")
    state = json.loads((folder / "home.json").read_text())
    assert (state["rooms"]["kitchen"]["lights"], state["doors"]["garage"]) == ("on", "unlocked")
    assert [call.name for call in asked] == ["unlock_door"]


def test_openapi(folder, pet_server):
    (folder / "pets.json").write_text(json.dumps({**PETS, "servers": [{"url": pet_server}]}))
    model = scripted([ToolCall("get_pet", {"id": 7})], "Rex.")
    run = Agent.from_preset("openapi", model=model, document=folder / "pets.json").run("who is pet 7?")
    assert run.observations[0].value == {"path": "/pets/7"}


@pytest.fixture
def pet_server():
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"path": self.path}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


# -- options and rules -------------------------------------------------------------------------------------------------


def test_what_is_given_goes_before_the_preset(folder):
    agent = Agent.from_preset(
        "files",
        model=scripted(),
        folder=folder,
        max_read=3,
        budget=Budget(turns=2),
        permissions=Permissions(read="ask"),
        instructions="Be brief.",
        min_confidence=0.5,
    )
    assert (agent.settings.budget, agent.settings.permissions) == (Budget(turns=2), Permissions(read="ask"))
    assert (agent.settings.instructions, agent.settings.min_confidence) == ("Be brief.", 0.5)
    assert agent.tools["read_file"].call({"path": "report.md"})["text"] == "# R"


def test_options_and_arguments_do_not_meet():
    for name in LIBRARY:
        assert not {option.name for option in options_of(name)} & {*_AGENT, "name", "model", "backend"}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("files", {}, "'files' needs folder=…"),
        ("files", {"folder": ".", "colour": 1}, "has no option 'colour'; it has: folder, max_bytes, max_read"),
        ("nope", {}, "no agent preset is called 'nope'"),
        ("", {}, "named by a text or a path"),
        (3, {}, "named by a text or a path, received 3"),
        ("x/y.json", {}, "there is no agent preset"),
    ],
)
def test_what_cannot_be_is_one_line(name, options, message):
    with pytest.raises(PresetError, match=message):
        Agent.from_preset(name, model=scripted(), **options)


def test_bad_values_of_options(folder):
    with pytest.raises(ToolDefinitionError, match="does not exist"):
        Agent.from_preset("files", model=scripted(), folder=folder / "nope")
    with pytest.raises(ToolDefinitionError, match="folder is a path, received 3"):
        Agent.from_preset("files", model=scripted(), folder=3)
    with pytest.raises(PresetError, match="the model is loaded"):
        Agent.from_preset("smart_home", model=scripted(), backend="jax")


def test_without_the_hub(monkeypatch):
    monkeypatch.setattr(door, "entry_points", lambda **_: ())
    with pytest.raises(UsageError, match=r"entry point ferrule\.agent_presets: load"):
        Agent.from_preset("smart_home")


# -- saved and read again ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["files", "calendar", "sqlite", "smart_home"])
def test_a_saved_agent_is_read_back_equal(folder, name):
    agent = Agent.from_preset(
        name, model=scripted(), clock=CLOCK, budget=Budget(turns=3, seconds=math.inf), retrieve=2, **given(name, folder)
    )
    path = agent.save_preset(folder / "saved", description="Mine.")
    assert path == folder / "saved/agent.json"
    again = Agent.from_preset(folder / "saved", model=scripted(), clock=CLOCK)
    assert again.facts() == agent.facts()
    assert again.save_preset(folder / "again.json", description="Mine.").read_bytes() == path.read_bytes()
    assert sorted(os.listdir(folder / "saved")) == ["agent.json"]


def test_tools_of_several_sources(folder):
    (folder / "mine.py").write_text(
        "from ferrule.tools import tool\n@tool\ndef one() -> int: return 1\n@tool\ndef two() -> int: return 2\n"
    )
    (folder / "pets.json").write_text(json.dumps({**PETS, "servers": [{"url": "http://127.0.0.1:1"}]}))
    mine, pets = load_tools(folder / "mine.py"), load_tools(folder / "pets.json", allow_private=True)
    permissions = Permissions(write="ask", tools={"two": "deny"})
    agent = Agent(scripted(), [mine["two"], *pets, *make_tools("home"), shout], permissions=permissions, clock=CLOCK)
    document = json.loads(agent.save_preset(folder / "a.json").read_text())
    assert document["tools"] == [
        {"source": str(folder / "mine.py"), "names": ["two"]},
        {"source": str(folder / "pets.json"), "options": {"allow_private": True}},
        {"library": "home"},
        {"source": __file__},
    ]
    again = Agent.from_preset(folder / "a.json", model=scripted(), clock=CLOCK)
    assert again.facts() == agent.facts()
    assert again.tools["two"].call({}) == 2


def test_paths_begin_at_the_file(folder, monkeypatch):
    (folder / "my").mkdir()
    (folder / "my/tools.py").write_text("def three() -> int: return 3\n")
    tools = [{"library": "files", "options": {"folder": "../notes"}}, {"source": "tools.py"}]
    (folder / "my/agent.json").write_text(json.dumps({"model": None, "tools": tools}))
    monkeypatch.chdir("/")
    agent = Agent.from_preset(folder / "my", model=scripted())
    assert [f["path"] for f in agent.tools["list_files"].call({})["files"]] == ["todo.txt"]
    assert agent.tools["three"].call({}) == 3


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: tool(name="anonymous")(lambda: 1), "'anonymous' cannot be named"),
        (lambda: Tool("bare"), "'bare' cannot be named"),
    ],
)
def test_a_tool_that_cannot_be_named(folder, made, message):
    agent = Agent(scripted(), [*make_tools("home"), made()])
    (folder / "a.json").write_text("before")
    with pytest.raises(PresetError, match=message):
        agent.save_preset(folder / "a.json")
    assert (folder / "a.json").read_text() == "before"


def test_a_tool_of_the_program_that_runs(folder):
    import subprocess
    import sys

    program = (
        "from ferrule.agents import Agent, ScriptedModel\n"
        "def f(a: int) -> int: return a\n"
        "Agent(ScriptedModel(()), [f]).save_preset('a.json')\n"
    )
    (folder / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert "the tool 'f' cannot be named in a preset: its function is one of the program that runs" in done.stderr
    assert not (folder / "a.json").exists()


def test_a_file_that_cannot_be_written(folder):
    agent = Agent.from_preset("smart_home", model=scripted())
    (folder / "file").write_text("")
    with pytest.raises(PresetError, match="cannot be written"):
        agent.save_preset(folder / "file/a.json")


def test_no_model(folder):
    Agent.from_preset("smart_home", model=scripted()).save_preset(folder / "a.json")
    with pytest.raises(PresetError, match="names no model: give one"):
        Agent.from_preset(folder / "a.json")


def test_instructions_are_kept_but_for_the_time(folder):
    agent = Agent.from_preset("smart_home", model=scripted(), clock=CLOCK)
    document = json.loads(agent.save_preset(folder / "a.json").read_text())
    assert document["instructions"] == "date: {date}; locale: en-GB"
    later = Agent.from_preset(folder / "a.json", model=scripted(), clock="2026-12-24T18:00")
    assert later.settings.instructions == "date: 2026-12-24 Thu 18:00; locale: en-GB"
    fixed = Agent.from_preset("smart_home", model=scripted(), instructions="date: 2020-01-01 Wed 10:00")
    assert (fixed.settings.clock, fixed.settings.now().year) == (None, 2020)
    assert json.loads(fixed.save_preset(folder / "b.json").read_text())["instructions"] == "date: 2020-01-01 Wed 10:00"


# -- the model of the presets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "goal", "calls"),
    [
        ("smart_home", "turn on the kitchen lights", [("set_lights", {"room": "kitchen", "state": "on"})]),
        ("smart_home", "lock the front door", [("lock_door", {"door": "front door"})]),
        ("files", "read notes/todo.txt", [("read_file", {"path": "notes/todo.txt"})]),
        ("files", "copy report.md to notes", [("copy_file", {"path": "report.md", "new_path": "notes"})]),
        (
            "calendar",
            "add lunch with Ann tomorrow at 12:30",
            [("add_event", {"title": "lunch with Ann", "date": "2026-11-24", "time": "12:30"})],
        ),
        (
            "sqlite",
            "find the customers whose country is Norway",
            [("find_rows", {"table": "customers", "column": "country", "comparison": "is", "value": "Norway"})],
        ),
    ],
)
def test_needle_carries_out_ordinary_goals(needle, folder, name, goal, calls):
    if name == "calendar":
        pytest.importorskip("icalendar")
    agent = Agent.from_preset(name, model=needle("numpy"), clock=CLOCK, **given(name, folder))
    run = agent.run(goal)
    assert [(call.name, call.arguments) for call in run.calls] == calls
    assert run.status == "answered"


def test_needle_calls_a_web_service(needle, folder, pet_server):
    (folder / "pets.json").write_text(json.dumps({**PETS, "servers": [{"url": pet_server}]}))
    run = Agent.from_preset("openapi", model=needle("numpy"), document=folder / "pets.json").run("get the pet with id 7")
    assert [result.value for result in run.observations] == [{"path": "/pets/7"}]


def test_the_model_is_loaded_and_saved_by_name(needle_weights, folder):
    agent = Agent.from_preset("smart_home", clock=CLOCK)
    assert agent.model.name == "needle_3"
    document = json.loads(agent.save_preset(folder / "a.json").read_text())
    assert document["model"] == {"preset": "needle_3", "backend": "numpy"}
    again = Agent.from_preset(folder / "a.json", clock=CLOCK)
    assert again.facts() == agent.facts()
