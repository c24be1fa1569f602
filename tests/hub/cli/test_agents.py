from __future__ import annotations

import json

import pytest
from ferrule.hub.cli import agents as cli
from ferrule.presets import list_agent_presets
from ferrule.tools import ToolCall

LIGHTS = ToolCall("set_lights", {"room": "kitchen", "state": "on"})


def test_the_list(ferrule):
    lines = ferrule("agents").stdout.splitlines()
    assert lines[0].split() == ["name", "needs", "what", "it", "does"]
    assert {preset.name for preset in list_agent_presets()} <= {line.split()[0] for line in lines}
    document = json.loads(ferrule("agents", "--json").stdout)
    needs = {preset["name"]: [o["name"] for o in preset["options"] if o["required"]] for preset in document}
    assert needs == {
        "calendar": ["file"],
        "files": ["folder"],
        "openapi": ["document"],
        "smart_home": [],
        "sqlite": ["database"],
    }


def test_one(ferrule, folder):
    shown = ferrule("agents", "files").stdout
    assert "folder: The folder. (needed)" in shown
    assert "--agent files --option folder=…" in shown
    assert json.loads(ferrule("agents", "files", "--json").stdout)["tools"] == [{"library": "files"}]
    (folder / "agent.json").write_text(json.dumps({"model": None, "tools": [{"library": "home"}]}))
    assert "none: give one with --preset" in ferrule("agents", ".").stdout


def test_a_run(ferrule, script, folder):
    script([LIGHTS], "On.")
    result = ferrule("run", "turn on the kitchen lights", "--agent", "smart_home", "--option", "state=home.json", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["answer"] == "On."
    assert json.loads((folder / "home.json").read_text())["rooms"]["kitchen"]["lights"] == "on"


def test_what_is_given_goes_before_the_preset(ferrule, script, folder):
    (folder / "a.json").write_text(
        json.dumps(
            {"model": None, "tools": [{"library": "home"}], "budget": {"turns": 1, "calls": 3}, "permissions": {"write": "ask"}}
        )
    )
    script([LIGHTS], "On.")
    document = json.loads(ferrule("run", "kitchen lights on", "-a", "a.json", "--json", "--yes").stdout)
    assert document["status"] == "stopped"  # one turn
    script([LIGHTS], "On.")
    run = ferrule("run", "kitchen lights on", "-a", "a.json", "--json", "--yes", "--max-turns", "4", "--log", "l.jsonl")
    assert json.loads(run.stdout)["status"] == "answered"
    facts = json.loads((folder / "l.jsonl").read_text().splitlines()[0])
    assert (facts["budget"]["turns"], facts["budget"]["calls"], facts["permissions"]["write"]) == (4, 3, "ask")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "go"], "Missing option '--tools' or '--agent'"),
        (["run", "go", "--agent", "files", "--tools", "tools.py"], "leave one out"),
        (["run", "go", "--tools", "tools.py", "--option", "a=b"], "needs --agent"),
        (["run", "go", "--agent", "files", "--option", "folder"], "NAME=VALUE, such as folder=notes, received 'folder'"),
        (["run", "go", "--agent", "files", "--option", "max_read=x"], "max_read is a number, received 'x'"),
        (["run", "go", "--agent", "openapi", "--option", "allow_private=1"], "allow_private is true or false, received '1'"),
    ],
)
def test_wrong_usage(refused, arguments, message):
    assert message in refused(*arguments, status=2)


def test_errors(refused):
    assert "no agent preset is called 'nope'" in refused("agents", "nope")
    assert "'files' needs folder=…" in refused("run", "go", "--agent", "files")
    assert "has no option 'colour'" in refused("run", "go", "--agent", "smart_home", "--option", "colour=red")
    assert "nope' does not exist; name one that is there" in refused("run", "go", "--agent", "files", "-o", "folder=nope")


def test_a_run_of_an_agent_is_resumed(ferrule, script, folder):
    arguments = ["--agent", "smart_home", "--option", "state=home.json"]
    script([LIGHTS], "On.")
    ferrule("run", "turn on the kitchen lights", *arguments, "--log", "log")
    lines = (folder / "log").read_text().splitlines(keepends=True)
    (folder / "log").write_text("".join(lines[:2]))  # killed before anything was done
    (folder / "home.json").unlink()
    script([LIGHTS], "On.")
    result = ferrule("resume", "log", *arguments)
    assert result.exit_code == 0, result.output
    assert "set_lights" in result.stdout
    assert json.loads((folder / "home.json").read_text())["rooms"]["kitchen"]["lights"] == "on"
    assert "leave one out" in ferrule("resume", "log", *arguments, "--tools", "tools.py").stderr


def test_lists(folder):
    preset = next(preset for preset in list_agent_presets() if preset.name == "openapi")
    read = cli.read_options(preset, ["servers=http://a", "servers=http://b", "timeout=3", "allow_private=false"])
    assert read == {"servers": ["http://a", "http://b"], "timeout": 3, "allow_private": False}
