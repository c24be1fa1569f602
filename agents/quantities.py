"""Numbers that a text gives, each with the words that give it: digits, English words, percentages, fractions, times of day, and
lengths of time in other units.

"3k" is 3000, "5%" is 0.05, "two million" is 2000000; "an hour and a half" is 1.5 hours, 90 minutes and 5400 seconds; "1/2 hour"
is 0.5 and 30; "three quarters" is 0.75.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import pi

from .wording import in_a_word


@dataclass(frozen=True, slots=True)
class Reading:
    """A number that a text gives.

    Attributes:
        value: without its sign, which may be a word ("a loss of", "below", "west").
        start, end: of the words that give it.
        rule: how; "" where it is written in digits, just as it is.
    """

    value: float
    start: int
    end: int
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time in a text, and where it stands."""

    seconds: float
    start: int
    end: int


ARTICLE = "article"
"""Rule of the 1 that "a" and "an" may stand for: weak, since they are everywhere."""

_NUMBER = re.compile(r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e[+-]?\d+)?|\.\d+)(\s*(%|[a-z]+))?")
_WORD = re.compile(r"[a-z]+")

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
SMALL = {word: n for n, word in enumerate([*_UNITS.split(), "eighteen", "nineteen"])}
SMALL |= {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}
LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SUFFIXES = {**LARGE, "k": 1000, "m": 10**6, "bn": 10**9, "b": 10**9, "dozen": 12, "pi": pi}
_NTH = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
_FURTHER = "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
ORDINALS = {word: n for n, word in enumerate([*_NTH.split(), *_FURTHER.split()], 1)}

_MEANINGS: dict[str, tuple[float, ...]] = {word: (n,) for word, n in ORDINALS.items()}
_MEANINGS |= dict.fromkeys(("a", "an", "once", "single"), (1.0,)) | dict.fromkeys(("twice", "couple", "double"), (2.0,))
_MEANINGS |= dict.fromkeys(("triple", "thrice"), (3.0,)) | {"half": (0.5, 30.0), "quarter": (0.25, 15.0), "pi": (pi,)}
_MEANINGS |= {"dozen": (12.0,), "decade": (10.0,), "century": (100.0,), "fortnight": (14.0,), "tomorrow": (1.0,)}
_MEANINGS |= {"noon": (12.0,), "midnight": (0.0,), "no": (0.0,), "rest": (0.0,)}  # "starts from rest"
_MEANINGS |= dict.fromkeys(("minute", "hour", "day"), (1.0,)) | {"week": (1.0, 7.0), "month": (1.0, 30.0)}
_MEANINGS |= {"year": (1.0, 12.0, 365.0), "second": (1.0, 2.0)}
# once in …, or so many times a year
_MEANINGS |= {"daily": (1.0, 365.0), "weekly": (1.0, 7.0, 52.0), "monthly": (1.0, 12.0), "quarterly": (4.0,)}
_MEANINGS |= dict.fromkeys(("yearly", "annually", "annual"), (1.0,)) | {"semiannually": (2.0,), "biannually": (2.0,)}
_MONTHS = "january february march april may june july august september october november december"
_MEANINGS |= {word: (float(n),) for n, word in enumerate(_MONTHS.split(), 1)}

_PARTS = {"half": 1 / 2, "halves": 1 / 2, "quarter": 1 / 4, "quarters": 1 / 4, "third": 1 / 3, "thirds": 1 / 3}
_SIGNS = {"½": 1 / 2, "¼": 1 / 4, "¾": 3 / 4, "⅓": 1 / 3, "⅔": 2 / 3}
_BEGINNINGS = SMALL.keys() | _PARTS.keys() | _SIGNS.keys() | {"a", "an"}
_DAY = 86400.0
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": _DAY, "week": 7 * _DAY}
_MONTH, _YEAR = 30 * _DAY, 365 * _DAY  # as people reckon
_IN_ALL = {**_SECONDS, "month": _MONTH, "year": _YEAR}
_SPELT = {"sec": "second", "min": "minute", "hr": "hour", "h": "hour"} | {unit: unit for unit in _IN_ALL}
_SPELT |= {f"{spelt}s": unit for spelt, unit in _SPELT.items()}
_SPELT |= {"m": "minute", "s": "second"}
_SMALLER = {"week": "day", "day": "hour", "hour": "minute", "minute": "second"}
_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?|[a-z]+|[½¼¾⅓⅔/]")


def numbers(low: str) -> Iterator[Reading]:
    """Every number that a text gives, in lower case (`wording.lowered`)."""
    yield from _in_digits(low)
    yield from _in_words(low)
    yield from _derived(low)


def durations(low: str) -> Iterator[Duration]:
    """Every length of time in a lowered text, those of several units as a whole."""
    tokens = list(_TOKEN.finditer(low))
    words = [token[0] for token in tokens]
    at = 0
    while (at := _next_amount(words, at)) < len(words):
        found = _duration(words, at)
        if found is not None:
            yield Duration(found[0][-1], tokens[at].start(), tokens[found[2] - 1].end())
        number = _amount(words, at)
        at = found[2] if found is not None else number[1] if number is not None else at + 1


def _in_digits(low: str) -> Iterator[Reading]:
    """Numbers in digits with all that they may mean: "5%" is 5 and 0.05, "3 pm" is 3 and 15, "2 million" is 2 and 2000000."""
    for found in _NUMBER.finditer(low):
        digits, unit = found[1], found[3] or ""
        start, end = found.span(1)
        number = _value(digits)
        yield Reading(number, start, end, "number in a word" if in_a_word(low, start) else "")
        if unit in _SUFFIXES:
            yield Reading(number * _SUFFIXES[unit], start, found.end(), "number word")
        if unit in ("%", "percent") or (unit == "per" and low.startswith(" cent", found.end())):
            yield Reading(number / 100, start, found.end() + len(" cent") * (unit == "per"), "percentage")
        if unit.startswith("p") and number < 12:
            yield Reading(number + 12, start, found.end(), "time")
        if "," in digits:  # or a list without spaces
            at = start
            for item in digits.split(","):
                yield Reading(_value(item), at, at + len(item))
                at += len(item) + 1


def _value(digits: str) -> float:
    """Whole numbers exactly, whatever their length."""
    plain = digits.replace(",", "")
    return int(plain) if plain.isdecimal() and len(plain) <= 300 else float(plain)


def _in_words(low: str) -> Iterator[Reading]:
    """Numbers in English words, alone and put together: "twenty five" is 20, 5 and 25."""
    total = part = 0
    begin: int | None = None
    for found in _WORD.finditer(low):
        word, (start, end) = found[0], found.span()
        for meaning in _MEANINGS.get(word, ()):
            yield Reading(meaning, start, end, ARTICLE if word in ("a", "an") else "number word")
        if word in SMALL or word in LARGE:
            begin = start if begin is None else begin
        if word in SMALL:
            part += SMALL[word]
            yield Reading(SMALL[word], start, end, "number word")
        elif word == "hundred":
            part = max(part, 1) * 100
        elif word in LARGE:
            total, part = total + max(part, 1) * LARGE[word], 0
        elif word == "dozen" and begin is not None:
            yield Reading((total + part) * 12, begin, end, "number word")
            total, part, begin = 0, 0, None
        elif word != "and":
            total, part, begin = 0, 0, None
        if begin is not None and (total + part or word in SMALL):
            yield Reading(total + part, begin, end, "number word")


def _derived(low: str) -> Iterator[Reading]:
    """Every fraction and every length of time in the text, the latter in seconds, minutes, hours and so on."""
    tokens = list(_TOKEN.finditer(low))
    words = [token[0] for token in tokens]
    at = 0
    while (at := _next_amount(words, at)) < len(words):
        found = _duration(words, at)
        if found is not None:
            seconds, amounts, after = found
            start, end = tokens[at].start(), tokens[after - 1].end()
            for value in (*amounts, *(value for second in seconds for value in _in_units(second))):
                yield Reading(value, start, end, "duration")
            at = after
            continue
        number = _amount(words, at)
        if number is not None and (number[1] > at + 1 or not words[at][0].isdecimal()):
            rule = "fraction" if number[1] > at + 1 or words[at] not in SMALL else "number word"
            yield Reading(number[0], tokens[at].start(), tokens[number[1] - 1].end(), rule)
        at = number[1] if number is not None else at + 1


def _in_units(seconds: float) -> Iterator[float]:
    """A length of time in every unit, and as people would write it down."""
    for length in _SECONDS.values():
        yield seconds / length
        if seconds / length >= 0.1:
            yield round(seconds / length, 2)
    if seconds % _YEAR == 0:
        years = seconds / _YEAR
        yield from (years, years * 12, years * 52)
    elif seconds % _MONTH == 0:
        yield from (seconds / _MONTH, seconds / _MONTH / 12)


def _next_amount(words: list[str], at: int) -> int:
    """Where the next word stands that a number may begin with."""
    while at < len(words) and words[at] not in _BEGINNINGS and not words[at][0].isdecimal():
        at += 1
    return at


def _duration(words: list[str], at: int) -> tuple[list[float], list[float], int] | None:
    """Seconds of each part of a length of time and of all of it, the amounts in it, and where it ends."""
    parts: list[float] = []
    amounts: list[float] = []
    unit = ""
    while True:
        start = at + 1 if parts and _word(words, at) == "and" else at
        amount = _amount(words, start)
        if amount is None:
            break
        number, after = amount
        spelt = _SPELT.get(_word(words, after))
        if spelt is None and unit in _SMALLER and start == at and number < 60:  # "1 hour 30"
            spelt, after = _SMALLER[unit], after - 1
        if spelt is None or (unit and _IN_ALL[spelt] >= _IN_ALL[unit]):
            break
        unit, at = spelt, after + 1
        if _word(words, at) == "and" and (part := _part(words, at + 1)) and _word(words, part[1]) not in _SPELT:
            number, at = number + part[0], part[1]  # "an hour and a half"
        amounts.append(number)
        parts.append(number * _IN_ALL[spelt])
    return ([*parts, sum(parts)], amounts, at) if parts else None


def _amount(words: list[str], at: int) -> tuple[float, int] | None:
    """A number in digits or words with its fraction, and where it ends: before the unit that may follow."""
    part = _part(words, at)
    if part is not None:
        return part
    word = _word(words, at)
    if word[:1].isdigit():
        number, at = float(word.replace(",", "")), at + 1
        if (sign := _SIGNS.get(_word(words, at))) is not None:
            return number + sign, at + 1
        if (below := _over(words, at)) is not None:
            return number / below, _of_a(words, at + 2)
        if _word(words, at)[:1].isdigit() and (below := _over(words, at + 1)) is not None:  # "1 1/2"
            return number + float(words[at].replace(",", "")) / below, at + 3
    elif word in SMALL:
        number = 0.0
        while (word := _word(words, at)) in SMALL or word in LARGE:
            number = number + SMALL[word] if word in SMALL else max(number, 1) * LARGE[word]
            at += 1
    elif word in ("a", "an") and _word(words, at + 1) in _SPELT:
        return 1.0, at + 1
    else:
        return None
    if _word(words, at) in _PARTS and number < 10:  # "three quarters of an hour"
        return number * _PARTS[words[at]], _of_a(words, at + 1)
    if _word(words, at) == "and" and (part := _part(words, at + 1)) is not None:  # "two and a half hours"
        return number + part[0], part[1]
    return number, at


def _part(words: list[str], at: int) -> tuple[float, int] | None:
    """ "half", "a quarter", "½", with "of an" behind."""
    at += _word(words, at) in ("a", "an")
    value = _PARTS.get(_word(words, at), _SIGNS.get(_word(words, at)))
    return None if value is None else (value, _of_a(words, at + 1))


def _over(words: list[str], at: int) -> float | None:
    """What stands under a fraction's stroke at this place."""
    below = _word(words, at + 1) if _word(words, at) == "/" else ""
    return float(below.replace(",", "")) or None if below[:1].isdigit() else None


def _of_a(words: list[str], at: int) -> int:
    after = at + (_word(words, at) == "of")
    after += _word(words, after) in ("a", "an")
    return after if _word(words, after) in _SPELT else at


def _word(words: list[str], at: int) -> str:
    return words[at] if at < len(words) else ""
