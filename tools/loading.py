"""Tools from a file or an address: Python functions, JSON schemas, an OpenAPI document, or an MCP server."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import sys
import traceback
import types
from importlib.util import decode_source
from pathlib import Path
from typing import Any, NoReturn

from .errors import ToolDefinitionError, describe
from .origin import remember, source_origin
from .tool import Tool, make_tool, shown
from .toolset import Toolset

_TAKES = (
    "tools are a .py file of functions, a .json file of schemas, an OpenAPI document (.json, .yaml or an address), "
    "or an MCP server (mcp:COMMAND or mcp:https://…)"
)


def load_tools(source: str | Path, **options: Any) -> Toolset:
    """The tools of a file, of an OpenAPI document, or of an MCP server.

    A `.py` file is imported under a private module name. Its folder stays at the end of `sys.path`, so that what its functions
    import when they are called is found. Its tools are the `Tool` objects and those of the `Toolset`s in its namespace or, if
    there are none, all public functions defined in it. Importing runs the file.
    A `.json` file holds one schema or a list of schemas; such tools can be called for but have no function to run. It may also
    be an OpenAPI document, as may a `.yaml` file and an http(s) address: its operations are called for real.
    `mcp:COMMAND` starts an MCP server, and `mcp:https://…` connects to one; the session lasts as long as the tools.

    Args:
        source: Path of the file, address of an OpenAPI document, or an MCP server.
        options: Of `ferrule.tools.openapi.load_openapi` (`servers`, `allow_private`, `operations`, `timeout`, `stall`), or of
            `ferrule.tools.mcp.load_mcp`.

    Raises:
        ToolDefinitionError: If there is no such file, it does not import or parse, holds no tools, or a tool in it
            is wrong; one line that names the file and says what to do.
    """
    return remember(_loaded(source, options), source_origin(source, options))


def _loaded(source: str | Path, options: dict[str, Any]) -> Toolset:
    text = str(source)
    if re.match(r"(?i)https?://", text):
        return _from_openapi(text, options)
    if re.match(r"(?i)(file|hf)://", text):
        raise ToolDefinitionError(f"tools cannot be read from the address {shown(text)}: {_TAKES}")
    if text.lower().startswith("mcp:"):
        from .mcp import load_mcp

        return load_mcp(text[len("mcp:") :].strip(), **options)
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            raise ToolDefinitionError(f"{text} is a folder: name a file in it ({_TAKES})")
        if path.suffix not in (".py", ".json", ".yaml", ".yml"):
            raise ToolDefinitionError(f"cannot read tools from {shown(text)}: {_TAKES}")
        data = path.read_bytes()
    except FileNotFoundError:
        raise ToolDefinitionError(f"there is no file {shown(text)} (check the path; {_TAKES})") from None
    except (OSError, ValueError) as error:
        raise ToolDefinitionError(f"cannot read the tools file {shown(text)}: {describe(error)}") from None
    document = _read_json(path, data) if path.suffix == ".json" else None
    if path.suffix in (".yaml", ".yml") or (isinstance(document, dict) and ("openapi" in document or "swagger" in document)):
        return _from_openapi(str(path), options)
    if options:
        raise ToolDefinitionError(f"{text} is a plain file, so {min(options)} means nothing for it; leave it out")
    return _from_python(path, data) if path.suffix == ".py" else _from_schemas(path, document)


def _from_openapi(source: str, options: dict[str, Any]) -> Toolset:
    try:
        from .openapi import load_openapi
    except ImportError as error:
        raise ToolDefinitionError(
            f"{source}: OpenAPI documents need a package that is missing ({describe(error)}): pip install 'ferrule[openapi]'"
        ) from None
    return load_openapi(source, **options)


def _from_python(path: Path, data: bytes) -> Toolset:
    path = path.resolve()
    # Compiled here and not by the import system, which would leave a __pycache__ beside the user's file.
    try:
        code = compile(decode_source(data), str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ToolDefinitionError(f"{path}, line {error.lineno or '?'}: syntax error: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ToolDefinitionError(f"{path} is not Python source: {describe(error)}") from None
    name = f"_ferrule_tools_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    module = types.ModuleType(name)
    module.__file__ = str(path)
    previous = sys.modules.get(name)
    # Dataclasses and annotations look their module up by name.
    sys.modules[name] = module
    folder = str(path.parent)
    is_new = folder not in sys.path
    if is_new:
        sys.path.append(folder)
    try:
        exec(code, module.__dict__)
        return Toolset(collected(module))
    except BaseException as error:
        if previous is None:
            del sys.modules[name]
        else:
            sys.modules[name] = previous
        if is_new and folder in sys.path:
            # The last one is ours, unless the file itself changed the path.
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]
        if isinstance(error, (Exception, SystemExit)):
            _refuse(error, path)
        raise


def _refuse(error: BaseException, path: Path) -> NoReturn:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    at = f"{path}, line {lines[-1]}" if lines else str(path)
    if isinstance(error, ToolDefinitionError):
        raise ToolDefinitionError(f"{at}: {error}") from error
    if isinstance(error, ImportError):
        advice = "install it or remove the import"
    elif isinstance(error, SystemExit):
        advice = 'put it under `if __name__ == "__main__":`'
    else:
        advice = "the file must import without errors"
    raise ToolDefinitionError(f"{at}: {describe(error)} ({advice})") from error


def collected(module: types.ModuleType) -> list[Tool]:
    """The tools of a module: its `Tool`s and those of its `Toolset`s or, if there are none, its public functions.

    Raises:
        ToolDefinitionError: it has none, or a function cannot be one.
    """
    values = list({id(value): value for value in vars(module).values()}.values())
    sets = [value for value in values if isinstance(value, Toolset)]
    if tools := [*(value for value in values if isinstance(value, Tool)), *(tool for found in sets for tool in found)]:
        return list({id(tool): tool for tool in tools}.values())
    functions = [value for value in values if _is_public_function(value, module)]
    if not functions:
        raise ToolDefinitionError("no tools found (decorate a function with @tool, or define a public typed function)")
    return [make_tool(function) for function in functions]


def _is_public_function(value: Any, module: types.ModuleType) -> bool:
    return inspect.isfunction(value) and value.__module__ == module.__name__ and not value.__name__.startswith("_")


def _read_json(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ToolDefinitionError(f"{path}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise ToolDefinitionError(f"{path}: the JSON is nested too deeply; schemas need a few levels only") from None
    except ValueError as error:
        raise ToolDefinitionError(f"{path} is not a JSON file: {describe(error)}") from None


def _from_schemas(path: Path, document: Any) -> Toolset:
    for key in ("tools", "functions"):
        if isinstance(document, dict) and "name" not in document and isinstance(document.get(key), list):
            raise ToolDefinitionError(f"{path}: the schemas stand under {key!r}; the file must hold that list itself")
    schemas = document if isinstance(document, list) else [document]
    if not schemas:
        raise ToolDefinitionError(f"{path}: no tools found (the list of schemas is empty)")
    tools: list[Tool] = []
    for index, schema in enumerate(schemas):
        try:
            tools.append(Tool.from_schema(schema))
        except ToolDefinitionError as error:
            place = f"{path}, entry {index + 1}" if isinstance(document, list) else str(path)
            raise ToolDefinitionError(f"{place}: {error}") from None
    try:
        return Toolset(tools)
    except ToolDefinitionError as error:
        raise ToolDefinitionError(f"{path}: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
