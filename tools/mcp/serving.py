"""Our tools, offered to MCP clients: over standard input and output, or streamable HTTP on this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import socket
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from ..call import ToolCall, ToolResult
from ..errors import ToolDefinitionError, describe, one_line
from ..schema import Schema
from ..tool import Permission, Tool, shown
from ..toolset import Toolset
from .loading import missing_sdk

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

_HARSHNESS = {permission: n for n, permission in enumerate(get_args(Permission))}
PATH = "/mcp"


def allowed(tools: Iterable[Tool], most: Permission) -> list[Tool]:
    """The tools that may do at most that: of "read", "write" and "destructive", a mark allows those before it.

    Raises:
        ToolDefinitionError: If there is no such mark, no tool is left, or one of them has nothing to run.
    """
    if most not in _HARSHNESS:
        raise ToolDefinitionError(f"what may be offered is {', '.join(_HARSHNESS)}, received {shown(most)}")
    tools = list(tools)
    kept = [tool for tool in tools if _HARSHNESS[tool.permission] <= _HARSHNESS[most]]
    if tools and not kept:
        raise ToolDefinitionError(f"no tool is left: all of them are marked harsher than {most!r}")
    for tool in kept:
        if tool.function is None:
            raise ToolDefinitionError(
                f"tool {tool.name!r} has no function to run: only its schema was given, so it cannot be offered"
            )
    return kept


def make_server(tools: Iterable[Tool], *, name: str = "ferrule", outputs: Mapping[str, Schema] | None = None) -> Server[Any]:
    """An MCP server of the official SDK that offers tools; arguments are validated and time is limited as everywhere.

    Marks become annotations: "read" `readOnlyHint`, "destructive" `destructiveHint`, `Tool.may_repeat` `idempotentHint`. A
    result is structured content, an object as it is and anything else under `result`, and its JSON as text; what goes wrong
    with a call is a result with `isError` and one line.

    Args:
        tools: What is offered, all of it; see `allowed`.
        name: The server's name.
        outputs: Output schemas, for those tools whose results have one.

    Raises:
        ToolDefinitionError: If the SDK is missing, or two tools have one name in the protocol, whose names have letters,
            digits and `_-.`.
    """
    try:
        from mcp import MCPError
        from mcp.server.lowlevel import Server
        from mcp_types import INVALID_PARAMS, CallToolRequestParams, CallToolResult, ListToolsResult
    except ImportError as error:
        raise missing_sdk(error) from None
    toolset = Toolset(tools)
    known: dict[str, Tool] = {}
    for tool in toolset:
        spelt = re.sub(r"[^A-Za-z0-9_.-]", "_", tool.name)
        if spelt in known:
            raise ToolDefinitionError(
                f"the tools {known[spelt].name!r} and {tool.name!r} are both {spelt!r} in MCP (rename one)"
            )
        known[spelt] = tool
    listed = [_declared(spelt, tool, (outputs or {}).get(tool.name)) for spelt, tool in known.items()]

    async def list_tools(_context: Any, _params: Any) -> ListToolsResult:
        return ListToolsResult(tools=listed)

    async def call_tool(_context: Any, params: CallToolRequestParams) -> CallToolResult:
        tool = known.get(params.name)
        if tool is None:
            names = one_line(", ".join(known), 300) or "none"
            raise MCPError(INVALID_PARAMS, f"there is no tool called {shown(params.name)}; the tools are: {names}")
        return _answer(await toolset.aexecute(ToolCall(tool.name, params.arguments or {})))

    return Server(name, on_list_tools=list_tools, on_call_tool=call_tool)


def _declared(name: str, tool: Tool, output: Schema | None) -> Any:
    from mcp_types import Tool as Declaration
    from mcp_types import ToolAnnotations

    annotations = ToolAnnotations(
        read_only_hint=tool.permission == "read",
        destructive_hint=tool.permission == "destructive",
        idempotent_hint=tool.may_repeat,
    )
    return Declaration(
        name=name,
        description=tool.description,
        input_schema=tool.schema()["parameters"],
        output_schema=output,
        annotations=annotations,
    )


def _answer(result: ToolResult) -> Any:
    from mcp_types import CallToolResult, TextContent

    if not result.ok:
        text = result.error or "it failed"
        if result.unknown:
            text += " (nobody knows whether it was carried out)"
        return CallToolResult(content=[TextContent(text=text)], is_error=True)
    value = result.value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    structured = value if isinstance(value, dict) else {"result": value}
    return CallToolResult(content=[TextContent(text=text)], structured_content=structured)


def serve_stdio(server: Server[Any]) -> None:
    """Serve one client over standard input and output until it closes them; what tools print goes to standard error."""
    from mcp.server.stdio import stdio_server

    async def serve() -> None:
        async with stdio_server() as (received, sent):
            await server.run(received, sent, server.create_initialization_options())

    asyncio.run(serve())


def listen(address: str) -> socket.socket:
    """A socket that listens at `HOST:PORT` of this machine; port 0 takes one that is free.

    Raises:
        ToolDefinitionError: If it is no such address, is not this machine's own, or is in use.
    """
    host, separator, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise ToolDefinitionError(f"an address to serve at is HOST:PORT, such as 127.0.0.1:8000, received {shown(address)}")
    if host != "localhost" and not _is_loopback(host):
        raise ToolDefinitionError(
            f"{shown(host)} can be reached by others, and nothing here asks who calls: "
            "serve at 127.0.0.1, behind a proxy that does"
        )
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(found[4][:2], family=found[0])
        # asyncio does this for the sockets that it makes itself; without, each answer waits some 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise ToolDefinitionError(f"cannot serve at {one_line(address, 100)}: {describe(error)}") from None
    return listening


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url(listening: socket.socket) -> str:
    """Where clients find the server that `serve_http` runs on that socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"


def serve_http(server: Server[Any], listening: socket.socket) -> None:
    """Serve clients by streamable HTTP until the program is told to end; requests of web pages of other origins are refused."""
    import uvicorn

    host = listening.getsockname()[0]
    app = server.streamable_http_app(streamable_http_path=PATH, host="127.0.0.1" if _is_loopback(host) else host)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)).run(sockets=[listening])
