"""What of a call rests on what was said, and what is left out because it does not.

Small models fill in optional arguments that nobody spoke of: an example from a description, a default, a guess. Leaving one out
means what the tool's author chose; filling it in means what the model happened to think of. So the policy is:

- An optional string or number without evidence is left out, and the call says so. Evidence is the goal, the instructions, or a
  successful result of this run; `Evidence` knows what follows from it (120 from "2 hours", "de" from "German").
- An optional code ("fi", "pt-BR") in place of a default that is one stays without evidence, unless it is an example from the
  description or the default was asked for: no table of codes is complete.
- Values that the schema lists (`enum`, `const`), booleans, arrays and objects stay: they need not be spelt out in words. So
  does required text, which may well be put in the model's words. Nothing is left out that the schema then misses.
- A required number without evidence is an invention, or a number that was copied wrong: the call is not made.
- Where the number that was said is one that the schema does not allow, the call is not made with another one in its place, nor
  without it.
- Whole numbers for a `number` become floats, so that equal values have one type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..tools import ArgumentError, Tool, ToolCall
from .evidence import Evidence

_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z]{2,4})?")
_LIMITS = {
    "minimum": ("at least", lambda number, limit: number >= limit),
    "maximum": ("at most", lambda number, limit: number <= limit),
    "exclusiveMinimum": ("more than", lambda number, limit: number > limit),
    "exclusiveMaximum": ("less than", lambda number, limit: number < limit),
}


@dataclass(frozen=True)
class Grounded:
    """A call under the module's policy.

    Attributes:
        call: without the optional arguments that nothing said supports.
        dropped: those arguments, as ``name=value`` in JSON.
        missing: required numbers that nothing said supports, as ``tool.argument``; the call is not to be made.
        out_of_range: arguments for which a number was said that the schema does not allow, one clause each; likewise.
    """

    call: ToolCall
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    out_of_range: tuple[str, ...] = ()


def ground(call: ToolCall, tool: Tool, evidence: Evidence) -> Grounded:
    """The call as far as it rests on what was said; see the module's policy."""
    properties, required = tool.parameters.get("properties", {}), tool.parameters.get("required", ())
    arguments = {name: _typed(value, properties.get(name)) for name, value in call.arguments.items()}
    numbers = {
        name
        for name, value in arguments.items()
        if _is_number(value) and not {"integer", "number"}.isdisjoint(_free_kinds(properties.get(name)))
    }
    unsupported = {name for name, value in arguments.items() if not _rests(value, properties.get(name), evidence)}
    used = Evidence(json.dumps([value for name, value in arguments.items() if name not in unsupported])).spoken
    beyond = {
        name: clause
        for name in arguments
        if name in unsupported & numbers
        for clause in _beyond(f"{call.name}.{name}", properties.get(name), evidence.spoken - used)
    }
    optional = unsupported - set(required)
    kept = {name: value for name, value in arguments.items() if name not in optional}
    if optional:
        try:
            tool.validate(kept)
        except ArgumentError:  # another keyword asks for one of them
            kept, optional = arguments, set()
    return Grounded(
        ToolCall(call.name, kept, call.id),
        tuple(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items() if name in optional),
        tuple(
            f"{call.name}.{name}"
            for name in arguments
            if name in unsupported & numbers and name in required and name not in beyond
        ),
        tuple(beyond.values()),
    )


def _rests(value: Any, schema: Any, evidence: Evidence) -> bool:
    """Whether a value has evidence, or needs none."""
    if not _free_kinds(schema) or evidence.supports(value):
        return True
    default = schema.get("default")
    if not all(isinstance(text, str) and _CODE.fullmatch(text) for text in (value, default)):
        return False
    if value == default or evidence.names(default):
        return False
    return not re.search(rf"\b{re.escape(value)}\b", str(schema.get("description", "")))


def _beyond(where: str, schema: Any, said: set[float]) -> Iterator[str]:
    """What to say of a number that was said and that the schema's limits forbid."""
    if not isinstance(schema, Mapping):
        return
    for keyword, (words, allows) in _LIMITS.items():
        limit = schema.get(keyword)
        wrong = sorted(number for number in said if _is_number(limit) and not allows(number, limit))
        if wrong:
            yield f"{wrong[0]:g} was said, and {where} must be {words} {limit:g}"
            return


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _free_kinds(schema: Any) -> set[str]:
    """Types of a schema whose values are free text or free numbers, which need evidence; empty for any other schema."""
    if not isinstance(schema, Mapping) or "enum" in schema or "const" in schema:
        return set()
    named = schema.get("type", ())
    kinds = {named} if isinstance(named, str) else set(named)
    return kinds if kinds <= {"string", "integer", "number", "null"} else set()


def _typed(value: Any, schema: Any) -> Any:
    """The value with whole numbers as floats where the schema says `number`."""
    if not isinstance(schema, Mapping):
        return value
    if _is_number(value) and isinstance(value, int):
        return float(value) if schema.get("type") == "number" and abs(value) < 1 << 53 else value
    if isinstance(value, list):
        return [_typed(item, schema.get("items")) for item in value]
    if isinstance(value, dict) and isinstance(schema.get("properties"), Mapping):
        return {name: _typed(item, schema["properties"].get(name)) for name, item in value.items()}
    return value
