"""JSON Schema keywords one by one: what may stand in them, and what a call grammar cannot guarantee."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from ..errors import ToolDefinitionError, one_line
from ..schema import Schema, map_subschemas

MAPS = ("properties", "patternProperties", "dependentSchemas")
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
SINGLE += ("unevaluatedItems", "unevaluatedProperties")

_TYPES = frozenset({"string", "integer", "number", "boolean", "null", "array", "object"})


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _count(value: Any) -> bool:
    return _number(value) and value >= 0 and value == int(value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _type(value: Any) -> bool:
    kinds = value if isinstance(value, list) else [value]
    return bool(kinds) and all(isinstance(kind, str) and kind in _TYPES for kind in kinds)


def _json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (_number, "a number")),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties"), (_count, "a whole number from 0")),
    **dict.fromkeys(("maxProperties", "minContains", "maxContains"), (_count, "a whole number from 0")),
    **dict.fromkeys(("pattern", "format", "contentEncoding", "contentMediaType"), (_text, "text")),
    **dict.fromkeys(("const", "default"), (_json, "JSON")),
    "multipleOf": (lambda value: _number(value) and value > 0, "a number above 0"),
    "type": (_type, f"one of {', '.join(sorted(_TYPES))}"),
    "enum": (lambda value: isinstance(value, list) and _json(value), "a list"),
    "required": (_names, "a list of names"),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
    "dependentRequired": (lambda value: isinstance(value, dict) and all(map(_names, value.values())), "lists of names"),
    **dict.fromkeys(MAPS, (lambda value: isinstance(value, dict), "an object of schemas")),
    **dict.fromkeys(LISTS, (lambda value: isinstance(value, list) and bool(value), "a list of schemas")),
    **dict.fromkeys(SINGLE, (lambda value: isinstance(value, dict | bool), "a schema")),
}

KEPT = frozenset(_CHECKS.keys() - {*MAPS, *LISTS, *SINGLE})
"""Keywords with values, not schemas, that pass into a translated schema; and `title` and `description` do."""


def check_keyword(key: str, value: Any, file: str) -> None:
    """Checks what stands in a keyword.

    Raises:
        ToolDefinitionError: If it is not what JSON Schema 2020-12 allows there.
    """
    check, wanted = _CHECKS[key]
    if not check(value):
        raise ToolDefinitionError(f"{file}: in a schema, {key} must be {wanted}, received {one_line(repr(value), 80)}")


_BEYOND = ("not", "if", "then", "else", "dependentRequired", "dependentSchemas", "propertyNames", "contains")
_BEYOND += ("minContains", "maxContains", "unevaluatedItems", "unevaluatedProperties")
_CHANGED = frozenset({*_BEYOND, "oneOf", "multipleOf", "pattern", "uniqueItems"})


def relaxed(schema: Schema) -> Schema:
    """A schema that allows more, in keywords that a call grammar can guarantee; the exact one is still to be checked.

    Out go negations, conditions and counts of what is contained, look-around in patterns, steps that are no whole numbers, and
    distinct items where some are required. `oneOf` becomes `anyOf`.
    """
    result = map_subschemas(schema, relaxed)
    if not _CHANGED & result.keys():
        return result
    result = {key: value for key, value in result.items() if key not in _BEYOND}
    if "oneOf" in result:
        alternatives = result.pop("oneOf")
        if "anyOf" in result:
            result["allOf"] = [*result.get("allOf", ()), {"anyOf": alternatives}]
        else:
            result["anyOf"] = alternatives
    step = result.get("multipleOf")
    if isinstance(step, float) and not step.is_integer():
        del result["multipleOf"]
    if re.search(r"\(\?(?:[=!]|<[=!])|\\[1-9bB]", result.get("pattern", "")):
        del result["pattern"]
    if result.get("uniqueItems") is True and result.get("minItems", 0) > 1:
        del result["uniqueItems"]
    return result
