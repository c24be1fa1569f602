"""What `ferrule run`, `resume` and `replay` print of a run, and the status that they exit with."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import typer
from rich.text import Text

from ...agents import Agent, Answer, Approval, Call, Observation, Plan, Question, Refusal, Run, RunError, Step, Stop, to_json
from ...agents.steps import describe_failures
from .console import fail, out, print_json, printable
from .explaining import WHY_DROPPED, Explainer, explained, goal_line, verdict
from .options import worded

EXIT_CODES = {"refused": 3, "asked": 3, "stopped": 4}  # 1 is an error or a tool that failed for good, 2 bad usage


def in_words(step: Step) -> Step:
    """A step that says what to do, by the names of options."""
    return dataclasses.replace(step, text=worded(step.text)) if isinstance(step, Question | Refusal | Stop) else step


class Shown:
    """Prints a run step by step, for people; what was shown of its failures is not repeated.

    Args:
        run: whoever drives the run adds each step to it.
        explain: also what the values of calls rest on.
    """

    def __init__(self, run: Run, explain: bool = False):
        self.run = run
        self._explainer = Explainer(run) if explain else None

    def step(self, step: Step) -> None:
        """Print a step that just happened."""
        if isinstance(step, Answer) and (failures := self.run.failures):
            names = ", ".join(dict.fromkeys(result.call.name for result in failures))  # why stands beside the calls
            step = dataclasses.replace(step, text=step.text.replace(describe_failures(failures), f"{names} failed"))
        if self._explainer is None:
            show(step)
            return
        if (line := goal_line(step)) is not None:
            out.print(line)
        show(step)
        self._explainer.see(step)
        for line in self._explainer.lines(step):
            out.print(line)

    def end(self, agent: Agent) -> None:
        """Print what the run cost and, where it was explained, whether its evidence holds."""
        if self._explainer is not None and (line := verdict(self.run, agent.tools, agent.settings)) is not None:
            out.print(line)
        show_usage(self.run)


def show(step: Step) -> None:
    """One step for people; what comes from models and tools is never read as markup, nor as commands to the terminal."""
    match step:
        case Call(call=call, confidence=confidence, dropped=dropped):
            arguments = ", ".join(f"{name}={_shown(value)}" for name, value in call.arguments.items())
            sure = "" if confidence is None else f"  confidence {confidence:.2f}"
            out.print(Text.assemble(("→ ", "cyan"), (call.name, "bold"), f"({printable(arguments)})", (sure, "dim")))
            if dropped:
                left_out = printable(", ".join(dropped))
                out.print(Text(f"  left out, since {WHY_DROPPED}: {left_out}", "dim"))
        case Plan(parts=parts):
            for number, part in enumerate(parts, 1):
                out.print(Text(f"{number}. {printable(part.text)}", "dim"))
        case Approval(call=call, granted=granted, reasons=reasons) if not granted:
            why = printable("; ".join(reasons))
            out.print(Text.assemble(("✗ ", "red"), (call.name, "bold"), f" is not allowed: {why}"))
        case Observation(result=result) if result.ok:
            out.print(Text.assemble(("  ✓ ", "green"), _shown(result.value)))
        case Observation(result=result):
            out.print(Text.assemble(("  ✗ ", "red"), printable(worded(result.error or ""))))
        case Answer(text=text):
            out.print(Text(printable(text) or "Done.", "bold"))
        case Refusal(text=text, reasoning=reasoning) | Question(text=text, reasoning=reasoning):
            why = printable(f"  {reasoning}") if reasoning else ""
            out.print(Text.assemble((printable(text), "yellow"), (why, "dim")))
        case Stop(text=text):
            out.print(Text(printable(text), "yellow"))


def _shown(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False))


def show_usage(run: Run) -> None:
    u = run.usage
    reused = f", {u.reused_tokens} of them reused" if u.reused_tokens else ""
    out.print(
        f"[dim]{u.calls} call{'s' * (u.calls != 1)} in {u.turns} turn{'s' * (u.turns != 1)}; {u.prompt_tokens} prompt tokens"
        f"{reused}; {u.generated_tokens} written; {u.seconds:.2f} s[/dim]"
    )


def show_dry_run() -> None:
    out.print(Text("This is a dry run: tools that change things are not called.", "bold"))


def document(goal: str, run: Run, status: str, agent: Agent, explain: bool = False) -> dict[str, Any]:
    """A run as one JSON object."""
    found = {
        "goal": goal,
        "status": status,
        "answer": run.answer,
        "calls": [{"name": call.name, "arguments": call.arguments} for call in run.calls],
        "steps": [to_json(step) for step in run.steps],
        "usage": vars(run.usage),
        "dry_run": agent.settings.dry_run,
    }
    return {**found, "explained": explained(run, agent.tools, agent.settings)} if explain else found


def finish(goal: str, run: Run, status: str, agent: Agent, shown: Shown | None, explain: bool) -> None:
    """Print the end of a run, or all of it as JSON, and exit with its status.

    Args:
        shown: what printed it so far; None for JSON.
    """
    if shown is None:
        print_json(document(goal, run, status, agent, explain))
    else:
        if status == "decided":
            out.print(Text("These tools have no implementation here, so nothing was run.", "bold"))
        shown.end(agent)
    if status == "decided":
        return
    try:
        run.raise_for_status()
    except RunError as error:
        code = EXIT_CODES.get(status, 1)
        if shown is None:
            fail(worded(str(error)), code)
        elif code != 1:
            raise typer.Exit(code) from None
        # At a terminal it stands right above; elsewhere standard error may be all that is read.
        names = ", ".join(dict.fromkeys(result.call.name for result in run.failures))
        fail(f"{names} failed" if out.is_terminal and names else worded(str(error)))
