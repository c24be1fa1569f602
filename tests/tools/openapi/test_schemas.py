"""Schemas of OpenAPI as JSON Schema 2020-12."""

import json
from typing import Any

import pytest
from ferrule.agents.lark import Rules
from ferrule.agents.schema_rules import SchemaRules
from ferrule.tools import ToolDefinitionError
from ferrule.tools.openapi.document import Document
from ferrule.tools.openapi.keywords import relaxed
from ferrule.tools.openapi.schemas import Schemas
from jsonschema import Draft202012Validator


@pytest.fixture
def schemas(tmp_path):
    def make(version: str, direction: str = "request", **components: Any) -> Schemas:
        path = tmp_path / "a.json"
        path.write_text(json.dumps({"openapi": f"{version}.0", "paths": {}, "components": {"schemas": components}}))
        return Schemas(Document(str(path), lambda address: b""), direction)

    return make


def translated(made: Schemas, schema: Any) -> Any:
    found = made.closed(made.translate(schema, made.document.address))
    Draft202012Validator.check_schema(found)
    return found


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 1}),
        ({"type": "integer", "maximum": 1, "exclusiveMaximum": False}, {"type": "integer", "maximum": 1}),
        ({"type": "integer", "exclusiveMinimum": True}, {"type": "integer"}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": False}, {"type": "string"}),
        ({"nullable": True}, {}),
        ({"type": "string", "example": "x", "xml": {"name": "y"}, "externalDocs": {}, "x-z": 1}, {"type": "string"}),
        (
            {"type": "array", "items": {"type": "string", "nullable": True}},
            {"type": "array", "items": {"type": ["string", "null"]}},
        ),
        (
            {"type": "object", "properties": {"nullable": {"type": "string"}}},
            {"type": "object", "properties": {"nullable": {"type": "string"}}},
        ),
        ({"type": "string", "required": True}, {"type": "string"}),
        ({"type": "string", "minLength": None, "description": 5}, {"type": "string", "description": "5"}),
        ({"type": "object", "required": ["a", "a"]}, {"type": "object", "required": ["a"]}),
        ({"type": "string", "pattern": r"^\p{L}+$"}, {"type": "string"}),
    ],
)
def test_3_0(schemas, old, new):
    assert translated(schemas("3.0"), old) == new


def test_nullable_is_taken_as_meant_in_responses(schemas):
    enum = {"type": "string", "enum": ["a"], "nullable": True}
    assert translated(schemas("3.0"), enum) == {"type": ["string", "null"], "enum": ["a"]}
    answers = schemas("3.0", "response", A={"type": "object"})
    assert Draft202012Validator(translated(answers, enum)).is_valid(None)
    for schema in ({"nullable": True, "allOf": [ref("A")]}, {"nullable": True, **ref("A")}):
        check = Draft202012Validator(translated(answers, schema))
        assert check.is_valid(None)
        assert check.is_valid({})
        assert not check.is_valid(1)


def test_3_1_passes_through(schemas):
    schema = {
        "type": ["object", "null"],
        "properties": {"a": {"const": None}, "b": True, "c": False, "d": {"exclusiveMinimum": 3}},
        "patternProperties": {"^x": {"type": "string"}},
        "dependentRequired": {"a": ["b"]},
        "prefixItems": [{"type": "string"}],
        "if": {"required": ["a"]},
        "then": {"required": ["b"]},
        "not": {"required": ["z"]},
        "unevaluatedProperties": False,
    }
    assert translated(schemas("3.1"), schema) == schema
    noise = {"$id": "urn:x", "$schema": "x", "$comment": "y", "examples": [1], "deprecated": True, "$defs": {"X": {}}}
    assert translated(schemas("3.1"), {**noise, "type": "string"}) == {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "file"}, ["type", "'file'"]),
        ({"type": []}, ["type"]),
        ({"enum": "a"}, ["enum", "a list"]),
        ({"required": ["a", 1]}, ["required", "names"]),
        ({"minLength": -1}, ["minLength", "-1"]),
        ({"multipleOf": 0}, ["multipleOf"]),
        ({"minimum": "1"}, ["minimum", "number"]),
        ({"properties": [{"a": {}}]}, ["properties", "object of schemas"]),
        ({"properties": {"a": "string"}}, ["a schema must be an object", "'string'"]),
        ({"allOf": []}, ["allOf"]),
        ({"items": [{}]}, ["items", "schema"]),
        ({"$dynamicRef": "#x"}, ["$dynamicRef"]),
        ({"default": float("inf")}, ["default", "JSON"]),
        ("string", ["a schema must be an object"]),
    ],
)
@pytest.mark.parametrize("version", ["3.0", "3.1"])
def test_schemas_that_are_none(schemas, version, schema, words):
    made = schemas(version)
    with pytest.raises(ToolDefinitionError) as caught:
        made.translate(schema, "a.json")
    assert all(word in str(caught.value) for word in words), caught.value


def test_read_only_and_write_only(schemas):
    components = {
        "Secret": {"type": "string", "writeOnly": True},
        "Base": {"type": "object", "properties": {"id": {"type": "integer", "readOnly": True}}, "required": ["id"]},
        "User": {
            "allOf": [
                ref("Base"),
                {"type": "object", "properties": {"name": {"type": "string"}, "password": ref("Secret")}},
                {"required": ["id", "name", "password"]},
            ]
        },
    }
    for version in ("3.0", "3.1"):
        request = Draft202012Validator(translated(schemas(version, **components), ref("User")))
        assert request.is_valid({"name": "a", "password": "b"})
        assert not request.is_valid({"name": "a"})
        assert "id" not in json.dumps(request.schema)
        response = Draft202012Validator(translated(schemas(version, "response", **components), ref("User")))
        assert response.is_valid({"id": 1, "name": "a"})
        assert not response.is_valid({"name": "a", "password": "b"})
    # A required name is let go in whichever part of a conjunction it is asked for.
    base = {"Base": {"type": "object", "required": ["id"]}}
    whole = {"allOf": [ref("Base"), {"type": "object", "properties": {"id": {"readOnly": True}, "a": {}}}]}
    assert Draft202012Validator(translated(schemas("3.1", **base), whole)).is_valid({"a": 1})
    assert not Draft202012Validator(translated(schemas("3.1", **base), ref("Base"))).is_valid({})


CIRCLE = {
    "Tree": {"type": "object", "properties": {"kids": {"type": "array", "items": ref("Tree")}, "c": ref("Color")}},
    "Color": {"type": "string", "enum": ["red"]},
    "A": {"type": "object", "properties": {"b": ref("B")}, "required": ["b"]},
    "B": {"type": "object", "properties": {"a": ref("A"), "n": {"type": "integer"}}},
}


def test_circles_stay_references_and_the_rest_is_written_out(schemas):
    found = translated(schemas("3.1", **CIRCLE), {"type": "object", "properties": {"t": ref("Tree"), "c": ref("Color")}})
    assert found["properties"] == {"t": {"$ref": "#/$defs/Tree"}, "c": {"type": "string", "enum": ["red"]}}
    assert list(found["$defs"]) == ["Tree"]
    assert found["$defs"]["Tree"]["properties"]["c"] == {"type": "string", "enum": ["red"]}
    check = Draft202012Validator(found)
    assert check.is_valid({"t": {"kids": [{"kids": []}, {"c": "red"}]}})
    assert not check.is_valid({"t": {"kids": [{"kids": [{"c": "blue"}]}]}})
    mutual = Draft202012Validator(translated(schemas("3.1", **CIRCLE), ref("A")))
    assert set(mutual.schema["$defs"]) == {"A", "B"}
    assert mutual.is_valid({"b": {"a": {"b": {"n": 1}}}})
    assert not mutual.is_valid({"b": {"a": {}}})


def test_what_stands_beside_a_reference(schemas):
    beside = {**ref("Color"), "description": "Mine.", "maxLength": 2}
    assert translated(schemas("3.0", **CIRCLE), beside) == {"type": "string", "enum": ["red"], "description": "Mine."}
    found = Draft202012Validator(translated(schemas("3.1", **CIRCLE), beside))
    assert not found.is_valid("red")


def test_names_of_definitions_are_unique(schemas, tmp_path):
    (tmp_path / "Tree.json").write_text(json.dumps({"type": "object", "properties": {"up": {"$ref": "Tree.json"}}}))
    made = schemas("3.1", **CIRCLE)
    found = translated(made, {"properties": {"a": ref("Tree"), "b": {"$ref": "Tree.json"}}, "type": "object"})
    assert set(found["$defs"]) == {"Tree", "Tree_2"}
    check = Draft202012Validator(found)
    assert check.is_valid({"a": {"kids": []}, "b": {"up": {"up": {}}}})
    assert not check.is_valid({"b": {"up": {"up": 1}}})


SHAPES = {
    "Circle": {"type": "object", "properties": {"kind": {"type": "string"}, "r": {"type": "integer"}}, "required": ["kind"]},
    "Square": {"type": "object", "properties": {"kind": {"type": "string"}, "s": {"type": "integer"}}, "required": ["kind"]},
}


@pytest.mark.parametrize(
    ("mapping", "names"),
    [
        (None, ("Circle", "Square")),
        ({"round": "#/components/schemas/Circle", "even": "Square"}, ("round", "even")),
        ({"round": "Circle"}, ("round", "Square")),
    ],
)
@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
def test_discriminators(schemas, mapping, names, keyword):
    discriminator = {"propertyName": "kind"} | ({"mapping": mapping} if mapping else {})
    schema = {keyword: [ref("Circle"), ref("Square")], "discriminator": discriminator}
    check = Draft202012Validator(translated(schemas("3.0", **SHAPES), schema))
    round_name, even = names
    assert check.is_valid({"kind": round_name, "r": 1, "s": "not looked at"})
    assert check.is_valid({"kind": even, "s": 1})
    assert not check.is_valid({"kind": even, "s": "x"})
    assert not check.is_valid({"kind": "other"})
    assert not check.is_valid({"r": 1})


@pytest.mark.parametrize("mapping", [None, {"c": "#/components/schemas/Cat", "d": "#/components/schemas/Dog"}])
def test_subtypes(schemas, mapping):
    discriminator = {"propertyName": "type"} | ({"mapping": mapping} if mapping else {})
    components = {
        "Pet": {
            "type": "object",
            "properties": {"type": {"type": "string"}},
            "required": ["type"],
            "discriminator": discriminator,
        },
        "Cat": {"allOf": [ref("Pet"), {"type": "object", "properties": {"lives": {"type": "integer"}}, "required": ["lives"]}]},
        "Dog": {"allOf": [ref("Pet"), {"type": "object", "properties": {"friend": ref("Pet")}}]},
    }
    check = Draft202012Validator(translated(schemas("3.1", **components), ref("Pet")))
    cat, dog = ("c", "d") if mapping else ("Cat", "Dog")
    assert check.is_valid({"type": cat, "lives": 9})
    assert not check.is_valid({"type": cat})
    assert check.is_valid({"type": dog, "friend": {"type": cat, "lives": 9}})
    assert not check.is_valid({"type": dog, "friend": {"type": cat}})
    assert not check.is_valid({"type": "fish"})


def test_parents_that_map_to_each_other(schemas):
    def parent(other):
        mapping = {"a": "#/components/schemas/A", "b": "#/components/schemas/B"}
        return {"type": "object", "properties": {"t": {}}, "discriminator": {"propertyName": "t", "mapping": mapping}}

    check = Draft202012Validator(translated(schemas("3.1", A=parent("B"), B=parent("A")), ref("A")))
    assert check.is_valid({"t": "a"})


@pytest.mark.parametrize("version", ["3.0", "3.1"])
def test_tools_have_schemas_that_a_call_grammar_takes(toolsets, version):
    for tool in toolsets[version]:
        Draft202012Validator.check_schema(tool.parameters)
        SchemaRules(tool.parameters, tool.name, Rules()).compile()


def test_relaxed():
    schema = {
        "type": "object",
        "properties": {
            "a": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
            "b": {"type": "number", "multipleOf": 0.01, "not": {"const": 3}},
            "c": {"type": "array", "items": {"type": "string", "pattern": "^(?=a)"}, "uniqueItems": True, "minItems": 2},
            "d": {"anyOf": [{}], "oneOf": [{"type": "null"}]},
            "e": {"type": "number", "multipleOf": 2},
            "oneOf": {"type": "string", "pattern": "^a$"},
        },
        "dependentRequired": {"a": ["b"]},
    }
    assert relaxed(schema) == {
        "type": "object",
        "properties": {
            "a": {"anyOf": [{"type": "integer"}, {"type": "number"}]},
            "b": {"type": "number"},
            "c": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "d": {"anyOf": [{}], "allOf": [{"anyOf": [{"type": "null"}]}]},
            "e": {"type": "number", "multipleOf": 2},
            "oneOf": {"type": "string", "pattern": "^a$"},
        },
    }


def test_what_is_relaxed_is_still_checked(service, load):
    schema = {"type": "object", "properties": {"n": {"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 5}]}}}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    tool = load({"/x": {"post": {"operationId": "x", "requestBody": body, "responses": {"200": {"description": ""}}}}})["x"]
    assert "oneOf" not in json.dumps(tool.parameters)
    tool.validate({"n": 1})
    with pytest.raises(Exception, match="wrong arguments for x: /n") as caught:
        tool.validate({"n": 7})
    assert type(caught.value).__name__ == "ArgumentError"
    with pytest.raises(Exception, match="/n"):
        tool.call({"n": 7})
    assert not service.requests
