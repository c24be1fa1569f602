"""Tools for small models: parameters list the names that there are, and what may be left out is not to be filled with null."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..tool import Tool

_MOST_NAMES = 200


def narrowed(tool: Tool, names: Mapping[str, Sequence[str]] | None = None, **options: Any) -> Tool:
    """The tool with schemas that say more.

    Args:
        names: for parameters by name, the values that there are; many hundreds of them are left to the tool to check.
        options: of the tool, such as `trusted`.
    """
    parameters = copy.deepcopy(tool.parameters)
    for name, schema in parameters["properties"].items():
        if schema.get("default", "") is None:
            del schema["default"]
            schema["type"] = [kind for kind in schema["type"] if kind != "null"]
            if len(schema["type"]) == 1:
                schema["type"] = schema["type"][0]
            if "enum" in schema:
                schema["enum"] = [value for value in schema["enum"] if value is not None]
        listed = (names or {}).get(name, ())
        if 0 < len(listed) <= _MOST_NAMES:
            schema["enum"] = list(listed)
    return dataclasses.replace(tool, parameters=parameters, **options)
