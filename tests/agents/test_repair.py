from __future__ import annotations

from ferrule.agents.repair import drop_repeated
from ferrule.tools.call import ToolCall
from jsonschema import Draft202012Validator


def repaired(schema, arguments):
    result = drop_repeated(schema, ToolCall("t", arguments)).arguments
    Draft202012Validator(schema).validate(result)
    return result


TAGS = {"type": "array", "items": {}, "uniqueItems": True}


def test_first_of_equal_elements_stays():
    schema = {"type": "object", "properties": {"tags": TAGS}}
    arguments = {"tags": ["b", "a", "b", 1, 1.0, True, {"x": 1, "y": 2}, {"y": 2, "x": 1}]}
    assert repaired(schema, arguments) == {"tags": ["b", "a", 1, True, {"x": 1, "y": 2}]}
    assert len(arguments["tags"]) == 8  # the caller's own is not changed


def test_nested_and_alternative_arrays():
    lists = {"type": "array", "items": TAGS, "uniqueItems": True}
    schema = {"type": "object", "properties": {"x": {"anyOf": [{"type": "null"}, lists]}}}
    assert repaired(schema, {"x": [["a", "a"], ["a"]]}) == {"x": [["a"]]}


def test_lists_without_the_keyword_are_left_alone():
    call = ToolCall("t", {"x": [1, 1]})
    assert drop_repeated({"type": "object", "properties": {"x": {"type": "array"}}}, call) is call
