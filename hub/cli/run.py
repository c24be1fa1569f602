"""`ferrule run`: a goal in plain words, carried out in the terminal."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ...agents import Agent, Answer, Budget, Call, Goal, Observation, Refusal, Run, RunError, Step, Stop, to_json
from ...agents.agent import MIN_CONFIDENCE
from ...tools import Toolset, load_tools
from ..loading import from_preset
from .console import err, fail, one_line_errors, out, print_json

REFUSED, STOPPED = 3, 4  # exit statuses; 1 is an error or a tool that failed for good, 2 bad usage


def run(
    goal: Annotated[str, typer.Argument(help="What to do, in plain words.")],
    tools: Annotated[str, typer.Option("--tools", "-t", help="A Python file of tools, or a JSON file of tool schemas.")],
    preset: Annotated[
        str, typer.Option("--preset", "-p", help="A preset name (see `ferrule presets`) or a path.")
    ] = "needle_3",
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.")] = "numpy",
    instructions: Annotated[str, typer.Option(help='System text, such as "date: 2026-11-22 Sun 14:30; locale: en-GB".')] = "",
    max_turns: Annotated[int, typer.Option(min=1, help="Times the model may be asked to write.")] = Budget.turns,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Wall clock for the whole run.")] = Budget.seconds,
    min_confidence: Annotated[float, typer.Option(min=0.0, max=1.0, help="Withhold calls below this.")] = MIN_CONFIDENCE,
    log: Annotated[Path | None, typer.Option(help="Append the run's steps to this JSON-lines file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Carry out a goal: decide on tool calls, run them, answer.

    With tools from a JSON file, which have no implementation, the calls are decided on and printed, not run.

    Exit status: 0 answered, 1 an error or a tool that failed, 3 refused (no tool fits), 4 a budget ran out.
    """
    if not goal.strip():
        fail("the goal is empty; say in plain words what is to be done", 2)
    with one_line_errors():
        found = load_tools(tools)
        with err.status(f"loading {preset} on {backend}", spinner="dots") if err.is_terminal else contextlib.nullcontext():
            model = from_preset(preset, backend)
        budget = Budget(turns=max_turns, seconds=max_seconds)
        agent = Agent(model, found, instructions=instructions, budget=budget, min_confidence=min_confidence, log=log)
        result = Run()
        steps = agent.stream(goal, result.usage) if _runnable(found) else _decided(agent, goal, result)
        for step in steps:
            result.steps.append(step)
            if not as_json:
                _show(step)
        if as_json:
            print_json(_document(goal, result))
        else:
            _show_usage(result)
        try:
            result.raise_for_status()
        except RunError as error:
            code = {"refused": REFUSED, "stopped": STOPPED}.get(result.status, 1)
            if code == 1 or as_json:
                fail(str(error), code)
            raise typer.Exit(code) from None


def _runnable(tools: Toolset) -> bool:
    return all(tool.function is not None for tool in tools)


def _decided(agent: Agent, goal: str, result: Run) -> Iterator[Step]:
    """The steps of a run that ends where the first call would be executed."""
    yield Goal(goal)
    decision = agent.decide(goal)
    vars(result.usage).update(vars(decision.usage))
    if decision.stop is not None:
        yield decision.stop
    elif not decision.calls:
        yield agent.refusal(decision)
    else:
        for call in decision.calls:
            yield Call(call, decision.reasoning, decision.confidence)
        yield Answer("These tools have no implementation here, so nothing was run.")


def _document(goal: str, result: Run) -> dict[str, Any]:
    return {
        "goal": goal,
        "status": result.status,
        "answer": result.answer,
        "calls": [{"name": call.name, "arguments": call.arguments} for call in result.calls],
        "steps": [to_json(step) for step in result.steps],
        "usage": vars(result.usage),
    }


def _show(step: Step) -> None:
    """One step for people; what comes from models and tools is printed as it is, never read as markup."""
    match step:
        case Call(call=call, confidence=confidence):
            arguments = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
            sure = "" if confidence is None else f"  confidence {confidence:.2f}"
            out.print(Text.assemble(("→ ", "cyan"), (call.name, "bold"), f"({arguments})", (sure, "dim")))
        case Observation(result=result) if result.ok:
            out.print(Text.assemble(("  ✓ ", "green"), json.dumps(result.value, ensure_ascii=False)))
        case Observation(result=result):
            out.print(Text.assemble(("  ✗ ", "red"), result.error or ""))
        case Answer(text=text):
            out.print(Text(text or "Done.", "bold"))
        case Refusal(text=text, reasoning=reasoning):
            out.print(Text.assemble((text, "yellow"), (f"  {reasoning}" if reasoning else "", "dim")))
        case Stop(text=text):
            out.print(Text(text, "yellow"))


def _show_usage(result: Run) -> None:
    u = result.usage
    reused = f", {u.reused_tokens} of them reused" if u.reused_tokens else ""
    out.print(
        f"[dim]{u.calls} call{'s' * (u.calls != 1)} in {u.turns} turn{'s' * (u.turns != 1)}; {u.prompt_tokens} prompt tokens"
        f"{reused}; {u.generated_tokens} written; {u.seconds:.2f} s[/dim]"
    )
