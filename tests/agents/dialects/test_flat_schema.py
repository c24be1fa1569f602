from __future__ import annotations

import pytest
from ferrule.agents.dialects.flat_schema import flattened
from ferrule.agents.errors import SchemaError
from ferrule.agents.shapes import Shapes

DEFINITIONS = {
    "unit": {"enum": ["C", "F"]},
    "node": {"type": "object", "description": "A node.", "properties": {"next": {"$ref": "#/$defs/node"}}},
    **{f"d{i}": {"type": "object", "properties": {"d": {"$ref": f"#/$defs/d{i + 1}"}}} for i in range(9)},
    "d9": {"type": "string"},
}


def flat(schema):
    return flattened(schema, Shapes({"type": "object", "$defs": DEFINITIONS}, "tool 'f'"))


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 1}),
        (True, {}),
        ({"items": True}, {"items": {}, "type": "array"}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"]}, {"type": ["string", "integer"]}),
        ({"type": "null"}, {"type": "null"}),
        ({"$ref": "#/$defs/unit", "description": "Which."}, {"enum": ["C", "F"], "type": "string", "description": "Which."}),
        ({"const": 1}, {"enum": [1], "type": "integer"}),
        ({"anyOf": [{"$ref": "#/$defs/unit"}, {"type": "null"}]}, {"enum": ["C", "F"], "type": "string", "nullable": True}),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"type": ["string", "integer"]}),
        ({"oneOf": [{"const": "a"}, {"const": "b"}]}, {"enum": ["a", "b"], "type": "string"}),
        ({"anyOf": [{"type": "string"}, {}]}, {}),
        (
            {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {"const": "x"}}, "required": ["b"]}]},
            {"properties": {"a": {}, "b": {"enum": ["x"], "type": "string"}}, "required": ["a", "b"], "type": "object"},
        ),
    ],
    ids=repr,
)
def test_one_schema(schema, expected):
    assert flat(schema) == expected


def test_what_leads_to_itself_ends():
    node = flat({"$ref": "#/$defs/node"})
    assert node["properties"] == {"next": {"type": "object", "description": "A node."}}
    deep, levels = flat({"$ref": "#/$defs/d0"}), 0
    while "properties" in deep:
        deep, levels = deep["properties"]["d"], levels + 1
    assert (deep, levels) == ({"type": "object"}, 3)


def test_what_leads_outside_is_refused():
    with pytest.raises(SchemaError, match="leads nowhere"):
        flat({"$ref": "#/$defs/nope"})
