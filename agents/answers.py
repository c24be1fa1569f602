"""What an answer rests on: the results that its numbers and names come from, and claims that nothing said supports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .dates import dates
from .evidence import Evidence
from .passages import IN_A_WORD, Passage, key
from .quantities import Reading, numbers
from .steps import Source
from .wording import Span, lowered, phrase

_QUOTED = re.compile(r'"([^"\n]+)"|“([^”\n]+)”|„([^“”\n]+)[“”]|«([^»\n]+)»|`([^`\n]+)`|(?<!\w)[\'‘]([^\'’\n]+)[\'’](?!\w)')
_MARKER = re.compile(r"^[ \t]*\d{1,3}[.)](?=\s)", re.MULTILINE)  # of a list
_TIME = re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?(?:\s*[ap]\.?m\b\.?)?")
_SHORTEST_NAME = 3
_MOST_NAMES = 500  # of a result that are looked for in an answer
_CALL = re.compile(r"(\d+)#")


def cited(text: str, evidence: Evidence) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Which results an answer rests on, and which of its claims rest on nothing.

    Claims are the numbers in digits, the dates and the quoted names in it. A number may be rounded, counted (so many items in a
    list), or follow by a rule of `Evidence`. Where several results have what a claim says, one that is needed anyway is cited,
    or else the latest.

    Returns:
        Numbers of the calls in order, and the claims without support as they stand in the text.
    """
    low = lowered(text)
    supports: list[tuple[int, ...]] = []  # for each claim the calls that it may rest on, the latest first
    unsupported: list[tuple[int, str]] = []
    for span, calls in _claims(text, low, evidence):
        if calls is None:
            unsupported.append((span[0], text[slice(*span)]))
        elif calls:
            supports.append(calls)
    supports += _names(low, evidence)
    found: list[int] = []
    for calls in sorted(supports, key=len):
        if found == [] or not set(found) & set(calls):
            found.append(calls[0])
    return tuple(sorted(found)), tuple(claim for _, claim in sorted(unsupported))


def _claims(text: str, low: str, evidence: Evidence) -> Iterator[tuple[Span, tuple[int, ...] | None]]:
    """Every claim and the calls that it rests on: none where the user said it, None where nothing supports it."""
    free = bytearray(b"\1") * len(text)  # characters that belong to no claim so far

    def is_taken(span: Span) -> bool:
        """Whether a span overlaps with an earlier one; from now on it is one of them."""
        taken = 0 in free[slice(*span)]
        free[slice(*span)] = bytes(span[1] - span[0])
        return taken

    for marker in _MARKER.finditer(low):
        is_taken(marker.span())
    for quoted in _QUOTED.finditer(text):
        span = quoted.span(quoted.lastindex or 0)
        is_taken(span)
        yield span, _calls_of_text(text[slice(*span)], evidence)
    days = (said for said in dates(low, None) if all(r[1] and r[2] for r in said.readings))
    whole = [*((said.start, said.end) for said in days), *(found.span() for found in _TIME.finditer(low))]
    for span in sorted(whole, key=lambda s: (s[0] - s[1], s)):
        if not is_taken(span):
            yield span, _calls_of_text(text[slice(*span)], evidence)
    readings: dict[int, list[Reading]] = {}
    for reading in sorted(set(numbers(low)), key=lambda r: (r.start, -r.end)):
        readings.setdefault(reading.start, []).append(reading)
    for start, same in readings.items():
        plain = next((reading for reading in same if reading.rule == ""), None)
        if plain is not None and not is_taken((start, plain.end)):
            yield (start, plain.end), _calls_of_number(plain, same, evidence)


def _calls_of_text(words: str, evidence: Evidence) -> tuple[int, ...] | None:
    holding = _holding(evidence, lambda leaf: leaf.words_at(words) is not None)
    return holding or _from(evidence.find(words))


def _calls_of_number(plain: Reading, readings: list[Reading], evidence: Evidence) -> tuple[int, ...] | None:
    """Calls by a number as it stands, rounded or counted, or by what else it may mean: "2 million", "5%"."""
    for reading in sorted(readings, key=lambda r: r.end, reverse=True):
        wanted = key(reading.value)
        holding = _holding(evidence, lambda leaf, wanted=wanted: any(key(r.value) == wanted for r in leaf.read))
        if holding:
            return holding
    places = max((len(f"{r.value}".partition(".")[2]) for r in [plain] if isinstance(r.value, float)), default=0)
    rounded = _holding(
        evidence, lambda leaf: leaf.number is not None and round(abs(leaf.number), places or None) == plain.value
    )
    counted = tuple(n for n in reversed(list(evidence.values)) if plain.value in _lengths(evidence.values[n]))
    if rounded or counted:
        return rounded or counted
    sources = [evidence.find(reading.value) for reading in readings]
    return next((calls for calls in map(_from, sources) if calls is not None), None)


def _holding(evidence: Evidence, holds: Any) -> tuple[int, ...]:
    """Calls in whose results a passage is as wanted, the latest first."""
    return tuple(number for number, leaves in reversed(list(evidence.calls)) if any(holds(leaf) for leaf in leaves))


def _from(source: Source | None) -> tuple[int, ...] | None:
    if source is None or source.kind == "free" or source.rule == IN_A_WORD:
        return None
    return tuple(dict.fromkeys(int(number) for number in _CALL.findall(source.at)))


def _lengths(value: Any) -> set[int]:
    """How many items the lists in a value have."""
    found: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            found.add(len(item))
        pending += item if isinstance(item, list) else item.values() if isinstance(item, dict) else ()
    return found


def _names(low: str, evidence: Evidence) -> list[tuple[int, ...]]:
    """Calls of every string of a result that stands in the answer as it is."""
    found: dict[str, list[int]] = {}
    for number, leaves in reversed(list(evidence.calls)):
        for leaf in leaves[:_MOST_NAMES]:
            if _is_name(leaf) and phrase(leaf.low.strip(), low) is not None:
                calls = found.setdefault(leaf.low.strip(), [])
                if number not in calls:
                    calls.append(number)
    return [tuple(calls) for calls in found.values()]


def _is_name(leaf: Passage) -> bool:
    letters = sum(character.isalpha() for character in leaf.text)
    return leaf.number is None and letters >= _SHORTEST_NAME and not _is_key(leaf)


def _is_key(leaf: Passage) -> bool:
    return leaf.base.count("#") == 2  # its other ones are escaped
