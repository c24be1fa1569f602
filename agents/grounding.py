"""What of a call rests on what was said, and what is left out because it does not.

Small models fill in optional arguments that nobody spoke of: an example from a description, a default, a guess. Leaving one out
means what the tool's author chose; filling it in means what the model happened to think of. So the policy is:

- An optional string or number without evidence is left out. Evidence is the goal, the instructions, or a result of this run.
- Values that the schema lists (`enum`, `const`), booleans, arrays and objects stay: they need not be spelt out in words. So
  does required text, which may well be put in the model's words. Nothing is left out that the schema then misses.
- A required number without evidence is an invention, or a number that was copied wrong: the call is not made.
- Whole numbers for a `number` become floats, so that equal values have one type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..tools import ArgumentError, Tool, ToolCall
from .evidence import Evidence


def grounded(call: ToolCall, tool: Tool, evidence: Evidence) -> ToolCall:
    """The call without the optional arguments that nothing said supports; see the module's policy."""
    properties, required = tool.parameters.get("properties", {}), tool.parameters.get("required", ())
    kept = {
        name: _typed(value, properties.get(name))
        for name, value in call.arguments.items()
        if name in required or not _free_kinds(properties.get(name)) or evidence.supports(value)
    }
    if len(kept) < len(call.arguments):
        try:
            tool.validate(kept)
        except ArgumentError:  # another keyword asks for it
            kept = {name: _typed(value, properties.get(name)) for name, value in call.arguments.items()}
    return ToolCall(call.name, kept, call.id)


def inventions(call: ToolCall, tool: Tool, evidence: Evidence) -> list[str]:
    """Names of required arguments whose numbers nothing said supports."""
    properties, required = tool.parameters.get("properties", {}), tool.parameters.get("required", ())
    return [
        name
        for name, value in call.arguments.items()
        if name in required
        and isinstance(value, int | float)
        and not {"integer", "number"}.isdisjoint(_free_kinds(properties.get(name)))
        and not evidence.supports(value)
    ]


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
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if schema.get("type") == "number" and abs(value) < 1 << 53 else value
    if isinstance(value, list):
        return [_typed(item, schema.get("items")) for item in value]
    if isinstance(value, dict) and isinstance(schema.get("properties"), Mapping):
        return {name: _typed(item, schema["properties"].get(name)) for name, item in value.items()}
    return value
