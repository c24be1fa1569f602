from __future__ import annotations

import json

import numpy as np
import pytest
from ferrule.agents.retrieval import LexicalIndex
from ferrule.hub.evaluation import Case, EvaluationError
from ferrule.hub.evaluation import retrieval as module
from ferrule.hub.evaluation.retrieval import catalogues, evaluate_retrieval, first_versions

WEATHER = {"name": "weather", "description": "Weather of a city.", "parameters": {"type": "dict", "properties": {}}}
FORECAST = {**WEATHER, "description": "Forecast for sailors."}
TIMER = {"name": "timer", "description": "Starts a countdown.", "parameters": {"type": "dict", "properties": {}}}
MUSIC = {"name": "music", "description": "Plays songs.", "parameters": {"type": "dict", "properties": {}}}


def case(number, goal, functions, *expected, category="multiple"):
    return Case(f"{category}_{number}", category, goal, "", functions, [{name: {}} for name in expected])


CASES = [
    case(0, "weather in the city", [WEATHER, TIMER], "weather"),
    case(1, "what do sailors have to expect", [FORECAST], "weather"),
    case(2, "a countdown, and songs", [TIMER, MUSIC], "timer", "music"),
    case(3, "xyzzy", [MUSIC], "music"),
]


@pytest.fixture
def cases(monkeypatch):
    monkeypatch.setattr(module, "load_cases", lambda categories, limit=None: CASES[:limit])


def test_every_case_is_ranked_with_its_own_functions():
    tools = first_versions(CASES)
    assert {name: tool.description for name, tool in tools.items()} == {
        "weather": WEATHER["description"],
        "timer": TIMER["description"],
        "music": MUSIC["description"],
    }
    groups = catalogues(CASES, tools)
    assert [[member.id for member in members] for _, members in groups] == [
        ["multiple_0", "multiple_2", "multiple_3"],
        ["multiple_1"],
    ]
    for catalogue, members in groups:
        assert set(catalogue) == set(tools)
        for member in members:
            assert all(catalogue[tool.name].description == tool.description for tool in member.tools())


def test_all_functions_of_a_case_count(cases):
    report = evaluate_retrieval(["multiple"], most=1)
    assert (report.tools, report.cases) == (3, {"multiple": 4})
    assert report.found == {"lexical": {"multiple": 2}}
    lost = report.missed["lexical"]
    assert list(lost) == ["multiple_2", "multiple_3"]
    assert lost["multiple_3"] == {"music": None}
    assert sorted(lost["multiple_2"].values()) == [2]
    assert evaluate_retrieval(["multiple"], most=2).found == {"lexical": {"multiple": 3}}
    assert json.loads(json.dumps(report.to_json()))["shares"] == {"lexical": {"all": 0.5, "multiple": 0.5}}
    assert "50.0%" in str([list(column.cells) for column in report.table().columns])


def test_embeddings_are_ranked_and_fused(cases):
    class Wrong:
        """All texts are alike: the order of the tools is the ranking."""

        name = "wrong"

        def embed(self, texts):
            return np.ones((len(texts), 1), np.float32)

    seen = []
    report = evaluate_retrieval(["multiple"], most=1, model=Wrong(), on_case=lambda done, of: seen.append((done, of)))
    assert report.found["embeddings"] == {"multiple": 2}  # weather is the first tool
    assert set(report.found) == {"lexical", "embeddings", "fused"}
    assert seen == [(n, 4) for n in (1, 2, 3, 4)]


def test_cases_without_answers(monkeypatch):
    unanswered = Case("irrelevance_0", "irrelevance", "x", "", [TIMER], None)
    monkeypatch.setattr(module, "load_cases", lambda categories, limit=None: [unanswered])
    with pytest.raises(EvaluationError, match="have no answers"):
        evaluate_retrieval(["irrelevance"])


def test_the_bar_on_real_cases():
    pytest.importorskip("bfcl_eval")
    pool = module.load_cases(module.CATEGORIES)
    (catalogue, members), *_ = catalogues(pool[::3], first_versions(pool))
    index = LexicalIndex(catalogue.values())
    assert len(catalogue) > 700
    assert len(members) > 250
    found = sum(not module._lost(one, index.rank(one.goal), 8) for one in members)
    assert found / len(members) >= 0.95
