"""Results become plain JSON or one clear error."""

import collections
import datetime
import enum
import json
import math
import pathlib
import uuid
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pydantic
import pytest
from ferrule.tools import ToolResultError
from ferrule.tools.result import to_json
from hypothesis import given, settings
from hypothesis import strategies as st


class Color(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: float
    tags: tuple[str, ...]
    color: Color = Color.RED


class Model(pydantic.BaseModel):
    day: datetime.date


Pair = collections.namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Point(1.5, ("a",)), {"x": 1.5, "tags": ["a"], "color": "red"}),
        (Model(day=datetime.date(2026, 11, 22)), {"day": "2026-11-22"}),
        ({3, 1, 2}, [1, 2, 3]),
        (Pair(1, 2), [1, 2]),
        (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
        (datetime.time(3, 4), "03:04:00"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        ({Color.RED: 1, 2: 3, None: 4, True: 5}, {"red": 1, "2": 3, "null": 4, "true": 5}),
        (collections.deque([1]), [1]),
        (range(3), [0, 1, 2]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        (collections.OrderedDict(a=None), {"a": None}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_conversions(value, plain):
    result = to_json(value)
    assert result == plain
    assert json.loads(json.dumps(result)) == plain
    assert type(result) in (dict, list, str, int, float, bool, type(None))


def circular():
    value = {"a": []}
    value["a"].append(value)
    return value


def deep(levels=5000):
    value = []
    for _ in range(levels):
        value = [value]
    return value


class Endless:
    def tolist(self):
        return Endless()


class Rude:
    def tolist(self):
        raise RuntimeError("no\nlist")


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (math.nan, "nan"),
        ({"a": [1, math.inf]}, "/a/1"),
        (np.array([1.0, np.nan]), "nan"),
        (b"x", "bytes"),
        (object(), "object"),
        ((n for n in "ab"), "generator"),
        (Decimal("1"), "Decimal"),
        (int, "type"),
        (circular(), "itself"),
        (deep(), "deeper"),
        (Endless(), "deeper"),
        (Rude(), "no list"),
        ("\ud800", "Unicode"),
        (10**5000, "cannot be written"),
        ({1: "a", "1": "b"}, "two keys"),
        ({(1, 2): "a"}, "tuple"),
        (np.zeros(1 << 21), "too large"),
        ("x" * (1 << 20), "too large"),
        (range(1 << 40), "too large"),
        (1 + 2j, "complex"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json(value, word):
    with pytest.raises(ToolResultError) as caught:
        to_json(value)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_limit_is_the_size_of_the_compact_utf8_text():
    assert to_json(["é"], max_bytes=6) == ["é"]
    with pytest.raises(ToolResultError, match="6 bytes"):
        to_json(["é"], max_bytes=5)


def test_sharing_is_not_a_cycle():
    shared = [1]
    assert to_json({"a": shared, "b": shared}) == {"a": [1], "b": [1]}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS |= st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None)
@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner)))
def test_json_stays_what_it_is(value):
    assert to_json(value) == value
