"""`ferrule run`: a goal in plain words, carried out in the terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Annotated, Any

import typer
from rich.text import Text

from ...agents import (
    Agent,
    Answer,
    Approval,
    Budget,
    Call,
    Goal,
    Observation,
    Plan,
    Question,
    Refusal,
    Run,
    RunError,
    Step,
    Stop,
    to_json,
)
from ...agents.agent import MIN_CONFIDENCE
from ...tools import Toolset, load_tools
from ..loading import from_preset
from .asking import approve, ask, can_ask
from .console import err, fail, one_line_errors, out, print_json, printable, stdout_to_stderr
from .options import MinConfidence, given, number, whole_number

EXIT_CODES = {"refused": 3, "asked": 3, "stopped": 4}  # 1 is an error or a tool that failed for good, 2 bad usage

# field of `Budget` -> the option that sets it
BUDGET_OPTIONS = {
    "turns": "--max-turns",
    "calls": "--max-calls",
    "tokens": "--max-tokens",
    "turn_tokens": "--turn-tokens",
    "seconds": "--max-seconds",
}


def run(
    goal: Annotated[str, typer.Argument(help="What to do, in plain words.")],
    tools: Annotated[
        str,
        typer.Option(
            "--tools", "-t", help="A .py file of tools, a .json file of schemas, or an OpenAPI document.", callback=given
        ),
    ],
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
    min_confidence: MinConfidence = MIN_CONFIDENCE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve whatever needs permission.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; tools that change things are not run.")
    ] = False,
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
    with one_line_errors():
        with stdout_to_stderr() if as_json else contextlib.nullcontext():
            found = load_tools(tools)
            with err.status(f"loading {preset} on {backend}", spinner="dots") if err.is_terminal else contextlib.nullcontext():
                model = from_preset(preset, backend)
            budget = Budget(turns=max_turns, calls=max_calls, tokens=max_tokens, turn_tokens=turn_tokens, seconds=max_seconds)
            asking = can_ask() and not as_json
            agent = Agent(
                model,
                found,
                instructions=instructions,
                budget=budget,
                min_confidence=min_confidence,
                approve=(lambda request: True) if yes else approve if asking else None,
                ask=ask if asking else None,
                dry_run=dry_run,
                log=log,
            )
            result = Run()
            runnable = _runnable(found)
            try:
                steps = agent.stream(goal, result.usage) if runnable else _decided(agent, goal, result)
                for step in map(_for_the_command_line, steps):
                    result.steps.append(step)
                    if not as_json:
                        show(step)
            finally:
                if agent.log is not None:
                    agent.log.close()
        status = _status(result, runnable)
        if as_json:
            print_json(document(goal, result, status))
        else:
            if status == "decided":
                out.print(Text("These tools have no implementation here, so nothing was run.", "bold"))
            show_usage(result)
        if status == "decided":
            return
        try:
            result.raise_for_status()
        except RunError as error:
            code = EXIT_CODES.get(status, 1)
            if code == 1 or as_json:
                fail(str(error), code)
            raise typer.Exit(code) from None


def _runnable(tools: Toolset) -> bool:
    return all(tool.function is not None for tool in tools)


def _decided(agent: Agent, goal: str, result: Run) -> list[Step]:
    """The steps of a run that ends where the first call would be executed; logged as those of any other run are."""
    decision = agent.decide(goal)
    vars(result.usage).update(vars(decision.usage))
    steps: list[Step] = [Goal(goal)]
    if decision.stop is not None:
        steps.append(decision.stop)
    elif not decision.calls:
        steps.append(agent.ending(decision))
    else:
        calls = zip(decision.calls, decision.dropped, strict=True)
        steps += [Call(call, decision.reasoning, decision.confidence, dropped) for call, dropped in calls]
    if agent.log is not None:
        run = agent.log.begin(agent.facts())
        for step in steps:
            agent.log.step(run, step)
        agent.log.end(run, {"reason": _status(Run(steps), runnable=False), "usage": vars(result.usage)})
    return steps


def _status(result: Run, runnable: bool) -> str:
    """The run's status, or "decided" where there were calls and nothing to run them."""
    return "decided" if result.calls and not runnable else result.status


def _for_the_command_line(step: Step) -> Step:
    """A budget that ended the run is raised by an option here."""
    if not isinstance(step, Stop):
        return step
    text = step.text
    for name, option in BUDGET_OPTIONS.items():
        text = text.replace(f"Budget({name}=...)", option)
    return dataclasses.replace(step, text=text)


def document(goal: str, result: Run, status: str) -> dict[str, Any]:
    return {
        "goal": goal,
        "status": status,
        "answer": result.answer,
        "calls": [{"name": call.name, "arguments": call.arguments} for call in result.calls],
        "steps": [to_json(step) for step in result.steps],
        "usage": vars(result.usage),
    }


def show(step: Step) -> None:
    """One step for people; what comes from models and tools is never read as markup, nor as commands to the terminal."""
    match step:
        case Call(call=call, confidence=confidence, dropped=dropped):
            arguments = ", ".join(f"{name}={_shown(value)}" for name, value in call.arguments.items())
            sure = "" if confidence is None else f"  confidence {confidence:.2f}"
            out.print(Text.assemble(("→ ", "cyan"), (call.name, "bold"), f"({printable(arguments)})", (sure, "dim")))
            if dropped:
                left_out = printable(", ".join(dropped))
                out.print(Text(f"  left out, since nothing that was said supports it: {left_out}", "dim"))
        case Plan(parts=parts):
            for number, part in enumerate(parts, 1):
                out.print(Text(f"{number}. {printable(part.text)}", "dim"))
        case Approval(call=call, granted=granted, reasons=reasons) if not granted:
            why = printable("; ".join(reasons))
            out.print(Text.assemble(("✗ ", "red"), (call.name, "bold"), f" is not allowed: {why}"))
        case Observation(result=result) if result.ok:
            out.print(Text.assemble(("  ✓ ", "green"), _shown(result.value)))
        case Observation(result=result):
            out.print(Text.assemble(("  ✗ ", "red"), printable(result.error or "")))
        case Answer(text=text):
            out.print(Text(printable(text) or "Done.", "bold"))
        case Refusal(text=text, reasoning=reasoning) | Question(text=text, reasoning=reasoning):
            why = printable(f"  {reasoning}") if reasoning else ""
            out.print(Text.assemble((printable(text), "yellow"), (why, "dim")))
        case Stop(text=text):
            out.print(Text(printable(text), "yellow"))


def _shown(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False))


def show_usage(result: Run) -> None:
    u = result.usage
    reused = f", {u.reused_tokens} of them reused" if u.reused_tokens else ""
    out.print(
        f"[dim]{u.calls} call{'s' * (u.calls != 1)} in {u.turns} turn{'s' * (u.turns != 1)}; {u.prompt_tokens} prompt tokens"
        f"{reused}; {u.generated_tokens} written; {u.seconds:.2f} s[/dim]"
    )
