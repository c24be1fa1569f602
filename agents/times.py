"""Times of day that a text gives: "3pm", "15:30", "half past three", "quarter to 4", "noon", "at 7 in the evening"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .quantities import SMALL, durations
from .wording import near

Clock = tuple[int, int, int]
"""Hour from 0 to 23, minute, second."""

_HOURS = {word: n for word, n in SMALL.items() if 1 <= n <= 12}
_MINUTES = {**{word: n for word, n in SMALL.items() if 1 <= n <= 20}, "quarter": 15, "half": 30, "twenty five": 25}
_HOUR = rf"(\d{{1,2}}|{'|'.join(_HOURS)})(?![\w:])"
_MERIDIAN = r"\s*(a\.?m\b\.?|p\.?m\b\.?)"
_PART = r"(?:\s+(?:\w+\s+)?(in the (?:morning|afternoon|evening)|at night|tonight|this (?:morning|afternoon|evening)))"
_MINUTE = "|".join(sorted(_MINUTES, key=len, reverse=True))
_PATTERNS = tuple(
    near(pattern)
    for pattern in (
        # Groups: hour, minute, second, meridian or part of the day.
        rf"(?<![\d:.])(?P<h>\d{{1,2}})(?::|\.(?=\d\d\s*[ap]\.?m)|h)(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d)(?:\.\d+)?)?(?!\d)"
        rf"(?:{_MERIDIAN}|{_PART})?",
        rf"(?<![\d:.])(?P<h>\d{{1,2}}){_MERIDIAN}",
        rf"\b(?P<h>\d{{1,2}}|{'|'.join(_HOURS)})\s+o['’]?\s?clock\b(?:{_PART}|{_MERIDIAN})?",
        rf"\b(?:a\s+)?(?P<past>{_MINUTE}|\d{{1,2}})\s+(?:minutes?\s+)?(?:past|after)\s+(?P<h>{_HOUR})(?:{_MERIDIAN}|{_PART})?",
        rf"\b(?:a\s+)?(?P<to>{_MINUTE}|\d{{1,2}})\s+(?:minutes?\s+)?(?:to|before|till)\s+(?P<h>{_HOUR})(?:{_MERIDIAN}|{_PART})?",
        rf"\b(?:at|by|until|till|from|before|after|around|about|to|and|between|-)\s+(?P<h>{_HOUR})(?:{_PART})?",
        rf"\b(?P<h>{_HOUR}){_PART}",
    )
)
_NAMED = re.compile(r"\b(noon|midday|midnight)\b")
_ANY = re.compile(r"\d|o'?clock|noon|midday|midnight|past|\b(?:at|by|until|from|to)\b")
_DAY = 86400


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """A time of day in a text.

    Attributes:
        readings: all that it may mean: "at 7" is in the morning or in the evening.
        start, end: where it stands.
        is_bare: it may be no time at all: "from 1".
    """

    readings: frozenset[Clock]
    start: int
    end: int
    is_bare: bool = False


def times_of_day(low: str) -> list[TimeOfDay]:
    """Every time of day in a lowered text."""
    return list(_times(low)) if _ANY.search(low) else []


def _times(low: str) -> Iterator[TimeOfDay]:
    for named in _NAMED.finditer(low):
        yield TimeOfDay(frozenset([(0 if named[1] == "midnight" else 12, 0, 0)]), *named.span())
    for pattern in _PATTERNS:
        for found in pattern.finditer(low):
            readings = frozenset(_readings(found))
            if readings:
                yield TimeOfDay(readings, *found.span(), is_bare=pattern is _PATTERNS[-2] and not _half_of_the_day(found[0]))


def _readings(found: re.Match[str]) -> Iterator[Clock]:
    groups = found.groupdict()
    hour = _HOURS.get(groups["h"]) or (int(groups["h"]) if groups["h"].isdigit() else 99)
    minute, second = int(groups.get("m") or 0), int(groups.get("s") or 0)
    if past := groups.get("past"):
        minute = _minutes(past)
    if before := groups.get("to"):
        hour, minute = (hour - 1) % 24, 60 - _minutes(before)
    if hour > 23 or not 0 <= minute < 60:
        return
    half = _half_of_the_day(found[0])
    if half != "afternoon" or hour >= 12:
        yield (0 if half == "morning" and hour == 12 else hour, minute, second)
    if hour < 12 and half != "morning":
        yield hour + 12, minute, second
    elif hour == 12 and half == "":
        yield 0, minute, second


def _minutes(words: str) -> int:
    return int(words) if words.isdigit() else _MINUTES[words]


def _half_of_the_day(words: str) -> str:
    if re.search(r"a\.?m\b|morning", words):
        return "morning"
    return "afternoon" if re.search(r"p\.?m\b|afternoon|evening|night", words) else ""


def ends(low: str, said: list[TimeOfDay]) -> Iterator[TimeOfDay]:
    """When what begins at a time of day and lasts a length of time ends, or the other way round."""
    for duration in durations(low):
        for time in said:
            seconds = {(h * 3600 + m * 60 + s, sign) for h, m, s in time.readings for sign in (1, -1)}
            later = {int(at + sign * duration.seconds) % _DAY for at, sign in seconds}
            readings = frozenset((at // 3600, at // 60 % 60, at % 60) for at in later)
            yield TimeOfDay(readings, min(time.start, duration.start), max(time.end, duration.end))
