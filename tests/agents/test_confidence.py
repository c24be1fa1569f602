from __future__ import annotations

import json

import numpy as np
import pytest
from ferrule.agents import Agent, Approval, ScriptedModel, UsageError, read_log, replay
from ferrule.agents.confidence import Calibration, Signals
from ferrule.agents.relevance import ranked, retrieved
from ferrule.agents.settings import Settings
from ferrule.tools import ToolCall, Toolset, tool
from hypothesis import given
from hypothesis import strategies as st

FITTED = Calibration(account=0.9, probability=0.2, mass=0.1, relevance=2.0, bias=-1.5, confirm=0.5, act=0.8)
SHARES = st.floats(0, 1, allow_nan=False)


@st.composite
def signals(draw):
    return Signals(draw(SHARES), draw(SHARES), draw(SHARES), draw(st.floats(0, 1e6)))


@given(signals())
def test_a_confidence_is_a_probability_of_the_weighed_features(found):
    features = np.array(found.features())
    assert np.isfinite(features).all()
    weights = np.array([0.9, 0.2, 0.1, 2.0, -1.5])
    assert FITTED.confidence(found) == pytest.approx(1 / (1 + np.exp(-(features @ weights))))


@given(signals(), signals())
def test_more_of_every_signal_is_never_less_sure(one, other):
    pairs = [sorted(pair) for pair in zip(vars(one).values(), vars(other).values(), strict=True)]
    low, high = (Signals(*[pair[at] for pair in pairs]) for at in (0, 1))
    assert FITTED.confidence(low) <= FITTED.confidence(high)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confirm": 0.9}, "0 <= confirm <= act <= 1, received 0.9 and 0.8"),
        ({"act": 1.1}, "0 <= confirm <= act <= 1"),
        ({"bias": float("nan")}, "bias of a calibration is a number, received nan"),
        ({"relevance": "2"}, "relevance of a calibration is a number, received '2'"),
        ({"mass": True}, "mass of a calibration is a number, received True"),
        ({"more": 1}, "a calibration is an object with account, probability,"),
    ],
)
def test_calibrations_that_are_none(changes, message):
    with pytest.raises(UsageError, match=message):
        Calibration.from_json({**vars(FITTED), **changes})
    assert Calibration.from_json(json.loads(json.dumps(vars(FITTED)))) == FITTED


@pytest.fixture
def lamp():
    """A tool that changes something, and one that reads."""
    done = []

    @tool(permission="write")
    def turn_lamp(state: str) -> str:
        """Turn the lamp on or off."""
        done.append(state)
        return state

    @tool
    def lamp_state(room: str) -> str:
        """Whether the lamp is on."""
        done.append(room)
        return "on"

    turn_lamp.__dict__["done"] = done
    return turn_lamp, lamp_state


def run(tools, call, goal, account, calibration=FITTED, **options):
    model = ScriptedModel.from_calls([[call], "Done."], confidence=account)
    model.calibration = None if calibration is None else dict(vars(calibration))
    agent = Agent(model, tools, **options)
    return agent, agent.run(goal)


TURN, READ = ToolCall("turn_lamp", {"state": "on"}), ToolCall("lamp_state", {"room": "attic"})


def test_signals_are_what_was_written_and_said(lamp):
    goal = "turn the lamp on"
    model = ScriptedModel.from_calls([[TURN]], confidence=0.7)
    model.calibration = dict(vars(FITTED))
    decision = Agent(model, lamp).decide(goal)
    tools = Toolset(lamp)
    relevance = dict(ranked(goal, tools, "", retrieved(tools, goal)))["turn_lamp"]
    assert decision.signals == Signals(0.7, 1.0, 1.0, relevance)
    assert relevance > 2
    assert decision.confidence == FITTED.confidence(decision.signals)


def test_surely_wanted(lamp):
    agent, found = run(lamp, TURN, "turn the lamp on", 0.9)
    assert lamp[0].done == ["on"]
    assert not [step for step in found.steps if isinstance(step, Approval)]
    assert (agent.settings.min_confidence, agent.settings.act_confidence) == (0.5, 0.8)


@pytest.mark.parametrize("reply", [True, False, None])
def test_changes_between_the_thresholds_are_asked_about(lamp, reply):
    asked = []

    def approve(request):
        asked.append(request.reasons)
        return reply

    options = {} if reply is None else {"approve": approve}
    _, found = run(lamp, TURN, "turn the lamp on", 0.9, act_confidence=1.0, **options)
    approval = next(step for step in found.steps if isinstance(step, Approval))
    assert approval.granted == (reply is True)
    assert approval.reasons[-1].startswith("confidence 0.9")
    assert approval.reasons[-1].endswith("is below 1")
    assert asked == ([] if reply is None else [approval.reasons])
    assert lamp[0].done == (["on"] if reply else [])


def test_reads_between_the_thresholds_are_made(lamp):
    _, found = run(lamp, READ, "is the lamp in the attic on?", 0.9, act_confidence=1.0)
    assert lamp[0].done == ["attic"]
    assert not [step for step in found.steps if isinstance(step, Approval)]


def test_what_no_tool_is_about_is_not_called_however_sure_the_model_is(lamp):
    _, found = run(lamp, TURN, "who won the cup in 1996?", 0.8, Calibration(0.9, 0.2, 0.1, 2.0, -3.0, 0.5, 0.8))
    assert found.status == "refused"
    assert "not sure enough to call turn_lamp" in found.steps[-1].text
    assert lamp[0].done == []
    _, uncalibrated = run(lamp, TURN, "who won the cup in 1996?", 0.8, None)
    assert uncalibrated.calls == [TURN]


def test_thresholds_of_the_caller_go_first(lamp):
    agent, found = run(lamp, TURN, "turn the lamp on", 0.9, min_confidence=1.0)
    assert agent.settings.min_confidence == 1.0
    assert found.status == "refused"
    with pytest.raises(UsageError, match="act_confidence is a number from 0 to 1, received 2"):
        run(lamp, TURN, "turn the lamp on", 0.9, act_confidence=2)


def test_a_run_is_replayed_with_its_calibration(lamp, tmp_path):
    path = tmp_path / "runs.jsonl"
    _, found = run(lamp, TURN, "turn the lamp on", 0.9, log=path, approve=lambda request: True, act_confidence=1.0)
    lamp[0].done.clear()
    again = replay(path)
    assert again[0].steps == found.steps
    assert lamp[0].done == []
    assert Settings.from_json(json.loads(json.dumps(Settings(calibration=FITTED).to_json()))).calibration == FITTED
    assert read_log(path)


@pytest.mark.parametrize(("goal", "called"), [("mach bitte Licht", True), ("who won the cup in 1996?", False)])
def test_words_of_another_language_tell_nothing_against_a_tool(lamp, goal, called):
    _, found = run(lamp, TURN, goal, 0.6, Calibration(0.9, 0.2, 0.1, 2.0, -1.7, 0.5, 0.5), grounding=False)
    assert found.calls == ([TURN] if called else [])
