"""An iCalendar file (RFC 5545) that is changed event by event: every other line stays as it is, byte for byte.

The events are read with the `icalendar` library, recurrences with `recurring_ical_events`. What is written is cut into the
file's own lines: an event that changes takes the place of its lines, and whatever nobody here understands is not touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events

from ..errors import ToolFailed, describe
from ..tool import shown
from .writing import write_whole

_EMPTY = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Ferrule//Calendar//EN\r\nEND:VCALENDAR\r\n"
MAX_BYTES = 8 << 20
_TOO_OFTEN = ("SECONDLY", "MINUTELY")


@dataclass(frozen=True)
class Occurrence:
    """One time that an event takes place.

    Attributes:
        start, end: local times with a zone; whole days for an event that lasts all day, the end not included.
        event: as it stands in the file, or the library's copy of it with the times of this occurrence.
        is_repeated: whether it is one of several.
    """

    title: str
    start: datetime | date
    end: datetime | date
    event: icalendar.Event
    is_repeated: bool

    @property
    def uid(self) -> str:
        return str(self.event.get("UID", ""))

    @property
    def is_all_day(self) -> bool:
        return not isinstance(self.start, datetime)


class IcsFile:
    """A calendar as it stands in its file, read once.

    Args:
        path: the file; one that is not there is an empty calendar.
        zone: of local times; None: what the file says (X-WR-TIMEZONE), or else the system's.

    Raises:
        ToolFailed: it cannot be read, or is no calendar.
    """

    def __init__(self, path: Path, zone: ZoneInfo | None = None) -> None:
        self.path = path
        try:
            self.data = path.read_bytes()
        except FileNotFoundError:
            if not path.parent.is_dir():
                raise ToolFailed(f"there is no folder {shown(str(path.parent))} for the calendar") from None
            self.data = _EMPTY
        except OSError as error:
            raise ToolFailed(f"cannot read the calendar: {describe(error)}") from None
        if len(self.data) > MAX_BYTES:
            raise ToolFailed(f"{path.name} has {len(self.data)} bytes; a calendar may have {MAX_BYTES}")
        try:
            (self.calendar,) = icalendar.Calendar.from_ical(self.data, multiple=True)
        except Exception as error:  # whatever a stranger's file makes the parser raise
            raise ToolFailed(f"{path.name} is no calendar of RFC 5545: {describe(error)}") from None
        if self.calendar.name != "VCALENDAR":
            raise ToolFailed(f"{path.name} holds a {shown(self.calendar.name)}, and no VCALENDAR")
        self.events: list[icalendar.Event] = [c for c in self.calendar.subcomponents if c.name == "VEVENT"]
        for event in self.events:
            rules = event.get("RRULE", [])
            for rule in rules if isinstance(rules, list) else [rules]:
                if set(rule.get("FREQ", ())) & set(_TOO_OFTEN):
                    raise ToolFailed(f"{shown(_title(event))} repeats more often than every hour, which is not read")
        self.named_zone = zone or self._own_zone()
        self.zone: tzinfo = self.named_zone or datetime.now().astimezone().tzinfo or ZoneInfo("UTC")

    def _own_zone(self) -> ZoneInfo | None:
        named = str(self.calendar.get("X-WR-TIMEZONE", ""))
        try:
            return ZoneInfo(named) if named else None
        except (KeyError, ValueError, OSError):
            return None

    # -- reading -----------------------------------------------------------------------------------------------------

    def between(self, first: date, last: date) -> list[Occurrence]:
        """What takes place on these days, both included, in order; recurrences are expanded.

        Raises:
            ToolFailed: a recurrence cannot be understood.
        """
        start = datetime.combine(first, time(), self.zone)
        end = datetime.combine(last + timedelta(days=1), time(), self.zone)
        try:
            found = recurring_ical_events.of(self.calendar, keep_recurrence_attributes=True).between(start, end)
        except Exception as error:
            raise ToolFailed(f"an event in {self.path.name} cannot be understood: {describe(error)}") from None
        occurrences = [self._occurrence(event) for event in found]
        # Those of a floating or whole-day kind are taken generously by the library at either end
        kept = [o for o in occurrences if self.moment(o.start) < end and (self.moment(o.end) > start or _is_at(o, start, self))]
        return sorted(kept, key=lambda o: (self.moment(o.start), o.title))

    def moment(self, when: datetime | date) -> datetime:
        """A time with a zone; of a day its beginning."""
        if not isinstance(when, datetime):
            return datetime.combine(when, time(), self.zone)
        return when.replace(tzinfo=self.zone) if when.tzinfo is None else when.astimezone(self.zone)

    def _occurrence(self, event: icalendar.Event) -> Occurrence:
        start, end = event.start, event.end
        if isinstance(start, datetime):
            start, end = self.moment(start), self.moment(end)
        uid = str(event.get("UID", ""))
        series = any(name in other for other in self.of(uid) for name in ("RRULE", "RDATE", "RECURRENCE-ID"))
        return Occurrence(_title(event), start, end, event, series)

    def of(self, uid: str) -> list[icalendar.Event]:
        """The event of that id, and what stands in the file about single occurrences of it."""
        return [event for event in self.events if str(event.get("UID", "")) == uid]

    def master(self, uid: str) -> icalendar.Event:
        """The event itself."""
        return next((event for event in self.of(uid) if "RECURRENCE-ID" not in event), None) or self.of(uid)[0]

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(
        self,
        added: Iterable[icalendar.Event] = (),
        changed: Iterable[icalendar.Event] = (),
        removed: Iterable[icalendar.Event] = (),
    ) -> None:
        """Write the file with these changes, whole or not at all.

        Raises:
            ToolFailed: an event that changes has lines that were not understood, or the file cannot be written.
        """
        added, changed, gone = list(added), {id(event) for event in changed}, {id(event) for event in removed}
        lines = self.data.splitlines(keepends=True)
        places = _places(lines)
        if len(places) != len(self.events):
            raise ToolFailed(f"{self.path.name} is written in a way that cannot be changed safely; nothing was changed")
        newline = b"\r\n" if self.data.count(b"\r\n") * 2 >= self.data.count(b"\n") else b"\n"
        for (first, after), event in sorted(zip(places, self.events), key=lambda pair: pair[0], reverse=True):
            if id(event) in changed:
                if event.errors:
                    raise ToolFailed(
                        f"{shown(_title(event))} has lines that are not understood ({event.errors[0][0]}); not changed"
                    )
                lines[first:after] = [_text(event, newline)]
            elif id(event) in gone:
                del lines[first:after]
        end = max(n for n, line in enumerate(lines) if line.strip().upper() == b"END:VCALENDAR")
        new = [*self._missing_zones(added), *added]
        lines[end:end] = [_text(component, newline) for component in new]
        try:
            write_whole(self.path, b"".join(lines))
        except OSError as error:
            raise ToolFailed(f"cannot write the calendar: {describe(error)}") from None

    def _missing_zones(self, added: list[icalendar.Event]) -> list[Any]:
        """Definitions of the zones that new events name and the file does not define, as RFC 5545, 3.6.5 asks."""
        probe = icalendar.Calendar()
        for component in [*(c for c in self.calendar.subcomponents if c.name == "VTIMEZONE"), *added]:
            probe.add_component(component)
        known = len(probe.timezones)
        probe.add_missing_timezones()
        return [c for c in probe.subcomponents if c.name == "VTIMEZONE"][known:] if len(probe.timezones) > known else []


def _title(event: icalendar.Event) -> str:
    return " ".join(str(event.get("SUMMARY", "")).split()) or "(no title)"


def _is_at(occurrence: Occurrence, start: datetime, file: IcsFile) -> bool:
    return file.moment(occurrence.start) == file.moment(occurrence.end) >= start


def _text(component: Any, newline: bytes) -> bytes:
    return component.to_ical().replace(b"\r\n", newline)


def _places(lines: list[bytes]) -> list[tuple[int, int]]:
    """The lines, from and up to, of each event that stands in the calendar itself."""
    found, depth, first = [], 0, 0
    for n, line in enumerate(lines):
        begin = re.match(rb"(?i)(BEGIN|END):([\w-]+)\s*$", line)
        if begin is None:
            continue
        is_event = begin[2].upper() == b"VEVENT"
        if begin[1].upper() == b"BEGIN":
            depth += 1
            first = n if depth == 2 and is_event else first
        else:
            if depth == 2 and is_event:
                found.append((first, n + 1))
            depth -= 1
    return found
