"""Says where the values of a call come from: the words and results that a `Source` names, as they stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..tools import ToolResult
from .arithmetic import PREFIX
from .evidence import SEPARATOR
from .lark import compact
from .passages import split_place
from .steps import Call, Source
from .verification import places

_SPAN = re.compile(r"(\d+):(\d+)")
_KEYWORDS = {
    "enum": "one of the values that the schema lists",
    "const": "the only value that the schema allows",
    "default": "the default of the schema",
    "type": "one of the few values of its type",
}
_LONGEST = 60  # characters of a value that are quoted around words in it
_NOTHING = object()


@dataclass(frozen=True)
class Words:
    """Words that a value rests on.

    Attributes:
        kind: "goal", "instructions", "reply" or "observation".
        text: they themselves; of a number in a result its JSON.
        span: first character and the one behind the last, in the text that they are a part of; None where they are all of it.
        call: number of the call whose result has them; None for other kinds.
        tool: the one that was called.
        pointer: JSON pointer into the result.
        is_name: they are the last name of that pointer, not the value there.
        there: the value that the pointer leads to.
    """

    kind: str
    text: str
    span: tuple[int, int] | None = None
    call: int | None = None
    tool: str = ""
    pointer: str = ""
    is_name: bool = False
    there: Any = None

    def __str__(self) -> str:
        at = f" {self.span[0]}:{self.span[1]}" if self.span is not None else ""
        if self.kind != "observation":
            return f"{self.kind}{at} {_quoted(self.text)}"
        of = f" of {self.tool}" if self.tool else ""
        where = f" at {self.pointer}" if self.pointer else ""
        if self.is_name:
            return f"result {self.call}{of}, the name {_quoted(self.text)}{where}"
        within = f" in {_quoted(self.there)}" if self.span is not None and isinstance(self.there, str) else ""
        words = _quoted(self.there if isinstance(self.there, int | float) else self.text)
        return f"result {self.call}{of}{where}{at} {words}{within}"

    def to_json(self) -> dict[str, Any]:
        """A JSON object with its fields; those of results only where it is one."""
        record: dict[str, Any] = {"kind": self.kind, "text": self.text, "span": list(self.span) if self.span else None}
        if self.kind == "observation":
            record |= {"call": self.call, "tool": self.tool, "pointer": self.pointer, "there": self.there}
            record |= {"is_name": self.is_name}
        return record


@dataclass(frozen=True)
class Explained:
    """A value of a call, with its evidence.

    Attributes:
        at: its JSON pointer into the arguments; of a name that the schema does not declare with a ``#`` behind.
        value: the value, or that name.
        kind, rule, trusted: as in `Source`.
        keyword: "enum", "const", "default" or "type", where the schema gives it.
        words: what it rests on, or what mentions it; several where it follows from them together.
        after: number of the untrusted result that the model had seen when it wrote it in words of its own; 0 for none.
    """

    at: str
    value: Any
    kind: str
    rule: str = ""
    trusted: bool = True
    keyword: str = ""
    words: tuple[Words, ...] = ()
    after: int = 0

    @property
    def name(self) -> str:
        """The pointer as people read it: ``at/lat``."""
        return self.at.removeprefix("/")

    @property
    def because(self) -> str:
        """Its evidence on one line."""
        said = f"{self.rule.removeprefix(PREFIX)} of " if self.rule else ""
        said += " and ".join(map(str, self.words))
        if self.kind == "free":
            of = "a date that nothing said confirms" if self.rule == "date" else "the model's own words"
            return f"free: {of}" + (f", written after the untrusted result {self.after}" if self.after else "")
        if self.kind == "schema":
            listed = _KEYWORDS.get(self.keyword, "the schema")
            return f"{self.keyword}: {listed}" + (f", mentioned by {said}" if self.words else "")
        return said

    def to_json(self) -> dict[str, Any]:
        """A JSON object with its fields and the line for people."""
        names = ("at", "value", "kind", "rule", "trusted", "keyword", "after")
        return {name: getattr(self, name) for name in names} | {
            "words": [words.to_json() for words in self.words],
            "because": self.because,
        }


def explain(call: Call, results: Mapping[int, ToolResult]) -> list[Explained]:
    """Each value of a call with its evidence, in the order of the arguments.

    Args:
        call: with its evidence.
        results: of earlier calls, by their numbers; what is not there is explained by the words in the evidence alone.
    """
    return [_explained(at, source, call.call.arguments, results) for at, source in call.evidence.items()]


def _explained(at: str, source: Source, arguments: Any, results: Mapping[int, ToolResult]) -> Explained:
    value = at.removesuffix("#").rpartition("/")[2] if at.endswith("#") else _value_at(arguments, at)
    value = None if value is _NOTHING else value
    if source.kind == "free":
        after = source.at.removesuffix("#")
        return Explained(at, value, "free", source.rule, source.trusted, after=int(after) if after.isdigit() else 0)
    keyword, mention = "", source.at
    if source.kind == "schema":
        keyword, _, mention = source.at.partition(SEPARATOR)
    words = tuple(_words(source, mention, results)) if mention else ()
    return Explained(at, value, source.kind, source.rule, source.trusted, keyword, words)


def _words(source: Source, mention: str, results: Mapping[int, ToolResult]) -> Iterator[Words]:
    """The words at each place; a source of several has them behind each other."""
    rest = source.text
    found = places(source.kind, mention)
    for n, (kind, at) in enumerate(found):
        is_last = n + 1 == len(found)
        words = _at(kind, at, rest, results)
        text = rest if is_last else rest[: len(words.text)]
        yield Words(kind, text, words.span, words.call, words.tool, words.pointer, words.is_name, words.there)
        rest = rest[len(text) :].removeprefix(SEPARATOR)


def _at(kind: str, at: str, rest: str, results: Mapping[int, ToolResult]) -> Words:
    """What stands at one place; its text is of the length that it has there."""
    place = split_place(at) if kind == "observation" else None
    if place is None:
        span = _SPAN.fullmatch(at)
        ends = (int(span[1]), int(span[2])) if span is not None else None
        return Words(kind, rest[: ends[1] - ends[0]] if ends is not None else rest, ends)
    number, names, is_name, ends = place
    pointer = "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in names)
    result = results.get(number)
    there = _NOTHING if result is None else _value_at(result.value, pointer)
    if ends is not None:
        length = ends[1] - ends[0]
    elif is_name:
        length = len(names[-1]) if names else 0
    else:
        length = len(rest) if there is _NOTHING else len(there if isinstance(there, str) else compact(there))
    tool = result.call.name if result is not None else ""
    return Words(kind, rest[:length], ends, number, tool, pointer, is_name, None if there is _NOTHING else there)


def _value_at(value: Any, at: str) -> Any:
    """What a JSON pointer leads to."""
    for part in at.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            return _NOTHING
    return value


def _quoted(value: Any) -> str:
    text = compact(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
