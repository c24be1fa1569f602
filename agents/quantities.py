"""Numbers that a text gives without spelling them out: fractions, and lengths of time in other units.

"an hour and a half" is 1.5 hours, 90 minutes and 5400 seconds; "1/2 hour" is 0.5 and 30; "three quarters" is 0.75.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
SMALL = {word: n for n, word in enumerate([*_UNITS.split(), "eighteen", "nineteen"])}
SMALL |= {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}
LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}

_PARTS = {"half": 1 / 2, "halves": 1 / 2, "quarter": 1 / 4, "quarters": 1 / 4, "third": 1 / 3, "thirds": 1 / 3}
_SIGNS = {"½": 1 / 2, "¼": 1 / 4, "¾": 3 / 4, "⅓": 1 / 3, "⅔": 2 / 3}
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0}
_SPELT = {"sec": "second", "min": "minute", "hr": "hour", "h": "hour"} | {unit: unit for unit in _SECONDS}
_SPELT |= {f"{spelt}s": unit for spelt, unit in _SPELT.items()}
_SPELT |= {"m": "minute", "s": "second"}
_SMALLER = {"week": "day", "day": "hour", "hour": "minute", "minute": "second"}
_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?|[a-z]+|[½¼¾⅓⅔/]")


def derived_numbers(text: str) -> Iterator[float]:
    """Every fraction and every length of time in the text, the latter in seconds, minutes, hours, days and weeks."""
    words = _TOKEN.findall(text.casefold())
    at = 0
    while at < len(words):
        found = _duration(words, at)
        if found is not None:
            seconds, amounts, at = found
            yield from amounts
            for second in seconds:
                for length in _SECONDS.values():
                    yield second / length
                    if second / length >= 0.1:
                        yield round(second / length, 2)  # as people would write it down
            continue
        number = _amount(words, at)
        if number is not None:
            yield number[0]
        at = number[1] if number is not None else at + 1


def _duration(words: list[str], at: int) -> tuple[list[float], list[float], int] | None:
    """Seconds of a length of time and of each of its parts, the amounts in it, and where it ends."""
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
        if spelt is None or (unit and _SECONDS[spelt] >= _SECONDS[unit]):
            break
        unit, at = spelt, after + 1
        if _word(words, at) == "and" and (part := _part(words, at + 1)) and _word(words, part[1]) not in _SPELT:
            number, at = number + part[0], part[1]  # "an hour and a half"
        amounts.append(number)
        parts.append(number * _SECONDS[spelt])
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
