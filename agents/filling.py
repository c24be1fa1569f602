"""Arguments as the user said them: slips of a small model put right, before anything is looked up or asked.

A model of a hundred million parameters copies "name.txt" for "names.txt", gives both files of a comparison the same name, works
"Wednesday" out as the wrong date, and takes the three of "three shares" for their price. The words themselves say better.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

from ..tools import Tool, ToolCall, ToolResult
from .clauses import Clause
from .coverage import left_over, spans
from .dates import dates
from .evidence import Evidence
from .grounding import Grounded, traced
from .lookups import choices, is_key, looks_keyed, numbers_in
from .relevance import stems
from .steps import Source
from .wording import lowered

MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?|\d{1,2}:\d\d(:\d\d)?")
"""Dates and times of day as tools want them; one that nobody said is an invention."""
_DIGITS = re.compile(r"(?<![\w.,:-])\d{2,}(?![\w:-])(?![.,]\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_POINTING = re.compile(
    r"(?:it|them|that|this|there|(?:the|that|this)\s+(?:original|file|same|one|folder|order|ticket|note|message|event)s?|original)\.?",
    re.IGNORECASE,
)
_COUNTED = frozenset(("amount", "quantity", "count", "number", "copies"))
_SLIP = 0.85  # similarity from which one text is a slip of another
_SHORTEST = 4
_LONGEST_TEXT = 4_000  # characters in which the words that were meant are looked for


class Filling:
    """Mends the arguments of calls for the parts of one goal.

    Args:
        goal: what the user said.
        said: all evidence; it grows as the run goes on.
        clock: when the run takes place, for dates.
    """

    def __init__(self, goal: str, said: Evidence, clock: datetime | None):
        self._goal, self._said, self._clock = goal, said, clock

    def mended(self, call: ToolCall, tool: Tool, part: Clause, before: ToolResult | None, found: Grounded) -> dict[str, Any]:
        """The call's arguments, put right.

        Args:
            call: as the model wrote it.
            tool: that it is of.
            part: of the goal, that it is for.
            before: the result before it.
            found: the call under the strict policy.
        """
        required, spoken = tool.parameters.get("required", []), set(stems(part.text))
        kept = {
            name: value
            for name, value in call.arguments.items()
            if name in required or not _is_only_seen(name, found) or not spoken.isdisjoint(stems(name))
        }
        kept = self.copied(kept, tool, part)
        if part.refers and before is not None:
            kept = _inherited(kept, tool, before.call)
        return self._numbered(_told_apart(kept, tool, part), tool, part)

    def _numbered(self, arguments: dict[str, Any], tool: Tool, part: Clause) -> dict[str, Any]:
        """The arguments with the id that was said in place of one that was not: the one number of the part that is left."""
        properties = tool.parameters.get("properties", {})
        numbers = [name for name, value in arguments.items() if isinstance(value, int) and not isinstance(value, bool)]
        keys = [name for name in numbers if is_key(name, properties.get(name, {}))]
        said = [int(digits) for digits in _DIGITS.findall(part.text)]
        others = [value for name, value in arguments.items() if name not in keys]
        left = [number for number in said if number not in others and not any(str(number) in str(value) for value in others)]
        if len(keys) == 1 and len(left) == 1 and arguments[keys[0]] not in said:
            return {**arguments, keys[0]: left[0]}
        return arguments

    def copied(self, arguments: Mapping[str, Any], tool: Tool, part: Clause) -> dict[str, Any]:
        """Strings that were copied with a slip as they were said, and dates as they follow from what was said."""
        found = {name: _without_stop(value, self._goal) for name, value in arguments.items()}
        found |= self._dated(found, tool, part)
        for name, value in found.items():
            schema = tool.parameters.get("properties", {}).get(name, {})
            if not isinstance(value, str) or (isinstance(schema, Mapping) and "enum" in schema):
                continue
            source = self._said.find(value)
            if value.lower() not in self._goal.lower() and (source is None or source.kind in ("free", "goal")):
                found[name] = closest(value, self._goal) or value
        return found

    def unknown(self, arguments: Mapping[str, Any], tool: Tool, found: Grounded) -> list[str]:
        """Arguments with values that nothing said supports, keys first.

        Args:
            arguments: of a call.
            tool: that it is of.
            found: that call under the strict policy.
        """
        names = [name for name in arguments if self.is_unknown(name, arguments[name], tool, found)]
        properties = tool.parameters.get("properties", {})
        return sorted(names, key=lambda name: not is_key(name, properties.get(name)))

    def is_unknown(self, name: str, value: Any, tool: Tool, found: Grounded) -> bool:
        """Whether nothing said supports a value."""
        schema = tool.parameters.get("properties", {}).get(name, {})
        if isinstance(value, bool | dict | list) or (isinstance(schema, Mapping) and "enum" in schema):
            return False
        source = found.evidence.get(f"/{name}")
        keyed, unsupported = is_key(name, schema), f"{tool.name}.{name}" in found.missing
        if isinstance(value, int | float) and source is not None and source.kind == "goal":
            others = _sharing(name, source, found.evidence)
            if keyed and (source.rule or others):  # "two mugs" is no product 2
                return True
            if any(_counts(other) and not _counts(name) for other in others):
                return True
        if keyed:
            has_source = source is not None and source.kind in ("goal", "reply", "observation")
            plain = source is not None and source.kind == "goal" and not looks_keyed(value, self._goal)
            return unsupported or not has_source or plain
        if isinstance(value, str) and MOMENT.fullmatch(value) and (source is None or source.kind == "free"):
            return True
        return unsupported

    def referred(
        self, arguments: Mapping[str, Any], tool: Tool, part: Clause, before: ToolResult | None, unknown: list[str]
    ) -> dict[str, Any]:
        """The arguments with numbers that stand nowhere in the part taken from the result before ("multiply the sum by 3").

        Args:
            unknown: names that nothing supports; those that get a number are taken out.
        """
        found = dict(arguments)
        results = [] if before is None else numbers_in(before.value)
        if not results:
            return found
        here = Evidence()
        here.add("goal", part.text)
        loose: list[str] = []
        used: set[float] = set()
        for name, value in arguments.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if here.find(value) is None or value in used or name in unknown:
                loose.append(name)
            else:
                used.add(value)
        rest = sorted(here.spoken - used)
        for at, name in enumerate(loose):
            if is_key(name, tool.parameters.get("properties", {}).get(name, {})):
                continue
            seen = choices(tool, name, [before.value if before is not None else None], part.text) or results
            found[name] = rest.pop(0) if at and rest else seen[0]
            if name in unknown:
                unknown.remove(name)
        return found

    def _dated(self, arguments: Mapping[str, Any], tool: Tool, part: Clause) -> dict[str, Any]:
        """The dates among arguments as they were said: of several, the one next to the call's other words."""
        said = [found for found in dates(lowered(part.text), self._clock) if len(found.readings) == 1]
        said = [found for found in said if None not in next(iter(found.readings))]
        names = [name for name, value in arguments.items() if isinstance(value, str) and _DATE.fullmatch(value)]
        if not said or not names:
            return {}
        others = {name: value for name, value in arguments.items() if name not in names and isinstance(value, str)}
        sources = traced(ToolCall(tool.name, others), tool, self._said).values()
        words = [source for source in sources if not source.text[:1].isdigit()]
        at = max((end - part.start for source in words for _, end in spans(source)), default=0)
        year, month, day = next(iter(min(said, key=lambda found: abs(found.start - at)).readings))
        return dict.fromkeys(names[:1], f"{year:04}-{month:02}-{day:02}")


def closest(value: str, text: str) -> str | None:
    """The words of a text that a value is a slip of: as many as it has, and all but a letter or two."""
    count = len(value.split())
    if not count or len(value) < _SHORTEST or len(text) > _LONGEST_TEXT:
        return None
    tokens = list(re.finditer(r"\S+", text))
    best: tuple[float, str] | None = None
    for at in range(len(tokens) - count + 1):
        said = text[tokens[at].start() : tokens[at + count - 1].end()].strip("\"'“”‘’`,;:!?()").rstrip(".")
        score = SequenceMatcher(None, value.lower(), said.lower()).ratio()
        if score >= _SLIP and (best is None or score > best[0]):
            best = (score, said)
    return None if best is None else best[1]


def _without_stop(value: Any, goal: str) -> Any:
    """A string without the full stop of the sentence that it ends."""
    if not isinstance(value, str) or not value.endswith(".") or value.endswith("..") or len(value.split()) > 3:
        return value
    ends = re.search(re.escape(value) + r"(\s|$)", goal) is not None
    return value[:-1] if ends and not re.search(r"\b\w{1,3}\.$", value) else value


def _is_only_seen(name: str, found: Grounded) -> bool:
    """Whether an argument rests on nothing but a result."""
    source = found.evidence.get(f"/{name}")
    return source is not None and source.kind == "observation"


def _inherited(arguments: Mapping[str, Any], tool: Tool, before: ToolCall) -> dict[str, Any]:
    """The arguments with those of the call before that have the same name and are left unsaid ("write it into that file")."""
    found = dict(arguments)
    for name in tool.parameters.get("properties", {}):
        value = before.arguments.get(name)
        if isinstance(value, str) and (name not in found or _POINTING.fullmatch(str(found[name]))):
            found[name] = value
    return found


def _told_apart(arguments: Mapping[str, Any], tool: Tool, part: Clause) -> dict[str, Any]:
    """The arguments where two had the same words and others are left over, which then are one of theirs."""
    found = dict(arguments)
    order = [name for name in tool.parameters.get("properties", {}) if isinstance(arguments.get(name), str)]
    for at, first in enumerate(order):
        for second in order[at + 1 :]:
            same = len(arguments[first]) > 1 and arguments[first] == arguments[second]
            left = left_over(part.text, found) if same else []
            if len(left) == 1:
                before = part.text.find(left[0]) < part.text.find(arguments[first])
                found[first if before else second] = left[0]
    return found


def _sharing(name: str, source: Source, evidence: Mapping[str, Source]) -> list[str]:
    """Other arguments that rest on the same words."""
    return [at[1:] for at, other in evidence.items() if at != f"/{name}" and (other.kind, other.at) == (source.kind, source.at)]


def _counts(name: str) -> bool:
    """Whether a parameter says how many."""
    words: Collection[str] = name.lower().split("_")
    return not _COUNTED.isdisjoint(words)
