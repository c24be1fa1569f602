from __future__ import annotations

import pytest
from ferrule.agents.errors import SchemaError
from ferrule.agents.names import WireNames, snake_case, wire_names
from ferrule.tools.call import ToolCall
from ferrule.tools.tool import Tool
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("math.hypot-2", "math_hypot_2"),
        ("HTTPServer.getURL-v2", "http_server_get_url_v2"),
        ("targetURL", "target_url"),
        ("_maxRetries", "max_retries"),
        ("Kind Of", "kind_of"),
        ("Invoice", "invoice"),
        ("get_weather", "get_weather"),
    ],
)
def test_spelling_of_the_specification(name, wire):
    assert snake_case(name) == wire


def test_collisions_are_numbered_in_sorted_order():
    assert wire_names(["getX", "get_x", "get.x", "other"], "tool") == {
        "getX": "get_x__2",
        "get_x": "get_x__3",
        "get.x": "get_x__1",
        "other": "other",
    }
    assert wire_names(["天", "气", "tool"], "tool").keys() == {"天", "气", "tool"}


@given(st.lists(st.text(min_size=1, max_size=6) | st.sampled_from(["a", "A", "a__1", "a.", "a_"]), unique=True, max_size=8))
def test_wire_names_are_unique(names):
    wires = wire_names(names, "arg")
    assert len(set(wires.values())) == len(names)
    assert all(wire.isascii() and wire for wire in wires.values())


SCHEMA = {
    "type": "object",
    "properties": {
        "targetURL": {"type": "string", "default": "targetURL"},
        "Kind Of": {"type": "array", "items": {"$ref": "#/properties/inner/properties/maxItems"}},
        "inner": {"type": "object", "properties": {"maxItems": {"type": "integer"}}, "required": ["maxItems"]},
    },
    "required": ["targetURL"],
    "additionalProperties": {"type": "object"},
}


def test_schema_and_calls_are_renamed_and_back():
    tool = Tool("math.hypot", "", SCHEMA)
    names = WireNames([tool])
    assert names.schema(tool) == {
        "name": "math_hypot",
        "parameters": {
            "type": "object",
            "properties": {
                "target_url": {"type": "string", "default": "targetURL"},
                "kind_of": {"type": "array", "items": {"$ref": "#/properties/inner/properties/max_items"}},
                "inner": {"type": "object", "properties": {"max_items": {"type": "integer"}}, "required": ["max_items"]},
            },
            "required": ["target_url"],
            "additionalProperties": {"type": "object"},
        },
    }
    call = ToolCall("math.hypot", {"targetURL": "targetURL", "Kind Of": [1], "inner": {"maxItems": 2}}, "7")
    wire = names.to_wire(call)
    assert wire == ToolCall("math_hypot", {"target_url": "targetURL", "kind_of": [1], "inner": {"max_items": 2}}, "7")
    assert names.to_caller(wire) == call
    assert names.to_caller(ToolCall("unknown", {})) == ToolCall("unknown", {})


def test_key_order_is_kept_and_an_empty_description_left_out():
    tool = Tool("a", "does a", {"type": "object", "required": [], "properties": {}})
    assert list(WireNames([tool]).schema(tool)) == ["name", "description", "parameters"]
    assert list(WireNames([tool]).schema(tool)["parameters"]) == ["type", "required", "properties"]


def test_listed_objects_that_could_be_taken_for_renamed_properties():
    schema = {"type": "object", "properties": {"maxItems": {}, "x": {"enum": [{"max_items": 1}]}}}
    with pytest.raises(SchemaError, match="max_items"):
        WireNames([Tool("a", "", schema)])


def test_keys_that_no_schema_declares_are_data():
    parameters = {
        "type": "object",
        "properties": {
            "userId": {"type": "string"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "node": {"$ref": "#/$defs/node"},
        },
        "$defs": {"node": {"properties": {"userId": {}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}},
    }
    tool = Tool("f", "", parameters)
    names = WireNames([tool])
    free = {"user_id": "a", "userId": "b"}
    wire = ToolCall("f", {"user_id": "x", "headers": free, "node": {"user_id": free, "next": {"user_id": 1}}})
    caller = ToolCall("f", {"userId": "x", "headers": free, "node": {"userId": free, "next": {"userId": 1}}})
    assert names.to_caller(wire) == caller
    assert names.to_wire(caller) == wire
