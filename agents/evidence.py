"""Evidence: what of the things that were said supports a value, and how.

Generous on purpose, since a wrong "no" loses what the user wanted. Of text, case, spaces and punctuation do not count. What is
not there as it stands may follow from it by a rule: a number in words, with a scale ("3k"), as a percentage or as a fraction
(`quantities`); a quantity in another unit (`units`); a date or a time in other words (`moments`); a code by the name of its
language, country or currency (`codes`); a place (`places`); another form of a word (`wording`); and, where it was asked for, a
number worked out from others (`arithmetic`).

Whoever wrote the words counts, too. The user's goal, replies and instructions are trusted, and so are the results of tools that
are marked so. Other results are not, and once there is one, neither is what only the model says: it may repeat, in words of its
own, what somebody else wrote there. From then on the user's words must be closer to a value than they need be otherwise
(`taint`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..tools import Tool
from .arithmetic import asked, combined
from .lark import compact
from .moments import pieces
from .passages import IN_A_WORD, SPELLING, Passage, key, passages_of, split_place
from .quantities import ARTICLE, SMALL, Reading
from .steps import Source
from .taint import SAME, follows, says
from .wording import Span, inflected, lowered, phrase, squashed, stem, tokens

_DATE = re.compile(r"\d{4}-\d\d(-\d\d)?([T ].*)?|\d\d?:\d\d(:\d\d)?(\s*[ap]\.?m\.?|Z|[+-]\d\d:\d\d)?", re.IGNORECASE)
Numbers = dict[tuple[bool, float | None], tuple[Passage, Reading]]
_ORDER = ("goal", "reply", "instructions", "observation")
_MOST_DERIVED = 500  # strings of a result from which values are derived
_NOT = re.compile(r"\b(?:no|not|without|don['’]?t|doesn['’]?t|isn['’]?t|aren['’]?t|never|neither|skip|omit|exclude|except)\b")
_SAYS_NOTHING = "is has have should include includes including with show get use enable enabled allow want need return"
_FLAG = frozenset(_SAYS_NOTHING.split())
_COUNTS = frozenset(("quantity", "count", "number", "num", "amount", "size", "copies"))
_TIMES = "year month week day date hour minute second time start end when due deadline begin until since period duration ahead"
_DATED = frozenset(map(stem, _TIMES.split()))
_INDEX = re.compile(r"/\d+(?=/|$)")
SEPARATOR = "; "
"""Between the places of a value that rests on several; each then begins with its kind: ``goal 3:9; observation 2#/total``."""


class Evidence:
    """What was said so far.

    Args:
        clock: when the run takes place; relative dates ("tomorrow") are worked out from it.

    Attributes:
        clock: likewise.
        spoken: the numbers in digits in goal and replies.
        untrusted: number of the first call whose result is not trusted; 0 where there is none.
    """

    def __init__(self, clock: datetime | None = None) -> None:
        self.clock = clock
        self.spoken: set[float] = set()
        self.untrusted = 0
        self._texts: list[Passage] = []
        self._leaves: dict[int, list[Passage]] = {}  # of each result: its strings, numbers and names
        self._whole: dict[int, Passage] = {}  # each result as compact JSON
        self._index: dict[int, Numbers] = {}
        self._squashed: dict[int, str] = {}
        self._asked: frozenset[str] = frozenset()
        self.values: dict[int, Any] = {}

    def add(self, kind: str, text: str) -> None:
        """The user said something: "goal", "instructions" or "reply"."""
        passage = Passage(kind, text, clock=self.clock)
        self._texts.append(passage)
        self._texts.sort(key=lambda p: _ORDER.index(p.kind))
        if kind != "instructions":
            self.spoken |= {float(r.value) for r in passage.read if r.rule in ("", "number in a word")}
            self._asked |= asked(passage.low)

    def observe(self, number: int, tool: Tool, arguments: Mapping[str, Any], value: Any) -> None:
        """A call succeeded.

        What a trusted tool makes of its arguments is trusted no more than these were.

        Args:
            number: of the call in the run; a result that is there already does not count twice.
            tool: whether its results are trusted.
            arguments: of the call.
            value: a JSON value.
        """
        if number in self.values:
            return
        trusted = tool.trusted and not self._is_doubtful(arguments)
        self.values[number] = value
        self._leaves[number] = list(passages_of(number, value, trusted, self.clock))
        self._whole[number] = Passage("observation", compact(value), trusted, f"{number}#", clock=self.clock)
        if not trusted:
            self.distrust(number)

    def distrust(self, number: int) -> None:
        """The model saw what a call of an untrusted tool gave, though it is no evidence: an error's text."""
        self.untrusted = self.untrusted or number

    def _is_doubtful(self, arguments: Mapping[str, Any]) -> bool:
        """Whether nothing trusted supports one of those arguments, names in them included."""
        for leaf in passages_of(0, dict(arguments), True, None) if self.untrusted else ():
            if leaf.base.count("/") == 1 and leaf.base.endswith("#"):
                continue  # the name of a parameter
            source = self.find(leaf.text if leaf.number is None else leaf.number)
            if leaf.text.strip() and (source is None or not source.trusted):
                return True
        return False

    @property
    def goal(self) -> Passage | None:
        """What the user wants, if there is one goal: runs before this one had others."""
        goals = [passage for passage in self._texts if passage.kind == "goal"]
        return goals[0] if len(goals) == 1 else None

    # -- what supports a value ----------------------------------------------------------------------------------------

    def find(self, value: Any, schema: Any = None, name: str = "") -> Source | None:
        """What supports a value best: trusted before untrusted, words as they stand before what follows from them.

        Args:
            value: a string, a number, a boolean or None; other values have no source of their own.
            schema: JSON Schema of the value, for what it lists.
            name: of the parameter. A boolean rests on the words of it, "a" is 1 where it counts something, and the numbers of
                a date count where it has to do with time.

        Returns:
            The source. Its kind is "free" with a rule where it is worth little: "date" of a date that nothing confirms. None
            where there is nothing at all.
        """
        keyword = listed(value, schema)
        if keyword in ("enum", "const", "type"):
            return self._of_schema(value, keyword, name)
        if isinstance(value, bool) or value is None or not isinstance(value, str | int | float):
            return None
        found = self._said(value, name)
        if found is not None and found.rule == ARTICLE and is_count(name):
            found = replace(found, rule="number word")
        if found is not None:
            return found
        if keyword:
            return self._of_schema(value, keyword, name)
        return self._weak(value) if isinstance(value, str) else None

    def free(self, rule: str = "") -> Source:
        """The source of the model's own words; once there is an untrusted result, its place is that, which they may repeat."""
        return Source("free", f"{self.untrusted}#" if self.untrusted else "", "", rule, not self.untrusted)

    def _said(self, value: str | float, name: str = "") -> Source | None:
        found = self._supported(value, True, name)
        if found is not None and (not self.untrusted or self._is_meant(value, found)):
            return found
        foreign = self._supported(value, False, name)
        if foreign is not None:
            return foreign
        if found is not None:
            return found if follows(found.rule) else replace(found, trusted=False)
        return self._worked_out(value) if not isinstance(value, str) else self._moment(value)

    def _supported(self, value: str | float, trusted: bool, name: str) -> Source | None:
        return self._words(value, trusted) if isinstance(value, str) else self._number(value, trusted, name)

    def _is_meant(self, value: str | float, found: Source) -> bool:
        """Whether trusted words say a value, so that it does not matter who else does; see `taint.py`."""
        if not isinstance(value, str) or found.rule in SAME:
            return says(value, found.text, found.rule)
        return any(says(value, passage.text, "") for passage in self._verbatim(value, True))

    def _passages(self, trusted: bool) -> Iterator[Passage]:
        if trusted:
            yield from self._texts
        for number in reversed(self._leaves):
            yield from self._some_leaves(number, trusted)

    def _number(self, value: float, trusted: bool, name: str) -> Source | None:
        derived: Source | None = None
        dated = not name or not _DATED.isdisjoint(map(stem, _name_words(name)))
        for passage, reading in self._readings(value, trusted, dated):
            found = _source(passage, (reading.start, reading.end), reading.rule)
            if not reading.rule:
                return found
            derived = derived or found
        return derived

    def _readings(self, value: float, trusted: bool, dated: bool) -> Iterator[tuple[Passage, Reading]]:
        """Words that a number rests on, the best of each text and of each result."""
        for passage in self._texts if trusted else ():
            if (reading := passage.number_at(value, dated)) is not None:
                yield passage, reading
        wanted = key(abs(value))
        for number in reversed(self._leaves):
            found = self._numbers(number).get((trusted, wanted))
            if found is not None:
                yield found
                continue
            for leaf in self._some_leaves(number, trusted):
                if (reading := leaf.number_at(value, dated)) is not None:
                    yield leaf, reading
                    break

    def _numbers(self, number: int) -> Numbers:
        """The numbers of a result and where they stand, those that are values of their own before those in a text."""
        if number not in self._index:
            index: Numbers = {}
            for leaf in sorted(self._leaves[number], key=lambda leaf: leaf.number is None):
                for reading in leaf.read:
                    place = (leaf.trusted, key(reading.value))
                    if place not in index or (index[place][1].rule and not reading.rule):
                        index[place] = (leaf, reading)
            self._index[number] = index
        return self._index[number]

    def _some_leaves(self, number: int, trusted: bool) -> Iterator[Passage]:
        return (leaf for leaf in self._leaves[number][:_MOST_DERIVED] if leaf.trusted is trusted)

    def _words(self, value: str, trusted: bool) -> Source | None:
        loose: Source | None = None
        for passage in self._verbatim(value, trusted):
            found = passage.words_at(value)
            if found is not None and not found[1]:
                return _source(passage, *found)
            if found is not None and (loose is None or (loose.rule != SPELLING and found[1] == SPELLING)):
                loose = _source(passage, *found)
        if loose is not None:
            return loose
        for passage in self._passages(trusted):
            if (found := next(passage.derived_at(value), None)) is not None:
                return _source(passage, *found)
        return None

    def _verbatim(self, value: str, trusted: bool) -> Iterator[Passage]:
        """Passages that may hold a value, those of a result only where the letters of all of it do."""
        if trusted:
            yield from self._texts
        letters = squashed(value)
        for number in reversed(self._leaves):
            if letters in self._letters(number):
                yield from (leaf for leaf in self._leaves[number] if leaf.trusted is trusted)
            if self._whole[number].trusted is trusted:
                yield self._whole[number]

    def _letters(self, number: int) -> str:
        if number not in self._squashed:
            self._squashed[number] = "\0".join(leaf.squashed for leaf in self._leaves[number])
        return self._squashed[number]

    def _weak(self, value: str) -> Source | None:
        """Letters inside longer words, and dates that cannot be told from what was said; worth nothing where trust counts."""
        for trusted in (True, False):
            for passage in self._verbatim(value, trusted):
                if (span := passage.inside_words(value)) is not None:
                    return replace(_source(passage, span, IN_A_WORD), trusted=trusted and not self.untrusted)
        return self.free("date") if _DATE.fullmatch(value.strip()) else None

    def _moment(self, value: str) -> Source | None:
        """A date from one text and a time of day from another, such as a reply."""
        parts = pieces(value)
        found = [self._said(part) for part in parts] if parts is not None else []
        return together([source for source in found if source is not None], "date") if found and all(found) else None

    def _worked_out(self, value: float) -> Source | None:
        """A number that arithmetic gives, where the user asked for it: of the user's numbers, or of those in results, too."""
        if not self._asked:
            return None
        operands = [
            (reading.value, _source(passage, (reading.start, reading.end), reading.rule))
            for passage in self._texts
            if passage.kind != "instructions"
            for reading in spoken(passage)
        ]
        found = combined(value, [number for number, _ in operands], [], self._asked)
        groups: dict[str, list[int]] = {}
        for leaf in (leaf for leaves in self._leaves.values() for leaf in leaves if leaf.number is not None and found is None):
            groups.setdefault(_INDEX.sub("/*", leaf.base), []).append(len(operands))
            operands.append((abs(leaf.number or 0), _source(leaf, (0, len(leaf.text)), "")))
        if found is None and groups:
            found = combined(value, [number for number, _ in operands], list(groups.values()), self._asked)
        return together([operands[at][1] for at in found[1]], found[0]) if found is not None else None

    # -- what the schema lists ----------------------------------------------------------------------------------------

    def _of_schema(self, value: Any, keyword: str, name: str) -> Source:
        """The source of a listed value, with the words that mention it."""
        mention = self._flag(value, name) if isinstance(value, bool) else None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            mention = self._said(value)
        if mention is None:
            return Source("schema", keyword, trusted=not self.untrusted)
        at = mention.at if SEPARATOR in mention.at else f"{mention.kind} {mention.at}"
        return Source("schema", f"{keyword}{SEPARATOR}{at}", mention.text, mention.rule, mention.trusted)

    def _flag(self, value: bool, name: str) -> Source | None:
        """The words that mention a boolean: those of its parameter's name, with or without a "not" in front."""
        for passage in self._passages(True):
            if (span := flag_at(value, name, passage.low)) is not None:
                return _source(passage, span, "wording")
        return None

    def mentions(self, name: str) -> bool:
        """Whether trusted words mention something of that name, without a "not" in front."""
        return self._flag(True, name) is not None

    # -- for whoever checks it again ----------------------------------------------------------------------------------

    def words(self, kind: str, at: str) -> Iterator[Passage]:
        """The passages of a kind that have such a place, cut to its words."""
        if kind != "observation":
            span = re.fullmatch(r"(\d+):(\d+)", at)
            for passage in self._texts:
                if span is not None and passage.kind == kind and int(span[1]) < int(span[2]) <= len(passage.text):
                    yield Passage(kind, passage.text[int(span[1]) : int(span[2])], clock=self.clock)
            return
        place = split_place(at)
        for leaf in (*self._leaves.get(place[0], ()), self._whole[place[0]]) if place and place[0] in self._whole else ():
            if place is not None and split_place(leaf.base) == (*place[:3], None):
                span = place[3] or (0, len(leaf.text))
                if span[0] < span[1] <= len(leaf.text):
                    number = leaf.number if place[3] is None else None
                    yield Passage(kind, leaf.text[slice(*span)], leaf.trusted, number=number, clock=self.clock)

    @property
    def calls(self) -> Iterable[tuple[int, list[Passage]]]:
        """The passages of every result by the number of its call."""
        return self._leaves.items()

    @property
    def asks(self) -> frozenset[str]:
        """The operations of arithmetic that were asked for."""
        return self._asked


def spoken(passage: Passage) -> Iterator[Reading]:
    """The numbers of a text, each once: those in digits and in words, as long as they are."""
    end = 0
    for reading in sorted(passage.read, key=lambda r: (r.start, -r.end)):
        first = re.match(r"\w+", passage.low[reading.start :])
        is_said = first is not None and (first[0][0].isdigit() or first[0] in SMALL)
        if is_said and reading.start >= end and reading.rule in ("", "number word"):
            yield reading
            end = reading.end


def _source(passage: Passage, span: Span, rule: str) -> Source:
    return Source(passage.kind, passage.at(*span), passage.text[slice(*span)], rule, passage.trusted)


def together(sources: list[Source], rule: str) -> Source:
    """One source of a value that rests on several; it is trusted as the least of them."""
    if len(sources) == 1:
        return Source(sources[0].kind, sources[0].at, sources[0].text, rule, sources[0].trusted)
    first = next((source for source in sources if not source.trusted), sources[0])
    at = SEPARATOR.join(s.at if SEPARATOR in s.at else f"{s.kind} {s.at}" for s in sources)
    return Source(first.kind, at, SEPARATOR.join(s.text for s in sources), rule, all(s.trusted for s in sources))


def listed(value: Any, schema: Any) -> str:
    """The keyword of a schema that gives this value; "type" where there are no others than a few of the type."""
    if isinstance(schema, Mapping):
        if "const" in schema and _is_same(schema["const"], value):
            return "const"
        if isinstance(schema.get("enum"), list) and any(_is_same(item, value) for item in schema["enum"]):
            return "enum"
    if isinstance(value, bool) or value is None or value in ({}, []):
        return "type"
    return "default" if isinstance(schema, Mapping) and "default" in schema and _is_same(schema["default"], value) else ""


def _is_same(a: Any, b: Any) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def is_count(name: str) -> bool:
    """Whether a parameter counts something: "rooms", "pack_size"."""
    words = _name_words(name)
    return bool(words) and (not _COUNTS.isdisjoint(words) or (words[-1].endswith("s") and stem(words[-1]) != words[-1]))


def _name_words(name: str) -> list[str]:
    """The words of an identifier, in lower case."""
    return re.findall(r"[^\W_]+", lowered(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)))


def flag_at(value: bool, name: str, low: str) -> Span | None:
    """Where a text mentions a boolean of this value."""
    words = " ".join(word for word in _name_words(name) if word not in _FLAG)
    span = (phrase(words, low) or inflected(words, tokens(low))) if words else None
    if span is None:
        return None
    negation = max((found.start() for found in _NOT.finditer(low, max(0, span[0] - 24), span[1])), default=None)
    if (negation is not None) is value:
        return None
    return (span[0] if negation is None else min(span[0], negation)), span[1]
