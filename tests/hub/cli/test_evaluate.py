from __future__ import annotations

import importlib
import json

import pytest
from ferrule.agents import ScriptedModel
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


@pytest.fixture
def irrelevant(monkeypatch):
    """Models that never call anything: right where no tool fits, wrong in the first turn of a conversation."""
    pytest.importorskip("bfcl_eval")

    def from_preset(name, backend):
        return ScriptedModel.from_calls([[]] * 40, context_length=200_000)

    monkeypatch.setattr(importlib.import_module("ferrule.hub.cli.evaluate"), "from_preset", from_preset)


def test_bfcl_beside_the_plain_loop(ferrule, irrelevant, tmp_path):
    files = [tmp_path / "report.json", tmp_path / "report.svg"]
    options = [option for file in files for option in ("--out", str(file))]
    result = ferrule(
        "eval", "bfcl", "--categories", "irrelevance,java", "-c", "multi_turn_base", "--limit", "2", "--plain", *options
    )
    assert result.exit_code == 0, result.output
    assert "scripted plain" in result.stdout
    document = json.loads(files[0].read_text())
    assert {name: score["accuracy"] for name, score in document["categories"].items()} == {
        "irrelevance": 1.0,
        "simple_java": 0.0,
        "multi_turn_base": 0.0,
    }
    assert document["categories"]["multi_turn_base"]["failures"] == {"multi_turn:empty_turn_model_response": 2}
    assert document["plain"]["categories"]["irrelevance"]["accuracy"] == 1.0
    assert files[1].read_text().startswith("<svg")


def test_bfcl_options_that_cannot_be(refused, irrelevant, tmp_path):
    baseline = tmp_path / "b.json"
    baseline.write_text('{"cases": []}')
    assert "leave out --plain or --baseline" in refused("eval", "bfcl", "--plain", "--baseline", str(baseline))
    assert "web_search_base is left out: it needs the web" in refused("eval", "bfcl", "-c", "web_search_base")
    assert "BFCL has no category 'simple'" in refused("eval", "bfcl", "--categories", "java,simple")
    assert "a .json or .svg file is expected" in refused("eval", "bfcl", "--out", "x.txt", status=2)
