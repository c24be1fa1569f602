"""Checking, normalising and validating JSON Schemas."""

import pytest
from ferrule.tools import Tool, ToolDefinitionError
from ferrule.tools.schema import check, normalise, validator, violations, with_defaults


def make(parameters):
    return Tool.from_schema({"name": "f", "parameters": parameters})


@pytest.mark.parametrize(
    ("wild", "standard"),
    [
        ("int", "integer"),
        ("float", "number"),
        ("bool", "boolean"),
        ("any", "string"),
        ("dict", "object"),
        ("Dict[str, int]", "object"),
        ("list", "array"),
        ("List[List[int]]", "array"),
        ("tuple", "array"),
        ("Tuple[int, int]", "array"),
        ("string", "string"),
        (["int", "null"], ["integer", "null"]),
        (["int", "integer"], ["integer"]),
    ],
)
def test_type_names_found_in_the_wild(wild, standard):
    found = make({"type": "dict", "properties": {"type": {"type": wild}, "x": {"type": "list", "items": {"type": wild}}}})
    assert found.parameters["type"] == "object"
    assert found.parameters["properties"]["type"]["type"] == standard
    assert found.parameters["properties"]["x"]["items"]["type"] == standard


def test_normalising_leaves_values_and_the_callers_schema_alone():
    schema = {"type": "dict", "properties": {"a": {"enum": [{"type": "int"}], "default": {"type": "int"}}}}
    assert normalise(schema)["properties"] == schema["properties"]
    assert schema["type"] == "dict"


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"type": "object", "properties": {"a": {"type": "strnig"}}}, "/properties/a/type"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "/properties/a/pattern"),
        ({"type": "object", "required": True}, "/required"),
        ({"type": "object", "properties": {"a": {"minimum": "1"}}}, "minimum"),
        ({"type": "string"}, '"type": "object"'),
        ({"type": ["object", "null"]}, '"type": "object"'),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.com/schema.json"}}}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}}, "itself"),
        ({"type": "object", "default": float("nan")}, "not JSON"),
        ({"type": "object", "default": {1, 2}}, "not JSON"),
        ({"type": "object", "properties": []}, "properties"),
        ("object", "must be a JSON Schema object"),
    ],
)
def test_bad_schemas_are_one_line(parameters, word):
    with pytest.raises(ToolDefinitionError) as caught:
        make(parameters)
    message = str(caught.value)
    assert word in message
    assert "'f'" in message
    assert "\n" not in message


def test_a_schema_nested_too_deeply():
    schema = {"type": "object"}
    for _ in range(3000):
        schema = {"type": "object", "properties": {"a": schema}}
    with pytest.raises(ToolDefinitionError, match=r"deeply|not JSON"):
        make(schema)


def test_violations_name_each_place_by_pointer():
    checker = validator(
        {
            "type": "object",
            "properties": {
                "a/b": {"type": "array", "items": {"type": "integer"}},
                "c": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "d": {"format": "date"},
                "e": {"format": "date-time"},
            },
            "required": ["z"],
            "additionalProperties": False,
        }
    )
    found = dict(violations(checker, {"a/b": [1, "x"], "c": 1, "d": "2026-02-30", "e": "never", "f": 0}))
    assert found.keys() == {"/a~1b/1", "/c", "/d", "/f", "/z"}
    assert found["/z"] == "missing"
    assert found["/a~1b/1"] == "'x' is not of type integer"
    assert found["/c"] == "1 is not of type null and 1 is not of type string"
    assert "allowed: a/b, c, d, e" in found["/f"]


def test_arithmetic_at_the_edges_is_a_violation():
    checker = validator({"type": "object", "properties": {"a": {"multipleOf": 0.1}}})
    assert violations(checker, {"a": 10**400})


def test_defaults_are_filled_in_at_every_level_as_copies():
    inner = {"type": "object", "properties": {"n": {"default": [1]}}}
    schema = {"type": "object", "properties": {"a": inner, "b": {"type": "array", "items": inner}, "c": {"default": 2}}}
    filled = with_defaults(schema, {"a": {}, "b": [{}, {"n": []}]})
    assert filled == {"a": {"n": [1]}, "b": [{"n": [1]}, {"n": []}], "c": 2}
    filled["a"]["n"].append(2)
    assert with_defaults(schema, {"a": {}})["a"] == {"n": [1]}


def test_defaults_behind_references():
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/inner"}, "b": {"allOf": [{"$ref": "#/$defs/inner"}, {"type": "object"}]}},
        "allOf": [{"properties": {"c": {"$ref": "#/$defs/two"}}}],
        "$defs": {
            "inner": {"type": "object", "properties": {"n": {"default": 1}, "a": {"$ref": "#/$defs/inner"}}},
            "two": {"default": 2},
        },
    }
    assert with_defaults(schema, {"a": {"a": {}}, "b": {}}) == {"a": {"n": 1, "a": {"n": 1}}, "b": {"n": 1}, "c": 2}


def test_an_unknown_type_is_answered_with_the_types_there_are():
    with pytest.raises(ToolDefinitionError, match=r"/properties/x/type is 'strng', which is no type; .* string, integer"):
        make({"type": "object", "properties": {"x": {"type": "strng"}}})


@pytest.mark.parametrize(
    "definitions",
    [
        {"x": {"allOf": [{"$ref": "#/$defs/x"}, {"type": "string"}]}},
        {"x": {"anyOf": [{"$ref": "#/$defs/y"}]}, "y": {"oneOf": [{"$ref": "#/$defs/x"}]}},
        {"x": {"not": {"if": True, "then": {"$ref": "#/$defs/x"}}}},
    ],
)
def test_schemas_whose_check_would_never_end(definitions):
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": definitions}
    with pytest.raises(ToolDefinitionError, match="tool 'f': the schema leads back to itself without an end") as caught:
        check(schema, "f")
    assert "\n" not in str(caught.value)


def test_schemas_that_go_deeper_with_every_round_end():
    tree = {"type": "object", "properties": {"inside": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}
    check({"type": "object", "properties": {"a": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": tree}}, "f")
