"""`ferrule replay` and `ferrule resume`: what can be done with the log of a run."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from ...agents import Agent, Run, RunError, to_json
from ...agents import replay as replay_log
from ...agents.controller import Settings
from ...agents.log import LoggedRun, read_runs
from ...tools import load_tools
from ..errors import HubError
from ..loading import from_preset
from .asking import approve, ask, can_ask
from .console import fail, one_line_errors, out, print_json, printable
from .options import given
from .run import EXIT_CODES, document, show, show_usage

Log = Annotated[str, typer.Argument(help="A log that `ferrule run --log` or an Agent wrote.", callback=given)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


def replay(log: Log, as_json: AsJson = False) -> None:
    """Run every run of a log again, exactly: each step is compared with the log, and no tool is called.

    Exit status: 0 where all runs follow the log, 1 otherwise.
    """
    with one_line_errors():
        names = [run.name for run in read_runs(log)]
        runs = replay_log(log)
    if as_json:
        print_json(
            [{"run": name, "status": run.status, "steps": [to_json(s) for s in run.steps]} for name, run in zip(names, runs)]
        )
        return
    table = Table("run", "status", "steps", "calls", "goal", box=None, header_style="bold")
    for name, run in zip(names, runs):
        goal = getattr(run.steps[0], "text", "") if run.steps else ""
        table.add_row(name, run.status, str(len(run.steps)), str(len(run.calls)), printable(goal))
    out.print(table)


def resume(
    log: Log,
    tools: Annotated[str, typer.Option("--tools", "-t", help="The tools that the run had.", callback=given)],
    preset: Annotated[str | None, typer.Option("--preset", "-p", help="Default: the one of the log.", callback=given)] = None,
    backend: Annotated[str, typer.Option("--backend", "-b", help="numpy, jax, torch or tensorflow.", callback=given)] = "numpy",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve whatever needs permission.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go on with the last run of a log that was killed on its way; nothing that the log knows of is done again.

    Exit status: as of `ferrule run`.
    """
    with one_line_errors():
        logged = _unfinished(log)
        found = load_tools(tools)
        try:
            settings = Settings.from_json(logged.facts)
        except (KeyError, TypeError, ValueError) as error:
            raise HubError(f"{log}: the opening line of run {logged.name} does not say what it ran with ({error})") from None
        model = from_preset(preset or str(logged.facts.get("model")), backend)
        asking = can_ask() and not as_json
        agent = Agent(
            model,
            found,
            **vars(settings),
            approve=(lambda request: True) if yes else approve if asking else None,
            ask=ask if asking else None,
        )
        result = agent.resume(log)
    finish(logged.goal, result, as_json)


def finish(goal: str, result: Run, as_json: bool) -> None:
    """Print a run, and exit with its status."""
    if as_json:
        print_json(document(goal, result, result.status))
    else:
        for step in result.steps:
            show(step)
        show_usage(result)
    try:
        result.raise_for_status()
    except RunError as error:
        code = EXIT_CODES.get(result.status, 1)
        if code == 1 or as_json:
            fail(str(error), code)
        raise typer.Exit(code) from None


def _unfinished(log: str) -> LoggedRun:
    runs = [run for run in read_runs(log) if run.reason is None and run.records]
    if not runs:
        raise HubError(f"every run in {log} got to its end: there is nothing to go on with")
    return runs[-1]
