"""What of a call rests on what was said, and what is left out because it does not.

Small models fill in optional arguments that nobody spoke of: an example from a description, a default, a guess. Leaving one out
means what the tool's author chose; filling it in means what the model happened to think of. So the policy is:

- An optional string or number without evidence is left out. Evidence is the goal, the instructions, or a result of this run.
- What is required stays, since the tool cannot do without, and so do values that the schema lists (`enum`, `const`), booleans,
  arrays and objects: none of these has to be spelt out in words.
- Nothing is left out that the schema then misses.
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
        if name in required or not _speaks_of_itself(properties.get(name)) or evidence.supports(value)
    }
    if len(kept) < len(call.arguments):
        try:
            tool.validate(kept)
        except ArgumentError:  # another keyword asks for it
            kept = {name: _typed(value, properties.get(name)) for name, value in call.arguments.items()}
    return ToolCall(call.name, kept, call.id)


def _speaks_of_itself(schema: Any) -> bool:
    """Whether values of the schema are free text or free numbers: those need evidence."""
    if not isinstance(schema, Mapping) or "enum" in schema or "const" in schema:
        return False
    named = schema.get("type")
    kinds = {named} if isinstance(named, str) else set(named or ())
    return bool(kinds) and kinds <= {"string", "integer", "number", "null"}


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
