from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys

import pytest
from ferrule.agents import Agent, Budget
from ferrule.hub import from_preset
from ferrule.hub.cli import asking, showing
from ferrule.tools import ToolCall, load_tools
from rich.console import Console

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


CRASH = ToolCall("crash", {})


def cut_before_the_answer(path):
    """As a kill would leave it: the results are there, the model's last turn is not."""
    lines = path.read_text().splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if '"kind":"observation"' in line)
    path.write_text("".join(lines[: last + 1]))


def test_a_failed_run_that_is_gone_on_with_says_why_once(ferrule, script, folder):
    script([CRASH], "It did not work.")
    ferrule("run", "do it", "--tools", "tools.py", "--log", "log")
    cut_before_the_answer(folder / "log")
    script("It did not work.")
    result = ferrule("resume", "log", "--tools", "tools.py")
    assert result.exit_code == 1
    assert result.stdout.count("is down") == 1
    assert "crash failed; the model says: It did not work." in result.stdout.splitlines()
    assert result.stderr == "error: crash failed: RuntimeError: the [red]line[/red] is down\n"


def test_at_a_terminal_the_error_line_does_not_repeat_what_stands_above(ferrule, script, folder, monkeypatch):
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system=None, highlight=False, soft_wrap=True)
    monkeypatch.setattr(showing, "out", terminal)
    script([CRASH], "It did not work.")
    result = ferrule("run", "do it", "--tools", "tools.py")
    assert (result.exit_code, result.stderr) == (1, "error: crash failed\n")
    assert terminal.file.getvalue().count("is down") == 1


def test_a_dry_run_says_so_also_when_it_goes_on(ferrule, script, folder, file):
    script([DROP], "Would be done.")
    said = "This is a dry run: tools that change things are not called."
    result = ferrule("run", "drop a.txt", "--tools", "drop.py", "--dry-run", "--log", "log")
    assert result.stdout.splitlines()[0] == said
    whole = (folder / "log").read_text()
    cut_before_the_answer(folder / "log")
    script("Would be done.")
    result = ferrule("resume", "log", "--tools", "drop.py")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0] == said
    (folder / "log").write_text(whole)
    cut_before_the_answer(folder / "log")
    script("Would be done.")
    assert json.loads(ferrule("resume", "log", "--tools", "drop.py", "--json").stdout)["dry_run"] is True
    assert "a dry run" in ferrule("replay", "log", "--explain").stdout
    assert file.exists()


def test_a_run_goes_on_explained(ferrule, script, folder, log):
    cut_before_the_answer(folder / log)
    script("5")
    result = ferrule("resume", log, "--tools", "tools.py", "--explain")
    assert result.exit_code == 0
    assert '    a = 2  goal 8:9 "2"' in result.stdout.splitlines()


# -- the weights that a run began with ---------------------------------------------------------------------------------


@pytest.fixture
def weights(needle_weights, folder):
    """A model by path."""
    (folder / "models").mkdir()
    shutil.copy(needle_weights, folder / "models/mine.cact")
    return folder / "models/mine.cact"


def test_a_model_by_path_is_found_again(ferrule, folder, weights, monkeypatch):
    result = ferrule("run", "what is 2 + 3?", "--tools", "tools.py", "--log", "log", "-p", "models/mine.cact", "--max-turns", 1)
    assert result.exit_code == 4, result.output
    source = json.loads((folder / "log").read_text().splitlines()[0])["source"]
    assert (source["preset"], source["backend"]) == (str(weights), "numpy")
    whole = (folder / "log").read_text()
    (folder / "log").write_text("".join(whole.splitlines(keepends=True)[:2]))  # the goal is there, nothing else
    begun = (folder / "log").read_text()
    tools = str(folder / "tools.py")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    result = ferrule("resume", "../log", "--tools", tools)
    assert result.exit_code == 4, result.output
    assert "add(a=2, b=3)" in result.stdout

    # the file was moved: said, and by its new place it goes on
    (folder / "log").write_text(begun)
    weights.rename(folder / "moved.cact")
    result = ferrule("resume", "../log", "--tools", tools)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert str(weights) in line
    assert line.endswith("(the model of the run, by its log; --preset names another place of it)")
    (folder / "moved.cact").rename(folder / "models/mine.cact")

    # another file lay there then
    (folder / "log").write_text(begun.replace(source["fingerprint"], "sampled:0"))
    result = ferrule("resume", "../log", "--tools", tools)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert f"began with other weights: {weights} was sampled:0, {weights} is {source['fingerprint']}" in line
    assert (folder / "log").read_text().count("\n") == 2  # nothing was written
    (folder / "log").write_text(whole.replace(source["fingerprint"], "sampled:0"))
    result = ferrule("replay", "../log")
    assert result.exit_code == 0
    assert result.stderr.startswith("note: run ")
    assert "began with other weights" in result.stderr


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


def test_a_run_goes_on_with_the_options_of_its_model(ferrule, folder, needle_weights):
    add = load_tools(str(folder / "tools.py"))
    model = from_preset(str(needle_weights), depth=4)
    Agent(model, add, log=folder / "log", budget=Budget(turns=1)).run("what is 2 + 3?")
    lines = (folder / "log").read_text().splitlines(keepends=True)
    assert json.loads(lines[0])["source"]["options"] == {"depth": 4}
    (folder / "log").write_text("".join(lines[:2]))
    result = ferrule("resume", "log", "--tools", "tools.py", "--json")
    assert result.exit_code in (0, 3, 4), result.output
    (run,) = json.loads(ferrule("replay", "log", "--json").stdout)
    assert run["status"] == json.loads(result.stdout)["status"]
    (folder / "log").write_text("".join(lines[:2]).replace('{"depth":4}', '{"depth":"four"}'))
    result = ferrule("resume", "log", "--tools", "tools.py")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "depth" in result.stderr
