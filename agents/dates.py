"""Dates that a text gives: written out in any usual way, or relative to the time of the run ("tomorrow", "next Friday").

Without such a time, only dates that are written out count.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from .quantities import ORDINALS, SMALL, durations
from .wording import near

Day = tuple[int | None, int | None, int | None]
"""Year, month and day, as far as they are said."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ALL_MONTHS = "january february march april may june july august september october november december"
MONTHS = tuple(_ALL_MONTHS.split())
_MONTH_NUMBERS = {name[:3]: n for n, name in enumerate(MONTHS, 1)}
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_TWENTIES = [f"twenty[ -]{word}" for word in list(ORDINALS)[:9]]
_NTH = "|".join([*_TWENTIES, "thirty[ -]first", *ORDINALS, "thirtieth"])
_DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?(?!\d)|{_NTH})"
_YEAR = r"(?:(?:\s*,\s*|\s+of\s+|\s+)(?:in\s+)?(?P<y>\d{4})(?!\d))?"
_TO = r"\s*(?:-|–|to|through|until|till|and)\s*(?:the\s+)?"
_WRITTEN = tuple(
    near(pattern)
    for pattern in (
        rf"\b(?P<mo>{_MONTH})\b\.?\s*(?:the\s+)?(?P<d>{_DAY})(?:{_TO}(?P<d2>{_DAY})(?!\s*(?:{_MONTH})\b))?{_YEAR}",
        rf"\b(?P<mo>{_MONTH})(?P<d>\d{{1,2}})(?!\d){_YEAR}",
        rf"(?<![\d.])(?P<d>{_DAY})(?:{_TO}(?P<d2>{_DAY}))?\s*(?:day\s+)?(?:of\s+)?(?P<mo>{_MONTH})\b\.?{_YEAR}",
        rf"\b(?P<mo>{_MONTH})\b\.?\s*,?\s*(?:of\s+)?(?P<y>\d{{4}})(?!\d)",
        rf"\b(?P<y>\d{{4}})\s*,?\s*(?P<mo>{_MONTH})\b\.?(?:\s*(?P<d>{_DAY}))?",
        r"(?<!\d)(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)",
        r"(?<!\d)(?P<y>\d{4})[-/](?P<m>0[1-9]|1[0-2])(?![\d/-])",
        r"(?<!\d)(?P<m>0?[1-9]|1[0-2])[-/](?P<y>\d{4})(?!\d)",
        r"(?<![\d/.-])(?P<a>\d{1,2})([-/.])(?P<b>\d{1,2})\2(?P<y>\d{4}|\d\d)(?![\d/])",
        r"(?<![\d/.-])(?P<a>\d{1,2})/(?P<b>\d{1,2})(?![\d/])",
        r"(?<![\d.,])(?P<y>1\d{3}|2\d{3})(?!\d|[.,]\d)",
    )
)
_MONTH_ALONE = near(
    rf"\b(?:in|of|for|since|until|by|during|early|late|mid|next|this|last|to|through|from|and|between)[\s-]+(?P<mo>{_MONTH})\b"
)
_FEASTS = {
    "christmas eve": (12, 24),
    "christmas": (12, 25),
    "boxing day": (12, 26),
    "new year's eve": (12, 31),
    "new years eve": (12, 31),
    "new year's day": (1, 1),
    "new year": (1, 1),
    "valentine's day": (2, 14),
    "halloween": (10, 31),
    "independence day": (7, 4),
}
_FEAST = re.compile(rf"\b({'|'.join(_FEASTS)})\b")
_NAME_OF_DAY = rf"(?:{'|'.join(WEEKDAYS)}|mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun)"
_WEEKDAY = near(rf"\b(?:(?P<which>next|last|past|previous|this|coming|on|by|every)\s+)?(?P<name>{_NAME_OF_DAY})s?\b")
_DAY_ALONE = near(rf"\b(?:the|on)\s+(?P<d>\d{{1,2}}(?:st|nd|rd|th)|{_NTH})\b")
_NEAR = near(
    r"\b(day after tomorrow|day before yesterday|today|tonight|now|tomorrow|yesterday|this (?:morning|afternoon|evening)"
    r"|(?:this|next|coming|last|past|previous|upcoming)\s+(?:week(?:end)?|month|year)|(?:upcoming|past)\s+day"
    r"|end of (?:the|this) (?:month|year|week)|(?:start|beginning) of (?:the |this |next )?(?:month|year|week))\b"
)
_FROM_NOW = near(r"\s*(?:from (?:now|today)|later|ahead|ago|earlier|back|hence)\b")
_BEFORE_A_LENGTH = near(
    r"\b(?:in|within|after|next|past|last|for|over|previous|upcoming|coming)(?:\s+(?:the|next|past|last))?\s+$"
)
_CALENDAR = near(r"(?P<n>\d+|an?|" + "|".join(SMALL) + r")\s+(?P<unit>month|year)s?\b")
_CLOCK = re.compile(
    r"\b(\d{4}-\d\d-\d\d)(?:[ t,]+(?:[a-z]{3,9}[ ,]+)?(\d\d?:\d\d(?::\d\d)?(?:z|[+-]\d\d:?\d\d)?))?", re.IGNORECASE
)
_DATED = re.compile(r"(?:date|today|now|time|clock)\b[^\n;]{0,20}?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """A date in a text.

    Attributes:
        readings: all that it may mean: "4/5" is in April or in May.
        start, end: where it stands.
        times: hour, minute and second of "in two hours"; None of a day.
    """

    readings: frozenset[Day]
    start: int
    end: int
    time: tuple[int, int, int] | None = None


def clock_of(instructions: str) -> datetime | None:
    """The time that instructions give, as in ``"date: 2026-11-22 Sun 14:30; locale: en-GB"``."""
    for found in _CLOCK.finditer(instructions):
        if _DATED.search(instructions[: found.start()]):
            try:
                return datetime.fromisoformat(f"{found[1]}T{(found[2] or '00:00').upper().zfill(5)}")
            except ValueError:
                continue
    return None


def dates(low: str, clock: datetime | None) -> list[Said]:
    """Every date in a lowered text; those relative to the clock only where there is one."""
    found = _outermost([*_written(low), *_feasts(low)])
    if clock is not None:
        found = [_resolved(said, clock.date()) for said in found]
        found += [*_relative(low, clock)]
    return found


def _outermost(found: list[Said]) -> list[Said]:
    """Without those that are a part of another one, as "January 2000" is of "30 January 2000"."""
    kept: list[Said] = []
    for said in sorted(found, key=lambda s: (s.start, -s.end)):
        last = kept[-1] if kept else None
        if last is None or said.end > last.end or (said.start, said.end) == (last.start, last.end):
            kept.append(said)
    return kept


def _written(low: str) -> Iterator[Said]:
    for pattern in (*_WRITTEN, _MONTH_ALONE):
        for found in pattern.finditer(low):
            groups = found.groupdict()
            if "a" in groups:
                a, b = int(groups["a"]), int(groups["b"])
                year = _year(groups.get("y"))
                readings = {(year, m, d) for m, d in ((a, b), (b, a)) if _is_day(year, m, d)}
            else:
                month = _MONTH_NUMBERS[groups["mo"][:3]] if groups.get("mo") else int(groups.get("m") or 0) or None
                days = [_nth(groups[name]) if groups.get(name) else None for name in ("d", "d2")]
                year = _year(groups.get("y"))
                readings = {(year, month, day) for day in (days if days[1] else days[:1]) if _is_day(year, month, day)}
            if readings:
                yield Said(frozenset(readings), *found.span())
    for found in _DAY_ALONE.finditer(low):
        day = _nth(found["d"])
        if 1 <= day <= 31:
            yield Said(frozenset([(None, None, day)]), *found.span())


def _year(digits: str | None) -> int | None:
    if digits is None:
        return None
    return int(digits) if len(digits) == 4 else 2000 + int(digits) - 100 * (int(digits) >= 70)


def _nth(words: str) -> int:
    digits = re.match(r"\d+", words)
    if digits:
        return int(digits[0])
    tens = {"twenty": 20, "thirty": 30}.get(words[:6], 0) if len(words) > 9 and words[6] in " -" else 0
    return tens + ORDINALS[words[7:]] if tens else 30 if words == "thirtieth" else ORDINALS[words]


def _is_day(year: int | None, month: int | None, day: int | None) -> bool:
    if month is not None and not 1 <= month <= 12:
        return False
    if year == 0:
        return False
    return day is None or 1 <= day <= (31 if month is None else calendar.monthrange(year or 2024, month)[1])


def _feasts(low: str) -> Iterator[Said]:
    for found in _FEAST.finditer(low):
        year = re.match(r",?\s+(\d{4})\b", low[found.end() :])
        month, day = _FEASTS[found[1]]
        end = found.end() + (year.end() if year else 0)
        yield Said(frozenset([(int(year[1]) if year else None, month, day)]), found.start(), end)


def _resolved(said: Said, today: date) -> Said:
    """With the years and months that are meant where they are not said: the present ones, and the next and last of the kind."""
    readings: set[Day] = set()
    for year, month, day in said.readings:
        if year is not None:
            readings.add((year, month, day))
        elif month is not None:
            readings |= {(today.year + n, month, day) for n in (-1, 0, 1) if _is_near(today, today.year + n, month, day)}
            readings.add((None, month, day))
        elif day is not None:
            for n in (0, 1, -1):
                index = today.year * 12 + today.month - 1 + n
                if _is_day(index // 12, index % 12 + 1, day):
                    readings.add((index // 12, index % 12 + 1, day))
    return Said(frozenset(readings), said.start, said.end)


def _is_near(today: date, year: int, month: int, day: int | None) -> bool:
    return _is_day(year, month, day) and abs((date(year, month, day or 15) - today).days) <= 366


def _relative(low: str, clock: datetime) -> Iterator[Said]:
    today = clock.date()
    for found in _WEEKDAY.finditer(low):
        ahead = (next(n for n, name in enumerate(WEEKDAYS) if name[:3] == found["name"][:3]) - today.weekday()) % 7
        offsets = {"next": (ahead or 7, ahead + 7), "last": (ahead - 7, ahead - 14)}
        offsets |= {"past": offsets["last"], "previous": offsets["last"]}
        yield _days(today, offsets.get(found["which"], (ahead, 7 if ahead == 0 else ahead)), found)
    for found in _NEAR.finditer(low):
        yield _days(today, _offsets(found[1], today), found)
    for length in durations(low):
        yield from _at_a_distance(low, clock, length.seconds, length.start, length.end)
    for found in _CALENDAR.finditer(low):
        number = int(found["n"]) if found["n"].isdigit() else SMALL.get(found["n"], 1)
        months = number * (12 if found["unit"] == "year" else 1)
        if months <= 12_000:
            yield from _months_away(low, today, months, *found.span())


def _days(today: date, offsets: tuple[int, ...], found: re.Match[str]) -> Said:
    return Said(frozenset(_day(today + timedelta(offset)) for offset in offsets), *found.span())


def _day(at: date) -> Day:
    return at.year, at.month, at.day


def _offsets(words: str, today: date) -> tuple[int, ...]:
    """Days from today that such words mean; of a week, a month or a year its first day, its last, and as long from today."""
    fixed = {"tomorrow": 1, "yesterday": -1, "day after tomorrow": 2, "day before yesterday": -2}
    fixed |= {"upcoming day": 1, "past day": -1}
    if words in fixed or not re.search("week|month|year", words):
        return (fixed.get(words, 0),)
    sign = -1 if re.match("last|past|previous", words) else 1 if re.search("next|coming", words) else 0
    if words.endswith("weekend"):
        saturday = (5 - today.weekday()) % 7
        saturdays = {0: (saturday,), 1: (saturday, saturday + 7), -1: (saturday - 7,)}[sign]
        return tuple(day + n for day in saturdays for n in (-1, 0, 1))
    if words.endswith("week"):
        monday = 7 * sign - today.weekday()
        return monday, monday + 6, monday + 4, 7 * sign
    if words.endswith("month"):
        first, length = _month_from(today, sign), 30
    else:
        first, length = date(today.year + sign, 1, 1), 365
    after = _month_from(first, 1 if length == 30 else 12)
    same = _shifted(today, sign if length == 30 else 12 * sign)
    return (*((day - today).days for day in (first, after - timedelta(1), same)), length * sign)


def _month_from(at: date, months: int) -> date:
    index = at.year * 12 + at.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def _shifted(at: date, months: int) -> date:
    first = _month_from(at, months)
    return first.replace(day=min(at.day, calendar.monthrange(first.year, first.month)[1]))


def _at_a_distance(low: str, clock: datetime, seconds: float, start: int, end: int) -> Iterator[Said]:
    """ "in two hours", "3 days ago", "the next 5 days"."""
    start, end, signs = _direction(low, start, end)
    for sign in signs:
        try:
            at = clock + timedelta(seconds=sign * seconds)
        except OverflowError:
            return
        time = (at.hour, at.minute, at.second) if seconds % 86400 else None
        yield Said(frozenset([_day(at.date())]), start, end, time)


def _months_away(low: str, today: date, months: int, start: int, end: int) -> Iterator[Said]:
    start, end, signs = _direction(low, start, end)
    for sign in signs:
        if 1 < today.year + sign * (months // 12 + 1) < 9999:
            yield Said(frozenset([_day(_shifted(today, sign * months))]), start, end)


def _direction(low: str, start: int, end: int) -> tuple[int, int, tuple[int, ...]]:
    """The words with those around them that say whether a length of time is from now on or up to now, and which."""
    behind, before = _FROM_NOW.match(low, end), _BEFORE_A_LENGTH.search(low[max(0, start - 24) : start])
    if behind is not None:
        return start, behind.end(), (-1,) if re.search("ago|earlier|back", behind[0]) else (1,)
    if before is not None:
        words = before[0]
        is_past, is_future = re.search("past|last|previous", words), re.match("in|next|upcoming|coming", words)
        return start - len(words.lstrip()), end, (-1,) if is_past else (1,) if is_future else (1, -1)
    return start, end, ()


def days_from(clock: datetime, day: Day) -> int | None:
    """Days between the clock's date and another one; None where it is not whole."""
    year, month, number = day
    if year is None or month is None or number is None:
        return None
    return (date(year, month, number) - clock.date()).days
