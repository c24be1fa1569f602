"""Goals, tools and logs that nobody would wish for: each ends a run, or is refused, in one line, and nothing else breaks."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest
from ferrule.agents import Agent, AgentError, Budget, ContextError, LogError, RunLog, ScriptedModel, read_log, replay
from ferrule.agents.dialects import _DIALECTS, get_dialect
from ferrule.agents.log import VERSION
from ferrule.agents.scripted import ScriptedTokenizer
from ferrule.tools import Tool, ToolCall, ToolResult, tool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

OURS = sorted({marker for name in _DIALECTS for marker in get_dialect(name).markers})
OTHERS = ["<s>", "</s>", "<bos>", "<eos>", "<pad>", "<|endoftext|>", "<|eot_id|>", "<|begin_of_text|>", "<0x0A>", "<unused7>"]
MARKERS = sorted({*OURS, *OTHERS, "<start_of_turn>", "<|im_start|>", "[INST]", "[/INST]", "<tool_call>", "<think>"})


@tool
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


ADD = ToolCall("add", {"a": 2, "b": 3})


# -- goals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["please wait ", "x;", "日本語", "\0", "<|im_start|>", "\n"], ids=ascii)
def test_ten_megabytes(unit, tmp_path):
    agent = Agent(ScriptedModel.from_calls([]), [add], log=tmp_path / "log")
    start = time.perf_counter()
    with pytest.raises(ContextError, match=r"the goal is too long: .* model's context is 8192; shorten the goal") as caught:
        agent.run("go " + unit * (10_000_000 // len(unit)))
    assert time.perf_counter() - start < 10
    assert len(str(caught.value)) < 300
    assert (tmp_path / "log").read_text() == ""


GOALS = [
    "Bitte addiere 2 und 3.",
    "请把2和3相加",
    "اجمع 2 و 3",
    "2 と 3 を足して",
    "e\u0301 2 \u202e 3 \ufeff",
    "nul \0 2 \x07 3 \x1b[2J",
    "half \ud800 2 \udfff 3",
    "👩‍👩‍👧 2 🏴\U000e0067 3",
    "2\r\n3\u2028\u2029\x85",
]


@pytest.mark.parametrize("goal", GOALS, ids=ascii)
def test_whatever_the_goal_is_written_in(goal, tmp_path):
    """The run goes through, and its log, which is ASCII, gives the goal back as it was."""
    result = Agent(ScriptedModel.from_calls([[ADD], "5"]), [add], log=tmp_path / "log").run(goal)
    assert result.status == "answered"
    assert read_log(tmp_path / "log")[0][0].text == goal
    assert replay(tmp_path / "log")[0].steps == result.steps


def test_the_published_model_reads_them_all(needle):
    """Real weights, real tokenizer: no goal is an error."""
    agent = Agent(needle("numpy"), [add], budget=Budget(turns=1, turn_tokens=48))
    for goal in GOALS[::2]:
        assert agent.run(goal).status != "unfinished"


def control_tokens(tokenizer, text):
    special = tokenizer.special_ids
    return [number for number in tokenizer.encode(text) if number in special]


def check_guarded(tokenizer, name, text):
    """Wherever a text from outside stands in the prompt, it brings no control token with it."""
    dialect = get_dialect(name, tokenizer)

    def rendered(said):
        declared = Tool("f", said, {"type": "object", "properties": {"x": {"type": "string", "description": said}}})
        call = ToolCall("f", {"x": said})
        yield dialect.render_prefix(said, [declared])
        yield dialect.render_user(said)
        yield dialect.render_user(said, first=False)
        yield dialect.render_results([ToolResult(call, True, {"k": [said]}), ToolResult(call, False, error=said)])

    for plain, marked in zip(rendered("hello"), rendered(text), strict=True):
        assert control_tokens(tokenizer, marked) == control_tokens(tokenizer, plain)


@pytest.mark.parametrize("name", _DIALECTS)
def test_markers_of_every_dialect_are_plain_text(name):
    """The vocabulary has the markers of all dialects as control tokens, as one that was made for many may."""
    tokenizer = ScriptedTokenizer(get_dialect(name).markers if name == "needle" else MARKERS)
    for marker in MARKERS:
        for text in (marker, f"a {marker} b", f"<{marker}>", marker * 3, marker[:3] + marker, marker.upper()):
            check_guarded(tokenizer, name, text)


@pytest.mark.parametrize("name", _DIALECTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pieces=st.lists(st.sampled_from([*MARKERS, "<", "|", ">", "[", "]", "/", "im_start", " ", "x", "\n", "\ud800"])))
def test_markers_put_together_in_any_way(name, pieces):
    tokenizer = ScriptedTokenizer(get_dialect(name).markers if name == "needle" else MARKERS)
    check_guarded(tokenizer, name, "a" + "".join(pieces))


def test_markers_in_needles_own_vocabulary(needle):
    tokenizer = needle("numpy").tokenizer
    for marker in MARKERS:
        for text in (marker, f"a {marker}b", f"<{marker}>", marker.replace("|", "｜")):
            check_guarded(tokenizer, "needle", text)


# -- tools -------------------------------------------------------------------------------------------------------------


def run(*turns, tools, log=None, goal="go on", **options):
    return Agent(ScriptedModel.from_calls([*turns, "Done."]), tools, log=log, **options).run(goal)


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        ({"properties": {"x": {"enum": [f"value {n}" for n in range(10_000)]}}}, {"x": "value 9999"}),
        ({"properties": {f"p{n}": {"type": "string", "description": "words " * 30} for n in range(300)}}, {"p299": "go"}),
        (
            {
                "properties": {"x": {"$ref": "#/$defs/t"}},
                "$defs": {"t": {"type": "object", "properties": {"n": {"$ref": "#/$defs/t"}}, "additionalProperties": False}},
            },
            {"x": {"n": {"n": {}}}},
        ),
    ],
    ids=["enum", "many", "tree"],
)
def test_schemas_that_are_large_or_hold_themselves(parameters, arguments):
    made = Tool.from_schema({"name": "f", "parameters": parameters}, lambda **found: "took it")
    model = ScriptedModel.from_calls([[ToolCall("f", arguments)], "Done."], context_length=200_000)
    result = Agent(model, [made]).run("go on with value 9999")
    assert result.calls == [ToolCall("f", arguments)]
    assert result.observations[0].value == "took it"


def test_a_schema_of_a_megabyte_is_refused_in_one_line():
    """By its number of properties, which the grammar engine cannot follow, or since the context has no room for it."""
    long = {f"parameter_{n}": {"type": "string", "description": "words " * 30} for n in range(5000)}
    few = {f"parameter_{n}": {"type": "string", "description": "words " * 3000} for n in range(60)}
    for properties, words in ((long, "no more than 2000 properties"), (few, "do not fit the model's context of 8192")):
        made = Tool.from_schema({"name": "f", "parameters": {"properties": properties}}, lambda **found: 1)
        start = time.perf_counter()
        with pytest.raises(AgentError) as caught:
            Agent(ScriptedModel.from_calls([]), [made]).run("go on")
        assert time.perf_counter() - start < 60
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_hundred_megabytes_are_an_observation(tmp_path):
    flood = Tool.from_schema({"name": "flood"}, lambda: "x" * 100_000_000)
    result = run([ToolCall("flood", {})], tools=[flood], log=tmp_path / "log")
    assert result.status == "failed"
    assert "nothing of it was kept" in result.observations[0].error
    assert (tmp_path / "log").stat().st_size < 10_000


def test_what_the_log_keeps_of_a_result_that_is_just_allowed(tmp_path):
    """The log has all of it, so that it can be run again; the model gets the beginning, and is told so."""
    model = ScriptedModel.from_calls([[ToolCall("flood", {})], "Done."])
    flood = Tool.from_schema({"name": "flood"}, lambda: "x " * 400_000)
    result = Agent(model, [flood], log=tmp_path / "log").run("go on")
    assert len(result.observations[0].value) == 800_000
    assert "too long for the model's context" in model.prompts[1]
    assert replay(tmp_path / "log")[0].steps == result.steps


def test_a_tool_that_blocks_ends_with_the_budget():
    release = threading.Event()

    @tool(timeout=None)
    def block() -> str:
        release.wait(60)
        return "late"

    start = time.perf_counter()
    result = run([ToolCall("block", {})], tools=[block], budget=Budget(seconds=0.5))
    release.set()
    assert time.perf_counter() - start < 10
    assert result.steps[-1].reason == "seconds"
    assert "limit of 0." in result.observations[0].error


class Panic(BaseException):
    """As libraries in other languages raise it."""


@pytest.mark.parametrize(
    "error", [SystemExit(1), RecursionError("deep"), MemoryError("none left"), Panic("panicked"), ValueError()]
)
def test_what_a_tool_raises_is_an_observation(error, tmp_path):
    def fail() -> str:
        raise error

    result = run([ToolCall("fail", {}), ADD], tools=[fail, add], goal="add 2 and 3", log=tmp_path / "log")
    assert result.status == "failed"
    assert [seen.ok for seen in result.observations] == [False, True]
    assert result.steps[-1].text.endswith("the model says: Done.")
    assert replay(tmp_path / "log")[0].steps == result.steps


def test_ctrl_c_ends_the_run_and_is_logged(tmp_path):
    def stop() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([ToolCall("stop", {})], tools=[stop], log=tmp_path / "log")
    last = json.loads((tmp_path / "log").read_text().splitlines()[-1])
    assert (last["kind"], last["reason"]) == ("end", "KeyboardInterrupt")


def test_another_working_directory_does_not_move_the_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    def move() -> str:
        os.chdir(tmp_path / "elsewhere")
        return "moved"

    result = run([ToolCall("move", {})], tools=[move], log="log")
    assert result.status == "answered"
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert read_log(tmp_path / "log") == [result.steps]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("timeout", [None, 30])
def test_a_tool_that_forks_writes_nothing_twice(tmp_path, timeout):
    @tool(timeout=timeout)
    def fork() -> str:
        if child := os.fork():
            os.waitpid(child, 0)
            return "parent"
        return "child"

    result = run([ToolCall("fork", {})], tools=[fork], log=tmp_path / "log")
    assert result.observations[0].value == "parent"
    assert read_log(tmp_path / "log") == [result.steps]


# -- logs --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """Of the log of a run, whose texts have characters of several bytes."""
    path = tmp_path_factory.mktemp("logs") / "log"
    run([ADD], tools=[add], log=path, goal="add 2 and 3, é日👧")
    return path.read_bytes().splitlines(keepends=True)


def as_utf8(line):
    """The line as another program might write it, with the characters as they are."""
    return (json.dumps(json.loads(line), ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def test_cut_in_the_middle_of_a_character(lines, tmp_path):
    path = tmp_path / "log"
    whole = lines[0] + as_utf8(lines[1])
    for size in range(len(lines[0]), len(whole)):
        path.write_bytes(whole[:size])
        assert read_log(path) in ([[]], read_log_of(path, whole))
        assert replay(path)[0].status == "unfinished"


def read_log_of(path, data):
    before = path.read_bytes()
    path.write_bytes(data)
    found = read_log(path)
    path.write_bytes(before)
    return found


def test_cut_in_the_middle_of_a_line(lines, tmp_path):
    path = tmp_path / "log"
    whole = b"".join(lines)
    for size in range(len(lines[0]), len(whole), 37):
        path.write_bytes(whole[:size])
        assert replay(path)[0].status in ("unfinished", "answered")


def test_a_line_too_many(lines, tmp_path):
    path = tmp_path / "log"
    for at in range(1, len(lines) - 1):
        path.write_bytes(b"".join([*lines[: at + 1], lines[at], *lines[at + 1 :]]))
        with pytest.raises(LogError, match="log") as caught:
            replay(path)
        assert "\n" not in str(caught.value)


def test_a_line_too_few(lines, tmp_path):
    path = tmp_path / "log"
    for at in range(1, len(lines) - 2):  # without its last step, a run has no end
        path.write_bytes(b"".join([*lines[:at], *lines[at + 1 :]]))
        with pytest.raises(LogError) as caught:
            replay(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "run log"),
        (b"\xff\xfe\0\0", "run log"),
        (bytes(1 << 20), "run log"),
        (b"\xff" * 100_000, "run log"),
        (b'{"run":"1","kind":"run","version":%d}\n' % (VERSION + 5), f"version {VERSION + 5}"),
        (b'{"run":"1","kind":"run"}\n', "version None"),
        (b'{"run":"1","kind":"run","version":%d}\n{"run":"1","kind":"goal"}\n' % VERSION, "does not say"),
        (b'{"run":"1","kind":"run","version":%d}\n\xff\xfe\n' % VERSION, "line 2"),
        (b'{"run":"1","kind":"run","version":%d}\n' % VERSION + b"{" * 1_000_000 + b"\n", "line 2"),
        (b'{"run":' + b"[" * 1_000_000, "run log"),
    ],
    ids=range(10),
)
def test_what_is_no_log(content, words, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(content)
    for read in (read_log, replay):
        with pytest.raises(LogError) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500
    assert words in str(caught.value)
    with pytest.raises(LogError):
        Agent(ScriptedModel.from_calls([]), [add]).resume(path)
    assert path.read_bytes() == content


def test_an_empty_log(tmp_path):
    path = tmp_path / "log"
    path.touch()
    assert read_log(path) == replay(path) == []
    with pytest.raises(LogError, match="nothing to go on with"):
        Agent(ScriptedModel.from_calls([]), [add]).resume(path)


def test_an_enormous_log(lines, tmp_path):
    """A hundred thousand steps of two thousand runs, read in seconds and with a small multiple of their size."""
    path = tmp_path / "log"
    name = json.loads(lines[0])["run"].encode()
    with path.open("wb") as file:
        for n in range(2000):
            file.write(b"".join(lines).replace(name, b"%08x" % n))
    start = time.perf_counter()
    assert len(read_log(path)) == 2000
    assert time.perf_counter() - start < 30
    with RunLog(path) as log:
        log.end("0" * 8, {})


def test_a_log_that_grows_while_it_is_read(lines, tmp_path):
    """What another process has not finished writing does not count yet."""
    path = tmp_path / "log"
    for size in range(len(lines[0]), len(lines[0]) + len(lines[1]), 11):
        path.write_bytes((lines[0] + lines[1])[:size])
        assert replay(path)[0].steps in ([], read_log_of(path, lines[0] + lines[1])[0])
