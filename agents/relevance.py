"""How much a tool has to do with a part of a goal, in the words that people use for it.

Unlike `retrieval`, which finds tools by their words among thousands, this is about a handful of near ones: "make a folder" is
`mkdir` and not `cd`, though that is the tool that speaks of folders. So the verb counts, words that people use for the same
thing count, and a question is no order to change something.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from weakref import WeakKeyDictionary

from ..tools import Tool, Toolset
from .retrieval import LexicalIndex, words
from .wording import stem

_SMALL_WORDS = """
a an and are as at be by for from given has id in into is it its number of on one or that the their this to used using value
what when where which who how do with unique identifier integer string optional name
"""
SMALL = frozenset(_SMALL_WORDS.split())
"""Words of names and descriptions that say nothing of what they are about."""
_SAME = """
create make new open add put touch start build mkdir | delete remove erase rm rmdir drop cancel | move rename mv
copy duplicate cp
show display read view print cat see contents | find search look lookup locate get which | list ls show
send text message tell write | write save put echo | folder directory dir | change update edit modify set raise lower move
put add deposit fund | buy purchase order place sell trade | count lines words wc many | compare differ difference diff
sort order arrange | contain lines pattern grep matching | go enter navigate cd change | cost price
appointment event meeting calendar | number phone telephone | mail email | check order checkout buy | stock share shares
turn set switch activate | average mean | time start begin | sum add plus total | times multiply | largest maximum max highest
smallest minimum min lowest | last end tail | take withdraw remove
"""
ALIKE = [frozenset(map(stem, group.split())) for line in _SAME.strip().splitlines() for group in line.split("|")]
"""Groups of words that are used for the same thing."""
_ENGLISH_WORDS = """
any are can did does find from how i'm it's many much my need please show tell that the there this want was what what's when
where which who who's with you
"""
_ENGLISH = frozenset(_ENGLISH_WORDS.split())  # words that are none in the languages near it
_ENGLISH_WORD = re.compile(r"[a-z][a-z']*")
_POLITE = re.compile(r"^(?:(?:please|can you|could you|i need to|i want to|i'd like to|also|then|now|and|just)\s+)+")
_CONDITION = re.compile(r"^(?:if|unless|when|as long as)\b[^,]{1,200},\s*(?:then\s+)?")
_ASKS = re.compile(r"(?:and\s+)?(?:what|which|who|how|when|where|is|are|do|does|did|tell|show|check)\b")
_PREAMBLE = re.compile(r"^.*tool description:\s*", re.IGNORECASE | re.DOTALL)
_MANY, _NEAREST = 64, 32
_INDEXES: WeakKeyDictionary[Toolset, LexicalIndex] = WeakKeyDictionary()
_WEIGHTS = (3.0, 1.0, 0.7)  # of a word in a tool's name, its description, its parameters' names
_OTHER_WORD, _TOPIC = 0.5, 0.5  # what another word for the same counts, and one of an earlier part
_VERB_IN_NAME, _VERB_IN_DESCRIPTION = 1.0, 0.7
_RETRIEVED = 0.75
_CHANGES_AT_A_QUESTION = 0.6


def stems(text: str) -> list[str]:
    """Stems of the words of a text or an identifier."""
    return [stem(word) for word in words(text)]


def meant(text: str) -> dict[str, float]:
    """Stems of a text that say something, with others that people use for the same, and what each counts."""
    found = {word: 1.0 for word in stems(text) if word not in SMALL}
    for word in list(found):
        for group in ALIKE:
            if word in group:
                found |= {other: _OTHER_WORD for other in group if other not in found}
    return found


def is_english(text: str) -> bool:
    """Whether a text is surely English, so that it tells something if no tool has its words."""
    return not _ENGLISH.isdisjoint(_ENGLISH_WORD.findall(text.lower().replace("’", "'")))


def ranked(
    text: str, tools: Iterable[Tool], topic: str = "", retrieved: Mapping[str, float] | None = None
) -> list[tuple[str, float]]:
    """Names of tools and how much they have to do with a text, the nearest first.

    Args:
        text: a part of a goal.
        tools: to rank.
        topic: what was said before it, where it points there.
        retrieved: how near the tools are by `retrieval`, at most 1.
    """
    tools = list(tools)
    query = {word: _TOPIC for word in stems(topic) if word not in SMALL} | meant(text)
    texts = [_texts(tool) for tool in tools]
    common = Counter(word for fields in texts for word in frozenset().union(*fields))
    verbs = _verbs(text)
    asks = _ASKS.match(text.strip().lower()) is not None
    scored = []
    for at, (tool, fields) in enumerate(zip(tools, texts, strict=True)):
        score = sum(
            counts * weight / (0.5 + common[word] ** 0.5)
            for word, counts in query.items()
            for weight, field in zip(_WEIGHTS, fields, strict=True)
            if word in field
        )
        if verbs and not verbs.isdisjoint(fields[0]):
            score += _VERB_IN_NAME
        elif verbs and not verbs.isdisjoint(stems(_PREAMBLE.sub("", tool.description))[:3]):
            score += _VERB_IN_DESCRIPTION
        score += _RETRIEVED * (retrieved or {}).get(tool.name, 0.0)
        if asks and tool.permission != "read":
            score *= _CHANGES_AT_A_QUESTION
        scored.append((-score, at, tool.name))
    return [(name, -score) for score, _, name in sorted(scored)]


def retrieved(tools: Toolset, text: str) -> dict[str, float]:
    """How near tools are to a text by `retrieval`, from 1 for the nearest down."""
    if tools not in _INDEXES:
        _INDEXES[tools] = LexicalIndex(tools)
    found = _INDEXES[tools].rank(text)
    return {name: score / found[0][1] for name, score in found} if found else {}


def nearest(tools: Toolset, text: str) -> list[Tool]:
    """The tools, or of very many those that a text is about."""
    if len(tools) <= _MANY:
        return list(tools)
    return [tools[name] for name in list(retrieved(tools, text))[:_NEAREST]] or list(tools)[:_NEAREST]


def _texts(tool: Tool) -> Sequence[frozenset[str]]:
    parameters = " ".join(tool.parameters.get("properties", {}))
    return [frozenset(stems(text)) for text in (tool.name, tool.description, parameters)]


def _verbs(text: str) -> frozenset[str]:
    """The first word, which in an order is its verb, and others for the same."""
    order = _CONDITION.sub("", text.lower(), count=1)
    first = next(iter(stems(_POLITE.sub("", order, count=1))), "")
    if not first or first in SMALL:
        return frozenset()
    return frozenset({first}.union(*(group for group in ALIKE if first in group)))
