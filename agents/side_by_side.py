"""Parts of a run that do not depend on each other: driven in turns, so that what they want executed is executed together."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

from ..tools import ToolResult
from .requests import Execute
from .steps import Stop

_End = TypeVar("_End")
_Pending = dict[int, Execute]


def side_by_side(parts: Sequence[Generator[Any, Any, _End]]) -> Generator[Any, Any, list[_End]]:
    """What each part ends with, in their order.

    Every part runs until it wants something executed, one after the other; then all of that is one request, and they go on.
    A part whose budget is used up ends with the others' requests executed and nothing more of them done.

    Args:
        parts: each gives out steps and requests as a run does; what they want executed must not depend on the order.
    """
    pending: _Pending = {}
    ends: dict[int, _End] = {}
    for number, part in enumerate(parts):
        yield from _advance(number, part, None, pending, ends)
    while pending:
        asked, pending = pending, {}
        results, seconds = yield _together(asked)
        given = dict(zip((key for request in asked.values() for key in request.calls), results, strict=True))
        for number, request in asked.items():
            yield from _advance(number, parts[number], (_of(request, given), seconds), pending, ends)
    return [ends[number] for number in sorted(ends)]


def _advance(
    number: int, part: Generator[Any, Any, _End], reply: Any, pending: _Pending, ends: dict[int, _End]
) -> Generator[Any, Any, None]:
    """Drive a part to its next execution, or to its end."""
    try:
        event = part.send(reply)
        while not isinstance(event, Execute):
            if isinstance(event, Stop) and pending:  # its calls are in the log: nothing may stand behind a stop
                yield _together(pending)
                pending.clear()
            reply = yield event
            event = part.send(reply)
        pending[number] = event
    except StopIteration as stop:
        ends[number] = stop.value


def _together(requests: _Pending) -> Execute:
    limits = [request.seconds for request in requests.values() if request.seconds is not None]
    calls = {key: call for request in requests.values() for key, call in request.calls.items()}
    return Execute(calls, min(limits, default=None), any(request.dry for request in requests.values()))


def _of(request: Execute, given: Mapping[int, ToolResult]) -> list[ToolResult]:
    return [given[key] for key in request.calls]
