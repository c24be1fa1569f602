"""Names on the wire: the snake_case spelling that Needle was trained on, and the way back to the caller's names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ..tools.call import ToolCall
from ..tools.tool import Tool
from .errors import SchemaError
from .shapes import Shape, Shapes

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^A-Za-z0-9_]")


def snake_case(name: str) -> str:
    """`HTTPServer.getURL-v2` → `http_server_get_url_v2`; empty when no ASCII letter or digit is left."""
    return _WORD_START.sub("_", _OTHER.sub("_", name)).lower().lstrip("_")


def wire_names(names: Iterable[str], fallback: str) -> dict[str, str]:
    """Wire name of every name; those that would collide all get `__1`, `__2`, … in the order of the sorted names."""
    spelt = {name: snake_case(name) or fallback for name in names}
    groups: dict[str, list[str]] = {}
    for name in sorted(spelt):
        groups.setdefault(spelt[name], []).append(name)
    taken = {wire for wire, group in groups.items() if len(group) == 1}
    for wire, group in groups.items():
        if len(group) > 1:
            number = 0
            for name in group:
                number += 1
                while f"{wire}__{number}" in taken:
                    number += 1
                spelt[name] = f"{wire}__{number}"
                taken.add(spelt[name])
    return spelt


class WireNames:
    """The wire names of a set of tools and of their properties, at every depth of their schemas.

    Raises:
        SchemaError: A listed value contains a name that could not be told from a renamed property.
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        tools = list(tools)
        self.tools = wire_names((tool.name for tool in tools), "tool")
        self._callers = {wire: name for name, wire in self.tools.items()}
        self._shapes: dict[str, Shapes] = {}
        self.properties: dict[str, dict[str, str]] = {}
        self._originals: dict[str, dict[str, str]] = {}
        for tool in tools:
            self._shapes[tool.name] = Shapes(tool.parameters, f"tool {tool.name!r}")
            renamed = wire_names(_property_names(tool.parameters), "arg")
            self.properties[tool.name] = {name: wire for name, wire in renamed.items() if name != wire}
            self._originals[tool.name] = {wire: name for name, wire in self.properties[tool.name].items()}
            clash = _listed_keys(tool.parameters) & set(self._originals[tool.name])
            if clash:
                raise SchemaError(
                    f"tool {tool.name!r}: the grammar cannot guarantee `enum`: a listed object has the key {min(clash)!r}, "
                    f"which is also how the property {self._originals[tool.name][min(clash)]!r} is written; rename one"
                )

    def to_caller(self, call: ToolCall) -> ToolCall:
        """The call in the caller's names; a tool that is not known keeps its name."""
        name = self._callers.get(call.name, call.name)
        return ToolCall(name, self._renamed(name, call.arguments, to_wire=False), call.id)

    def to_wire(self, call: ToolCall) -> ToolCall:
        """The call as the model wrote or would write it."""
        arguments = self._renamed(call.name, call.arguments, to_wire=True)
        return ToolCall(self.tools.get(call.name, call.name), arguments, call.id)

    def _renamed(self, name: str, arguments: dict[str, Any], *, to_wire: bool) -> dict[str, Any]:
        names = self.properties.get(name)
        return _renamed(arguments, [self._shapes[name].root], self._shapes[name], names, to_wire) if names else arguments

    def schema(self, tool: Tool) -> dict[str, Any]:
        """The tool's declaration with wire names, key order kept; an empty description is left out."""
        names = self.properties[tool.name]
        parameters = _schema(tool.parameters, names) if names else tool.parameters
        declaration = {"name": self.tools[tool.name], "description": tool.description, "parameters": parameters}
        return declaration if tool.description else {key: declaration[key] for key in ("name", "parameters")}


@lru_cache(maxsize=32)
def named(tools: tuple[Tool, ...]) -> WireNames:
    """The wire names of these very tools, made once."""
    return WireNames(tools)


def _renamed(value: Any, schemas: Iterable[Any], shapes: Shapes, names: Mapping[str, str], to_wire: bool) -> Any:
    """The value with its declared properties renamed; keys that the schemas do not declare are data and stay."""
    if not isinstance(value, dict | list):
        return value
    shape = _everything(schemas, shapes)
    if isinstance(value, list):
        return [_renamed(item, shape.item_schemas(i), shapes, names, to_wire) for i, item in enumerate(value)]
    declared = {name: names.get(name, name) for name in shape.property_names()}
    original = {key if to_wire else wire: key for key, wire in declared.items()}
    renamed: dict[str, Any] = {}
    for key, item in value.items():
        name = original.get(key, key)
        inner = _renamed(item, shape.property_schemas(name), shapes, names, to_wire)
        renamed[declared.get(name, name) if to_wire else name] = inner
    return renamed


def _everything(schemas: Iterable[Any], shapes: Shapes) -> Shape:
    """What several schemas and all that they refer to, combine or choose from say about a value."""
    found: list[Mapping[str, Any]] = []
    pending = list(schemas)
    while pending:
        schema = pending.pop()
        if not isinstance(schema, Mapping) or any(schema is other for other in found):
            continue
        found.append(schema)
        if "$ref" in schema:
            pending.append(shapes.target(schema["$ref"]))
        pending += [member for keyword in ("allOf", "anyOf", "oneOf") for member in schema.get(keyword, ())]
    return Shape(tuple(found))


# Keywords whose values are instances, not schemas: nothing in them is a property name.
_DATA = ("enum", "const", "default", "examples", "example")


def _property_names(schema: Any) -> list[str]:
    found: dict[str, None] = {}
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key == "properties" and isinstance(value, Mapping):
                found.update(dict.fromkeys(value))
                found.update(dict.fromkeys(name for member in value.values() for name in _property_names(member)))
            elif key == "required" and isinstance(value, list):
                found.update(dict.fromkeys(name for name in value if isinstance(name, str)))
            elif key in ("$defs", "definitions", "patternProperties") and isinstance(value, Mapping):
                found.update(dict.fromkeys(name for member in value.values() for name in _property_names(member)))
            elif key not in _DATA:
                found.update(dict.fromkeys(_property_names(value)))
    elif isinstance(schema, list):
        for item in schema:
            found.update(dict.fromkeys(_property_names(item)))
    return list(found)


def _schema(schema: Any, names: Mapping[str, str]) -> Any:
    """The schema with its properties renamed, in `properties`, `required` and the pointers of `$ref`."""
    if isinstance(schema, list):
        return [_schema(item, names) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    renamed: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, Mapping):
            renamed[key] = {names.get(name, name): _schema(member, names) for name, member in value.items()}
        elif key in ("$defs", "definitions", "patternProperties") and isinstance(value, Mapping):
            renamed[key] = {name: _schema(member, names) for name, member in value.items()}
        elif key == "required" and isinstance(value, list):
            renamed[key] = [names.get(name, name) for name in value]
        elif key == "$ref" and isinstance(value, str):
            steps = value.split("/")
            for i in range(1, len(steps)):
                if steps[i - 1] == "properties":
                    steps[i] = names.get(steps[i], steps[i])
            renamed[key] = "/".join(steps)
        else:
            renamed[key] = value if key in _DATA else _schema(value, names)
    return renamed


def _listed_keys(schema: Any, inside: bool = False) -> set[str]:
    """Keys of objects that stand in `enum` and `const`."""
    if isinstance(schema, Mapping):
        found = set(schema) if inside else set()
        return found.union(*(_listed_keys(v, inside or k in ("enum", "const")) for k, v in schema.items()))
    return set().union(*(_listed_keys(item, inside) for item in schema)) if isinstance(schema, list) else set()
