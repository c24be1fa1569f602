"""`ferrule mcp`: tools and agents, offered to clients of the Model Context Protocol."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from pathlib import PurePath
from typing import Annotated, Any, get_args

import typer

from ...agents import Agent, Budget, Run
from ...tools import Permission, Tool, Toolset, load_tools
from ...tools.mcp.serving import allowed, listen, make_server, serve_http, serve_stdio, url
from ..loading import from_preset
from .console import err, one_line_errors, stdout_to_stderr
from .options import given, number

GOAL = {
    "type": "object",
    "properties": {"goal": {"type": "string", "minLength": 1, "description": "What to do, in plain words."}},
    "required": ["goal"],
    "additionalProperties": False,
}
OUTCOME = {
    "type": "object",
    "properties": {
        "answer": {"type": "string", "description": "The answer, or why there is none."},
        "status": {
            "enum": ["answered", "failed", "asked", "refused", "stopped", "unfinished"],
            "description": "answered; failed: answered, but a call failed for good; asked: the answer is a question; "
            "refused: no tool fits; stopped: a budget ran out",
        },
        "calls": {
            "type": "array",
            "description": "The calls that were made, in order, and what came of each.",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "arguments": {"type": "object"},
                    "ok": {"type": "boolean"},
                    "value": {},
                    "error": {"type": ["string", "null"]},
                },
                "required": ["name", "arguments"],
            },
        },
    },
    "required": ["answer", "status", "calls"],
}


def permission(text: str) -> Permission:
    """A mark of a tool."""
    if text not in get_args(Permission):
        raise typer.BadParameter(f"one of {', '.join(get_args(Permission))} is expected, received {text!r}")
    return text  # type: ignore[return-value]


def mcp(
    tools: Annotated[
        str,
        typer.Option(
            "--tools",
            "-t",
            help="A .py file of tools, an OpenAPI document, or another MCP server (mcp:COMMAND, mcp:https://…).",
            callback=given,
        ),
    ],
    preset: Annotated[
        list[str] | None,
        typer.Option("--preset", "-p", help="Also offer an agent with this model and these tools; may be given several times."),
    ] = None,
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.", callback=given)] = "numpy",
    instructions: Annotated[str, typer.Option(help="System text of the agents.")] = "",
    max_seconds: Annotated[
        float, typer.Option(parser=number(0.1), metavar="X", help="Wall clock for one run of an agent.")
    ] = Budget.seconds,
    allow: Annotated[
        str,
        typer.Option(
            parser=permission,
            metavar="MARK",
            help="Offer tools with this mark and milder ones: read, write or destructive. Agents have no others, either.",
        ),
    ] = "write",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Let agents do what needs permission; without, nobody is there to give it.")
    ] = False,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve by streamable HTTP at this address of this machine, not over stdin.",
            callback=given,
        ),
    ] = None,
) -> None:
    """Offer tools, and agents that use them, to MCP clients: over standard input and output, or streamable HTTP.

    An agent is a tool that takes a goal in plain words and gives its answer, how it ended, and the calls that it made.
    """
    with one_line_errors():
        listening = listen(http) if http is not None else None
        with stdout_to_stderr():
            found = Toolset(allowed(load_tools(tools), allow))
            agents = [_agent_tool(name, found, backend, instructions, max_seconds, yes) for name in preset or ()]
        server = make_server([*found, *agents], outputs=dict.fromkeys((tool.name for tool in agents), OUTCOME))
        if listening is None:
            # The thread that waits for the client's next line cannot be interrupted, and Ctrl-C would wait for it, too.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            serve_stdio(server)
        else:
            err.print(f"serving {len(found) + len(agents)} tools at {url(listening)}", markup=False)
            serve_http(server, listening)


def _agent_tool(preset: str, tools: Toolset, backend: str, instructions: str, max_seconds: float, approved: bool) -> Tool:
    """An agent as a tool. Its runs take turns: the model writes one at a time."""
    with err.status(f"loading {preset} on {backend}", spinner="dots") if err.is_terminal else contextlib.nullcontext():
        model = from_preset(preset, backend)
    agent = Agent(
        model,
        tools,
        instructions=instructions,
        budget=Budget(seconds=max_seconds),
        approve=(lambda request: True) if approved else None,
    )
    turn = asyncio.Lock()

    async def carry_out(goal: str) -> dict[str, Any]:
        async with turn:
            return outcome(await agent.arun(goal))

    marks = [tool.permission for tool in tools if approved or tool.permission != "destructive"]
    mark = max(marks, key=get_args(Permission).index, default="read")
    return Tool(
        f"ask_{re.sub(r'[^A-Za-z0-9_-]+', '_', PurePath(preset).name)}",
        f"Carries out a goal in plain words, as an agent (model {model.name}) with the tools {', '.join(tools.names)}.",
        GOAL,
        carry_out,
        timeout=None,  # a run ends by its own budget, and may wait for the one before it
        permission=mark,
    )


def outcome(run: Run) -> dict[str, Any]:
    """A run as `OUTCOME` describes it."""
    calls = []
    for call, result in zip(run.calls, run.observations, strict=False):
        came = {"ok": True, "value": result.value} if result.ok else {"ok": False, "error": result.error}
        calls.append({"name": call.name, "arguments": call.arguments, **came})
    calls += [{"name": call.name, "arguments": call.arguments} for call in run.calls[len(calls) :]]
    return {"answer": run.answer, "status": run.status, "calls": calls}
