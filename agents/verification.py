"""Checks again, without a model, where the values of a call are said to come from, so that a log can be audited."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..tools import Tool, ToolCall, Toolset
from .arithmetic import PREFIX, derives
from .earlier import hear
from .evidence import SEPARATOR, Evidence, flag_at, is_count, listed, spoken
from .moments import pieces
from .passages import IN_A_WORD, SPELLING, Passage, key
from .quantities import ARTICLE
from .settings import Settings
from .steps import Call, Goal, Observation, Question, Run, Source
from .subschemas import Leaf, leaves
from .wording import squashed

_PLACE = re.compile(r"(goal|instructions|reply|observation) (.+)", re.DOTALL)
_SAID = ("goal", "instructions", "reply", "observation")


def verify(call: ToolCall, tool: Tool, sources: Mapping[str, Source], evidence: Evidence) -> list[str]:
    """What is wrong with the recorded sources of a call; nothing where all of them hold.

    Args:
        call: with the arguments that were passed on.
        tool: the one that was called.
        sources: of every value, by its JSON pointer into the arguments, as in the step `Call`.
        evidence: what had been said when the call was decided on.

    Returns:
        One line for each value that has no source, each source that has no value, and each source that does not hold: the words
        do not stand at that place, the rule does not make the value of them, the schema does not list it, or it counts as
        trusted and is not.
    """
    found = {leaf.at: leaf for leaf in leaves(call.arguments, tool.parameters) if leaf.path}
    wrong = [f"{at}: there is no source" for at in found if at not in sources]
    wrong += [f"{at}: there is no such value in the call" for at in sources if at not in found]
    for at, leaf in found.items():
        if at in sources:
            wrong += [f"{at}: {what}" for what in _faults(leaf, sources[at], evidence)]
    return wrong


def audit(run: Run, tools: Toolset, settings: Settings) -> list[str]:
    """What is wrong with the recorded sources of all calls of a run, such as one out of `read_runs`; see `verify`.

    Args:
        run: its steps, and what was said before it.
        tools: those that it ran with.
        settings: likewise.
    """
    evidence = Evidence(settings.now())
    evidence.add("instructions", settings.instructions)
    hear(run.earlier, evidence, tools)
    wrong: list[str] = []
    turn = 0
    seen: list[Observation] = []  # since the last turn: a turn is decided on before any of its results is there
    for step in run.steps:
        if isinstance(step, Observation):
            seen.append(step)
        elif isinstance(step, Goal):
            evidence.add("goal", step.text)
        elif isinstance(step, Question) and step.reply is not None:
            evidence.add("reply", step.reply)
        elif isinstance(step, Call) and step.call.name in tools:
            if step.turn != turn:
                _hear(seen, tools, evidence)
                turn, seen = step.turn, []
            found = verify(step.call, tools[step.call.name], step.evidence, evidence)
            wrong += [f"call {step.number}: {line}" for line in found]
    return wrong


def _hear(seen: list[Observation], tools: Toolset, evidence: Evidence) -> None:
    for step in sorted(seen, key=lambda step: step.number):
        call = step.result.call
        if step.result.ok:
            evidence.observe(step.number, tools[call.name], call.arguments, step.result.value)
        elif call.name in tools and not tools[call.name].trusted:
            evidence.distrust(step.number)


def _faults(leaf: Leaf, source: Source, evidence: Evidence) -> Iterator[str]:
    if source.kind == "free":
        if source.at not in ("", f"{evidence.untrusted}#") or source.text or source.rule not in ("", "date"):
            yield "words of the model have a place"
        if source.trusted and evidence.untrusted:
            yield "words of the model count as trusted, though an untrusted result was seen"
        return
    keyword, mention = "", source.at
    if source.kind == "schema":
        keyword, _, mention = source.at.partition(SEPARATOR)
        if listed(leaf.value, leaf.schema) != keyword:
            yield f"the schema does not list {leaf.value!r} under {keyword!r}"
        if not mention:
            if source.text or source.rule:
                yield f"the words {source.text!r} have no place"
            if source.trusted and evidence.untrusted:
                yield "a value that nobody mentioned counts as trusted, though an untrusted result was seen"
            return
    elif source.kind not in _SAID:
        yield f"there is no source of the kind {source.kind!r}"
        return
    found = places(source.kind, mention)
    passages = [list(evidence.words(kind, at)) for kind, at in found]
    for (kind, at), there in zip(found, passages):
        if not there:
            yield f"there is nothing at {kind} {at}"
    if not all(passages):
        return
    chosen = _chosen(passages, source.text)
    if chosen is None:
        yield f"the words {source.text!r} do not stand at {mention}"
        return
    if source.trusted and not all(passage.trusted for passage in chosen):
        yield "words of an untrusted result count as trusted"
    if not _follows(leaf, source, chosen, evidence):
        yield f"{leaf.value!r} does not follow from {source.text!r} by the rule {source.rule!r}"


def places(kind: str, at: str) -> list[tuple[str, str]]:
    """Kind and place of each of the places in a source."""
    found = []
    for part in at.split(SEPARATOR):
        place = _PLACE.fullmatch(part)
        found.append((place[1], place[2]) if place is not None else (kind, part))
    return found


def _chosen(passages: list[list[Passage]], text: str) -> list[Passage] | None:
    """Of the passages that have each place, the first ones that together have these words."""
    chosen: list[Passage] = []
    rest = text
    for n, there in enumerate(passages):
        match = next((p for p in there if rest.startswith(p.text) and (n + 1 < len(passages) or rest == p.text)), None)
        if match is None:
            return None
        chosen.append(match)
        rest = rest[len(match.text) :].removeprefix(SEPARATOR)
    return chosen


def _follows(leaf: Leaf, source: Source, passages: list[Passage], evidence: Evidence) -> bool:
    value, rule = leaf.value, source.rule
    if rule.startswith(PREFIX):
        operands = [_operand(passage) for passage in passages]
        asked = rule.removeprefix(PREFIX) in evidence.asks
        return asked and _is_number(value) and None not in operands and derives(rule, operands, value)
    if isinstance(value, bool):
        return rule == "wording" and len(passages) == 1 and flag_at(value, leaf.name, passages[0].low) is not None
    if len(passages) > 1:
        return rule == "date" and isinstance(value, str) and _is_moment(value, passages)
    if _is_number(value):
        return _is_number_of(value, rule, passages[0], leaf.name)
    return isinstance(value, str) and _is_text_of(value, rule, passages[0])


def _operand(passage: Passage) -> Any:
    if passage.number is not None:
        return abs(passage.number)
    return next((reading.value for reading in spoken(passage) if (reading.start, reading.end) == (0, len(passage.text))), None)


def _is_moment(value: str, passages: list[Passage]) -> bool:
    """Whether each passage gives one of the date and the time of day of a value, and all of them both."""
    parts = pieces(value) or ()
    return bool(parts) and all(any(_gives(passage, part) for passage in passages) for part in parts)


def _gives(passage: Passage, part: str) -> bool:
    return passage.words_at(part) is not None or next(passage.derived_at(part), None) is not None


def _is_number_of(value: float, rule: str, passage: Passage, name: str) -> bool:
    whole = (0, len(passage.text))
    rules = {reading.rule for reading in passage.numbers_at(value) if reading.rule or (reading.start, reading.end) == whole}
    if ARTICLE in rules and is_count(name):
        rules.add("number word")
    return rule in rules or (rule == "number in a word" and "" in rules)


def _is_text_of(value: str, rule: str, passage: Passage) -> bool:
    if rule == IN_A_WORD:
        return passage.inside_words(value) is not None
    if rule == "":
        return passage.text in (value, value.strip())
    if rule == SPELLING:
        return squashed(passage.text) == squashed(value) and passage.words_at(value) is not None
    return any(found_rule == rule for _, found_rule in passage.derived_at(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and key(abs(value)) is not None
