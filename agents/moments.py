"""Whether what a value says of a date or a time of day is what a text says of it."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from .dates import MONTHS, WEEKDAYS, Day, Said, dates, days_from
from .quantities import Reading, durations
from .times import Clock, TimeOfDay, ends, times_of_day
from .wording import Span, lowered

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[t ]+(\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)?\s*(z|[+-]\d\d:?\d\d)?")
_ZONED = re.compile(r"(\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)?\s*(?:z|utc|gmt|[+-]\d\d:\d\d)")
_LITERAL = re.compile(r"\d\d:\d\d(?::\d\d)?")
_BETWEEN = re.compile(rf"[\s,.]|\b(?:at|on|the|of|{'|'.join(WEEKDAYS)})\b")
_PERIOD = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_PERIOD_SECONDS = (365 * 86400, 30 * 86400, 7 * 86400, 86400, 3600, 60, 1)
_BOUNDS = ((0, 0, 0), (23, 59, 0), (23, 59, 59))  # of a day, where a time must be given and none was said


@dataclass(frozen=True)
class Wanted:
    """What a value says.

    Attributes:
        days: readings of its date; empty where it has none.
        times: likewise of its time of day.
    """

    days: frozenset[Day]
    times: frozenset[Clock]


def wanted(value: str, clock: datetime | None = None) -> Wanted | None:
    """What a value says of a date or a time of day, if it says nothing else."""
    low = lowered(value.strip())
    if len(low) > 60 or not any(character.isdigit() for character in low):
        return None
    iso = _ISO.fullmatch(low)
    if iso is not None:
        return _iso(iso, clock)
    if zoned := _ZONED.fullmatch(low):
        low = zoned[1]
    said = max((s for s in dates(low, None)), key=lambda s: (s.end - s.start, -s.start), default=None)
    rest = low[: said.start] + " " + low[said.end :] if said is not None else low
    times = times_of_day(rest)
    time = max(times, key=lambda t: t.end - t.start, default=None)
    if time is not None:
        rest = rest[: time.start] + " " + rest[time.end :]
    if _BETWEEN.sub("", rest) not in ("", "t") or (said is None and time is None):
        return None
    readings = time.readings if time is not None else frozenset()
    if _LITERAL.fullmatch(low):
        readings = frozenset([_clock(low)])
    return Wanted(said.readings if said is not None else frozenset(), readings)


def _iso(found: re.Match[str], clock: datetime | None) -> Wanted | None:
    try:
        at = datetime.fromisoformat(f"{found[1]}T{found[2]}{(found[3] or '').upper()}")
        moments = [at]
        if at.tzinfo is not None and clock is not None and clock.tzinfo is not None:
            moments.append(at.astimezone(clock.tzinfo))
    except (ValueError, OverflowError):
        return None
    if len({m.date() for m in moments}) > 1 or len({m.time() for m in moments}) > 1:
        moments = moments[1:]  # as the user's clock shows it
    return Wanted(
        frozenset((m.year, m.month, m.day) for m in moments), frozenset((m.hour, m.minute, m.second) for m in moments)
    )


def _clock(text: str) -> Clock:
    hour, minute, *second = map(int, text.split(":"))
    return hour, minute, second[0] if second else 0


def pieces(value: str) -> tuple[str, str] | None:
    """Date and time of day of a value that has both."""
    found = _ISO.fullmatch(lowered(value.strip()))
    return (found[1], found[2]) if found is not None else None


@dataclass(frozen=True)
class Calendar:
    """The dates and the times of day of a text.

    Attributes:
        low: the text in lower case.
        clock: when the run takes place, if that is known.
    """

    low: str
    days: tuple[Said, ...]
    times: tuple[TimeOfDay, ...]
    clock: datetime | None

    @classmethod
    def of(cls, low: str, clock: datetime | None) -> Calendar:
        return cls(low, tuple(dates(low, clock)), tuple(times_of_day(low)), clock)

    def find(self, value: str) -> tuple[Span, str] | None:
        """The words that a date, a time, the name of a weekday or month, or a length of time in ISO 8601 rests on; the rule."""
        low = lowered(value.strip())
        if low in WEEKDAYS or low in MONTHS:
            return self._named(low)
        if (seconds := _period(value.strip())) is not None:
            return next((((d.start, d.end), "duration") for d in durations(self.low) if d.seconds == seconds), None)
        want = wanted(value, self.clock)
        if want is None:
            return None
        if not want.days:
            span = self._time(want.times)
            return (span, "time") if span is not None else None
        span = self._instant(want) or self._day_and_time(want)
        return (span, "date") if span is not None else None

    def _named(self, name: str) -> tuple[Span, str] | None:
        for said in self.days:
            for year, month, day in said.readings:
                if name in MONTHS and month == MONTHS.index(name) + 1:
                    return (said.start, said.end), "date"
                if name in WEEKDAYS and year and month and day and WEEKDAYS[date(year, month, day).weekday()] == name:
                    return (said.start, said.end), "date"
        return None

    def _instant(self, want: Wanted) -> Span | None:
        """ "in two hours"."""
        for said in self.days:
            if said.time is not None and want.days & said.readings and any(_same_time(t, said.time) for t in want.times):
                return said.start, said.end
        return None

    def _day_and_time(self, want: Wanted) -> Span | None:
        day, time = self._day(want.days), self._time(want.times)
        if day is None:
            # A time alone is that of today, or of tomorrow where it is over today.
            if time is None or self.clock is None or not any(days_from(self.clock, d) in (0, 1) for d in want.days):
                return None
            return time
        if not want.times:
            return day
        if time is None:
            return day if want.times & set(_BOUNDS) else None
        return min(day[0], time[0]), max(day[1], time[1])

    def _day(self, days: Iterable[Day]) -> Span | None:
        for said in self.days:
            for reading in said.readings:
                for day in days:
                    if (span := self._same_day(day, reading, said)) is not None:
                        return span
        return None

    def _same_day(self, wish: Day, reading: Day, said: Said) -> Span | None:
        year, month, day = reading
        if month is None and day is not None:
            return None
        if any(a is not None and b is not None and a != b for a, b in zip(wish[:2], reading[:2])):
            return None
        if day is None and not _is_bound(wish, reading):
            return None
        if day is not None and wish[2] is not None and wish[2] != day:
            return None
        if year is None and wish[0] is not None:  # "from 3 to 7 May 2022", "in 2022, …"
            elsewhere = next((s for s in self.days for r in s.readings if r[0] == wish[0]), None)
            return (min(said.start, elsewhere.start), max(said.end, elsewhere.end)) if elsewhere is not None else None
        return said.start, said.end

    def _time(self, times: Iterable[Clock]) -> Span | None:
        if not times:
            return None
        for said in self.times:
            if any(_same_time(time, reading) for time in times for reading in said.readings):
                return said.start, said.end
        for said in self.days:
            if said.time is not None and any(_same_time(time, said.time) for time in times):
                return said.start, said.end
        for said in ends(self.low, list(self.times)):
            if any(_same_time(time, reading) for time in times for reading in said.readings):
                return said.start, said.end
        return None

    def numbers(self) -> Iterator[Reading]:
        """Years, months, days, hours, and how many days a date is away."""
        for said in self.days:
            for reading in said.readings:
                for number in reading:
                    if number is not None:
                        yield Reading(number, said.start, said.end, "date")
                away = days_from(self.clock, reading) if self.clock is not None else None
                if away is not None:
                    yield Reading(abs(away), said.start, said.end, "date")
        for time in self.times:
            for hour, minute, _ in time.readings if not time.is_bare else ():
                yield from (Reading(number, time.start, time.end, "time") for number in (hour, minute))


def _is_bound(wish: Day, reading: Day) -> bool:
    """Whether a date is the first or the last day of the month or year that was said, or that itself."""
    year, month, _ = reading
    if month is None:
        return wish[1:] in ((None, None), (1, 1), (12, 31), (1, None), (12, None))
    return wish[2] in (None, 1, calendar.monthrange(wish[0] or year or 2024, month)[1])


def _same_time(a: Clock, b: Clock) -> bool:
    """To the minute, where one has no seconds."""
    return a[:2] == b[:2] and (a[2] == b[2] or 0 in (a[2], b[2]))


def _period(value: str) -> float | None:
    """Seconds of a length of time in ISO 8601, "PT1H30M"."""
    found = _PERIOD.fullmatch(value)
    if found is None or not any(found.groups()):
        return None
    return timedelta(seconds=sum(float(n) * s for n, s in zip(found.groups(), _PERIOD_SECONDS) if n)).total_seconds()
