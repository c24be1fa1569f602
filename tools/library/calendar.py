"""A calendar in an iCalendar file (RFC 5545)."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

from ..errors import ToolDefinitionError, ToolFailed, describe
from ..tool import Policy, Tool, shown, tool
from ..toolset import Toolset
from .narrowing import narrowed


def make_tools(file: Path, zone: str | None = None, day_begins: str = "09:00", day_ends: str = "17:00") -> Toolset:
    """A calendar in an iCalendar file (.ics), which is made where there is none.

    Args:
        file: The .ics file.
        zone: Time zone such as Europe/Oslo; the file's own by default, or else the system's.
        day_begins: When free time begins, as HH:MM.
        day_ends: When free time ends, as HH:MM.
    """
    try:
        known = None if zone is None else ZoneInfo(zone)
    except (KeyError, ValueError, OSError, TypeError):
        raise ToolDefinitionError(f"zone is a time zone such as Europe/Oslo, received {shown(zone)}") from None
    try:
        begins, ends = time.fromisoformat(day_begins), time.fromisoformat(day_ends)
    except (ValueError, TypeError):
        raise ToolDefinitionError(
            f"a day begins and ends at times such as 09:00, received {day_begins!r}, {day_ends!r}"
        ) from None
    if not begins < ends:
        raise ToolDefinitionError(f"a day begins before it ends, received {day_begins} and {day_ends}")
    try:
        from .events import Calendar
    except ImportError as error:
        raise ToolDefinitionError(
            f"the calendar needs a package that is missing ({describe(error)}): pip install 'ferrule[calendar]'"
        ) from None
    calendar = Calendar(Path(file), known, begins, ends)
    try:
        calendar.read()
    except ToolFailed as error:
        raise ToolDefinitionError(str(error)) from None
    made = [
        tool(calendar.list_events),
        tool(calendar.find_events),
        tool(calendar.find_free_time),
        tool(permission="write")(calendar.add_event),
        tool(permission="write")(calendar.move_event),
        tool(permission="write", idempotent=True)(calendar.change_event_time),
        tool(permission="destructive")(calendar.cancel_event),
    ]
    return Toolset(narrowed(each, policies=_derived(each)) for each in made)


def _derived(tool: Tool) -> dict[str, Policy]:
    """A wrong day is worse than a question: dates and times must follow from what was said."""
    return {name: "derive" for name in tool.parameters["properties"] if name.endswith(("date", "time"))}
