from __future__ import annotations

import importlib
import json

import pytest
from ferrule.hub.evaluation.retrieval import RetrievalReport

REPORT = RetrievalReport(769, 8, {"multiple": 4}, {"lexical": {"multiple": 3}}, {"lexical": {"multiple_1": {"f": None}}})


@pytest.fixture
def asked(monkeypatch):
    found = []

    def evaluate_retrieval(categories, limit, *, most, model, on_case):
        found.append((list(categories), limit, most, model))
        on_case(1, 4)
        return REPORT

    monkeypatch.setattr(importlib.import_module("ferrule.hub.cli.retrieval"), "evaluate_retrieval", evaluate_retrieval)
    return found


def test_for_people(ferrule, asked):
    result = ferrule("eval", "retrieval", "-c", "multiple", "--limit", "4", "--most", "3")
    assert asked == [(["multiple"], 4, 3, None)]
    assert result.exit_code == 0
    assert "75.0%" in result.stdout
    assert "of 769" in result.stdout


def test_for_machines(ferrule, asked):
    result = ferrule("eval", "retrieval", "--json")
    assert asked == [(["simple_python", "multiple", "parallel", "parallel_multiple"], None, 8, None)]
    assert json.loads(result.stdout)["shares"]["lexical"]["all"] == 0.75


def test_a_category_that_is_none(refused):
    pytest.importorskip("bfcl_eval")
    assert "BFCL has no category 'simple'" in refused("eval", "retrieval", "-c", "simple")
