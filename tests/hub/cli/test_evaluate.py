from __future__ import annotations

import importlib
import json

import pytest
from ferrule.hub.evaluation.grounding import GroundingReport

REPORT = GroundingReport(4, {"simple_python_1": ["f.minutes", 'label="[red]"']}, 1, 10, 9, 2, 1)


@pytest.fixture
def asked(monkeypatch):
    found = []

    def evaluate_grounding(categories, limit):
        found.append((list(categories), limit))
        return REPORT

    monkeypatch.setattr(importlib.import_module("ferrule.hub.cli.evaluate"), "evaluate_grounding", evaluate_grounding)
    return found


def test_grounding_for_people(ferrule, asked):
    result = ferrule("eval", "grounding", "-c", "parallel", "--limit", "7")
    assert asked == [(["parallel"], 7)]
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        'simple_python_1: f.minutes, label="[red]"',
        "refused: 1 of 4 gold answers (25.0%)",
        "caught: 9 of 10 wrong numbers, 1 of 2 texts",
    ]


def test_grounding_for_machines(ferrule, asked):
    result = ferrule("eval", "grounding", "--json")
    assert asked == [(["simple_python", "multiple"], None)]
    assert json.loads(result.stdout)["false_refusals"] == 0.25


def test_a_category_that_is_none(refused):
    pytest.importorskip("bfcl_eval")
    assert "BFCL has no category 'simple'" in refused("eval", "grounding", "-c", "simple")
