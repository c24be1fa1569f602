"""A tool as an MCP server lists it becomes one of ours, or is refused in one line."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from referencing import Registry
from referencing.jsonschema import DRAFT202012

from ..codec import as_is
from ..errors import ToolDefinitionError
from ..schema import Schema, check, map_subschemas, normalise
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
    _check_ends(parameters, name)
    if output is not None:
        try:
            # The root may be of any kind since 2026-07-28; the rest is checked as it is.
            check({**output, "type": "object"}, name)
            _check_ends(output, name)
        except ToolDefinitionError as error:
            raise ToolDefinitionError(f"its output schema cannot be used: {error}") from None
    return made


def _permission(hints: Mapping[str, Any], trust: bool) -> Permission:
    if hints.get("destructiveHint") is True and not (trust and hints.get("readOnlyHint") is True):
        return "destructive"
    return "read" if trust and hints.get("readOnlyHint") is True else "write"


def _check_ends(schema: Schema, name: str) -> None:
    """Refuses a schema that leads back to itself without going deeper into the value, so that no check of it ends."""
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    pending: list[Schema] = [schema]
    checked: set[int] = set()
    while pending:
        node = pending.pop()
        map_subschemas(node, pending.append)
        # Depth first along what is said of the same value; a node is closed once all that it leads to is.
        path: list[tuple[Schema, list[Schema]]] = [(node, _of_same_value(node, resolver))]
        open_nodes = {id(node)}
        while path and id(node) not in checked:
            current, left = path[-1]
            if not left:
                path.pop()
                open_nodes.discard(id(current))
                checked.add(id(current))
                continue
            following = left.pop()
            if id(following) in open_nodes:
                raise ToolDefinitionError(f"tool {shown(name)}: the schema leads back to itself without an end ($ref, allOf …)")
            if id(following) not in checked:
                open_nodes.add(id(following))
                path.append((following, _of_same_value(following, resolver)))


def _of_same_value(schema: Schema, resolver: Any) -> list[Schema]:
    """The schemas that a value is checked against whenever it is checked against this one."""
    found = [schema[keyword] for keyword in ("not", "if", "then", "else") if keyword in schema]
    found += [item for keyword in ("allOf", "anyOf", "oneOf") for item in schema.get(keyword, ())]
    if isinstance(schema.get("$ref"), str):
        found.append(resolver.lookup(schema["$ref"]).contents)
    return [item for item in found if isinstance(item, dict)]
