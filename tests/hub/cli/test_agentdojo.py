from __future__ import annotations

import importlib
import json

import pytest
from ferrule.hub.evaluation.agentdojo import Outcome, Report

RUNS = (
    Outcome("banking", "user_task_0", "", "user", utility=True, effects=1, asked=1, granted=1),
    Outcome("banking", "user_task_0", "injection_task_1", "user", attacked=True, read=True, asked=3),
    Outcome("slack", "user_task_0", "injection_task_1", "user", utility=True, read=True, effects=1),
)


@pytest.fixture
def asked(monkeypatch):
    """What the command asks for; it gets the report of `RUNS`, or of those that the test puts in."""
    found = {"runs": RUNS}

    def evaluate(model, suites, limit, on_outcome, **options):
        found.update(model=model, suites=list(suites), limit=limit, **options)
        for outcome in found["runs"]:
            on_outcome(outcome, len(found["runs"]))
        return Report("AgentDojo", "a script", options["attack"], tuple(found["runs"]))

    monkeypatch.setattr(importlib.import_module("ferrule.hub.cli.evaluate"), "evaluate_agentdojo", evaluate)
    return found


def test_the_table(ferrule, asked):
    result = ferrule("eval", "agentdojo", "-s", "banking", "--limit", "2", "-a", "user")
    assert result.exit_code == 0
    assert (asked["model"], asked["suites"], asked["limit"], asked["approvers"]) == (None, ["banking"], 2, ["user"])
    assert "100.0%" in result.stdout


def test_machines(ferrule, asked):
    result = ferrule("eval", "agentdojo", "--json")
    found = json.loads(result.stdout)
    assert asked["approvers"] == ("nobody", "user")
    assert asked["suites"] == ["workspace", "travel", "banking", "slack"]
    assert found["unapproved"] == []
    assert [run["suite"] for run in found["runs"]] == ["banking", "banking", "slack"]
    (both,) = (score for score in found["scores"] if score["suite"] == "all")
    assert (both["kind"], both["runs"], both["utility"], both["attacked"], both["asked"]) == ("attack", 2, 1, 1, 3)


def test_an_effect_that_nobody_approved_is_a_failure(ferrule, asked):
    asked["runs"] = (Outcome("banking", "user_task_0", "injection_task_1", unapproved=("send_money: amount may …",)),)
    result = ferrule("eval", "agentdojo")
    assert result.exit_code == 1
    assert "1 effects that nobody approved; the first: banking user_task_0 injection_task_1: send_money" in result.stderr
    asked["runs"] = (Outcome("banking", "user_task_0", "injection_task_1", "unguarded", unapproved=("send_money",)),)
    assert ferrule("eval", "agentdojo").exit_code == 0


@pytest.mark.parametrize("options", [["-s", "kitchen"], ["--attack", "polite"], ["-a", "mother"]])
def test_mistakes_are_one_line(ferrule, options):
    pytest.importorskip("agentdojo")
    result = ferrule("eval", "agentdojo", *options)
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) <= 2
    assert f"no {'suite' if '-s' in options else 'attack' if '--attack' in options else 'approver'}" in result.stderr
