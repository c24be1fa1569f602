"""Tools by what makes them: a module of the library with its options, or what `load_tools` takes."""

from __future__ import annotations

import difflib
import inspect
import os
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from ..docstring import parse_docstring
from ..errors import ToolDefinitionError
from ..loading import load_tools
from ..origin import Origin, remember
from ..tool import shown
from ..toolset import Toolset

LIBRARY = ("calendar", "files", "home", "openapi", "sqlite")
"""The modules of the library."""


@dataclass(frozen=True)
class Option:
    """What a user decides about tools of the library.

    Attributes:
        kind: "path" (a text that is no address is one), "text", "number", "flag" or "list" (of texts).
        is_required: whether there is no default.
    """

    name: str
    description: str
    kind: Literal["path", "text", "number", "flag", "list"]
    is_required: bool
    default: Any = None


def make_tools(name: str, **options: Any) -> Toolset:
    """Tools of the library.

    Args:
        name: One of `LIBRARY`.
        options: As `options_of` lists them.

    Raises:
        ToolDefinitionError: There is no such module or option, one is missing, or a value is not what it should be.
    """
    known = {option.name: option for option in options_of(name)}
    if unknown := [option for option in options if option not in known]:
        raise ToolDefinitionError(f"{name} has no option {shown(unknown[0])}; it has: {', '.join(known)}")
    if missing := [option for option in known.values() if option.is_required and options.get(option.name) is None]:
        raise ToolDefinitionError(f"{name} needs {missing[0].name}=…: {missing[0].description}")
    for option, value in options.items():
        if known[option].kind == "path" and not (value is None or isinstance(value, str | os.PathLike)):
            raise ToolDefinitionError(f"{name}: {option} is a path, received {shown(value)}")
    values = {option: absolute(value) if known[option].kind == "path" else value for option, value in options.items()}
    return remember(_factory(name)(**values), Origin(library=name, options=values))


def options_of(name: str) -> tuple[Option, ...]:
    """What a module of the library asks of its user.

    Raises:
        ToolDefinitionError: There is no such module.
    """
    factory = _factory(name)
    hints = typing.get_type_hints(factory)
    described = parse_docstring(inspect.getdoc(factory)).parameters
    return tuple(
        Option(
            parameter.name,
            described.get(parameter.name, ""),
            _kind(hints[parameter.name]),
            parameter.default is parameter.empty,
            None if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in inspect.signature(factory).parameters.values()
    )


def absolute(value: Any, base: str | os.PathLike[str] = "") -> Any:
    """A path without a look at the working folder; addresses and what is no text are left as they are.

    Args:
        base: where a relative path begins; default: the working folder.
    """
    if not isinstance(value, str | os.PathLike) or re.match(r"(?i)[a-z][a-z0-9+.-]*://|mcp:", os.fspath(value)):
        return value
    return os.path.abspath(os.path.join(base, os.path.expanduser(os.fspath(value))))


def _kind(hint: Any) -> Literal["path", "text", "number", "flag", "list"]:
    kinds = {typing.get_origin(kind) or kind for kind in (typing.get_args(hint) or (hint,))}
    if Path in kinds:
        return "path"
    if Sequence in kinds or typing.get_origin(hint) is Sequence:
        return "list"
    return "flag" if bool in kinds else "number" if kinds & {int, float} else "text"


def _factory(name: str) -> Callable[..., Toolset]:
    if name not in LIBRARY:
        near = difflib.get_close_matches(str(name), LIBRARY, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ToolDefinitionError(f"the library has no tools {shown(name)}; {hint}it has: {', '.join(LIBRARY)}")
    return import_module(f".{name}", __package__).make_tools


def made(origin: Origin) -> Toolset:
    """The tools of an origin, made again; the errors of `make_tools` and `load_tools`."""
    options: Mapping[str, Any] = origin.options
    return make_tools(origin.library, **options) if origin.library else load_tools(str(origin.source), **options)
