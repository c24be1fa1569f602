from __future__ import annotations

import json
import re

import pytest
from ferrule.agents import (
    Answer,
    Call,
    Goal,
    LogError,
    Observation,
    Refusal,
    Run,
    RunError,
    Stop,
    step_from_json,
    to_json,
)
from ferrule.tools import ToolCall, ToolResult
from hypothesis import given
from hypothesis import strategies as st

# Whatever JSON can say, lone surrogates included: a log is written in ASCII.
text = st.text(alphabet=st.characters(), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
calls = st.builds(ToolCall, text, st.dictionaries(text, values, max_size=3), text)
results = st.builds(
    ToolResult, calls, st.booleans(), values, st.none() | text, st.booleans(), st.floats(0, 1e6, allow_nan=False)
)
confidences = st.none() | st.floats(0, 1)
steps = st.one_of(
    st.builds(Goal, text),
    st.builds(Call, calls, text, confidences, st.lists(text).map(tuple), st.integers(0, 9)),
    st.builds(Observation, results),
    st.builds(Refusal, st.sampled_from(["no_tool", "low_confidence"]), text, st.lists(calls).map(tuple), text, confidences),
    st.builds(Answer, text),
    st.builds(Stop, st.sampled_from(["turns", "calls", "tokens", "seconds", "context", "malformed"]), text),
)


@given(step=steps)
def test_to_json_and_back(step):
    line = json.dumps(to_json(step))
    assert "\n" not in line
    assert step_from_json(json.loads(line)) == step


def test_shape_of_a_record():
    step = Refusal("low_confidence", "not sure", (ToolCall("f", {"x": [1]}),), "hm", 0.05)
    assert to_json(step) == {
        "kind": "refusal",
        "reason": "low_confidence",
        "text": "not sure",
        "withheld": [{"name": "f", "arguments": {"x": [1]}, "id": ""}],
        "reasoning": "hm",
        "confidence": 0.05,
    }


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "poem", "text": "x"},
        {"kind": "goal"},
        {"kind": "goal", "text": "x", "colour": "red"},
        {"kind": "call", "call": "f()"},
        {"kind": "observation", "result": {"ok": True}},
        {"kind": ["goal"]},
        5,
        None,
    ],
)
def test_records_that_are_no_step(record):
    with pytest.raises(LogError, match="not a step of a run") as error:
        step_from_json(record)
    assert "\n" not in str(error.value)


def result(name: str, ok: bool, x: int = 0) -> Observation:
    return Observation(ToolResult(ToolCall(name, {"x": x}), ok, "v" if ok else None, None if ok else "it broke"))


def test_a_run_tells_what_happened():
    call = ToolCall("f", {"x": 0})
    run = Run([Goal("g"), Call(call), result("f", True), Answer("done")])
    assert (run.calls, run.answer, run.status, run.failures) == ([call], "done", "answered", [])
    assert [observed.value for observed in run.observations] == ["v"]
    assert run.raise_for_status() is run


def called(turn: int, name: str, x: int, ok: bool, retry: bool = False) -> list:
    call = ToolCall(name, {"x": x})
    error = None if ok else f"{name}({x}) broke"
    return [Call(call, turn=turn), Observation(ToolResult(call, ok, None, error, retry))]


@pytest.mark.parametrize(
    ("observed", "failed"),
    [
        ([called(1, "f", 1, False), called(1, "f", 2, True)], ["f(1) broke"]),
        ([called(1, "f", 1, False), called(2, "f", 2, True)], ["f(1) broke"]),
        ([called(1, "f", 1, False), called(2, "f", 1, True)], []),
        ([called(1, "f", 1, False, retry=True), called(2, "f", 2, True)], []),
        ([called(1, "f", 1, False, retry=True), called(1, "f", 2, True)], ["f(1) broke"]),
        ([called(1, "f", 1, False, retry=True), called(2, "f", 2, False)], ["f(2) broke"]),
        ([called(1, "f", 1, False, retry=True), called(2, "f", 2, False, retry=True), called(3, "f", 3, True)], []),
        ([called(1, "f", 1, False, True), called(1, "f", 2, False, True), called(2, "f", 3, True)], ["f(2) broke"]),
        ([called(1, "f", 1, False, retry=True), called(2, "g", 2, True)], ["f(1) broke"]),
    ],
)
def test_failures_that_nothing_made_good(observed, failed):
    run = Run([Goal("g"), *(step for steps in observed for step in steps), Answer("")])
    assert [failure.error for failure in run.failures] == failed
    assert run.status == ("failed" if failed else "answered")
    if failed:
        with pytest.raises(RunError, match=r"^f failed: f\("):
            run.raise_for_status()


@pytest.mark.parametrize(
    ("steps", "status", "message"),
    [
        ([], "unfinished", "the run is not finished"),
        ([Goal("g")], "unfinished", "the run is not finished"),
        ([Goal("g"), Refusal("no_tool", "no tool fits")], "refused", "no tool fits"),
        ([Goal("g"), Stop("turns", "stopped: 6 turns")], "stopped", "stopped: 6 turns"),
    ],
)
def test_runs_that_were_not_answered(steps, status, message):
    run = Run(steps)
    assert run.status == status
    with pytest.raises(RunError, match=re.escape(message)):
        run.raise_for_status()
