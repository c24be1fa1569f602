from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from ferrule.tools import RetryCall, ToolDefinitionError, ToolFailed, Toolset
from ferrule.tools.library import make_tools

icalendar = pytest.importorskip("icalendar")

TODAY = date.today()


def day(n: int) -> str:
    return (TODAY + timedelta(days=n)).isoformat()


def stamp(n: int) -> str:
    return day(n).replace("-", "")


def text() -> str:
    """A calendar of several hands: a zone, a series, an event in UTC, whole days, and things that nobody here knows."""
    return f"""BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Somebody//Else//EN
X-WR-TIMEZONE:Europe/Oslo
x-odd;p="a;b":kept  as it is
BEGIN:X-THING
X-A:1
END:X-THING
BEGIN:VTODO
UID:t
SUMMARY:Not an event
END:VTODO
BEGIN:VEVENT
UID:series
DTSTAMP:20260101T000000Z
SUMMARY:Stand-up
DTSTART;TZID=Europe/Oslo:{stamp(-5)}T100000
DURATION:PT15M
RRULE:FREQ=DAILY;COUNT=20
X-MINE:yes
BEGIN:VALARM
ACTION:DISPLAY
TRIGGER:-PT5M
END:VALARM
END:VEVENT
BEGIN:VEVENT
UID:single
DTSTAMP:20260101T000000Z
SUMMARY:Dentist
DTSTART:{stamp(1)}T120000Z
DTEND:{stamp(1)}T130000Z
LOCATION:Main st
X-MINE;X-P=1:stays
END:VEVENT
BEGIN:VEVENT
UID:days
DTSTAMP:20260101T000000Z
SUMMARY:A very long title that is folded over two lines because RFC 5545
  says so
DTSTART;VALUE=DATE:{stamp(3)}
DTEND;VALUE=DATE:{stamp(5)}
TRANSP:TRANSPARENT
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "c.ics").write_bytes(text().encode())
    return tmp_path / "c.ics"


@pytest.fixture
def calendar(path: Path) -> Toolset:
    return make_tools("calendar", file=path)


def events(path: Path) -> list[icalendar.Event]:
    """What an independent reading of the file gives."""
    return list(icalendar.Calendar.from_ical(path.read_bytes()).walk("VEVENT"))


def local(n: int, clock: str) -> datetime:
    from zoneinfo import ZoneInfo

    return datetime.fromisoformat(f"{day(n)}T{clock}").replace(tzinfo=ZoneInfo("Europe/Oslo"))


def dentist_time() -> str:
    from zoneinfo import ZoneInfo

    start = datetime.fromisoformat(f"{day(1)}T12:00:00+00:00")
    return f"{start.astimezone(ZoneInfo('Europe/Oslo')):%H:%M}"


def titles(calendar: Toolset, n: int, last: int | None = None) -> list[tuple[str, str, str]]:
    found = calendar["list_events"].call({"date": day(n), **({} if last is None else {"end_date": day(last)})})
    return [(e["title"].split()[0], e["date"], e["time"]) for e in found["events"]]


def test_reading(calendar):
    assert titles(calendar, 1) == [("Stand-up", day(1), "10:00"), ("Dentist", day(1), dentist_time())]
    assert [t[0] for t in titles(calendar, 3, 4)] == ["A", "Stand-up", "Stand-up"]
    assert titles(calendar, 14) == [("Stand-up", day(14), "10:00")]
    assert titles(calendar, 15) == []  # the series has ended
    (found,) = calendar["find_events"].call({"title": "long TITLE folded"})["events"]
    assert (found["date"], found["end_date"], found["time"]) == (day(3), day(4), "all day")
    assert found["title"].endswith("because RFC 5545 says so")


def test_free_time(calendar):
    free = calendar["find_free_time"].call({"date": day(2), "minutes": 60})["free"]
    assert free == [{"date": day(2), "from": "09:00", "to": "10:00"}, {"date": day(2), "from": "10:15", "to": "17:00"}]
    assert len(calendar["find_free_time"].call({"date": day(3), "minutes": 61})["free"]) == 1  # a free day with a title


def test_add(calendar, path):
    before = path.read_bytes()
    calendar["add_event"].call(
        {"title": "Lunch, with; Ann", "date": day(1), "time": "12:30", "minutes": 45, "location": "Café"}
    )
    calendar["add_event"].call({"title": "Trip", "date": day(7)})
    *_, lunch, trip = events(path)
    assert (lunch["SUMMARY"], lunch["LOCATION"]) == ("Lunch, with; Ann", "Café")
    assert (lunch.start, lunch.end) == (local(1, "12:30"), local(1, "13:15"))
    assert (trip.start, trip.end) == (TODAY + timedelta(days=7), TODAY + timedelta(days=8))
    zones = icalendar.Calendar.from_ical(path.read_bytes()).walk("VTIMEZONE")
    assert [zone["TZID"] for zone in zones] == ["Europe/Oslo"]  # RFC 5545 wants a definition of what is named; one
    assert path.read_bytes().startswith(before.removesuffix(b"END:VCALENDAR\r\n"))


def test_what_is_not_touched_stays_byte_for_byte(calendar, path):
    before = path.read_bytes()
    first, rest = before.split(b"BEGIN:VEVENT\r\nUID:single", 1)
    calendar["change_event_time"].call({"title": "dentist", "new_time": "15:30"})
    after = path.read_bytes()
    assert after.startswith(first)
    assert after.endswith(rest.split(b"END:VEVENT\r\n", 1)[1])
    moved = events(path)[1]
    assert moved.start == local(1, "15:30")
    assert moved.end == local(1, "16:30")
    assert (moved["X-MINE"], moved["X-MINE"].params["X-P"], moved["SEQUENCE"]) == ("stays", "1", 1)


def test_one_of_a_series(calendar, path):
    with pytest.raises(RetryCall, match="several events are called so: Stand-up on"):
        calendar["change_event_time"].call({"title": "stand-up", "new_time": "11:00"})
    calendar["change_event_time"].call({"title": "stand-up", "new_time": "11:00", "date": day(1)})
    assert ("Stand-up", day(1), "11:00") in titles(calendar, 1)
    calendar["change_event_time"].call({"title": "stand-up", "new_time": "08:00", "date": day(1)})
    assert [e["RECURRENCE-ID"].dt for e in events(path) if "RECURRENCE-ID" in e] == [local(1, "10:00")]
    calendar["cancel_event"].call({"title": "stand-up", "date": day(2)})
    calendar["cancel_event"].call({"title": "stand-up", "date": day(1)})
    assert [t for t in titles(calendar, 0, 3) if t[0] == "Stand-up"] == [
        ("Stand-up", day(0), "10:00"),
        ("Stand-up", day(3), "10:00"),
    ]
    assert b"BEGIN:VALARM" in path.read_bytes()


def test_move_and_cancel(calendar, path):
    calendar["move_event"].call({"title": "dentist", "new_date": day(6)})
    assert titles(calendar, 6)[1] == ("Dentist", day(6), dentist_time())
    calendar["move_event"].call({"title": "very long title", "new_date": day(20)})
    assert titles(calendar, 21)[0][1:] == (day(20), "all day")
    calendar["cancel_event"].call({"title": "dentist"})
    assert [str(e["UID"]) for e in events(path)] == ["series", "days"]
    with pytest.raises(RetryCall, match="no event is called 'dentist'"):
        calendar["cancel_event"].call({"title": "dentist"})


def test_a_calendar_that_is_not_there_yet(tmp_path):
    calendar = make_tools("calendar", file=tmp_path / "new.ics", zone="America/New_York")
    assert titles(calendar, 0) == []
    assert not (tmp_path / "new.ics").exists()
    calendar["add_event"].call({"title": "Call", "date": day(1), "time": "09:00"})
    assert str(events(tmp_path / "new.ics")[0].start.tzinfo) == "America/New_York"
    assert titles(calendar, 1) == [("Call", day(1), "09:00")]


def test_clocks_change(tmp_path):
    """Two hours are two hours, also in the night in which the clocks go forward (Oslo, 28 March 2027, 02:00)."""
    calendar = make_tools("calendar", file=tmp_path / "new.ics", zone="Europe/Oslo")
    calendar["add_event"].call({"title": "Night", "date": "2027-03-28", "time": "01:30", "minutes": 120})
    (event,) = events(tmp_path / "new.ics")
    assert event.end.timestamp() - event.start.timestamp() == 7200
    assert f"{event.end:%H:%M}" == "04:30"


def test_bad_calendars(tmp_path):
    path = tmp_path / "c.ics"
    for data, message in (
        (b"", "no calendar of RFC 5545"),
        (b"\xff\xfe\x00nonsense", "no calendar of RFC 5545"),
        (b"BEGIN:VEVENT\r\nEND:VEVENT\r\n", "holds a 'VEVENT'"),
        (text().replace("FREQ=DAILY", "FREQ=SECONDLY").encode(), "more often than every hour"),
    ):
        path.write_bytes(data)
        with pytest.raises(ToolDefinitionError, match=message):
            make_tools("calendar", file=path)
    with pytest.raises(ToolDefinitionError, match="zone is a time zone"):
        make_tools("calendar", file=path, zone="Mars/Olympus")
    with pytest.raises(ToolDefinitionError, match="a day begins before it ends"):
        make_tools("calendar", file=path, day_begins="18:00")


def test_an_event_that_is_not_understood_is_not_rewritten(path):
    broken = text().replace("LOCATION:Main st", "DUE:nonsense")
    path.write_bytes(broken.encode())
    calendar = make_tools("calendar", file=path)
    with pytest.raises(ToolFailed, match="lines that are not understood"):
        calendar["change_event_time"].call({"title": "dentist", "new_time": "15:30"})
    assert path.read_bytes() == broken.encode()
    calendar["add_event"].call({"title": "Lunch", "date": day(1), "time": "12:00"})
    assert b"DUE:nonsense\r\n" in path.read_bytes()


def test_marks(calendar):
    assert calendar["cancel_event"].permission == "destructive"
    assert calendar["add_event"].policies == {"date": "derive", "time": "derive"}
    assert not any(tool.trusted for tool in calendar)
