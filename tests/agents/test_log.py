from __future__ import annotations

import gc
import json
import os
import threading

import pytest
from ferrule.agents import Answer, Call, Goal, LogError, Observation, RunLog, Stop, read_log
from ferrule.tools import ToolCall, ToolResult

CALL = ToolCall("f", {"x": [1.5, None, "é\ud800"]})
FIRST = [Goal("set a timer"), Call(CALL, "hm", 0.5), Observation(ToolResult(CALL, True, {"ok": 1})), Answer("done")]
SECOND = [Goal("and\nanother"), Stop("turns", "stopped")]


def write(path, *runs):
    log = RunLog(path)
    for steps in runs:
        run = log.begin({"model": "scripted", "tools": []})
        for step in steps:
            log.step(run, step)
        log.end(run, {"usage": {}})
    log.close()


def test_written_and_read(tmp_path):
    path = tmp_path / "new/folder/runs.jsonl"
    write(path, FIRST, SECOND)
    assert read_log(path) == [FIRST, SECOND]
    records = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert [record["kind"] for record in records[:6]] == ["run", "goal", "call", "observation", "answer", "end"]
    assert records[0]["model"] == "scripted"
    assert len({record["run"] for record in records}) == 2


def test_runs_are_appended(tmp_path):
    write(tmp_path / "runs.jsonl", FIRST)
    write(tmp_path / "runs.jsonl", SECOND)
    assert read_log(tmp_path / "runs.jsonl") == [FIRST, SECOND]


def test_each_line_is_there_as_soon_as_it_happened(tmp_path):
    path = tmp_path / "runs.jsonl"
    log = RunLog(path)
    run = log.begin({})
    for count, step in enumerate(FIRST, 1):
        log.step(run, step)
        assert read_log(path) == [FIRST[:count]]


def test_runs_at_the_same_time_are_told_apart(tmp_path):
    path = tmp_path / "runs.jsonl"
    log, other = RunLog(path), RunLog(path)

    def go(log, name):
        run = log.begin({})
        for i in range(40):
            log.step(run, Goal(f"{name} {i}"))

    threads = [threading.Thread(target=go, args=(log if i % 2 else other, i)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run[0].text for run in read_log(path)) == [f"{i} 0" for i in range(4)]
    assert all([step.text.split()[1] for step in run] == [str(i) for i in range(40)] for run in read_log(path))


def test_cut_at_every_byte(tmp_path):
    """Whenever the program is killed, every step that was finished is read, and later runs can still be appended."""
    path, cut = tmp_path / "runs.jsonl", tmp_path / "cut.jsonl"
    write(path, FIRST)
    data = path.read_bytes()
    for size in range(len(data) + 1):
        cut.write_bytes(data[:size])
        finished = max(0, data[:size].count(b"\n") - 1)
        assert [step for run in read_log(cut) for step in run] in (FIRST[:finished], FIRST[: finished + 1])
        if size % 7 == 0:
            write(cut, SECOND)
            assert read_log(cut)[-1] == SECOND
            assert len(read_log(cut)) == 1 + (data[:size].count(b"\n") > 0)


@pytest.mark.parametrize(
    "content",
    [
        "hello",
        "hello\nworld\n",
        '{"kind": "goal", "text": "x"}\n',
        '{"run":"1","kind":"goal","text":"of no run"}\n',
        "[]\n",
        "5",
        '{"run":"1","kind":"run","version":1}\n{"run":"1","kind":"poem"}\n',
        '{"run":"1","kind":"run","version":1}\n{"run":"1","ki\n{"run":"1","kind":"goal","text":"after a cut"}\n',
        '{"run":"1","kind":"run","version":1}\n\xff\n',
        '{"run":{},"kind":"run","version":1}\n{"kind":"goal","text":"x"}\n',
        "[" * 100_000,
    ],
)
def test_not_a_log(tmp_path, content):
    path = tmp_path / "runs.jsonl"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(LogError) as error:
        read_log(path)
    assert "\n" not in str(error.value)


def test_of_a_later_version(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text('{"run":"1","kind":"run","version":7}\n')
    with pytest.raises(LogError, match=r"version 7.*update ferrule"):
        read_log(path)


def test_nothing_to_read(tmp_path):
    (tmp_path / "empty").touch()
    assert read_log(tmp_path / "empty") == []
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(LogError, match="cannot read the log"):
            read_log(path)


@pytest.mark.parametrize("name", ["", "file/below", "nul\0"])
def test_unwritable_path(tmp_path, name):
    (tmp_path / "file").touch()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(LogError, match="cannot write the log") as error:
        RunLog(tmp_path / name)
    assert "\n" not in str(error.value)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_full_disk():
    log = RunLog("/dev/full")
    with pytest.raises(LogError, match="No space left"):
        log.begin({})


def test_a_pipe_will_do():
    reading, writing = os.pipe()
    log = RunLog(f"/dev/fd/{writing}")
    run = log.begin({})
    log.step(run, Goal("g"))
    assert b'"text":"g"' in os.read(reading, 10_000)


@pytest.mark.parametrize("content", ["my notes\n", "notes without an end", '{"name": "x"}\n', "[]", "\0\xff" * 50])
def test_another_file_is_left_as_it_is(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(LogError, match="is no log of runs: nothing was written; choose another path"):
        RunLog(path)
    assert path.read_bytes() == content.encode("latin-1")


def test_a_file_that_takes_a_few_bytes_at_a_time(tmp_path):
    log = RunLog(tmp_path / "runs.jsonl")

    class Reluctant:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            return self.file.write(data[:7])

        def fileno(self):
            return self.file.fileno()

    log._file = Reluctant(log._file)
    run = log.begin({})
    log.step(run, FIRST[0])
    assert read_log(tmp_path / "runs.jsonl") == [FIRST[:1]]


@pytest.mark.filterwarnings("error")
def test_logs_close(tmp_path):
    with RunLog(tmp_path / "runs.jsonl") as log:
        run = log.begin({})
    with pytest.raises(LogError):
        log.step(run, FIRST[0])
    RunLog(tmp_path / "runs.jsonl")
    gc.collect()
