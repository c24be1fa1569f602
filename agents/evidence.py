"""Evidence: whether something that was said supports a value.

Generous on purpose, since a wrong "no" loses what the user wanted. Of text, case, spaces and punctuation do not count. A number
may be written in digits or in English words, with a scale ("3k", "two million"), as a percentage, as a fraction, as a time of
day, or as a length of time in another unit. A code rests on the name of its language, country or currency. Dates and times are
worked out from words ("next Friday"), so they are never said to lack evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .codes import NAMES
from .quantities import LARGE, SMALL, derived_numbers

_NUMBER = re.compile(r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e[+-]?\d+)?|\.\d+)\s*(%|[a-z]+)?", re.IGNORECASE)
_WORD = re.compile(r"[a-z]+")
_CODE_END = re.compile("[-_]")  # of the language in "pt-BR"
_TIME = re.compile(r"\d{4}-\d\d(-\d\d)?([T ].*)?|\d\d?:\d\d(:\d\d)?(\s*[ap]\.?m\.?|Z|[+-]\d\d:\d\d)?", re.IGNORECASE)

_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_SUFFIXES = {**LARGE, "k": 1000, "m": 10**6, "bn": 10**9, "b": 10**9}
_LARGEST = 1e300  # what a float can hold, and nobody says
_MEANINGS: dict[str, tuple[float, ...]] = {word: (n,) for n, word in enumerate(_ORDINALS.split(), 1)}
_MEANINGS |= dict.fromkeys(("a", "an", "once", "single"), (1.0,)) | dict.fromkeys(("twice", "couple", "double"), (2.0,))
_MEANINGS |= {"half": (0.5, 30.0), "quarter": (0.25, 15.0), "dozen": (12.0,), "decade": (10.0,), "century": (100.0,)}
_MEANINGS |= {"fortnight": (14.0,), "noon": (12.0,), "midnight": (0.0,), "no": (0.0,)}
_MEANINGS |= dict.fromkeys(("minute", "hour", "day", "month", "year"), (1.0,))  # "the next month"
_MEANINGS |= {"week": (1.0, 7.0), "second": (1.0, 2.0)}
_MONTHS = "january february march april may june july august september october november december"
_MEANINGS |= {word: (float(n),) for n, word in enumerate(_MONTHS.split(), 1)}


class Evidence:
    """What was said so far.

    Attributes:
        spoken: the numbers in it that are written in digits, just as they stand.
    """

    def __init__(self, *texts: str) -> None:
        self._text = ""
        self._squashed = ""
        self._words: set[str] = set()
        self._numbers: set[float] = set()
        self.spoken: set[float] = set()
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Something more was said."""
        self._text += "\0" + text  # nothing matches across two texts
        self._squashed += "\0" + _squashed(text)
        self._words.update(_WORD.findall(text.casefold()))
        self._numbers.update(_in_digits(text), _in_words(text), derived_numbers(text))
        self.spoken.update(float(digits.replace(",", "")) for digits, _ in _NUMBER.findall(text))

    def supports(self, value: Any) -> bool:
        """Whether a string or a number rests on it. Of any other kind of value this cannot be told: they are supported."""
        if isinstance(value, bool):
            return True
        if isinstance(value, int | float):
            # Without the minus sign, which may be a word: "a loss of", "below", "west".
            return abs(value) < _LARGEST and abs(float(value)) in self._numbers
        if not isinstance(value, str) or _TIME.fullmatch(value.strip()):
            return True
        squashed = _squashed(value)
        if not squashed:
            return bool(value.strip()) and value.strip() in self._text
        return squashed in self._squashed or self.names(value)

    def names(self, code: str) -> bool:
        """Whether a code ("de", "pt-BR", "EUR") or the name that it stands for was said as a word of its own."""
        code = _CODE_END.split(code.strip().casefold())[0]
        return code in self._words or not self._words.isdisjoint(NAMES.get(code, ()))


def _squashed(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _in_digits(text: str) -> Iterator[float]:
    """Numbers in digits with all that they may mean: "5%" is 5 and 0.05, "3 pm" is 3 and 15, "2 million" is 2 and 2000000."""
    for digits, unit in _NUMBER.findall(text):
        number, unit = float(digits.replace(",", "")), unit.lower()
        yield number
        yield number * _SUFFIXES.get(unit, 1)
        if unit in ("%", "percent"):
            yield number / 100
        if unit.startswith("p") and number < 12:
            yield number + 12
        if "," in digits:  # or a list without spaces
            yield from map(float, digits.split(","))


def _in_words(text: str) -> Iterator[float]:
    """Numbers in English words, alone and put together: "twenty five" is 20, 5 and 25."""
    total = part = 0
    for word in _WORD.findall(text.casefold()):
        yield from _MEANINGS.get(word, ())
        if word in SMALL:
            part += SMALL[word]
            yield SMALL[word]
        elif word == "hundred":
            part = max(part, 1) * 100
        elif word in LARGE:
            total, part = total + max(part, 1) * LARGE[word], 0
        elif word != "and":
            total = part = 0
        if total + part or word in SMALL:
            yield total + part
