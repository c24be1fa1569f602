from __future__ import annotations

import sys

import pytest
from ferrule.hub.evaluation import Case, check, load_cases
from ferrule.tools import ToolCall

TIMER = {
    "name": "clock.set_timer",
    "description": "Set a timer.",
    "parameters": {
        "type": "dict",
        "properties": {
            "minutes": {"type": "float"},
            "label": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "repeat": {"type": "dict", "properties": {"times": {"type": "integer"}}},
        },
        "required": ["minutes"],
    },
}
ANSWER = {"clock.set_timer": {"minutes": [9.0], "label": ["pasta", "Pasta!", ""], "tags": [["a", "b"], ""], "repeat": [""]}}
OTHER = {"clock.set_timer": {"minutes": [3], "label": [""], "tags": [""], "repeat": [{"times": [2]}, ""]}}


def case(answers, category="simple_python"):
    return Case("x_0", category, "set a pasta timer", "", [TIMER], answers)


def call(name="clock.set_timer", **arguments):
    return ToolCall(name, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"minutes": 9},  # an integer will do for a float, optional arguments may be missing
        {"minutes": 9.0, "label": "PASTA"},
        {"minutes": 9, "label": "pa-sta.", "tags": ["A", "b"]},
    ],
)
def test_right_calls(arguments):
    assert check(case([ANSWER]), [call(**arguments)]).ok


@pytest.mark.parametrize(
    ("calls", "kind"),
    [
        ([], "simple_function_checker:wrong_count"),
        ([call(minutes=9), call(minutes=9)], "simple_function_checker:wrong_count"),
        ([call("clock_set_timer", minutes=9)], "simple_function_checker:wrong_func_name"),  # dots are not translated
        ([call(label="pasta")], "simple_function_checker:missing_required"),
        ([call(minutes=9, volume=3)], "simple_function_checker:unexpected_param"),
        ([call(minutes="9")], "type_error:simple"),
        ([call(minutes=10)], "value_error:others"),
        ([call(minutes=9, label="rice")], "value_error:string"),
        ([call(minutes=9, tags=["b", "a"])], "value_error:list/tuple"),
    ],
)
def test_wrong_calls(calls, kind):
    verdict = check(case([ANSWER]), calls)
    assert not verdict.ok
    assert verdict.kind == kind
    assert verdict.detail
    assert "\n" not in verdict.detail


def test_parallel_calls_in_any_order():
    parallel = case([ANSWER, OTHER], "parallel")
    first, second = call(minutes=9, label="pasta"), call(minutes=3.0, repeat={"times": 2})
    assert check(parallel, [first, second]).ok
    assert check(parallel, [second, first]).ok
    assert check(parallel, [first]).kind == "parallel_function_checker_no_order:wrong_count"
    assert check(parallel, [first, first]).kind == "parallel_function_checker_no_order:cannot_find_match"


def test_irrelevance_and_relevance_ask_only_for_calls():
    assert check(case(None, "live_irrelevance"), []).ok
    assert not check(case(None, "irrelevance"), [call(minutes=1)]).ok
    assert check(case(None, "live_relevance"), [call(minutes=1)]).ok
    assert not check(case(None, "live_relevance"), []).ok


@pytest.mark.parametrize("category", ["simple_python", "multiple", "parallel_multiple", "live_simple"])
def test_the_accepted_values_pass(category):
    """The first accepted value of every argument is right, but for the benchmark's own noise of about one in a hundred."""
    cases = load_cases([category])
    right = 0
    for each in cases:
        calls = []
        for answer in each.answers:
            [(name, arguments)] = answer.items()
            calls.append(
                ToolCall(name, {key: _first(values) for key, values in arguments.items() if values and values[0] != ""})
            )
        right += check(each, calls).ok
    assert right >= 0.95 * len(cases)


def _first(values):
    first = values[0]
    return {key: item[0] for key, item in first.items() if item[0] != ""} if isinstance(first, dict) else first


def test_the_checker_drags_nothing_in():
    before = set(sys.modules)  # other tests have imported things
    check(case([ANSWER]), [call(minutes=9)])
    assert not {"openai", "anthropic", "transformers", "cohere"} & (set(sys.modules) - before)
