"""Pieces of what was said, how places in them are written down, and what a single one supports.

A text (goal, instructions, reply) is one passage; a result is one for every string, number and name in it, and one for all of
it as compact JSON. Places: ``"12:18"`` is a span of a text. ``"3#/items/0"`` is a value in the result of call 3, by its JSON
pointer; ``"3#/items/0:4:9"`` a span of that text; ``"3#/items#"`` the name "items" itself. In the names of such a pointer
``%``, ``#``, ``:`` and ``;`` are percent-encoded, as RFC 6901 section 6 does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from math import isfinite
from typing import Any

from .codes import CODES, NAMES, RELATED, SIGNS
from .lark import compact
from .moments import Calendar
from .places import place, time_zone
from .quantities import ARTICLE, Reading, numbers
from .units import Quantity, conversions, is_rounded, quantities, quantity, unit
from .wording import (
    Span,
    exactly,
    in_a_word,
    inflected,
    initials,
    lowered,
    phrase,
    squashed,
    squashed_places,
    tokens,
)

SPELLING = "spelling"
"""Rule of words that differ in case, spaces or punctuation only."""
IN_A_WORD = "part of a word"
"""Rule of words that stand inside longer ones: weak, since most short ones do."""

UNSIGNED = "unsigned"
"""Rule of a negative number of which nothing says that it is negative: weak."""
WEAK = (IN_A_WORD, UNSIGNED, ARTICLE)
"""Rules that the strict policy does not accept."""

_SIGN = re.compile(r"[-−–]\s?$")
_MINUS = re.compile(
    r"\b(?:minus|negative\w*|below|under|loss\w*|los[et]\w*|debts?|debit\w*|owe[sd]?|west\w*|south\w*|behind|before|earlier|ago|back\w*"
    r"|left|down\w*|decreas\w*|declin\w*|drop\w*|fall\w*|fell|reduc\w*|withdraw\w*|deceler\w*|brak\w*|subtract\w*|last)\b"
)
_CODE_END = re.compile("[-_]")  # of the language in "pt-BR"
_LONGEST_ENDING = 3  # letters that may follow the beginning of a word that stands for the word
_SPACED_NUMBER = 7  # digits from which a number may be written with spaces in it, such as a telephone's
_LARGEST = 1e300  # what a float can hold, and nobody says
_MOST_DERIVED = 20_000  # characters of a text in which dates and quantities are looked for
_MARKS = re.compile(r"(?<=[^\W_])(?:#|\+\+)")
_ENDLESS = ("number word", "fraction", "duration", "percentage")
_AT = re.compile(r"(\d+)#((?:/[^#:;]*)*)(#?)(?::(\d+):(\d+))?")
_ESCAPED = {"~": "~0", "/": "~1", "%": "%25", "#": "%23", ":": "%3A", ";": "%3B"}
_ESCAPE = re.compile("[~/%#:;]")


@dataclass(frozen=True)
class Passage:
    """A piece of what was said.

    Attributes:
        kind: as in `Source`.
        text: the words; of a number its JSON.
        trusted: whether whoever wrote it may fill sensitive arguments.
        base: of an observation the place of the whole passage, as ``"3#/items/0"``.
        number: where it is a number.
        clock: when the run takes place, if that is known.
    """

    kind: str
    text: str
    trusted: bool = True
    base: str = ""
    number: float | None = None
    clock: datetime | None = None

    def at(self, start: int, end: int) -> str:
        """A span of it as a place."""
        if not self.base:
            return f"{start}:{end}"
        return self.base if (start, end) == (0, len(self.text)) else f"{self.base}:{start}:{end}"

    # -- numbers ------------------------------------------------------------------------------------------------------

    @cached_property
    def low(self) -> str:
        return lowered(self.text)

    @cached_property
    def read(self) -> tuple[Reading, ...]:
        """Every number that it gives, without conversions."""
        if self.number is not None:
            return (Reading(abs(self.number), 0, len(self.text)),)
        return tuple(numbers(self.low))

    @cached_property
    def _exact(self) -> dict[float, Reading]:
        return _best(self.read)

    @cached_property
    def _dated(self) -> dict[float, Reading]:
        return _best(self._calendar.numbers())

    @cached_property
    def _quantities(self) -> tuple[Quantity, ...]:
        if self.number is not None:
            return ()
        read = [reading for reading in self.read if reading.end <= _MOST_DERIVED]
        return tuple(quantities(self.text, self.low, read))

    @cached_property
    def _converted(self) -> tuple[Reading, ...]:
        """What may be written down rounded: quantities in other units, and what has no end in decimals, such as 2 pi."""
        endless = (r for r in self.read if r.rule in _ENDLESS and isinstance(r.value, float) and not r.value.is_integer())
        return (*conversions(self._quantities), *endless)

    @cached_property
    def _calendar(self) -> Calendar:
        return Calendar.of("" if self.number is not None else self.low[:_MOST_DERIVED], self.clock)

    def number_at(self, value: float, dated: bool = True) -> Reading | None:
        """The words that a number rests on; where nothing says that it is negative, the rule says that.

        Args:
            dated: it may be the year, month, day, hour or minute of a date or time, or the days to it.
        """
        wanted = key(abs(value))
        if wanted is None:
            return None
        found = self._exact.get(wanted)
        if dated and (found is None or found.rule in WEAK):
            found = self._dated.get(wanted) or found
        if found is None:
            found = next((r for r in self._converted if is_rounded(abs(value), r.value)), None)
        if found is None or value >= 0:
            return found
        if self.number is not None:
            return found if self.number < 0 else replace(found, rule=UNSIGNED)
        for reading in self.read:
            if key(reading.value) == wanted and (sign := _SIGN.search(self.low, max(0, reading.start - 2), reading.start)):
                return replace(reading, start=sign.start())
        word = _MINUS.search(self.low)
        if word is None:
            return replace(found, rule=UNSIGNED)
        return replace(found, start=min(found.start, word.start()), end=max(found.end, word.end()), rule=found.rule or "sign")

    def numbers_at(self, value: float) -> Iterator[Reading]:
        """All words that a number rests on."""
        if (found := self.number_at(value)) is not None:
            yield found
        if value >= 0:
            wanted = key(value)
            yield from (r for r in (*self.read, *self._calendar.numbers()) if key(r.value) == wanted)
            yield from (r for r in self._converted if is_rounded(value, r.value))

    # -- words --------------------------------------------------------------------------------------------------------

    @cached_property
    def squashed(self) -> str:
        return squashed(self.text)

    @cached_property
    def _places(self) -> list[int]:
        return squashed_places(self.text)

    @cached_property
    def _tokens(self) -> list[tuple[str, int, int]]:
        return tokens(self.low[:_MOST_DERIVED])

    def words_at(self, value: str) -> tuple[Span, str] | None:
        """The words that stand there as the value does, but for case, spaces and punctuation, and the rule."""
        if not value.strip():
            return None
        if (span := exactly(value, self.text) or exactly(value.strip(), self.text)) is not None:
            return span, ""
        wanted = squashed(value)
        if not wanted:
            at = self.text.find(value.strip())
            return ((at, at + len(value.strip())), "") if at >= 0 else None
        if wanted.isdigit() and len(wanted) < _SPACED_NUMBER:
            return None  # "4 5" is not 45
        for start, end in self._spelt(wanted):
            marked = self._with_marks((start, end))
            if not in_a_word(self.text, end) and _marks(value) == _marks(self.text[slice(*marked)]):
                return marked, SPELLING
        return None

    def _spelt(self, letters: str) -> Iterator[Span]:
        """Where letters and digits stand from the beginning of a word on."""
        at = self.squashed.find(letters) if letters else -1
        while at >= 0:
            start, end = self._places[at], self._places[at + len(letters) - 1] + 1
            if not in_a_word(self.text, start):
                yield start, end
            at = self.squashed.find(letters, at + 1)

    def _beginning_at(self, value: str) -> Span | None:
        """The words that begin like a value and have no more behind it than an ending."""
        for start, end in self._spelt(squashed(value)):
            begin = next((at for at in range(end - 1, start, -1) if not self.text[at - 1].isalnum()), start)
            after = next((at for at in range(end, len(self.text)) if not self.text[at].isalnum()), len(self.text))
            if after - end <= min(_LONGEST_ENDING, end - begin - 1):
                return start, after
        return None

    def inside_words(self, value: str) -> Span | None:
        """Where letters and digits of a value stand inside longer words."""
        wanted = squashed(value)
        at = self.squashed.find(wanted) if wanted else -1
        return (self._places[at], self._places[at + len(wanted) - 1] + 1) if at >= 0 else None

    def _with_marks(self, span: Span) -> Span:
        found = _MARKS.match(self.text, span[1])
        return (span[0], found.end()) if found is not None else span

    def derived_at(self, value: str) -> Iterator[tuple[Span, str]]:
        """The words that a value follows from, and the rule, in every way."""
        text = value.strip()
        if (number := plain_number(text)) is not None and (reading := self.number_at(number)) is not None:
            yield (reading.start, reading.end), reading.rule or "number"
        if (found := self._calendar.find(text)) is not None:
            yield found
        for rule, span in self._follows(text, lowered(text)):
            if span is not None:
                yield span, rule

    def _follows(self, text: str, low: str) -> Iterator[tuple[str, Span | None]]:
        yield "code", self._code_at(low)
        yield "operator", self._first(SIGNS.get(low, ()))
        if not any(character.isalpha() for character in text):
            return
        yield "nation", self._first(RELATED.get(low, ()))
        yield "unit", unit(text, self.low)
        if any(character.isdigit() for character in text):
            yield "unit", quantity(text, numbers(low), self._quantities)
        yield "initials", initials(text, self.text)
        yield "place", place(text, self.low)
        yield "time zone", time_zone(text, self.low)
        span = inflected(text, self._tokens) or self._beginning_at(text)
        marked = self._with_marks(span) if span is not None else None
        yield "wording", marked if marked and _marks(text) == _marks(self.text[slice(*marked)]) else None

    def _code_at(self, low: str) -> Span | None:
        """Where the name of a code was said ("German" of "de"), or the code of a name, in capitals ("DE" of "German")."""
        language = _CODE_END.split(low)[0]
        span = self._first(NAMES.get(language, ()))
        if span is None and language != low and 2 <= len(language) <= 3 and language.isalpha():
            span = exactly(language, self.low)
        if span is not None:
            return span
        return next((at for code in CODES.get(low, ()) if (at := exactly(code.upper(), self.text)) is not None), None)

    def _first(self, names: tuple[str, ...]) -> Span | None:
        return next((span for name in names if (span := phrase(name, self.low)) is not None), None)


def _best(readings: Iterable[Reading]) -> dict[float, Reading]:
    """The best reading of every number, those written in digits before all others."""
    found: dict[float, Reading] = {}
    for reading in readings:
        known = key(reading.value)
        if known is not None and (known not in found or _rank(reading.rule) < _rank(found[known].rule)):
            found[known] = reading
    return found


def _rank(rule: str) -> int:
    """Words as they stand come first, weak rules last."""
    return 0 if not rule else 2 if rule in WEAK else 1


def _marks(text: str) -> list[str]:
    """Signs that are a part of the word in front of them, as in "C#" and "C++"."""
    return _MARKS.findall(text)


def key(value: float) -> float | None:
    """Equal for numbers that are equal but for the last digits of a float; None for what nobody says."""
    if isinstance(value, int):
        return value if value < 10**300 else None
    if not isfinite(value) or value >= _LARGEST:
        return None
    return int(value) if value.is_integer() else float(f"{value:.12g}")


def plain_number(text: str) -> float | None:
    """The number that a text is, if it is nothing else."""
    if not re.fullmatch(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d{1,300})(?:\.\d+)?", text):
        return None
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)


def passages_of(number: int, value: Any, trusted: bool, clock: datetime | None) -> Iterator[Passage]:
    """Those of a result, by the number of its call: its values, then the names in it."""
    names: list[Passage] = []
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        at, item = pending.pop()
        base = f"{number}#{at}"
        if isinstance(item, str):
            yield Passage("observation", item, trusted, base, clock=clock)
        elif isinstance(item, int | float) and not isinstance(item, bool):
            yield Passage("observation", compact(item), trusted, base, number=item, clock=clock)
        elif isinstance(item, dict):
            names += [Passage("observation", str(name), trusted, f"{base}/{_escaped(name)}#", clock=clock) for name in item]
            pending += [(f"{at}/{_escaped(name)}", item[name]) for name in reversed(item)]
        elif isinstance(item, list):
            pending += [(f"{at}/{n}", item[n]) for n in reversed(range(len(item)))]
    yield from names


def _escaped(name: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPED[found[0]], str(name))


def unescaped(name: str) -> str:
    """A name in a place as it is."""
    for plain in ":;#%":  # the percent sign last
        name = name.replace(_ESCAPED[plain], plain)
    return name.replace("~1", "/").replace("~0", "~")


def split_place(at: str) -> tuple[int, list[str], bool, Span | None] | None:
    """Call number, names of the pointer, whether the last name itself is meant, and the span; None for anything else."""
    found = _AT.fullmatch(at)
    if found is None:
        return None
    names = [unescaped(name) for name in found[2].split("/")[1:]]
    return int(found[1]), names, bool(found[3]), (int(found[4]), int(found[5])) if found[4] else None
