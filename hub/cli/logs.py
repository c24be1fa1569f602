"""`ferrule replay` and `ferrule resume`: what can be done with the log of a run."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ...agents import Agent, LogError, Run, to_json
from ...agents import replay as replay_log
from ...agents.log import LoggedRun, check_weights, read_runs
from ...agents.replay import restored
from ...tools import load_tools
from ..errors import HubError
from ..fingerprint import fingerprint
from ..loading import MODEL_OPTIONS, from_preset
from .agents import AgentName, AgentOptions, check_sources, tools_of
from .asking import approve, ask, can_ask
from .console import OUR_ERRORS, err, one_line_errors, out, print_json, printable, stdout_to_stderr
from .explaining import explained, verdict
from .options import AllowPrivate, Explain, Server, given, openapi_options, worded
from .showing import Shown, finish, in_words, show_dry_run, show_usage

Log = Annotated[str, typer.Argument(help="A log that `ferrule run --log` or an Agent wrote.", callback=given)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


def replay(log: Log, explain: Explain = False, as_json: AsJson = False) -> None:
    """Run every run of a log again, exactly: each step is compared with the log, and no tool is called.

    Exit status: 0 where all runs follow the log, 1 otherwise.
    """
    with one_line_errors(worded):
        logged = read_runs(log)
        runs = replay_log(log)
        for found in logged:
            _note_other_weights(found, log)
        if as_json:
            print_json([_document(found, run, explain) for found, run in zip(logged, runs)])
        elif explain:
            for found, run in zip(logged, runs):
                _explain(found, run)
        else:
            _table(logged, runs)


def _document(logged: LoggedRun, run: Run, explain: bool) -> dict[str, object]:
    document: dict[str, object] = {
        "run": logged.name,
        "status": run.status,
        "steps": [to_json(step) for step in run.steps],
        "dry_run": bool(logged.facts.get("dry_run")),
    }
    if explain and run.steps:
        settings, tools = restored(logged)
        document["explained"] = explained(run, tools, settings)
    return document


def _explain(logged: LoggedRun, run: Run) -> None:
    dry = ", a dry run" if logged.facts.get("dry_run") else ""
    out.print(Text(f"run {printable(logged.name)}: {run.status}{dry}", "bold"))
    if not run.steps:
        return
    settings, tools = restored(logged)
    shown = Shown(Run(run.steps, earlier=run.earlier), explain=True)
    for step in run.steps:
        shown.step(in_words(step))
    if (line := verdict(run, tools, settings)) is not None:
        out.print(line)
    show_usage(run)


def _table(logged: list[LoggedRun], runs: list[Run]) -> None:
    table = Table("run", "status", "steps", "calls", "goal", box=None, header_style="bold")
    for found, run in zip(logged, runs):
        goal = getattr(run.steps[0], "text", "") if run.steps else ""
        table.add_row(found.name, run.status, str(len(run.steps)), str(len(run.calls)), printable(goal))
    out.print(table)


def _note_other_weights(logged: LoggedRun, log: str) -> None:
    """A line on standard error where other weights lie at the path of the log by now; a replay needs none."""
    source = logged.facts.get("source")
    path = Path(str(source.get("preset"))) if isinstance(source, dict) else Path()
    if not path.is_absolute() or not path.exists():
        return
    try:
        check_weights(logged, {"preset": path, "fingerprint": fingerprint(path)}, log)
    except LogError as error:
        err.print(Text(f"note: {printable(str(error).partition(';')[0])}", "yellow"))


def resume(
    log: Log,
    tools: Annotated[str | None, typer.Option("--tools", "-t", help="The tools that the run had.", callback=given)] = None,
    agent_preset: AgentName = None,
    option: AgentOptions = None,
    preset: Annotated[
        str | None, typer.Option("--preset", "-p", help="Default: the one of the log, by name or path.", callback=given)
    ] = None,
    backend: Annotated[str | None, typer.Option("--backend", "-b", help="Default: the one of the log.", callback=given)] = None,
    allow_private: AllowPrivate = False,
    server: Server = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve whatever needs permission.")] = False,
    explain: Explain = False,
    as_json: AsJson = False,
) -> None:
    """Go on with the last run of a log that was killed on its way; nothing that the log knows of is done again.

    The model must have the weights that the run began with, and the tools must be declared as they were.

    Exit status: as of `ferrule run`.
    """
    check_sources(tools, agent_preset, option)
    with one_line_errors(worded):
        logged = _unfinished(log)
        with stdout_to_stderr() if as_json else contextlib.nullcontext():
            if agent_preset is not None:
                found = tools_of(agent_preset, option)
            else:
                found = load_tools(str(tools), **openapi_options(str(tools), allow_private, server))
            settings, _ = restored(logged)
            asking = can_ask() and not as_json
            agent = Agent(
                _model(logged, preset, backend),
                found,
                **{**vars(settings), "calibration": settings.calibration or False},
                approve=(lambda request: True) if yes else approve if asking else None,
                ask=ask if asking else None,
            )
            if settings.dry_run and not as_json:
                show_dry_run()
            result = agent.resume(log)
        result.steps = [in_words(step) for step in result.steps]
        shown = None
        if not as_json:
            shown = Shown(result, explain)
            for step in result.steps:
                shown.step(step)
        finish(logged.goal, result, result.status, agent, shown, explain)


def _model(logged: LoggedRun, preset: str | None, backend: str | None) -> Any:
    """The model that was named or, where none was, the one that the run began with."""
    source = logged.facts.get("source")
    source = source if isinstance(source, dict) else {}
    name = preset or str(source.get("preset") or logged.facts.get("model"))
    options = source.get("options")
    options = {option: options[option] for option in MODEL_OPTIONS if option in options} if isinstance(options, dict) else {}
    try:
        return from_preset(name, backend or str(source.get("backend") or "numpy"), **options)
    except OUR_ERRORS as error:
        if preset is not None:
            raise
        raise HubError(f"{error} (the model of the run, by its log; --preset names another place of it)") from None


def _unfinished(log: str) -> LoggedRun:
    runs = [run for run in read_runs(log) if run.reason is None and run.records]
    if not runs:
        raise HubError(f"every run in {log} got to its end: there is nothing to go on with")
    return runs[-1]
