"""Arguments as the user meant them, where a small model took the words too literally or not at all.

- "5%" is 0.05 for a parameter that takes a share (a rate, a probability) and does not say that it takes percent.
- A required number that nobody said is one that was said, that no other argument has, and whose words are those of the
  parameter. So is one of two numbers that rest on the same words.
- An optional flag that the user named is set; of a tool that changes something only where its name is more than a word, which
  may be said of anything.
- A piece of a longer code is all of it ("s6034464" of "rs6034464"), and a name that is looked for begins behind its article.

Whatever is put in has been said, so it is evidence of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from ..tools import ArgumentError, Tool, ToolCall
from .coverage import quotes, spans
from .evidence import Evidence, flag_at, spoken
from .grounding import traced
from .passages import Passage
from .quantities import ARTICLE, Reading
from .relevance import SMALL, stems
from .steps import Source
from .wording import Span

_SHARE_WORDS = """
rate yield return interest growth probability prob chance likelihood odds share ratio fraction proportion discount inflation apr
apy margin
"""
_SHARES = frozenset(stems(_SHARE_WORDS))
_AS_SHARE = re.compile(r"\bdecimal\b|\bfraction\b|\b0?\.\d")
_AS_PERCENT = re.compile(r"%|\bper ?cent|\bpct\b|percentage")
_ARTICLE = re.compile(r"the (?=\S)")
_CODE = re.compile(r"[\w.-]*\d[\w.-]*")
_MINUS = re.compile(r"[-−]\s?$")
_LETTER = re.compile(r"[^\W\d_]")
_LONGEST_NAME = 6  # words
_MOST_NUMBERS = 4  # that are told apart by their words
_NEAR = 4  # words on either side of a number that say what it is
_OF_NAME, _OF_DESCRIPTION = 2, 1

Arguments = dict[str, Any]


@dataclass(frozen=True)
class _Asked:
    """What the arguments of a call are looked up in.

    Attributes:
        tool: that is called.
        properties: schemas of its parameters.
        said: all evidence.
        goal: what the user wants.
        part: where in it the call is asked for.
        alone: the call is the only one of its turn.
    """

    tool: Tool
    properties: Mapping[str, Mapping[str, Any]]
    said: Evidence
    goal: Passage
    part: Span
    alone: bool


def as_meant(call: ToolCall, tool: Tool, said: Evidence, words: str, alone: bool = True) -> ToolCall:
    """The call with arguments as the user meant them.

    Args:
        call: as the model wrote it.
        tool: that it is of.
        said: all evidence. Where it has several goals, those of earlier runs, the call stays as it is.
        words: of the goal, which the model was given for the call.
        alone: it is the only call of its turn, so that numbers which no argument has and flags are not those of another one.
    """
    at = -1 if said.goal is None else said.goal.text.find(words)
    if said.goal is None or at < 0:
        return call
    properties = {name: schema for name, schema in tool.parameters.get("properties", {}).items() if isinstance(schema, Mapping)}
    asked = _Asked(tool, properties, said, said.goal, (at, at + len(words)), alone)
    arguments = dict(call.arguments)
    for step in (_shares, _numbers, _flags, _names):
        changed = arguments | step(arguments, asked)
        if changed != arguments and _is_valid(tool, changed):
            arguments = changed
    return call if arguments == call.arguments else ToolCall(call.name, arguments, call.id)


def _is_valid(tool: Tool, arguments: Arguments) -> bool:
    try:
        tool.validate(arguments)
    except ArgumentError:
        return False
    return True


# -- shares ------------------------------------------------------------------------------------------------------------


def _shares(arguments: Arguments, asked: _Asked) -> Arguments:
    found = {}
    for name, value in arguments.items():
        if _is_number(value) and value and takes_share(name, asked.properties.get(name, {})):
            source = asked.said.find(value / 100)
            if source is not None and source.rule == "percentage":
                found[name] = value / 100
    return found


def takes_share(name: str, schema: Mapping[str, Any]) -> bool:
    """Whether a parameter takes 0.05 for "5%"."""
    about = f"{name.replace('_', ' ')} {schema.get('description', '')}".lower()
    if schema.get("type") != "number" or max(schema.get("maximum", 1), schema.get("exclusiveMaximum", 1)) > 1:
        return False
    if _AS_SHARE.search(about):
        return True
    return not _AS_PERCENT.search(about) and not _SHARES.isdisjoint(stems(about))


# -- numbers -----------------------------------------------------------------------------------------------------------


def _numbers(arguments: Arguments, asked: _Asked) -> Arguments:
    numeric = [name for name, value in arguments.items() if _is_number(value) and _takes_number(asked.properties.get(name, {}))]
    if not numeric or not asked.alone:
        return {}
    sources = traced(ToolCall(asked.tool.name, arguments), asked.tool, asked.said)
    taken = [span for source in sources.values() for span in spans(source)]
    numbers = [number for number in spoken(asked.goal) if asked.part[0] <= number.start < asked.part[1]]
    numbers = [number for number in numbers if asked.goal.low[number.start : number.end] != "one"]  # "the one that …"
    left = [number for number in numbers if not _rests_on(number, taken)]
    if not 0 < len(left) <= _MOST_NUMBERS or any(_MINUS.search(asked.goal.low[: number.start]) for number in left):
        return {}
    required = asked.tool.parameters.get("required", [])
    lost = [name for name in numeric if name in required and _is_lost(sources[f"/{name}"])]
    if lost:
        return _told_apart(lost, left, asked)
    pair = next(_sharing(numeric, sources), None)
    if pair is None or len(left) > 1:
        return {}
    shared = [number for number in numbers if _rests_on(number, spans(sources[f"/{pair[0]}"]))]
    return _told_apart(pair, [*left, *shared], asked)


def _told_apart(names: Sequence[str], numbers: Sequence[Reading], asked: _Asked) -> Arguments:
    """A number for each parameter: those whose words agree best, if they do, and no others agree as well."""
    schemas, ways = asked.properties, []
    for chosen in permutations(numbers, len(names)):
        pairs = list(zip(names, chosen, strict=True))
        if all(schemas[name].get("type") != "integer" or float(number.value).is_integer() for name, number in pairs):
            ways.append((sum(_agreement(name, schemas[name], number, asked.goal) for name, number in pairs), pairs))
    ways.sort(key=lambda way: -way[0])
    if not ways or (len(ways) > 1 and ways[0][0] == ways[1][0]) or not ways[0][0]:
        return {}
    whole = {name for name in names if schemas[name].get("type") == "integer"}
    return {name: int(number.value) if name in whole else float(number.value) for name, number in ways[0][1]}


def _agreement(name: str, schema: Mapping[str, Any], number: Reading, goal: Passage) -> int:
    """How many words around a number are those of a parameter."""
    of_name = set(stems(name)) - SMALL
    of_description = set(stems(str(schema.get("description", "")))) - SMALL - of_name
    before, after = goal.low[: number.start].split()[-_NEAR:], goal.low[number.end :].split()[:_NEAR]
    near = set(stems(" ".join([*before, *after])))
    return _OF_NAME * len(near & of_name) + _OF_DESCRIPTION * len(near & of_description)


def _rests_on(number: Reading, places: Iterable[Span]) -> bool:
    return any(number.start < end and begin < number.end for begin, end in places)


def _sharing(names: list[str], sources: Mapping[str, Source]) -> Iterator[tuple[str, str]]:
    """Pairs of parameters whose numbers rest on the same words."""
    for at, first in enumerate(names):
        for second in names[at + 1 :]:
            mine, other = sources[f"/{first}"], sources[f"/{second}"]
            if mine.kind == "goal" and (mine.kind, mine.at) == (other.kind, other.at):
                yield first, second


def _is_lost(source: Source) -> bool:
    return source.kind == "free" or source.rule == ARTICLE


def _takes_number(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") in ("integer", "number") and "enum" not in schema and "const" not in schema


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# -- flags and names ---------------------------------------------------------------------------------------------------


def _flags(arguments: Arguments, asked: _Asked) -> Arguments:
    words, found = asked.goal.low[slice(*asked.part)], {}
    for name, schema in asked.properties.items() if asked.alone else ():
        flag = schema.get("type") == "boolean" and schema.get("default") is not True and name not in arguments
        if flag and (asked.tool.permission == "read" or len(stems(name)) > 1) and flag_at(True, name, words) is not None:
            found[name] = True
    return found


def _names(arguments: Arguments, asked: _Asked) -> Arguments:
    goal, found = asked.goal, {}
    for name, value in arguments.items():
        if not isinstance(value, str) or "enum" in asked.properties.get(name, {}) or len(value.split()) > _LONGEST_NAME:
            continue
        source = asked.said.find(value)
        if source is None or source.kind != "goal":
            continue
        if source.rule and _LETTER.search(value):  # not as it stands
            codes = [code.rstrip(".") for code in _CODE.findall(goal.text) if value in code and len(value) * 2 > len(code)]
            found[name] = codes[0] if codes else value
        elif asked.tool.permission == "read" and _ARTICLE.match(value) and value in goal.text and not _is_quoted(value, goal):
            found[name] = _ARTICLE.sub("", value, count=1)
    return found


def _is_quoted(value: str, goal: Passage) -> bool:
    return any(value in goal.text[begin:end] for begin, end in quotes(goal.text))
