from __future__ import annotations

import json
import os
import subprocess
import time

import pytest
from ferrule.tools import RetryCall, ToolTimeout
from ferrule.tools.mcp import LostError, ResponseError, SessionError, StartError, load_mcp, process
from ferrule.tools.mcp.process import _lines, _TooLong
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import RAW


def test_what_is_no_message_is_passed_over(raw):
    assert raw("garbage")["ok"].call({}) == "fine"


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (
            ["quit"],
            "ended before its tools were listed: it ended with status 2; the last line of its standard error: usage: server",
        ),
        (["nonsense"], "does not keep to the protocol: tools: Input should be a valid list"),
        (["endless"], "the list of tools has no end"),
    ],
)
def test_a_server_that_does_not_start(behaviour, said):
    start = time.monotonic()
    with pytest.raises(StartError) as caught:
        load_mcp([*RAW, *behaviour])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 5


def test_programs_that_are_none(tmp_path):
    with pytest.raises(
        StartError, match=r"^MCP server 'no-such-program': there is no program 'no-such-program' \(check the command"
    ):
        load_mcp("no-such-program")
    with pytest.raises(StartError, match="cannot be started: PermissionError"):
        load_mcp([str(tmp_path)])
    with pytest.raises(StartError, match="there is no folder"):
        load_mcp(RAW, folder=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("behaviour", "error", "said"),
    [
        (["exit"], LostError, "it ended with status 3; the last line of its standard error: RuntimeError: out of tea"),
        (["killed"], LostError, "ended before ok was answered: it was ended by SIGKILL"),
        (["malformed"], ResponseError, "the result of ok does not keep to the protocol"),
        (["huge"], ResponseError, "the answer has 20972"),
        (["huge", "tail"], ResponseError, "the answer has 20972"),
        (["huge", "hidden"], LostError, "it wrote a line of 20972"),
        (["silent"], ToolTimeout, "took longer than the limit of 1 s for ok"),
        (["deaf"], ToolTimeout, "took longer than the limit of 1 s for ok"),
        (["endless line"], ToolTimeout, "took longer than the limit of 1 s for ok"),
    ],
)  # fmt: skip
def test_a_call_that_is_not_answered_has_an_unknown_outcome(raw, monkeypatch, behaviour, error, said):
    monkeypatch.setattr(process, "MAX_MESSAGE_BYTES", 1 << 20)
    tools = raw(*behaviour, timeout=1 if error is ToolTimeout else 20)
    with pytest.raises(error) as caught:
        tools["ok"].call({})
    assert said in str(caught.value)
    assert caught.value.outcome_unknown


def test_a_server_that_has_ended_is_not_asked_again(raw):
    tools = raw("exit")
    for expected in (LostError, SessionError):
        with pytest.raises(expected) as caught:
            tools["ok"].call({})
    assert "has ended: it ended with status 3" in str(caught.value)
    assert not caught.value.outcome_unknown


def test_a_huge_answer_does_not_end_the_session(raw, monkeypatch):
    monkeypatch.setattr(process, "MAX_MESSAGE_BYTES", 1 << 20)
    tools = raw("huge")
    for _ in range(2):
        with pytest.raises(ResponseError, match="at most 1048576 are read"):
            tools["ok"].call({})


def test_only_named_variables_are_passed_on(raw, monkeypatch, tmp_path):
    monkeypatch.setenv("MY_SECRET_KEY", "do not pass me on")
    found = raw("tell", env={"TOKEN": "abc"}, folder=tmp_path)["ok"].call({})
    assert found["TOKEN"] == "abc"
    assert found["PATH"] == os.environ["PATH"]
    assert "MY_SECRET_KEY" not in found


def test_secrets_come_back_from_nowhere(raw, caplog):
    caplog.set_level("DEBUG")
    tools = raw("tell", env={"TOKEN": "open-sesame"})
    assert tools["ok"].call({})["TOKEN"] == "[redacted]"
    assert tools["ok"].call({"text": "it is open-sesame!"}) == "it is [redacted]!"
    with pytest.raises(RetryCall, match=r"^ok: that is \[redacted\]$"):
        tools["ok"].call({"text": "that is open-sesame", "fail": True})
    with pytest.raises(LostError, match=r"the last line of its standard error: RuntimeError: out of tea\[redacted\]$"):
        raw("exit", env={"TOKEN": "open-sesame"})["ok"].call({})
    assert raw("tell", env={"ROOT": "/srv/files"})["ok"].call({"text": "/srv/files/a.txt"}) == "/srv/files/a.txt"
    assert "open-sesame" not in caplog.text
    assert {record.name.split(".")[0] for record in caplog.records} <= {"ferrule", "asyncio"}


def test_children_of_a_server_end_with_it():
    # The shell does not read its input, and its child ignores SIGTERM.
    with load_mcp(["sh", "-c", f"(trap '' TERM; exec sleep 50) & exec {' '.join(RAW)} fine"]) as tools:
        pid = tools._session._worker.endpoint._process.pid
        assert tools["ok"].call({}) == "fine"
    end = time.monotonic() + 5
    while subprocess.run(["ps", "-o", "stat=", "-g", str(pid)], capture_output=True, text=True).stdout.strip(" \nZ"):
        assert time.monotonic() < end, "a child goes on"


# -- lines -------------------------------------------------------------------------------------------------------------


def split(chunks: list[bytes], limit: int) -> list[object]:
    async def stream():
        for chunk in chunks:
            yield chunk

    async def read() -> list[object]:
        return [line async for line in _lines(stream(), limit)]

    with pytest.raises(StopIteration) as done:  # nothing in it waits, so it needs no event loop
        read().send(None)
    found = done.value.value
    return [("too long", line.size, line.id) if isinstance(line, _TooLong) else line for line in found]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60).map(lambda data: data.replace(b"\x00", b"\n")), st.lists(st.integers(1, 20)), st.integers(1, 30))
def test_lines_are_the_same_however_they_arrive(data, sizes, limit):
    chunks, rest = [], data
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    expected = [line if len(line) <= limit else ("too long", len(line), None) for line in data.split(b"\n")[:-1]]
    assert split([*chunks, rest], limit) == expected


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_the_number_of_an_answer_that_is_too_long_is_found_at_either_end(size):
    filler = "x" * 2000
    nested = '{"result":{"id":9,"a":"' + filler + '","b":{"id":8}},"id":%d}'
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": 1, "result": filler}),
        json.dumps({"result": filler, "jsonrpc": "2.0", "id": 2}, separators=(",", ":")),
        json.dumps({"result": filler, "id": 3, "jsonrpc": "2.0"}),
        nested % 4,
        json.dumps({"jsonrpc": "2.0", "method": "x", "params": {"a": filler, "id": 5}}),
    ]
    data = "".join(line + "\n" for line in lines).encode()
    found = split([data[at : at + size] for at in range(0, len(data), size)], 1000)
    assert found == [("too long", len(line), id) for line, id in zip(lines, [1, 2, 3, 4, None], strict=True)]
