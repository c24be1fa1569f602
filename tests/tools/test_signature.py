"""Functions as tools: what the signature and the docstring say."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from ferrule.tools import ToolDefinitionError, tool
from jsonschema import Draft202012Validator
from pydantic import Field

SENTINEL = object()


def test_a_whole_tool():
    @tool
    def get_weather(
        city: str,
        unit: Literal["celsius", "fahrenheit"] = "celsius",
        days: Annotated[int, Field(ge=1, le=7), "How many days."] = 1,
        *,
        note: str | None = None,
        other: Any = SENTINEL,
    ) -> dict[str, Any]:
        """Current weather in a city.

        Args:
            city: Name of the city,
                as the user wrote it.
            days: Not this, the annotation is nearer.
        """
        return {"city": city, "unit": unit, "days": days, "note": note, "other": other is SENTINEL}

    assert get_weather.name == "get_weather"
    assert get_weather.description == "Current weather in a city."
    expected = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Name of the city, as the user wrote it."},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            "days": {"type": "integer", "description": "How many days.", "default": 1, "minimum": 1, "maximum": 7},
            "note": {"type": ["string", "null"], "default": None},
            "other": {},
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    assert get_weather.parameters == expected
    # The order in which a model reads it.
    assert repr(get_weather.parameters) == repr(expected)
    Draft202012Validator.check_schema(get_weather.parameters)
    defaults = {"unit": "celsius", "days": 1, "note": None, "other": True}
    assert get_weather.call({"city": "Oslo"}) == {"city": "Oslo", **defaults}
    assert get_weather("Oslo", days=99)["days"] == 99


def test_types_defined_inside_a_function():
    @dataclass
    class Local:
        n: int

    @tool
    def bare(x: Local) -> int:
        return x.n

    @tool(name="named")
    def optioned(x: list[Local]) -> int:
        return x[0].n

    assert bare.call({"x": {"n": 1}}) == 1
    assert optioned.call({"x": [{"n": 2}]}) == 2


def test_pydantic_fields_as_defaults():
    fresh = Field(default_factory=list)

    @tool
    def f(a: int = Field(ge=1), b: int = Field(5, description="A b."), c: list[int] = fresh) -> Any:
        c.append(a + b)
        return c

    assert f.parameters["required"] == ["a"]
    assert f.parameters["properties"]["a"]["minimum"] == 1
    assert f.parameters["properties"]["b"] == {"type": "integer", "description": "A b.", "default": 5}
    assert f.call({"a": 1}) == [6]
    assert f.call({"a": 2}) == [7]


def test_none_as_default_of_a_type_without_none():
    @tool
    def f(a: int = None) -> Any:  # noqa: RUF013
        return a

    assert f.parameters["properties"] == {"a": {"type": "integer"}}
    assert f.call({}) is None


def test_methods_and_wrapped_functions():
    class Lamp:
        level = 0

        def dim(self, level: int) -> int:
            """Dims."""
            self.level = level
            return level

    lamp = Lamp()
    dim = tool(lamp.dim)
    assert (dim.name, dim.description, dim.call({"level": 3}), lamp.level) == ("dim", "Dims.", 3, 3)

    def noisy(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs) + 1

        return inner

    @tool
    @noisy
    def add(a: int) -> int:
        return a

    assert add.call({"a": 1}) == 2


def untyped(city, unit: str = "c"): ...
def untyped_default(a=1): ...
def star(*cities: str): ...
def double_star(**cities: str): ...
def positional(a: int, /): ...
def unresolved(a: Missing): ...  # noqa: F821
def unsupported(a: bytes): ...
def bad_default(a: int = "x"): ...
def bad_pattern(a: Annotated[str, Field(pattern="(")]): ...


class Method:
    def run(self, a: int): ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (untyped, ["'untyped'", "'city'", "no type annotation"]),
        (untyped_default, ["'untyped_default'", "'a'", "no type annotation"]),
        (star, ["'star'", "*cities"]),
        (double_star, ["'double_star'", "**cities"]),
        (positional, ["'positional'", "'a'", "positional-only"]),
        (unresolved, ["'unresolved'", "Missing"]),
        (unsupported, ["'unsupported'", "'a'", "bytes"]),
        (bad_default, ["bad_default", "'x'", "default"]),
        (bad_pattern, ["bad_pattern", "/properties/a/pattern"]),
        (Method.run, ["'run'", "'self'", "bound"]),
        (lambda a: a, ["name"]),
        (Method, ["function", "Method"]),
        (3, ["function", "3"]),
        (functools.partial(untyped, 1), ["name"]),
        (print, ["'print'"]),
    ],
)
def test_functions_that_cannot_be_tools(function, words):
    with pytest.raises(ToolDefinitionError) as caught:
        tool(function)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
