"""A tool's schema as the declarations of Gemma's models can show it: each value has a type, and perhaps a list of values,
properties or items. References are written out, combined schemas become one; what else a schema asks for, the grammar keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..shapes import Shapes

MAX_REFERENCES = 3
"""References within references that are written out; below, and within itself, a definition is shown by its type only."""

_COMBINING = ("$ref", "allOf", "anyOf", "oneOf", "$defs", "definitions", "const")


def flattened(schema: Any, shapes: Shapes, entered: tuple[str, ...] = ()) -> dict[str, Any]:
    """The schema without references and combinations.

    Args:
        schema: a part of the tool's parameters.
        shapes: of all of them.
        entered: the references that led here.

    Returns:
        A schema with, where known, `type`, which is a list where several are possible, and `nullable`.

    Raises:
        SchemaError: a reference leads outside.
    """
    if not isinstance(schema, Mapping):
        return {}
    flat = {key: value for key, value in schema.items() if key not in _COMBINING}
    if "const" in schema:
        flat.setdefault("enum", [schema["const"]])
    if "$ref" in schema:
        flat = _merged(_target(schema["$ref"], shapes, entered), flat)
    members: dict[str, Any] = {}
    for member in schema.get("allOf", ()):
        members = _merged(members, flattened(member, shapes, entered))
    flat = _merged(members, flat)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            flat = _merged(_either([flattened(member, shapes, entered) for member in schema[keyword]]), flat)
    if isinstance(flat.get("properties"), Mapping):
        flat["properties"] = {name: flattened(member, shapes, entered) for name, member in flat["properties"].items()}
    if "items" in flat:
        flat["items"] = flattened(flat["items"], shapes, entered)
    kinds = _types(flat)
    if "null" in kinds and len(kinds) > 1:
        flat["nullable"] = True
        kinds = [kind for kind in kinds if kind != "null"]
    if kinds:
        flat["type"] = kinds[0] if len(kinds) == 1 else kinds
    return flat


def _target(reference: str, shapes: Shapes, entered: tuple[str, ...]) -> dict[str, Any]:
    target = shapes.target(reference)
    if reference in entered or len(entered) == MAX_REFERENCES:
        shown = ("type", "description")
        return {key: target[key] for key in shown if key in target} if isinstance(target, Mapping) else {}
    return flattened(target, shapes, (*entered, reference))


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both at once; of what both say, the second counts."""
    merged = {**first, **second}
    if "properties" in first and "properties" in second:
        merged["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        merged["required"] = list(dict.fromkeys([*first["required"], *second["required"]]))
    return merged


def _either(members: list[dict[str, Any]]) -> dict[str, Any]:
    """What several alternatives have in common: all there is to one that may only be null as well, else types and values."""
    kinds = list(dict.fromkeys(kind for member in members for kind in _types(member)))
    real = [member for member in members if _types(member) != ["null"]]
    shown = dict(real[0]) if len(real) == 1 else {}
    if len(real) > 1 and all("enum" in member for member in real):
        shown["enum"] = [value for member in real for value in member["enum"]]
    if kinds and all(_types(member) for member in members):
        shown["type"] = kinds
    return shown


def _types(flat: Mapping[str, Any]) -> list[str]:
    """Types that it names, or else those of what it lists or speaks of."""
    kinds = flat.get("type")
    if kinds is not None:
        named = [kinds] if isinstance(kinds, str) else list(kinds)
        return [*named, "null"] if flat.get("nullable") is True and "null" not in named else named
    if isinstance(flat.get("enum"), list):
        return _kinds(flat["enum"])
    return ["object"] if "properties" in flat else ["array"] if "items" in flat else []


def _kinds(values: Iterable[Any]) -> list[str]:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array", dict: "object"}
    return list(dict.fromkeys(names[type(value)] for value in values))
