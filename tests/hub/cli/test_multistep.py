from __future__ import annotations

import importlib
import json

import pytest
from ferrule.hub.evaluation.multistep import Outcome, SuiteReport

CALLS = [{"name": "ls", "arguments": {}, "ok": True, "error": None}]
REST = ("answered", "", CALLS, 2, 3, 400, 90, 1.5)
OUTCOMES = [
    Outcome("t_1", "chain", "train", ["GorillaFileSystem"], "agent", True, "", "", *REST),
    Outcome("t_2", "lookup", "train", ["MathAPI"], "agent", True, "", "", *REST),
    Outcome("t_1", "chain", "train", ["GorillaFileSystem"], "plain", False, "state", "/root/a is missing", *REST),
    Outcome("t_2", "lookup", "train", ["MathAPI"], "plain", True, "", "", *REST),
]


@pytest.fixture
def asked(monkeypatch):
    found = []

    def evaluate_multistep(model, split, limit, loops, on_outcome):
        found.append((model, split, limit, loops))
        outcomes = [outcome for outcome in OUTCOMES if outcome.loop in loops]
        for outcome in outcomes:
            on_outcome(outcome, len(outcomes))
        return SuiteReport(split, "needle_3", "0.1", outcomes)

    module = importlib.import_module("ferrule.hub.cli.multistep")
    monkeypatch.setattr(module, "evaluate_multistep", evaluate_multistep)
    monkeypatch.setattr(module, "from_preset", lambda preset, backend: (preset, backend))
    return found


def test_the_suite_for_people(ferrule, asked):
    result = ferrule("eval", "multistep", "--split", "held-out", "--plain", "--limit", "2")
    assert asked == [(("needle_3", "numpy"), "held_out", 2, ("agent", "plain"))]
    assert result.exit_code == 0
    assert "100.0%" in result.stdout
    assert "50.0%" in result.stdout
    assert result.stdout.splitlines()[-1] == "the agent reaches 2.00 times as many goals as the plain loop"


def test_the_suite_for_machines_and_files(ferrule, asked, folder):
    result = ferrule("eval", "multistep", "--json", "--out", "all.json", "--out", "plot.svg")
    record = json.loads(result.stdout)
    assert asked[0][1:] == ("train", None, ("agent",))
    assert record["loops"]["agent"]["overall"]["completion"] == 1.0
    assert json.loads((folder / "all.json").read_text()) == record
    assert (folder / "plot.svg").read_text().startswith("<svg")


def test_bad_options_are_one_line(refused, asked):
    assert "a .json or .svg file is expected" in refused("eval", "multistep", "--out", "all.txt", status=2)
    assert "a whole number from 1" in refused("eval", "multistep", "--limit", "0", status=2)


def test_a_split_that_is_none(refused, monkeypatch):
    pytest.importorskip("bfcl_eval")
    monkeypatch.setattr(importlib.import_module("ferrule.hub.cli.multistep"), "from_preset", lambda preset, backend: None)
    assert "no split 'test'" in refused("eval", "multistep", "--split", "test")
