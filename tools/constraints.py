"""`Annotated` metadata as JSON Schema keywords.

Metadata is read by its attributes (gt, ge, lt, le, multiple_of, min_length, max_length, pattern), so `annotated_types`,
pydantic's `Field(...)` and a user's own objects all work and none of them is imported. A string is the description.
Metadata of other kinds is ignored, as PEP 593 asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from .errors import ToolDefinitionError
from .schema import Schema

_NUMBER = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
}
_LENGTH = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}


def constrain(schema: Schema, metadata: Iterable[Any], where: str) -> Schema:
    """`schema` with the constraints of `metadata` added.

    Raises:
        ToolDefinitionError: If a constraint does not apply to the type, or has no JSON form.
    """
    result = dict(schema)
    for item in _flatten(metadata):
        _apply(result, item, where)
    return result


def description_in(metadata: Iterable[Any]) -> str | None:
    """The first description in `metadata`: a string, or an object with `description` (or `documentation`, PEP 727)."""
    for item in _flatten(metadata):
        text = item if isinstance(item, str) else None
        text = text or _attribute(item, "description") or _attribute(item, "documentation")
        if isinstance(text, str):
            return text
    return None


def _flatten(metadata: Iterable[Any]) -> Iterable[Any]:
    for item in metadata:
        yield item
        # pydantic's FieldInfo keeps its constraints in a list of their own.
        inner = _attribute(item, "metadata")
        if isinstance(inner, (list, tuple)):
            yield from _flatten(inner)


def _attribute(item: Any, name: str) -> Any:
    # A class such as annotated_types.Ge carries descriptors under these names, not values.
    return None if isinstance(item, type) else getattr(item, name, None)


def _apply(schema: Schema, item: Any, where: str) -> None:
    types = _types(schema)
    for name, keyword in _NUMBER.items():
        limit = _attribute(item, name)
        if limit is None:
            continue
        if not isinstance(limit, (int, float)) or isinstance(limit, bool) or not math.isfinite(limit):
            raise ToolDefinitionError(f"{where}: {name}={limit!r} is not a number, so JSON Schema cannot express it")
        _require(types & {"integer", "number"}, f"{name}={limit}", where)
        schema[keyword] = _tightest(keyword, schema.get(keyword), limit)
    low, high = _attribute(item, "min_length"), _attribute(item, "max_length")
    # annotated_types.Len(0, None) says nothing.
    if isinstance(low, int) and low > 0:
        _require(types & _LENGTH.keys(), f"min_length={low}", where)
        for kind in types & _LENGTH.keys():
            schema[_LENGTH[kind][0]] = max(low, schema.get(_LENGTH[kind][0], 0))
    if isinstance(high, int):
        _require(types & _LENGTH.keys(), f"max_length={high}", where)
        for kind in types & _LENGTH.keys():
            schema[_LENGTH[kind][1]] = min(high, schema.get(_LENGTH[kind][1], high))
    pattern = _attribute(item, "pattern")
    pattern = getattr(pattern, "pattern", pattern)
    if isinstance(pattern, str):
        _require(types & {"string"}, f"pattern={pattern!r}", where)
        schema["pattern"] = pattern


def _tightest(keyword: str, old: Any, new: Any) -> Any:
    if old is None or keyword == "multipleOf":
        return new
    return max(old, new) if "inimum" in keyword else min(old, new)


def _require(applies: object, what: str, where: str) -> None:
    if not applies:
        raise ToolDefinitionError(f"{where}: {what} does not apply to a value of this type")


def _types(schema: Schema) -> set[str]:
    if "anyOf" in schema:
        return set().union(*(_types(branch) for branch in schema["anyOf"]))
    if "$ref" in schema:
        return {"object"}
    kind = schema.get("type", ["string", "number", "integer", "array", "object"])
    return {kind} if isinstance(kind, str) else set(kind)
