"""Where tools came from, so that they can be named in a file and made again.

It is kept for the very objects that a source gave: a tool that was changed afterwards is not what its source gives.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from .errors import ToolDefinitionError
from .tool import Tool
from .toolset import Toolset

T = TypeVar("T", bound=Toolset)


@dataclass(frozen=True)
class Origin:
    """What makes tools: exactly one of the first two, and its options.

    Attributes:
        library: name of a module of `tools/library`.
        source: what `load_tools` takes; a path is absolute.
        options: by name.
        names: of all tools that it makes; empty where nobody has made them yet.
    """

    library: str | None = None
    source: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()


_ORIGINS: WeakKeyDictionary[Tool, Origin] = WeakKeyDictionary()


def remember(tools: T, origin: Origin) -> T:
    """The same tools, whose origin is known from now on."""
    made = replace(origin, names=tools.names)
    for tool in tools:
        _ORIGINS[tool] = made
    return tools


def source_origin(source: str | os.PathLike[str], options: Mapping[str, Any]) -> Origin:
    """The origin of what `load_tools` gave for these arguments."""
    text = str(source)
    is_path = not re.match(r"(?i)(https?://|mcp:)", text)
    return Origin(source=os.path.abspath(Path(text).expanduser()) if is_path else text, options=dict(options))


def origin_of(tool: Tool) -> Origin | None:
    """Where a tool came from: what was remembered, or the Python file in which it can be found by its name."""
    if (known := _ORIGINS.get(tool)) is not None:
        return known
    function = tool.function
    module = sys.modules.get(function.__module__) if isinstance(function, FunctionType) else None
    path = getattr(module, "__file__", None)
    if module is None or module.__name__ == "__main__" or not str(path).endswith(".py"):
        return None
    from .loading import collected

    try:
        found = next((made for made in collected(module) if made.name == tool.name), None)
    except ToolDefinitionError:
        return None
    # Equal in all that a call shows, and with the same code: the file gives this tool
    if found is None or found.function is not function or _facts(found) != _facts(tool):
        return None
    return Origin(source=os.path.abspath(str(path)), names=tuple(made.name for made in collected(module)))


def _facts(tool: Tool) -> dict[str, Any]:
    return {name: value for name, value in vars(tool).items() if name not in ("decode", "_validator")}
