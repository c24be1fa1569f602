"""Which schema a value inside arguments has, and what may be left out of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..tools.schema import pointer

Path = tuple[str | int, ...]
_TYPES = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_MOST_REFERENCES = 32


@dataclass(frozen=True)
class Leaf:
    """A value without parts inside arguments.

    Attributes:
        path: names and places that lead to it.
        value: a string, a number, a boolean, None, or an empty object or array.
        schema: its own, as far as it can be told; {} where it is not declared.
        is_name: it is not a value, but a name that the schema does not declare.
    """

    path: Path
    value: Any
    schema: Mapping[str, Any]
    is_name: bool = False

    @property
    def at(self) -> str:
        """Its JSON pointer; of a name with a # behind."""
        return pointer(self.path) + "#" * self.is_name

    @property
    def name(self) -> str:
        """The nearest name on its path."""
        return next((part for part in reversed(self.path) if isinstance(part, str)), "")


def leaves(arguments: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[Leaf]:
    """Every leaf of arguments, in order."""
    pending: list[tuple[Path, Any, Mapping[str, Any]]] = [((), dict(arguments), parameters)]
    while pending:
        path, value, schema = pending.pop(0)
        if isinstance(value, dict) and (value or not path):
            for name, item in value.items():
                found = member(schema, name, item, parameters)
                if found is None and path:
                    yield Leaf((*path, name), name, {}, is_name=True)
                pending.append(((*path, name), item, found or {}))
        elif isinstance(value, list) and value:
            pending += [((*path, n), item, element(schema, n, item, parameters)) for n, item in enumerate(value)]
        else:
            yield Leaf(path, value, schema)


def member(schema: Mapping[str, Any], name: str, value: Any, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema of a property; None where it is not declared by name."""
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and name in properties:
        return fitting(properties[name], value, root)
    return None


def element(schema: Mapping[str, Any], at: int, value: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of an item of an array."""
    first = schema.get("prefixItems")
    items = first[at] if isinstance(first, list) and at < len(first) else schema.get("items")
    return fitting(items, value, root)


def fitting(schema: Any, value: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with its references followed and, of alternatives, the one that a value is of, and what goes for all of them."""
    for _ in range(_MOST_REFERENCES):
        if not isinstance(schema, Mapping):
            return {}
        reference, alternatives = schema.get("$ref"), schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        rest = {name: item for name, item in schema.items() if name not in ("$ref", "anyOf", "oneOf", "allOf")}
        if isinstance(reference, str):
            schema = {**_referred(reference, root), **rest}
        elif isinstance(alternatives, Sequence) and alternatives:
            plain = [fitting(item, value, root) if _refers(item) else item for item in alternatives]
            chosen = next((item for item in plain if isinstance(item, Mapping) and _admits(item, value)), {})
            schema = {**chosen, **rest}
        else:
            return schema
    return {}


def _refers(schema: Any) -> bool:
    return isinstance(schema, Mapping) and "$ref" in schema


def _referred(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root if reference.startswith("#") else {}
    for part in reference.removeprefix("#").split("/")[1:]:
        found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _admits(schema: Mapping[str, Any], value: Any) -> bool:
    if "const" in schema:
        return schema["const"] == value
    if "enum" in schema:
        return value in schema["enum"]
    named = schema.get("type")
    kinds = [named] if isinstance(named, str) else named if isinstance(named, list) else list(_TYPES)
    return any(_TYPES[kind](value) for kind in kinds if kind in _TYPES)


def optional_part(arguments: dict[str, Any], path: Path, parameters: Mapping[str, Any]) -> Path | None:
    """The path of the innermost optional property on the way to a value; None where all of them are required."""
    for length in range(len(path), 0, -1):
        name = path[length - 1]
        if isinstance(name, str) and name not in _schema_at(arguments, path[: length - 1], parameters).get("required", ()):
            return path[:length]
    return None


def _schema_at(value: Any, path: Path, root: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = root
    for part in path:
        value = value[part]
        schema = member(schema, part, value, root) or {} if isinstance(part, str) else element(schema, part, value, root)
    return schema


def removed(value: Any, path: Path) -> Any:
    """Objects and arrays without the property that a path leads to."""
    first, *rest = path
    if isinstance(value, list):
        return [removed(item, tuple(rest)) if n == first else item for n, item in enumerate(value)]
    if not rest:
        return {name: item for name, item in value.items() if name != first}
    return {name: removed(item, tuple(rest)) if name == first else item for name, item in value.items()}


def value_at(arguments: Any, path: Path) -> Any:
    """The value that a path leads to."""
    for part in path:
        arguments = arguments[part]
    return arguments
