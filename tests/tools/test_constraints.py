"""`Annotated` metadata from several libraries becomes the same keywords."""

import datetime
import re
from dataclasses import dataclass
from typing import Annotated, Any

import annotated_types as at
import pydantic
import pytest
from ferrule.tools import ToolDefinitionError
from ferrule.tools.codec import Codecs
from ferrule.tools.schema import validator
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field


def schema_of(annotation):
    return Codecs().of(annotation, "x").schema


@dataclass
class Own:
    ge: int
    pattern: str = "a"


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (Annotated[int, at.Ge(1), at.Lt(5)], {"type": "integer", "minimum": 1, "exclusiveMaximum": 5}),
        (Annotated[int, at.Interval(gt=1, le=5)], {"type": "integer", "exclusiveMinimum": 1, "maximum": 5}),
        (Annotated[int, at.Ge(1), at.Ge(3)], {"type": "integer", "minimum": 3}),
        (Annotated[float, at.MultipleOf(0.5)], {"type": "number", "multipleOf": 0.5}),
        (Annotated[str, at.Len(1, 3)], {"type": "string", "minLength": 1, "maxLength": 3}),
        (Annotated[str, at.Len(0)], {"type": "string"}),
        (Annotated[list[int], at.MinLen(1)], {"type": "array", "items": {"type": "integer"}, "minItems": 1}),
        (Annotated[dict, at.MaxLen(2)], {"type": "object", "maxProperties": 2}),
        (Annotated[int, Field(ge=1, multiple_of=2)], {"type": "integer", "minimum": 1, "multipleOf": 2}),
        (
            Annotated[str, Field(pattern="^a", max_length=4)],
            {"type": "string", "pattern": "^a", "maxLength": 4},
        ),
        (Annotated[str, re.compile("^a+$")], {"type": "string", "pattern": "^a+$"}),
        (pydantic.PositiveInt, {"type": "integer", "exclusiveMinimum": 0}),
        (Annotated[int | None, at.Ge(0)], {"type": ["integer", "null"], "minimum": 0}),
        (Annotated[int, at.Ge(0)] | None, {"type": ["integer", "null"], "minimum": 0}),
        (Annotated[str, object(), Any, at.Predicate(str.islower)], {"type": "string"}),
    ],
    ids=str,
)
def test_keywords(annotation, schema):
    assert schema_of(annotation) == schema


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[int, "How many."],
        Annotated[int, Field(description="How many.")],
        Annotated[int, "How many.", "Not this."],
        Annotated[int, at.DocInfo("How many.")] if hasattr(at, "DocInfo") else Annotated[int, "How many."],
        Annotated[int, "How many."] | None,
    ],
    ids=str,
)
def test_descriptions(annotation):
    assert Codecs().of(annotation, "x").description == "How many."


@pytest.mark.parametrize(
    ("annotation", "word"),
    [
        (Annotated[str, at.Ge(1)], "ge=1"),
        (Annotated[int, at.MinLen(1)], "min_length=1"),
        (Annotated[int, Own(1)], "pattern"),
        (Annotated[datetime.date, at.Ge(datetime.date(2026, 1, 1))], "not a number"),
        (Annotated[int, at.Ge(float("nan"))], "not a number"),
        (Annotated[bool, at.Le(1)], "le=1"),
    ],
    ids=str,
)
def test_constraints_that_do_not_apply(annotation, word):
    with pytest.raises(ToolDefinitionError, match=word) as caught:
        schema_of(annotation)
    assert "\n" not in str(caught.value)


LIMITS = st.none() | st.integers(-5, 5)


@settings(deadline=None)
@given(LIMITS, LIMITS, LIMITS, LIMITS, st.integers(-7, 7))
def test_numbers_are_bounded_as_pydantic_bounds_them(gt, ge, lt, le, value):
    annotation = Annotated[int, Field(gt=gt, ge=ge, lt=lt, le=le)]
    try:
        pydantic.TypeAdapter(annotation).validate_python(value)
        expected = True
    except pydantic.ValidationError:
        expected = False
    assert validator(schema_of(annotation)).is_valid(value) == expected
