from __future__ import annotations

import json
import subprocess
import sys

import pytest
from ferrule.hub.cli import asking
from ferrule.tools import ToolCall

ADD = ToolCall("add", {"a": 2, "b": 3})
DROP = ToolCall("drop", {"name": "a.txt"})
TOOLS = """
from pathlib import Path
from ferrule.tools import tool

@tool(permission="destructive")
def drop(name: str) -> str:
    '''Drops.'''
    Path(name).unlink()
    return "gone"
"""


@pytest.fixture
def log(ferrule, script):
    script([ADD], "5")
    ferrule("run", "what is 2 + 3?", "--tools", "tools.py", "--log", "runs.jsonl")
    return "runs.jsonl"


@pytest.fixture
def file(folder):
    (folder / "drop.py").write_text(TOOLS)
    (folder / "a.txt").write_text("x")
    return folder / "a.txt"


def test_replay(ferrule, log):
    result = ferrule("replay", log)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split()[1:] == ["answered", "4", "1", "what", "is", "2", "+", "3?"]
    (run,) = json.loads(ferrule("replay", log, "--json").stdout)
    assert [step["kind"] for step in run["steps"]] == ["goal", "call", "observation", "answer"]


def test_a_log_that_was_changed(ferrule, folder, log):
    text = (folder / log).read_text()
    assert '"text":"5"' in text
    (folder / log).write_text(
        text.replace('"value":5', '"value":6').replace('"a":2,"b":3},"id":""},"reasoning"', '"a":2,"b":4},"id":""},"reasoning"')
    )
    result = ferrule("replay", log)
    assert result.exit_code == 1
    assert "does not follow its log" in result.stderr


def test_resume(ferrule, script, folder, log):
    lines = (folder / log).read_text().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if '"kind":"observation"' in line)
    (folder / log).write_text("".join(lines[: cut + 1]))
    script("5")
    result = ferrule("resume", log, "--tools", "tools.py", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["answer"] == "5"
    again = ferrule("resume", log, "--tools", "tools.py")
    assert again.exit_code == 1
    assert "nothing to go on with" in again.stderr


def test_no_log(ferrule):
    assert "cannot read the log" in ferrule("replay", "none.jsonl").stderr
    assert "cannot read the log" in ferrule("resume", "none.jsonl", "--tools", "tools.py").stderr


def test_nothing_is_destroyed_without_permission(ferrule, script, file):
    script([DROP], "Not done.")
    result = ferrule("run", "drop a.txt", "--tools", "drop.py")
    assert file.exists()
    assert "drop is not allowed: drop is marked destructive" in result.stdout


def test_yes(ferrule, script, file):
    script([DROP], "Done.")
    assert ferrule("run", "drop a.txt", "--tools", "drop.py", "--yes").exit_code == 0
    assert not file.exists()


def test_dry_run(ferrule, script, file):
    script([DROP], "Would be done.")
    result = ferrule("run", "drop a.txt", "--tools", "drop.py", "--yes", "--dry-run")
    assert file.exists()
    assert '"dry_run": true' in result.stdout


@pytest.mark.parametrize(("typed", "is_there"), [("y", False), ("yes", False), ("n", True), ("", True), ("yess", True)])
def test_at_a_terminal_somebody_is_asked(ferrule, script, file, monkeypatch, typed, is_there):
    monkeypatch.setattr("ferrule.hub.cli.run.can_ask", lambda: True)
    monkeypatch.setattr(asking, "_typed", lambda prompt: typed)
    script([DROP], "So be it.")
    result = ferrule("run", "drop a.txt", "--tools", "drop.py")
    assert file.exists() == is_there
    assert "drop wants your permission" in result.stderr
    assert "because drop is marked destructive" in result.stderr


def test_a_pipe_is_nobody():
    code = "from ferrule.hub.cli.asking import can_ask; print(can_ask())"
    ended = subprocess.run([sys.executable, "-c", code], input="y\n", capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
