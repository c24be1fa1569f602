"""Runs a log again, exactly: its turns, results, approvals and replies are taken from it, and no tool is called."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from ..tools import Tool, Toolset
from ..tools.errors import ToolError
from .controller import Controller
from .earlier import trace_from_json
from .errors import AgentError, LogEnds, LogError
from .log import LoggedRun, RunRecord, read_runs
from .requests import Events, Execute, Request
from .session import Answered, Session
from .settings import Settings
from .steps import Run, Step

_MARKS = ("permission", "idempotent", "sensitive", "trusted", "policies")


def declaration(tool: Tool) -> dict[str, Any]:
    """What the opening line of a run says of a tool."""
    return {**tool.schema(), **{mark: getattr(tool, mark) for mark in _MARKS}}


def replay(path: str | os.PathLike[str]) -> list[Run]:
    """Run every run of a log again and compare each step with the logged one.

    Runs that were cut off end where their log ends; a run whose last words were an exception of the host does, too.

    Raises:
        LogError: the file is no log, or a run does not follow it.
    """
    return [_replayed(run) for run in read_runs(path)]


def _replayed(logged: LoggedRun) -> Run:
    earlier, model = trace_from_json(logged.facts.get("earlier", [])), str(logged.facts.get("model", ""))
    record = RunRecord(None, logged.facts, Run(earlier=earlier, model=model))
    if not logged.records:
        return record.run
    settings, tools = restored(logged)
    session = Session(None, record, logged.records)
    try:
        for _ in drive(Controller(settings, tools, record.run), session, record, logged.goal):
            pass
    except LogEnds:
        return record.run
    session.check_end()
    return record.run


def restored(logged: LoggedRun) -> tuple[Settings, Toolset]:
    """The rules and the tools that a run had; the tools have no functions.

    Raises:
        LogError: the log does not say.
    """
    try:
        schemas = logged.facts["tools"]
        tools = Toolset(Tool.from_schema(schema, **{mark: schema[mark] for mark in _MARKS}) for schema in schemas)
        return Settings.from_json(logged.facts), tools
    except (KeyError, TypeError, ValueError, AgentError, ToolError) as error:
        raise LogError(f"run {logged.name}: its opening line does not say what it ran with ({error})") from None


def drive(controller: Controller, session: Session, record: RunRecord, goal: str, executes: bool = True) -> Iterator[Step]:
    """The steps of a run as they happen; one that does not execute ends where its first call would be made."""
    events, reply = controller.events(goal), None
    with record, contextlib.closing(events):
        while (event := next_event(events, reply)) is not None:
            reply = None
            if isinstance(event, Step):
                session.step(event)
                yield event
                continue
            if isinstance(event, Execute) and not executes:
                return
            for item in session.answer(event):
                if isinstance(item, Answered):
                    reply = (item.value, session.at)
                else:
                    yield item


def next_event(events: Events, reply: tuple[Any, float] | None) -> Step | Request | None:
    """What comes next; None at the end."""
    try:
        return events.send(reply)
    except StopIteration:
        return None
