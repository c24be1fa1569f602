"""Dataclasses, TypedDicts and pydantic models as parameters."""

import datetime
import subprocess
import sys
import typing
from dataclasses import InitVar, dataclass, field
from typing import Annotated, NotRequired, Optional, TypedDict

import pydantic
import pytest
import typing_extensions
from ferrule.tools import ArgumentError, ToolDefinitionError, tool


@dataclass(frozen=True)
class Point:
    """A place on the map.

    Attributes:
        x: Metres east.
    """

    x: float
    y: float = 0.0


@dataclass
class Route:
    stops: list[Point]
    day: datetime.date
    name: str = field(default="", metadata={"description": "What to call it."})
    tags: list[str] = field(default_factory=list)
    cached: int = field(default=0, init=False)

    def __post_init__(self):
        if not self.stops:
            raise ValueError("a route needs\nstops")


class Base(TypedDict):
    a: int


class Options(Base, total=False):
    """Options."""

    b: str
    c: typing.Required[bool]


class Loose(typing_extensions.TypedDict):
    a: Annotated[int, "An a."]
    b: NotRequired[Point]


POINT = {
    "type": "object",
    "properties": {"x": {"type": "number", "description": "Metres east."}, "y": {"type": "number", "default": 0.0}},
    "required": ["x"],
    "additionalProperties": False,
}


def test_dataclasses_are_inlined_and_decoded():
    seen = []

    @tool
    def plan(route: Route, start: Point | None = None) -> int:
        seen.append((route, start))
        return len(route.stops)

    properties = plan.parameters["properties"]
    assert "$defs" not in plan.parameters
    assert properties["route"]["properties"]["stops"]["items"] == {**POINT, "description": "A place on the map."}
    assert properties["route"]["properties"]["name"] == {
        "type": "string",
        "description": "What to call it.",
        "default": "",
    }
    assert properties["route"]["required"] == ["stops", "day"]
    assert "cached" not in properties["route"]["properties"]
    assert properties["start"]["type"] == ["object", "null"]
    assert properties["start"]["description"] == "A place on the map."
    arguments = {"route": {"stops": [{"x": 1}], "day": "2026-01-02"}, "start": {"x": 2, "y": 3}}
    assert plan.call(arguments) == 1
    assert seen == [(Route([Point(1.0)], datetime.date(2026, 1, 2)), Point(2.0, 3.0))]
    with pytest.raises(ArgumentError) as caught:
        plan.call({"route": {"stops": [{"x": 1, "z": 2}], "day": "2026-01-02"}})
    assert caught.value.violations == (("/route/stops/0/z", "unknown (allowed: x, y)"),)
    with pytest.raises(ArgumentError, match=r"/route: ValueError: a route needs stops"):
        plan.call({"route": {"stops": [], "day": "2026-01-02"}})


def test_typed_dicts():
    @tool
    def run(options: Options, loose: Loose) -> list:
        return [options, loose["b"].y]

    options = run.parameters["properties"]["options"]
    assert options["required"] == ["a", "c"]
    assert options["additionalProperties"] is False
    assert options["description"] == "Options."
    loose = run.parameters["properties"]["loose"]
    assert loose["required"] == ["a"]
    assert loose["properties"]["a"] == {"type": "integer", "description": "An a."}
    assert run.call({"options": {"a": 1, "c": True}, "loose": {"a": 1, "b": {"x": 1}}}) == [{"a": 1, "c": True}, 0.0]


@dataclass
class Tree:
    value: int
    left: Optional["Tree"] = None
    right: Optional["Tree"] = None

    def total(self) -> int:
        return self.value + sum(side.total() for side in (self.left, self.right) if side)


@dataclass
class Folder:
    files: list["File"]


@dataclass
class File:
    parent: Folder | None = None


def test_recursive_classes_use_defs():
    @tool
    def total(tree: Tree, other: Tree | None = None) -> int:
        return tree.total() + (other.total() if other else 0)

    assert total.parameters["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    assert list(total.parameters["$defs"]) == ["Tree"]
    assert total.call({"tree": {"value": 1, "left": {"value": 2, "right": {"value": 3}}}, "other": {"value": 4}}) == 10
    with pytest.raises(ArgumentError, match="/tree/left/value"):
        total.call({"tree": {"value": 1, "left": {"value": "x"}}})
    deep = {"value": 1}
    for _ in range(2000):
        deep = {"value": 1, "left": deep}
    with pytest.raises(ArgumentError, match="nested") as caught:
        total.call({"tree": deep})
    assert "\n" not in str(caught.value)

    @tool
    def count(folder: Folder, file: File) -> list[str]:
        return [type(folder.files[0].parent).__name__, type(file.parent).__name__]

    assert list(count.parameters["$defs"]) == ["Folder"]
    assert count.call({"folder": {"files": [{"parent": {"files": []}}]}, "file": {}}) == ["Folder", "NoneType"]


def test_two_recursive_classes_of_one_name():
    def make(extra):
        @dataclass
        class Item:
            inside: "Item | None" = None

        Item.__annotations__["inside"] = Item | None
        Item.__annotations__[extra] = int
        setattr(Item, extra, 0)
        return dataclass(Item)

    first, second = make("a"), make("b")

    def f(x, y): ...

    f.__annotations__ = {"x": first, "y": second}
    parameters = tool(f).parameters
    assert parameters["properties"] == {"x": {"$ref": "#/$defs/Item"}, "y": {"$ref": "#/$defs/Item2"}}
    assert "a" in parameters["$defs"]["Item"]["properties"]
    assert "b" in parameters["$defs"]["Item2"]["properties"]


class Address(pydantic.BaseModel):
    """Where to send it."""

    title: str
    zip_code: str = pydantic.Field(pattern=r"^\d{4}$", description="Four digits.")


class Person(pydantic.BaseModel):
    name: str
    home: Address
    work: Address | None = None
    friends: list["Person"] = []

    @pydantic.field_validator("name")
    @classmethod
    def check_name(cls, value):
        if value == "nobody":
            raise ValueError("not a person")
        return value


class Open(pydantic.BaseModel, extra="allow"):
    a: int


@pydantic.dataclasses.dataclass
class Checked:
    n: int = pydantic.Field(ge=3)


def test_pydantic_models_are_inlined_and_decoded():
    seen = []

    @tool
    def send(to: Address, copies: list[Person], extra: Open, checked: Checked) -> str:
        seen.append((to, copies, checked))
        return extra.model_extra["b"]

    properties = send.parameters["properties"]
    assert properties["to"] == {
        "type": "object",
        "description": "Where to send it.",
        "properties": {
            "title": {"type": "string"},
            "zip_code": {"type": "string", "description": "Four digits.", "pattern": r"^\d{4}$"},
        },
        "required": ["title", "zip_code"],
        "additionalProperties": False,
    }
    assert properties["copies"]["items"] == {"$ref": "#/$defs/Person"}
    assert list(send.parameters["$defs"]) == ["Person"]
    assert properties["extra"]["additionalProperties"] is True
    address = {"title": "Dr", "zip_code": "8000"}
    person = {"name": "Ada", "home": address, "friends": [{"name": "Bob", "home": address}]}
    assert send.call({"to": address, "copies": [person], "extra": {"a": 1, "b": "c"}, "checked": {"n": 3}}) == "c"
    assert seen[0][0] == Address(**address)
    assert seen[0][1][0].friends[0].home == Address(**address)
    assert seen[0][2] == Checked(3)
    with pytest.raises(ArgumentError, match="/to/zip_code"):
        send.validate({"to": {"title": "", "zip_code": "x"}, "copies": [], "extra": {"a": 1}, "checked": {"n": 3}})
    person["name"] = "nobody"
    with pytest.raises(ArgumentError, match=r"/copies/0: .*not a person") as caught:
        send.validate({"to": address, "copies": [person], "extra": {"a": 1}, "checked": {"n": 3}})
    assert "\n" not in str(caught.value)


def test_pydantic_is_not_imported_unless_it_is_used():
    code = (
        "import sys; from dataclasses import dataclass; from ferrule.tools import tool\n"
        "@dataclass\nclass P:\n    x: int\n"
        "@tool\ndef f(p: P) -> int: return p.x\n"
        "assert f.call({'p': {'x': 1}}) == 1\n"
        "assert not {'pydantic', 'numpy', 'annotated_types'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@dataclass
class WithInit:
    x: InitVar[int]


@dataclass
class Broken:
    x: "Missing"  # noqa: F821


@dataclass
class BadField:
    x: bytes


@pytest.mark.parametrize(
    ("cls", "word"), [(WithInit, "InitVar"), (Broken, "Missing"), (BadField, "BadField.x"), (int | BadField, "bytes")]
)
def test_classes_that_cannot_be_described(cls, word):
    def f(x): ...

    f.__annotations__ = {"x": cls}
    with pytest.raises(ToolDefinitionError, match=word) as caught:
        tool(f)
    assert "\n" not in str(caught.value)
    assert "'f'" in str(caught.value)
