"""What of a request no call has taken up: names, quotes and numbers that stand in it and in none of the calls' values.

A model that is asked about Oslo, Paris and Rome and calls for Oslo and Paris has left something out, and here is how that
shows: the values of calls have their evidence in the words of the goal (`evidence`), and "Rome" is nobody's evidence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..tools import ToolCall
from .evidence import SEPARATOR, spoken
from .passages import Passage
from .steps import Source
from .wording import Span, squashed

_QUOTED = re.compile(
    r"\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|(?<!\w)'[^'\n]{1,200}'(?!\w)|‘[^’\n]{1,200}’|`[^`\n]{1,200}`",
)
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_CODE = re.compile(r"[A-Za-z0-9][\w-]*(?:[._@/][\w-]*[A-Za-z0-9])+")
_ANY_WORD = re.compile(r"[^\W_]+")
_JOINS = re.compile(r"\b(?:and|or|plus|versus|vs|then|also)\b|[,;&/]")
_SMALL_WORDS = "and or plus versus vs then also as well both the a an in for of to from at on by with one"
_SMALL = frozenset(_SMALL_WORDS.split())
_PLACE = re.compile(r"(?:(\w+) )?(\d+):(\d+)")
_NO_NAME_WORDS = "i i'm i'd i'll i've ok pm am a.m p.m monday tuesday wednesday thursday friday saturday sunday"
_NO_NAMES = frozenset(_NO_NAME_WORDS.split())


def salient(text: str) -> list[Span]:
    """Where names, quotes and numbers stand in a text."""
    found = [found.span() for found in _QUOTED.finditer(text)]
    taken = list(found)
    for word in _WORD.finditer(text):
        inside = any(begin <= word.start() < end for begin, end in taken)
        if not inside and _is_code(text, word):
            found.append(_code_span(text, word))
            taken.append(found[-1])
        elif not inside and word[0][0].isupper() and not _begins(text, word.start()) and word[0].lower() not in _NO_NAMES:
            if found and found[-1] not in taken and not text[found[-1][1] : word.start()].strip(" -.&"):
                found[-1] = (found[-1][0], word.end())  # "New York" is one name
            else:
                found.append(word.span())
    numbers = [(reading.start, reading.end) for reading in spoken(Passage("goal", text))]
    return sorted(found + [span for span in numbers if not any(_meet(span, other) for other in found)])


def left_over(text: str, arguments: Mapping[str, Any]) -> list[str]:
    """Salient words of a text that stand in none of these values."""
    said = squashed(json.dumps(arguments, ensure_ascii=False))
    found = [text[slice(*span)].strip("\"'“”‘’`") for span in salient(text) if not _is_number(text, span)]
    return [words for words in found if squashed(words) and squashed(words) not in said]


def quotes(text: str) -> list[Span]:
    """Where a text quotes something, with the marks."""
    return [found.span() for found in _QUOTED.finditer(text)]


def _is_code(text: str, word: re.Match[str]) -> bool:
    """Whether a file's name, an address or the like begins with this word."""
    return _CODE.match(text, word.start()) is not None


def _code_span(text: str, word: re.Match[str]) -> Span:
    found = _CODE.match(text, word.start())
    assert found is not None
    return found.span()


def left_out(goal: str, part: Span, calls: Iterable[ToolCall], evidence: Iterable[Mapping[str, Source]]) -> list[Span]:
    """Where in a part of a goal something stands that no value of the calls has taken up, though one of its like has.

    Its like is what it is joined to: of "Oslo, Paris and Rome" any of the three, of "the number 4567 and the number 7890"
    either.

    Args:
        goal: what the user said.
        part: the characters that count.
        calls, evidence: with where each value comes from.
    """
    used = [span for sources in evidence for source in sources.values() for span in spans(source)]
    said = squashed(json.dumps([[call.name, call.arguments] for call in calls], ensure_ascii=False))
    found = [(part[0] + begin, part[0] + end) for begin, end in salient(goal[part[0] : part[1]])]
    taken = [any(_meet(span, other) for other in used) or squashed(goal[slice(*span)]) in said for span in found]
    left: list[Span] = []
    for group in _joined(goal, found):
        if any(taken[at] for at in group):
            left += [found[at] for at in group if not taken[at]]
    return left


def _joined(goal: str, spans: list[Span]) -> list[list[int]]:
    """The spans in groups that the text enumerates, each of two or more."""
    groups: list[list[int]] = [[0]] if spans else []
    for at in range(1, len(spans)):
        if _is_number(goal, spans[at - 1]) == _is_number(goal, spans[at]) and _enumerates(goal, spans[at - 1], spans[at]):
            groups[-1].append(at)
        else:
            groups.append([at])
    return [group for group in groups if len(group) > 1]


def _is_number(goal: str, span: Span) -> bool:
    return goal[slice(*span)].strip("$€£")[:1].isdigit()


def _enumerates(goal: str, first: Span, second: Span) -> bool:
    """Whether what stands between joins them: "and", a comma, and at most words that stand in front of the first one, too."""
    between = goal[first[1] : second[0]].lower()
    if not _JOINS.search(between):
        return False
    before = set(_ANY_WORD.findall(goal[max(0, first[0] - 40) : first[0]].lower())[-4:])
    return all(word in before or word in _SMALL for word in _ANY_WORD.findall(between))


def covers(span: Span, evidence: Mapping[str, Source]) -> bool:
    """Whether a value of a call comes from these characters of the goal."""
    return any(_meet(span, other) for source in evidence.values() for other in spans(source))


def spans(source: Source) -> list[Span]:
    """The characters of the goal that a value comes from."""
    kind = source.kind
    return [
        (int(place[2]), int(place[3]))
        for piece in source.at.split(SEPARATOR)
        if (place := _PLACE.fullmatch(piece)) is not None and (place[1] or kind) == "goal"
    ]


def _meet(a: Span, b: Span) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _begins(text: str, at: int) -> bool:
    """Whether a sentence begins here."""
    before = text[max(0, at - 64) : at].rstrip(" \t\"'“‘(")
    return not before or before[-1] in ".!?:\n"
