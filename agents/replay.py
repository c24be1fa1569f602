"""Runs a log again, exactly: its turns, results, approvals and replies are taken from it, and no tool is called."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from ..tools import Tool, Toolset
from ..tools.errors import ToolError
from .controller import Controller, Settings
from .errors import LogEnds, LogError
from .log import LoggedRun, RunRecord, read_runs
from .requests import Events, Request
from .session import Answered, Session
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
    record = RunRecord(None, logged.facts, Run())
    if not logged.records:
        return record.run
    try:
        settings = Settings.from_json(logged.facts)
        tools = Toolset(Tool.from_schema(schema, **{mark: schema[mark] for mark in _MARKS}) for schema in logged.facts["tools"])
    except (KeyError, TypeError, ValueError, ToolError) as error:
        raise LogError(f"run {logged.name}: its opening line does not say what it ran with ({error})") from None
    session = Session(None, record, logged.records)
    try:
        for _ in drive(Controller(settings, tools, record.run), session, record, logged.goal):
            pass
    except LogEnds:
        return record.run
    session.check_end()
    return record.run


def drive(controller: Controller, session: Session, record: RunRecord, goal: str) -> Iterator[Step]:
    """The steps of a run as they happen."""
    events, reply = controller.events(goal), None
    with record, contextlib.closing(events):
        while (event := next_event(events, reply)) is not None:
            reply = None
            if isinstance(event, Step):
                session.step(event)
                yield event
                continue
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
