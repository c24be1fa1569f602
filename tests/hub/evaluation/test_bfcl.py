from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from ferrule.agents.errors import SchemaError
from ferrule.agents.grammar import call_grammar
from ferrule.agents.names import WireNames
from ferrule.hub.evaluation import CATEGORIES, MULTI_TURN, SINGLE_TURN, EvaluationError, bfcl, load_cases, load_dialogues
from ferrule.hub.evaluation.bfcl import chosen_categories

LITERAL = ("simple_java", "simple_javascript")  # these two change the functions
COUNTS = {
    "simple_python": 400,
    "multiple": 200,
    "parallel": 200,
    "parallel_multiple": 200,
    "live_simple": 258,
    "live_multiple": 1053,
    "live_parallel": 16,
    "live_parallel_multiple": 24,
    "irrelevance": 240,
    "live_irrelevance": 884,
    "live_relevance": 16,
    "simple_java": 100,
    "simple_javascript": 50,
}
# Their schemas contradict themselves (an array or a number whose `enum` lists strings): nothing satisfies them.
IMPOSSIBLE = {"live_simple_71-35-0", "live_irrelevance_428-103-0", "live_relevance_8-8-0"}


@pytest.mark.parametrize("category", SINGLE_TURN)
def test_every_case_loads(category):
    cases = load_cases([category])
    assert len(cases) == len({case.id for case in cases}) == COUNTS[category]
    for case in cases:
        assert case.category == category
        assert case.goal.strip()
        assert (case.answers is None) == ("relevance" in category)


def test_all_functions_become_tools_with_valid_schemas():
    """A `Tool` checks its schema with jsonschema's own metaschema when it is made."""
    for case in _with_new_functions(SINGLE_TURN):
        tools = case.tools()
        assert [tool.name for tool in tools] == [doc["name"] for doc in case.functions]
        for tool in tools:
            assert tool.parameters["type"] == "object"


@pytest.mark.parametrize("limit", [10, pytest.param(None, marks=pytest.mark.slow)])
def test_grammars_take_every_schema_that_something_satisfies(limit):
    refused = set()
    for case in _with_new_functions(SINGLE_TURN, limit):
        tools = case.tools()
        try:
            call_grammar(tools, names=WireNames(tools))
        except SchemaError:
            refused.add(case.id)
    assert refused == (IMPOSSIBLE if limit is None else IMPOSSIBLE & {"live_relevance_8-8-0"})


def _with_new_functions(categories, limit=None):
    """The cases, each with only those functions that no case before it has: the live ones repeat theirs hundreds of times."""
    seen = set()
    for case in load_cases(categories, limit):
        new = {json.dumps(doc, sort_keys=True): doc for doc in case.functions}
        functions = [doc for text, doc in new.items() if (case.category in LITERAL, text) not in seen]
        seen.update((case.category in LITERAL, text) for text in new)
        if functions:
            yield replace(case, functions=functions)


def test_only_type_names_change():
    def plain(schema):
        if isinstance(schema, dict):
            return {key: plain(value) for key, value in schema.items() if key != "type"}
        return [plain(item) for item in schema] if isinstance(schema, list) else schema

    def types(schema):
        if isinstance(schema, list):
            return [name for item in schema for name in types(item)]
        if not isinstance(schema, dict):
            return []
        own = [schema["type"]] if isinstance(schema.get("type"), str) else []
        return own + [name for key, value in schema.items() if key != "type" for name in types(value)]

    names = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
    for case in load_cases(["simple_python", "live_parallel"]):
        for doc, tool in zip(case.functions, case.tools(), strict=True):
            assert tool.description == doc["description"]
            assert plain(tool.parameters) == plain(doc["parameters"])
            assert types(tool.parameters) == [names.get(name, name) for name in types(doc["parameters"])]


def test_java_arguments_are_literals_in_strings():
    [case] = load_cases(["simple_java"], limit=1)
    [tool] = case.tools()
    assert {schema["type"] for schema in tool.parameters["properties"].values()} == {"string"}
    first = next(iter(tool.parameters["properties"].values()))
    assert "in string representation" in first["description"]
    assert case.functions[0]["parameters"]["properties"] != tool.parameters["properties"]  # the checker's copy is as published


def test_a_system_message_becomes_instructions():
    cases = {case.id: case for case in load_cases(["live_simple"])}
    with_system = [case for case in cases.values() if case.instructions]
    assert len(with_system) == 11
    assert cases["live_simple_257-137-1"].instructions.startswith("call HANDOVER function")
    assert cases["live_simple_257-137-1"].goal.startswith("Can you tell me what is the minimum package")


def test_limit_and_ids():
    few = [case.id for case in load_cases(["parallel", "multiple"], limit=2)]
    assert [id.rsplit("_", 1)[0] for id in few] == ["parallel", "parallel", "multiple", "multiple"]
    more = [case.id for case in load_cases(["parallel", "multiple"], limit=20)]
    assert set(few) < set(more)  # always the same ones, so that results are kept when the limit is raised
    assert max(int(id.rsplit("_", 1)[1]) for id in more) > 100  # from all over the category
    assert [id for id in (case.id for case in load_cases(["parallel"])) if id in more] == more[:20]
    assert [case.id for case in load_cases(CATEGORIES, ids=["multiple_7", "simple_python_3"])] == [
        "simple_python_3",
        "multiple_7",
    ]


@pytest.mark.parametrize("category", MULTI_TURN)
def test_every_dialogue_loads(category):
    dialogues = load_dialogues([category])
    assert len({dialogue.id for dialogue in dialogues}) == 200
    for dialogue in dialogues:
        assert len(dialogue.goals) == len(dialogue.functions) == len(dialogue.answers)
        counts = [len(functions) for functions in dialogue.functions]
        added = [False, *(before < after for before, after in pairwise(counts))]
        assert [not goal for goal in dialogue.goals] == added
        for offered, answer in zip(dialogue.functions, dialogue.answers, strict=True):
            names = [doc["name"] for doc in offered]
            assert len(names) == len(set(names))
            if dialogue.id != "multi_turn_miss_func_49":  # expects a call of a function that is not there yet
                assert all(call.split("(")[0] in names for call in answer)


def test_groups_of_categories():
    assert chosen_categories(["java", "multi_turn_base", "multi_turn"]) == ("simple_java", *MULTI_TURN[:1], *MULTI_TURN[1:])
    assert chosen_categories(["all"]) == (*SINGLE_TURN, *MULTI_TURN)
    assert len(chosen_categories(["live"])) == 6
    with pytest.raises(EvaluationError, match="category web_search_base is left out: it needs the web"):
        chosen_categories(["web_search_base"])
    with pytest.raises(EvaluationError, match="embedding model"):
        chosen_categories(["memory_vector"])
    with pytest.raises(EvaluationError, match="no category 'simple' here; there are: simple_python"):
        chosen_categories(["simple"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"categories": ["simple"]}, "no category 'simple'"),
        ({"limit": 0}, "above 0, received 0"),
        ({"categories": ["multiple"], "ids": ["simple_python_0"]}, "'simple_python_0'"),
    ],
)
def test_what_is_not_there_is_one_clear_line(arguments, message):
    with pytest.raises(EvaluationError, match=message) as caught:
        load_cases(**arguments)
    assert "\n" not in str(caught.value)


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise bfcl.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(bfcl.metadata, "distribution", missing)
    with pytest.raises(EvaluationError, match=r"pip install --no-deps bfcl-eval==2026\.3\.23"):
        load_cases()
