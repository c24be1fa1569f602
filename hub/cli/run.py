"""`ferrule run`: a goal in plain words, carried out in the terminal."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Annotated

import typer

from ...agents import Agent, Budget, Run
from ...agents.dates import clock_of
from ...tools import load_tools
from ..loading import from_preset
from .agents import AgentName, AgentOptions, ChosenAgent, check_sources
from .asking import approve, ask, can_ask
from .console import err, fail, one_line_errors, stdout_to_stderr
from .options import (
    GROUNDING,
    ActConfidence,
    AllowPrivate,
    Explain,
    MinConfidence,
    Server,
    given,
    grounding,
    moment,
    number,
    openapi_options,
    whole_number,
    worded,
)
from .showing import Shown, finish, in_words, show_dry_run


def run(
    context: typer.Context,
    goal: Annotated[str, typer.Argument(help="What to do, in plain words.")],
    tools: Annotated[
        str | None,
        typer.Option(
            "--tools",
            "-t",
            help="A .py file of tools, a .json file of schemas, an OpenAPI document, or mcp:COMMAND.",
            callback=given,
        ),
    ] = None,
    agent_preset: AgentName = None,
    option: AgentOptions = None,
    preset: Annotated[
        str, typer.Option("--preset", "-p", help="A preset name (see `ferrule presets`) or a path.", callback=given)
    ] = "needle_3",
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.", callback=given)] = "numpy",
    instructions: Annotated[str, typer.Option(help='System text, such as "date: 2026-11-22 Sun 14:30; locale: en-GB".')] = "",
    max_turns: Annotated[
        int, typer.Option(parser=whole_number, metavar="N", help="Times the model may be asked to write.")
    ] = Budget.turns,
    max_calls: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Tools that may be run.")] = Budget.calls,
    max_tokens: Annotated[
        int, typer.Option(parser=whole_number, metavar="N", help="Tokens that may be written over all turns.")
    ] = Budget.tokens,
    turn_tokens: Annotated[
        int, typer.Option(parser=whole_number, metavar="N", help="Tokens that may be written in one turn.")
    ] = Budget.turn_tokens,
    max_seconds: Annotated[
        float, typer.Option(parser=number(0.1), metavar="X", help="Wall clock for the whole run.")
    ] = Budget.seconds,
    min_confidence: MinConfidence = None,
    act_confidence: ActConfidence = None,
    evidence: Annotated[
        str,
        typer.Option(
            "--grounding",
            metavar="strict|on|off",
            callback=grounding,
            help="Whether values must rest on what was said: all, those that no schema lists, or none.",
        ),
    ] = "on",
    clock: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            callback=moment,
            help='When this is, such as "2026-11-22T14:30", for words like "tomorrow". Default: as --instructions say, or now.',
        ),
    ] = None,
    allow_private: AllowPrivate = False,
    server: Server = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve whatever needs permission.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; tools that change things are not run.")
    ] = False,
    explain: Explain = False,
    log: Annotated[str | None, typer.Option(help="Append the run's steps to this JSON-lines file.", callback=given)] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead; what tools print goes to standard error.")
    ] = False,
) -> None:
    """Carry out a goal: decide on tool calls, run them, answer.

    Tools that are marked destructive need permission: at a terminal you are asked, elsewhere they are not run without --yes.

    With tools from a JSON file, which have no implementation, the calls are decided on and printed, not run.

    Exit status: 0 answered or decided, 1 an error or a tool that failed, 2 bad usage, 3 refused (no tool fits) or a question
    that nobody answered, 4 a budget ran out.
    """
    if not goal.strip():
        fail("the goal is empty; say in plain words what is to be done", 2)
    check_sources(tools, agent_preset, option)
    with one_line_errors(worded):
        with stdout_to_stderr() if as_json else contextlib.nullcontext():
            chosen = None if agent_preset is None else ChosenAgent(context, agent_preset, option)
            if chosen is not None:
                found, (preset, backend) = chosen.tools, chosen.model(preset, backend)
            else:
                found = load_tools(str(tools), **openapi_options(str(tools), allow_private, server))
            with err.status(f"loading {preset} on {backend}", spinner="dots") if err.is_terminal else contextlib.nullcontext():
                model = from_preset(preset, backend)
            budget = Budget(turns=max_turns, calls=max_calls, tokens=max_tokens, turn_tokens=turn_tokens, seconds=max_seconds)
            asking = can_ask() and not as_json
            rules = {
                "instructions": instructions,
                "budget": budget,
                "min_confidence": min_confidence,
                "act_confidence": act_confidence,
                "grounding": GROUNDING[evidence],
                "clock": clock,
            }
            agent = Agent(
                model,
                found,
                **(chosen.rules(**rules) if chosen is not None else {**rules, "clock": clock or _now(instructions)}),
                approve=(lambda request: True) if yes else approve if asking else None,
                ask=ask if asking else None,
                dry_run=dry_run,
                log=log,
            )
            result = Run()
            runnable = all(tool.function is not None for tool in found)
            shown = None if as_json else Shown(result, explain)
            if dry_run and shown is not None:
                show_dry_run()
            try:
                for step in map(in_words, agent.stream(goal, result.usage, execute=runnable)):
                    result.steps.append(step)
                    if shown is not None:
                        shown.step(step)
            finally:
                if agent.log is not None:
                    agent.log.close()
        status = "decided" if result.calls and not runnable and result.status == "unfinished" else result.status
        finish(goal, result, status, agent, shown, explain)


def _now(instructions: str) -> str | None:
    """Now; None where the instructions say when it is."""
    return datetime.now().isoformat(timespec="minutes") if clock_of(instructions) is None else None
