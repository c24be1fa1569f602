from __future__ import annotations

import jsonschema
import pytest
from ferrule.agents.subschemas import leaves, optional_part, removed, value_at
from hypothesis import given
from hypothesis import strategies as st

PARAMETERS = {
    "type": "object",
    "$defs": {
        "Point": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"enum": [1, 2]}}, "required": ["lat"]}
    },
    "properties": {
        "at": {"$ref": "#/$defs/Point"},
        "path": {"type": "array", "items": {"$ref": "#/$defs/Point"}},
        "pair": {"type": "array", "prefixItems": [{"const": 1}, {"type": "string"}]},
        "maybe": {"anyOf": [{"type": "null"}, {"type": "string", "format": "date"}, {"$ref": "#/$defs/Point"}]},
        "extra": {"type": "object"},
    },
    "required": ["at"],
}


def found(arguments):
    return {leaf.at: (leaf.value, dict(leaf.schema)) for leaf in leaves(arguments, PARAMETERS)}


def test_every_leaf_has_its_schema():
    number, listed = {"type": "number"}, {"enum": [1, 2]}
    assert found({"at": {"lat": 5}, "path": [{"lon": 2}, {"lat": 1}]}) == {
        "/at/lat": (5, number),
        "/path/0/lon": (2, listed),
        "/path/1/lat": (1, number),
    }
    assert found({"pair": [1, "x"]}) == {"/pair/0": (1, {"const": 1}), "/pair/1": ("x", {"type": "string"})}
    assert found({"maybe": "2026"}) == {"/maybe": ("2026", {"type": "string", "format": "date"})}
    assert found({"maybe": {"lat": 1}}) == {"/maybe/lat": (1, number)}
    assert found({"maybe": None}) == {"/maybe": (None, {"type": "null"})}
    assert found({"path": [], "extra": {}}).keys() == {"/path", "/extra"}


def test_names_that_the_schema_does_not_declare_are_leaves():
    assert found({"extra": {"a/b": 1}}) == {"/extra/a~1b#": ("a/b", {}), "/extra/a~1b": (1, {})}


def test_references_that_lead_in_a_circle():
    loop = {"type": "object", "properties": {"x": {"$ref": "#/properties/x"}}}
    assert [(leaf.at, leaf.schema) for leaf in leaves({"x": 1}, loop)] == [("/x", {})]


@pytest.mark.parametrize(
    ("path", "optional"),
    [
        (("at", "lat"), None),
        (("at", "lon"), ("at", "lon")),
        (("path", 0, "lat"), ("path",)),
        (("path", 0, "lon"), ("path", 0, "lon")),
        (("extra", "key"), ("extra", "key")),
    ],
)
def test_what_may_be_left_out(path, optional):
    arguments = {"at": {"lat": 1, "lon": 2}, "path": [{"lat": 1, "lon": 1}, {"lat": 2}], "extra": {"key": 1}}
    assert optional_part(arguments, path, PARAMETERS) == optional
    if optional is not None:
        smaller = removed(arguments, optional)
        with pytest.raises(KeyError):
            value_at(smaller, optional)
        jsonschema.validate(smaller, PARAMETERS)
        assert value_at(arguments, optional) is not None  # as it was


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*PARAMETERS["properties"], "other"]), JSON))
def test_any_arguments_have_leaves(arguments):
    for leaf in leaves(arguments, PARAMETERS):
        assert leaf.is_name or value_at(arguments, leaf.path) == leaf.value
