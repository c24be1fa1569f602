from __future__ import annotations

import json

import pytest
from ferrule.hub.evaluation import Case, EvaluationError, check, load_cases
from ferrule.hub.evaluation import grounding as module
from ferrule.hub.evaluation.grounding import evaluate_grounding, gold_calls
from ferrule.tools import ToolCall

TIMER = {
    "name": "set_timer",
    "description": "Set a timer.",
    "parameters": {
        "type": "dict",
        "properties": {"minutes": {"type": "integer"}, "label": {"type": "string"}, "tone": {"type": "string"}},
        "required": ["minutes"],
    },
}


def case(number, goal, **accepted):
    return Case(f"simple_python_{number}", "simple_python", goal, "", [TIMER], [{"set_timer": accepted}])


@pytest.fixture
def cases(monkeypatch):
    def put(*found):
        monkeypatch.setattr(module, "load_cases", lambda categories, limit: list(found)[:limit])

    return put


def test_what_is_refused_and_what_is_caught(cases):
    cases(
        case(0, "a timer for 9 minutes for pasta", minutes=[9], label=["pasta"], tone=["", "loud"]),
        case(1, "a timer for eggs", minutes=[5], label=["eggs"]),
        case(2, "8 minutes", minutes=[8], tone=["soft", ""]),
    )
    report = evaluate_grounding()
    assert report.refused == {"simple_python_1": ["set_timer.minutes"], "simple_python_2": ['tone="soft"']}
    assert (report.cases, report.wrong) == (3, 1)  # the third call is right without its tone
    # of the second case nothing can be caught, since nothing of it is made
    assert (report.numbers, report.caught_numbers) == (4, 4)
    assert (report.texts, report.caught_texts) == (1, 1)
    assert report.false_refusals == pytest.approx(2 / 3)
    assert json.loads(json.dumps(report.to_json()))["caught_number_share"] == 1.0


def test_the_usual_policy_refuses_less(cases):
    cases(case(1, "a timer for eggs", minutes=[5], label=["breakfast"]))
    assert list(evaluate_grounding().refused.values()) == [["set_timer.minutes", 'label="breakfast"']]
    assert evaluate_grounding(limit=1, strict=False).refused["simple_python_1"] == ["set_timer.minutes", 'label="breakfast"']
    cases(case(1, "a timer for eggs of 5 minutes", minutes=[6]))
    assert evaluate_grounding(strict=False).refused == {"simple_python_1": ["set_timer.minutes"]}


def test_gold_calls_are_right():
    for one in load_cases(["simple_python", "multiple", "parallel"], limit=60):
        assert check(one, list(gold_calls(one))).ok


def test_objects_inside_of_answers():
    nested = {"f": {"where": [[{"field": ["age"], "is": ["25", "26"], "not": ["", 1]}]], "none": ["", 2]}}
    found = list(gold_calls(Case("x", "simple_python", "", "", [], [nested])))
    assert found == [ToolCall("f", {"where": [{"field": "age", "is": "25"}]})]


def test_cases_without_answers():
    with pytest.raises(EvaluationError, match="the cases of irrelevance have no answers; leave it out"):
        evaluate_grounding(["irrelevance"], limit=1)


def test_strict_grounding_on_bfcl():
    """What README says of it: below 10 % of the gold answers refused, most wrong values caught."""
    report = evaluate_grounding()
    assert report.cases == 600
    assert report.false_refusals < 0.1
    assert report.caught_numbers / report.numbers > 0.9
    assert report.caught_texts / report.texts > 0.9


@pytest.mark.parametrize("category", ["parallel", "parallel_multiple"])
def test_strict_grounding_on_cases_that_nothing_was_tried_on(category):
    assert evaluate_grounding([category]).false_refusals < 0.1
