"""An MCP server of the official SDK, run as a program: over stdin and stdout, or `--http` on a free port of this machine."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import sys
from pathlib import Path

import uvicorn
from mcp import types as t
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
NUMBER = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
ANY = {"type": "object"}
SUM = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}


def declared(name: str, schema: dict = ANY, output: dict | None = None, **hints: bool) -> t.Tool:
    annotations = t.ToolAnnotations(**hints) if hints else None
    return t.Tool(name=name, description=f"Does {name}.", input_schema=schema, output_schema=output, annotations=annotations)


TOOLS = [
    declared(
        "add",
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 7}}, "required": ["a"]},
        SUM,
        read_only_hint=True,
    ),
    declared("echo", read_only_hint=True, destructive_hint=True),
    declared("say", TEXT, idempotent_hint=True),
    declared("fail", TEXT),
    declared("wipe", TEXT, destructive_hint=True),
    declared("lie", output=SUM),
    declared("forget", output=SUM),
    declared("media"),
    declared("several"),
    declared("nothing"),
    declared("big", NUMBER),
    declared("wait", {"type": "object", "properties": {"seconds": {"type": "number"}, "mark": {"type": "string"}}}),
    declared("variables"),
    declared("change"),
    declared("ask"),
    declared("wrong"),
    declared("die", NUMBER),
]
PAGE = 4


async def list_tools(_context, params) -> t.ListToolsResult:
    start = int(params.cursor) if params is not None and params.cursor else 0
    more = start + PAGE < len(TOOLS)
    return t.ListToolsResult(tools=TOOLS[start : start + PAGE], next_cursor=str(start + PAGE) if more else None)


def text(*texts: str, **more) -> t.CallToolResult:
    return t.CallToolResult(content=[t.TextContent(text=item) for item in texts], **more)


async def call_tool(context, params) -> t.CallToolResult:
    a = params.arguments or {}
    match params.name:
        case "add":
            return text("a sum", structured_content={"sum": a["a"] + a.get("b", 1000)})
        case "echo":
            return text(json.dumps(a))
        case "say":
            return text(a["text"])
        case "fail":
            return text("that\n\ndoes not work:", a["text"], is_error=True)
        case "wipe":
            return text("gone")
        case "lie":
            return text("a lie", structured_content={"sum": "many"})
        case "forget":
            return text("5")
        case "media":
            picture = base64.b64encode(bytes(3_000_000)).decode()
            return t.CallToolResult(
                content=[
                    t.ImageContent(data=picture, mime_type="image/png"),
                    t.AudioContent(data=base64.b64encode(b"12345").decode(), mime_type="audio/wav"),
                    t.ResourceLink(uri="file:///a/b.txt", name="b", mime_type="text/plain"),
                    t.EmbeddedResource(resource=t.TextResourceContents(uri="memo:1", text="a note", mime_type="text/plain")),
                    t.EmbeddedResource(resource=t.BlobResourceContents(uri="memo:2", blob="AAAA")),
                    t.TextContent(text="and words"),
                ]
            )
        case "several":
            return text("one", "[2, {}]", "3", "[half")
        case "nothing":
            return t.CallToolResult(content=[])
        case "big":
            return text("x" * int(a["n"]))
        case "wait":
            try:
                await asyncio.sleep(a["seconds"])
            except asyncio.CancelledError:
                Path(a["mark"]).write_text("cancelled")
                raise
            return text("done")
        case "variables":
            return text(json.dumps(dict(os.environ)))
        case "change":
            await context.session.send_tool_list_changed()
            return text("changed")
        case "ask":
            return t.InputRequiredResult(
                input_requests={
                    "1": t.ElicitRequest(
                        params=t.ElicitRequestFormParams(
                            message="really?", requested_schema={"type": "object", "properties": {}}
                        )
                    )
                }
            )
        case "wrong":
            raise t_error(a.get("code", -32602))
        case "die":
            print("first line\nthe secret is " + os.environ.get("TOKEN", "none"), file=sys.stderr, flush=True)
            os._exit(int(a["n"]))
    raise AssertionError(params.name)


def t_error(code: int) -> Exception:
    from mcp import MCPError

    return MCPError(code, "not\nlike this")


server = Server("demo", on_list_tools=list_tools, on_call_tool=call_tool)


async def over_stdio() -> None:
    async with stdio_server() as (received, sent):
        await server.run(received, sent, server.create_initialization_options())


if __name__ == "__main__":
    if "--http" in sys.argv:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", flush=True)
        app = server.streamable_http_app(json_response="--json" in sys.argv)
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])
    else:
        asyncio.run(over_stdio())
