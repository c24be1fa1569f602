"""A tool as an MCP server lists it becomes one of ours, or is refused in one line."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..codec import as_is
from ..errors import ToolDefinitionError
from ..schema import check, normalise
from ..tool import Permission, Tool, shown


def read_tool(entry: Mapping[str, Any], prefix: str, trust_hints: bool, trust_results: bool, timeout: float) -> Tool:
    """A tool as a server lists it, without a function.

    Args:
        entry: The server's JSON object.
        prefix: Put before its name.
        trust_hints: Whether hints may make its mark milder.
        trust_results: Whether its results are trusted.
        timeout: Of the tool, in seconds.

    Raises:
        ToolDefinitionError: If it cannot be one of ours; the line names the tool.
    """
    name, parameters, output = entry.get("name"), entry.get("inputSchema"), entry.get("outputSchema")
    if not isinstance(name, str):
        raise ToolDefinitionError(f"a tool's name must be text, received {shown(name)}")
    for what, schema in (("input", parameters), ("output", output)):
        if not isinstance(schema, dict) and not (what == "output" and schema is None):
            raise ToolDefinitionError(f"tool {shown(name)}: its {what} schema must be a JSON object, received {shown(schema)}")
    hints = entry.get("annotations")
    hints = hints if isinstance(hints, dict) else {}
    description = entry.get("description")
    try:
        parameters = normalise({key: value for key, value in copy.deepcopy(parameters).items() if key != "$schema"})
    except RecursionError:
        raise ToolDefinitionError(f"tool {shown(name)}: the schema is nested too deeply") from None
    made = Tool(
        prefix + name,
        description if isinstance(description, str) else "",
        parameters,
        timeout=timeout,
        permission=_permission(hints, trust_hints),
        idempotent=True if trust_hints and hints.get("idempotentHint") is True else None,
        trusted=trust_results,
        # Never the schema's defaults: what a server assumes is its own affair.
        decode=as_is,
    )
    if output is not None:
        try:
            # The root may be of any kind since 2026-07-28; the rest is checked as it is.
            check({**output, "type": "object"}, name)
        except ToolDefinitionError as error:
            raise ToolDefinitionError(f"its output schema cannot be used: {error}") from None
    return made


def _permission(hints: Mapping[str, Any], trust: bool) -> Permission:
    if hints.get("destructiveHint") is True and not (trust and hints.get("readOnlyHint") is True):
        return "destructive"
    return "read" if trust and hints.get("readOnlyHint") is True else "write"
