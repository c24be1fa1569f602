"""The tools of a calendar in an iCalendar file: what is when, free time, and changes."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import icalendar

from ..errors import RetryCall, ToolFailed
from ..tool import shown
from .ics import IcsFile, Occurrence
from .limits import Limits

_MOST_DAYS = 400
_MOST_LISTED = 100
_AHEAD = timedelta(days=400)
_BEHIND = timedelta(days=31)
Title = Annotated[str, Limits(min_length=1, max_length=300)]
Clock = Annotated[str, Limits(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Minutes = Annotated[int, Limits(ge=1, le=7 * 24 * 60)]


class Calendar:
    """A calendar file, read anew for each call; its public methods that are documented for a model are tools.

    Args:
        path: the file.
        zone: of local times; None: the file's own, or the system's.
        begins, ends: when free time begins and ends on a day.
    """

    def __init__(self, path: Path, zone: ZoneInfo | None, begins: time, ends: time) -> None:
        self.path, self.zone, self.begins, self.ends = path, zone, begins, ends

    def read(self) -> IcsFile:
        """The file as it is now: other programs write it, too."""
        return IcsFile(self.path, self.zone)

    def list_events(self, date: date, end_date: date | None = None) -> dict[str, Any]:
        """List the events of a day, or of several days.

        Args:
            date: The day, or the first of several days.
            end_date: The last day.
        """
        file = self.read()
        return _listed(file, file.between(date, _last(date, end_date)))

    def find_events(self, title: Title) -> dict[str, Any]:
        """Find events by their title, from a month ago to a year from now.

        Args:
            title: Words of the title.
        """
        file = self.read()
        return _listed(file, _matching(file, title))

    def find_free_time(self, date: date, minutes: Minutes = 60, end_date: date | None = None) -> dict[str, Any]:
        """Find free time on a day, or in several days.

        Args:
            date: The day, or the first of several days.
            minutes: How long it has to be, in minutes.
            end_date: The last day.
        """
        file, last = self.read(), _last(date, end_date)
        busy = [o for o in file.between(date, last) if _is_busy(o)]
        free = []
        for n in range((last - date).days + 1):
            day = date + timedelta(days=n)
            at = datetime.combine(day, self.begins, file.zone)
            end = datetime.combine(day, self.ends, file.zone)
            for start, until in [*((file.moment(o.start), file.moment(o.end)) for o in busy), (end, end)]:
                if min(start, end) - at >= timedelta(minutes=minutes):
                    free.append({"date": day.isoformat(), "from": f"{at:%H:%M}", "to": f"{min(start, end):%H:%M}"})
                at = max(at, min(until, end))
        return {"free": free[:_MOST_LISTED]}

    def add_event(
        self, title: Title, date: date, time: Clock | None = None, minutes: Minutes = 60, location: str | None = None
    ) -> dict[str, Any]:
        """Add an event to the calendar.

        Args:
            title: What it is, such as Lunch with Ann.
            date: The day.
            time: When it begins, as HH:MM; without it lasts all day.
            minutes: How long it lasts, in minutes.
            location: Where it is.
        """
        file = self.read()
        event = icalendar.Event()
        event.add("UID", f"{uuid.uuid4()}@ferrule")
        event.add("DTSTAMP", datetime.now(UTC))
        event.add("SUMMARY", title.strip())
        if time is None:
            event.add("DTSTART", date)
            event.add("DTEND", date + timedelta(days=1))
        else:
            start = _at(file, date, time)
            event.add("DTSTART", start)
            event.add("DTEND", _after(start, timedelta(minutes=minutes)))
        if location is not None and location.strip():
            event.add("LOCATION", location.strip())
        file.write(added=[event])
        return {"added": _described(file, Occurrence(title.strip(), event.start, event.end, event, False))}

    def move_event(
        self, title: Title, new_date: date, new_time: Clock | None = None, date: date | None = None
    ) -> dict[str, Any]:
        """Move an event to another day; it stays as long as it was.

        Args:
            title: Title of the event.
            new_date: The new day.
            new_time: When it begins there, as HH:MM; at the same time without.
            date: The day on which it is now, where there are several.
        """
        return self._moved(title, date, new_date, new_time)

    def change_event_time(self, title: Title, new_time: Clock, date: date | None = None) -> dict[str, Any]:
        """Move an event to another time of its day; it stays as long as it was.

        Args:
            title: Title of the event.
            new_time: When it begins from now on, as HH:MM.
            date: The day on which it is, where there are several.
        """
        return self._moved(title, date, None, new_time)

    def _moved(self, title: str, date: date | None, new_date: date | None, new_time: str | None) -> dict[str, Any]:
        file = self.read()
        found = _chosen(file, title, date)
        day = new_date or (found.start.date() if isinstance(found.start, datetime) else found.start)
        if found.is_all_day and new_time is None:
            start, end = day, day + (found.end - found.start)
        else:
            length = timedelta(hours=1) if found.is_all_day else file.moment(found.end) - file.moment(found.start)
            start = _at(file, day, new_time or f"{found.start:%H:%M}")
            end = _after(start, length)
        if found.is_repeated:
            # One occurrence: it gets an entry of its own that says which one it is (RFC 5545, 3.8.4.4)
            old = next((e for e in file.of(found.uid) if _recurrence(file, e) == _recurrence(file, found.event)), None)
            event = old if old is not None else _override(found)
        else:
            event = old = file.master(found.uid)
        _reschedule(event, start, end)
        file.write(changed=[event] if old is not None else (), added=[event] if old is None else ())
        return {"moved": _described(file, Occurrence(found.title, event.start, event.end, event, False))}

    def cancel_event(self, title: Title, date: date | None = None) -> dict[str, Any]:
        """Cancel an event: it is taken out of the calendar. Of one that repeats, only the one on that day.

        Args:
            title: Title of the event.
            date: The day on which it is, where there are several.
        """
        file = self.read()
        found = _chosen(file, title, date)
        described = _described(file, found)
        if not found.is_repeated:
            file.write(removed=file.of(found.uid) if found.uid else [file.master(found.uid)])
            return {"cancelled": described}
        master, when = file.master(found.uid), found.event["RECURRENCE-ID"].dt
        overrides = [e for e in file.of(found.uid) if _recurrence(file, e) == _recurrence(file, found.event)]
        if "RECURRENCE-ID" not in master:
            master.add("EXDATE", when)
            _touch(master)
        file.write(changed=[] if "RECURRENCE-ID" in master else [master], removed=overrides)
        return {"cancelled": described}


# -- finding -----------------------------------------------------------------------------------------------------------


def _last(first: date, last: date | None) -> date:
    if last is None:
        return first
    if not 0 <= (last - first).days < _MOST_DAYS:
        raise RetryCall(f"the last day is {last}, the first {first}: at most {_MOST_DAYS} days in order")
    return last


def _matching(file: IcsFile, title: str) -> list[Occurrence]:
    today = datetime.now(file.zone).date()
    words = title.casefold().split()
    found = [o for o in file.between(today - _BEHIND, today + _AHEAD) if all(w in o.title.casefold() for w in words)]
    exact = [o for o in found if o.title.casefold() == " ".join(words)]
    return exact or found


def _chosen(file: IcsFile, title: str, day: date | None) -> Occurrence:
    """The one event that is meant: of the day, or else the only one that is still to come.

    Raises:
        RetryCall: there is none, or more than one.
    """
    found = _matching(file, title)
    if day is not None:
        found = [o for o in file.between(day, day) if all(w in o.title.casefold() for w in title.casefold().split())]
    else:
        coming = [o for o in found if file.moment(o.end) >= datetime.now(file.zone)]
        found = coming or found
    if not found:
        on = "" if day is None else f" on {day}"
        raise RetryCall(f"no event is called {shown(title)}{on}; find_events or list_events say what there is")
    if len({(o.uid, o.start) for o in found}) > 1:
        listed = "; ".join(_line(file, o) for o in found[:6])
        raise RetryCall(f"several events are called so: {listed}; say which day with date")
    if not found[0].uid and len(file.of("")) > 1:
        raise ToolFailed(f"{shown(found[0].title)} has no UID in the file, so it cannot be told from others")
    return found[0]


def _recurrence(file: IcsFile, event: icalendar.Event) -> datetime | None:
    return file.moment(event["RECURRENCE-ID"].dt) if "RECURRENCE-ID" in event else None


def _is_busy(found: Occurrence) -> bool:
    return str(found.event.get("TRANSP", "")).upper() != "TRANSPARENT" and str(found.event.get("STATUS", "")) != "CANCELLED"


# -- changing ----------------------------------------------------------------------------------------------------------


def _at(file: IcsFile, day: date, clock: str) -> datetime:
    """A time in the calendar's zone; a floating one where neither the file nor the user names a zone."""
    return datetime.combine(day, time.fromisoformat(clock), file.named_zone)


def _after(start: datetime, length: timedelta) -> datetime:
    """So much later, by the clock of the day that the time changes, too."""
    return start + length if start.tzinfo is None else (start.astimezone(UTC) + length).astimezone(start.tzinfo)


def _override(found: Occurrence) -> icalendar.Event:
    event = found.event.copy(recursive=True)
    for name in ("RRULE", "RDATE", "EXDATE", "EXRULE"):
        event.pop(name, None)
    return event


def _reschedule(event: icalendar.Event, start: date | datetime, end: date | datetime) -> None:
    for name in ("DTSTART", "DTEND", "DURATION"):
        event.pop(name, None)
    event.add("DTSTART", start)
    event.add("DTEND", end)
    _touch(event)


def _touch(event: icalendar.Event) -> None:
    """One revision later (RFC 5545, 3.8.7)."""
    sequence = int(event.get("SEQUENCE", 0)) + 1
    for name in ("DTSTAMP", "LAST-MODIFIED", "SEQUENCE"):
        event.pop(name, None)
    event.add("SEQUENCE", sequence)
    event.add("DTSTAMP", datetime.now(UTC))
    event.add("LAST-MODIFIED", datetime.now(UTC))


# -- showing -----------------------------------------------------------------------------------------------------------


def _listed(file: IcsFile, found: list[Occurrence]) -> dict[str, Any]:
    result: dict[str, Any] = {"events": [_described(file, o) for o in found[:_MOST_LISTED]]}
    if len(found) > _MOST_LISTED:
        result["note"] = f"the first {_MOST_LISTED} of {len(found)}"
    return result


def _described(file: IcsFile, found: Occurrence) -> dict[str, Any]:
    result: dict[str, Any] = {"title": found.title}
    if found.is_all_day:
        result |= {"date": found.start.isoformat(), "time": "all day"}
        if (last := found.end - timedelta(days=1)) > found.start:
            result["end_date"] = last.isoformat()
    else:
        start, end = file.moment(found.start), file.moment(found.end)
        result |= {"date": start.date().isoformat(), "time": f"{start:%H:%M}", "end_time": f"{end:%H:%M}"}
        if end.date() != start.date():
            result["end_date"] = end.date().isoformat()
    for name, key in (("LOCATION", "location"), ("STATUS", "status")):
        if text := " ".join(str(found.event.get(name, "")).split()):
            result[key] = text.lower() if key == "status" else text
    return {**result, "repeats": True} if found.is_repeated else result


def _line(file: IcsFile, found: Occurrence) -> str:
    facts = _described(file, found)
    return f"{facts['title']} on {facts['date']}, {facts['time']}"
