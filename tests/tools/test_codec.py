"""Annotations: the schema is valid, values round-trip, and pydantic agrees on what is accepted."""

import datetime
import enum
import json
import keyword
import string
import typing
import uuid
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, Union

import pydantic
import pytest
from ferrule.tools import Tool, ToolDefinitionError, tool
from ferrule.tools.codec import Codecs, Mismatch
from ferrule.tools.result import to_json
from ferrule.tools.schema import validator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    ONE = 1
    NAME = "one"
    NONE = None


def schema_of(annotation):
    codecs = Codecs()
    schema = codecs.of(annotation, "x").schema
    return {**schema, "$defs": codecs.defs} if codecs.defs else schema


def decode(annotation, value):
    codec = Codecs().of(annotation, "x")
    validator(codec.schema).validate(value)
    return codec.decode(value)


UserId = NewType("UserId", int)


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (Any, {}),
        (UserId, {"type": "integer"}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[1, "b", None], {"type": ["integer", "string", "null"], "enum": [1, "b", None]}),
        (Literal[Color.RED], {"type": "string", "enum": ["red"]}),
        (Color, {"type": "string", "enum": ["red", "blue"]}),
        (Level, {"type": "integer", "enum": [1, 2]}),
        (Mixed, {"type": ["integer", "string", "null"], "enum": [1, "one", None]}),
        (int | None, {"type": ["integer", "null"]}),
        (Optional[Color], {"type": ["string", "null"], "enum": ["red", "blue", None]}),  # noqa: UP045
        (Union[int, str], {"type": ["integer", "string"]}),  # noqa: UP007
        (int | float, {"type": "number"}),
        (int | Any, {}),
        (Literal["a"] | Literal["b"], {"type": "string", "enum": ["a", "b"]}),
        (list[int] | None, {"type": ["array", "null"], "items": {"type": "integer"}}),
        (
            list[int] | Color | None,
            {
                "anyOf": [
                    {"type": "array", "items": {"type": "integer"}},
                    {"type": "string", "enum": ["red", "blue"]},
                    {"type": "null"},
                ]
            },
        ),
        (list, {"type": "array"}),
        (typing.List[str], {"type": "array", "items": {"type": "string"}}),  # noqa: UP006
        (typing.Sequence[str], {"type": "array", "items": {"type": "string"}}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (tuple, {"type": "array"}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (tuple[int, int], {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}),
        (
            tuple[int, str],
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "items": False,
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (tuple[()], {"type": "array", "maxItems": 0}),
        (dict, {"type": "object"}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (
            dict[Color, int],
            {
                "type": "object",
                "propertyNames": {"enum": ["red", "blue"]},
                "additionalProperties": {"type": "integer"},
            },
        ),
        (datetime.date, {"type": "string", "format": "date"}),
        (datetime.datetime, {"type": "string", "format": "date-time"}),
        (datetime.time, {"type": "string", "format": "time"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (Path, {"type": "string", "format": "path"}),
        (list[Annotated[int, "a year"]], {"type": "array", "items": {"type": "integer", "description": "a year"}}),
    ],
    ids=str,
)
def test_schemas(annotation, schema):
    assert schema_of(annotation) == schema
    assert list(schema_of(annotation)) == list(schema)


@pytest.mark.parametrize(
    ("annotation", "value", "decoded"),
    [
        (int, 3.0, 3),
        (float, 3, 3.0),
        (Color, "red", Color.RED),
        (Level, 2.0, Level.HIGH),
        (Mixed, None, Mixed.NONE),
        (Literal[True, 1], 1, 1),
        (Literal[1, True], True, True),
        (Literal[Color.RED, "x"], "red", Color.RED),
        (float | int, 3, 3),
        (datetime.date | str, "2026-01-02", datetime.date(2026, 1, 2)),
        (datetime.date | str, "tomorrow", "tomorrow"),
        (datetime.datetime | str, "tomorrow", "tomorrow"),
        (dict[Color, set[int]], {"red": [1]}, {Color.RED: {1}}),
        (frozenset[str], ["a"], frozenset("a")),
        (tuple[int, Color], [1, "red"], (1, Color.RED)),
        (tuple[Color, ...], ["red"], (Color.RED,)),
        (list[Path], ["/a"], [Path("/a")]),
    ],
    ids=str,
)
def test_decoding(annotation, value, decoded):
    result = decode(annotation, value)
    assert result == decoded
    assert type(result) is type(decoded)


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [
        (datetime.datetime, "2026-02-30T00:00:00", ()),
        (list[datetime.time], ["10:00", "25:00"], (1,)),
        (dict[str, tuple[int, datetime.datetime]], {"a": [1, "x"]}, ("a", 1)),
        (float, 10**400, ()),
        (uuid.UUID | datetime.datetime, "x", ()),
    ],
    ids=str,
)
def test_what_the_schema_lets_through_and_the_type_does_not(annotation, value, path):
    with pytest.raises(Mismatch) as caught:
        decode(annotation, value)
    assert caught.value.path == path
    assert "\n" not in str(caught.value)


class Odd(enum.Enum):
    PAIR = (1, 2)


class Empty(enum.Enum):
    pass


class Stranger:
    pass


@pytest.mark.parametrize(
    ("annotation", "word"),
    [
        (bytes, "bytes"),
        (complex, "complex"),
        (Stranger, "Stranger"),
        (typing.Callable[[int], int], "no JSON form"),
        (dict[int, str], "keys"),
        (set[list[int]], "item of a set"),
        (Odd, "(1, 2)"),
        (Empty, "no members"),
        (Literal[b"x"], "b'x'"),
        (typing.TypeVar("T"), "no JSON form"),
        (list["int"], "not resolved"),
        (list[bytes], "bytes"),
    ],
    ids=str,
)
def test_types_without_a_json_form(annotation, word):
    with pytest.raises(ToolDefinitionError) as caught:
        Codecs().of(annotation, "tool 'f': parameter 'p'")
    assert word in str(caught.value)
    assert "'f'" in str(caught.value)
    assert "'p'" in str(caught.value)
    assert "\n" not in str(caught.value)


# Property: for random types, every value of the type survives encode -> validate -> decode.

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=5).filter(lambda name: not keyword.iskeyword(name))

# Pairs of (annotation, strategy of its values).
PORTABLE = [
    (str, TEXT),
    (int, st.integers()),
    (float, FLOATS),
    (bool, st.booleans()),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (int | str, st.integers() | TEXT),
]
LEAVES = [
    *PORTABLE,
    (Color, st.sampled_from(Color)),
    (Level, st.sampled_from(Level)),
    (datetime.date, st.dates()),
    (datetime.datetime, st.datetimes()),
    (datetime.time, st.times()),
    (uuid.UUID, st.uuids()),
    (set[int], st.sets(st.integers(), max_size=4)),
]


def containers(inner, extra):
    return st.one_of(
        inner.map(lambda pair: (list[pair[0]], st.lists(pair[1], max_size=3))),
        inner.map(lambda pair: (tuple[pair[0], ...], st.lists(pair[1], max_size=3).map(tuple))),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda pairs: (tuple[tuple(kind for kind, _ in pairs)], st.tuples(*(values for _, values in pairs)))
        ),
        inner.map(lambda pair: (dict[str, pair[0]], st.dictionaries(TEXT, pair[1], max_size=3))),
        inner.map(lambda pair: (pair[0] | None, st.none() | pair[1])),
        st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(lambda fields: record_of(fields, extra)),
    )


def record_of(fields, extra):
    cls = make_dataclass("Record", [(name, kind) for name, (kind, _) in fields.items()], namespace=extra)
    return cls, st.builds(cls, **{name: values for name, (_, values) in fields.items()})


FORBID = {"__pydantic_config__": {"extra": "forbid"}}
TYPES = st.recursive(st.sampled_from(LEAVES), lambda inner: containers(inner, {}), max_leaves=6)
PORTABLE_TYPES = st.recursive(st.sampled_from(PORTABLE), lambda inner: containers(inner, FORBID), max_leaves=6)
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(TYPES, st.data())
def test_values_of_random_types_round_trip(kind, data):
    annotation, values = kind
    codecs = Codecs()
    codec = codecs.of(annotation, "x")
    Draft202012Validator.check_schema(codec.schema)
    value = data.draw(values)
    encoded = json.loads(json.dumps(to_json(value)))
    validator(codec.schema).validate(encoded)
    decoded = codec.decode(encoded)
    assert decoded == value
    assert type(decoded) is type(value)


@SLOW
@given(st.dictionaries(NAMES, TYPES, min_size=1, max_size=3), st.data())
def test_functions_of_random_types_receive_what_was_meant(parameters, data):
    received = {}
    namespace = {"received": received}
    exec(f"def f({', '.join(parameters)}): received.update(locals())", namespace)
    namespace["f"].__annotations__ = {name: kind for name, (kind, _) in parameters.items()}
    made = tool(namespace["f"])
    arguments = {name: data.draw(values) for name, (_, values) in parameters.items()}
    made.call(to_json(arguments))
    assert received == arguments
    # The same schema read back from JSON is the same tool.
    again = Tool.from_schema(json.loads(json.dumps(made.schema())))
    assert again.parameters == made.parameters
    again.validate(to_json(arguments))


SCALARS = st.none() | st.booleans() | st.integers() | FLOATS.filter(lambda n: not n.is_integer()) | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))


def mutated(value, draw):
    """`value` with one thing in it replaced by random JSON, or a key dropped or added."""
    if isinstance(value, dict) and draw(st.booleans()):
        if value and draw(st.booleans()):
            key = draw(st.sampled_from(sorted(value)))
            return {**value, key: mutated(value[key], draw)}
        return {**value, draw(NAMES): draw(JSON)}
    if isinstance(value, dict) and value and draw(st.booleans()):
        return dict(list(value.items())[1:])
    if isinstance(value, list) and value and draw(st.booleans()):
        return [mutated(value[0], draw), *value[1:]]
    return draw(JSON)


@SLOW
@given(PORTABLE_TYPES, st.data())
def test_accepts_what_pydantic_accepts(kind, data):
    annotation, values = kind
    value = json.loads(json.dumps(to_json(data.draw(values))))
    # JSON Schema takes 3.0 for an integer, strict pydantic does not: the one rule on which they differ here.
    value = json.loads(json.dumps(value), parse_float=lambda text: float(text) if not float(text).is_integer() else 0.5)
    if data.draw(st.booleans()):
        value = mutated(value, data.draw)
    try:
        expected = pydantic.TypeAdapter(annotation).validate_json(json.dumps(value), strict=True)
    except pydantic.ValidationError:
        expected = Mismatch
    codec = Codecs().of(annotation, "x")
    accepted = validator(codec.schema).is_valid(value)
    assert accepted == (expected is not Mismatch), (annotation, value)
    if accepted:
        assert codec.decode(value) == expected


@dataclass
class Node:
    name: str
    children: list["Node"]


def test_random_json_never_breaks_a_recursive_type():
    codecs = Codecs()
    codec = codecs.of(Node, "x")
    check = validator({**codec.schema, "$defs": codecs.defs})
    value = {"name": "a", "children": [{"name": "b", "children": []}]}
    check.validate(value)
    assert codec.decode(value) == Node("a", [Node("b", [])])
    assert not check.is_valid({"name": "a", "children": [{"name": "b"}]})
