"""Which of many tools a text is about: a lexical ranking, and the fusion of several rankings.

`LexicalIndex` is BM25F (Robertson, Zaragoza and Taylor 2004; Robertson and Zaragoza 2009) over the words of a tool's name, of
its description, and of its parameters, their descriptions and listed values. Words are stems, pairs of stems written together
("time zone" is "timezone") and the letter n-grams of longer words ("genotypes" is near "genotyping"). A goal with several
clauses is ranked clause by clause, too, so that each of its parts gets tools.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from ..tools import Tool
from .retrieval_kinds import kinds
from .wording import lowered, stem

Ranking = list[tuple[str, float]]
"""Names of tools and scores, the best first."""


class Retriever(Protocol):
    """Ranks tools by what a text asks for."""

    def rank(self, text: str) -> Ranking:
        """All tools that have anything to do with the text, the best first."""
        ...


FIELDS = {"name": 3.0, "description": 1.0, "parameters": 1.0, "details": 0.5}
"""Weights of the words of a tool's name, its description, its parameters' names, and their descriptions and listed values."""
FLATTENING = {"name": 0.3, "description": 0.6, "parameters": 0.6, "details": 0.6}  # b: how far longer texts count less
SATURATION = 1.2  # k1: how soon a word that is repeated adds nothing
GRAM, GRAM_WEIGHT = 4, 0.25  # letters, and what an n-gram counts beside a stem
PAIR_WEIGHT = 0.5
KIND_WEIGHT = 0.5  # of a word that was not said, for what is meant
_LONGEST_TEXT = 20_000  # characters of a text that are ranked by
MOST_CLAUSES = 12
_DEEPEST = 4  # levels of a schema that are read

_CLAUSE_WORDS = 2  # that a part of a goal needs to ask for anything
_NAMED = 10.0  # more than any words can give
_NAME = re.compile(r"[^\W\d](?:[\w./:-]*\w)?")
_BREAK = re.compile(r"(?<=[.!?;])\s+|\n+|,?\s+(?:and|also|then|plus)\s+")
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")
_SMALL_WORDS = """
a about also am an and any are as at be been but by can could d did do does for from had has have he her him his how i
if in into is it its just let like ll m may me might mine must my need of on onto or our out please re s shall she
should so some such t than that the their them then there these they this those to too us ve want was we were what
when where which while who whom whose why will with would you your
"""
_STOP = frozenset(_SMALL_WORDS.split())


def words(text: str) -> list[str]:
    """Words in lower case: camelCase and snake_case are taken apart; a script without spaces gives pairs of its characters."""
    found = []
    for piece in _PIECE.findall(text):
        low = lowered(piece)
        if low[0] > "\u2e80" and len(low) > 2:
            found += [low[i : i + 2] for i in range(len(low) - 1)]
        else:
            found.append(low)
    return found


@lru_cache(maxsize=4096)
def terms(text: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What a text is compared by: stems, pairs of neighbouring stems as one word, and n-grams of longer words."""
    plain = [word for word in words(text) if word not in _STOP]
    stems = tuple(stem(word) for word in plain)
    pairs = tuple(first + second for first, second in pairwise(stems))
    return stems, pairs, tuple(gram for word in plain for gram in _grams(word))


@lru_cache(maxsize=16384)
def _grams(word: str) -> tuple[str, ...]:
    """The n-grams of a word with marks around it, each with a mark in front that no word has."""
    if len(word) <= GRAM or not word.isalpha():
        return ()
    marked = f"^{word}$"
    return tuple(f"#{marked[i : i + GRAM]}" for i in range(len(marked) - GRAM + 1))


def clauses(text: str) -> list[str]:
    """The parts of a goal that may ask for a tool each: its sentences and lines, and what "and" and "then" join."""
    return [part for part in _BREAK.split(text) if sum(word not in _STOP for word in words(part)) >= _CLAUSE_WORDS]


class LexicalIndex:
    """Ranks tools by the words that they share with a text. It is pure arithmetic: the same text gives the same ranking.

    Args:
        tools: to be ranked.
    """

    def __init__(self, tools: Iterable[Tool]):
        self._tools = list(tools)
        self._exact = {tool.name: place for place, tool in enumerate(self._tools)}
        self._postings = _postings([_document(tool) for tool in self._tools])
        self._impacts: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # of terms that were asked for

    def __len__(self) -> int:
        return len(self._tools)

    def rank(self, text: str) -> Ranking:
        """The tools that share a word with the text, the best first; those that it names to the letter before all others."""
        scores = self.scores(text[:_LONGEST_TEXT])
        order = np.argsort(-scores, kind="stable")
        return [(self._tools[place].name, float(scores[place])) for place in order if scores[place] > 0]

    def scores(self, text: str) -> np.ndarray:
        """For each tool how well it answers the whole text and its best clause, each relative to the best tool there."""
        total = _relative(self._score(text))
        parts = clauses(text)[:MOST_CLAUSES]
        if len(parts) > 1:
            total = total + np.max([_relative(self._score(part)) for part in parts], axis=0)
        for name in set(_NAME.findall(text)) & self._exact.keys():
            if _is_a_name(name):
                total[self._exact[name]] += _NAMED
        return total

    def _score(self, text: str) -> np.ndarray:
        """BM25F of each tool, float64 [tools]."""
        counts: Counter[str] = Counter()
        weights: dict[str, float] = {}
        kind = tuple(stem(word) for word in kinds(lowered(text)))
        for group, weight in zip((*terms(text), kind), (1.0, PAIR_WEIGHT, GRAM_WEIGHT, KIND_WEIGHT)):
            for term in group:
                if term in self._postings:
                    counts[term] += 1
                    weights[term] = max(weight, weights.get(term, 0.0))
        if not counts:
            return np.zeros(len(self._tools))
        rows, values = zip(*map(self._impact, counts))
        # A word that is said twice counts more than one that is said once, though not twice as much.
        scaled = [value * (weights[term] * 2 * n / (n + 1)) for value, (term, n) in zip(values, counts.items())]
        return np.bincount(np.concatenate(rows), np.concatenate(scaled), minlength=len(self._tools))

    def _impact(self, term: str) -> tuple[np.ndarray, np.ndarray]:
        """The places of the tools that have a term, and what it adds to their scores."""
        if term not in self._impacts:
            places, values = self._postings[term]
            rarity = math.log(1 + (len(self._tools) - len(places) + 0.5) / (len(places) + 0.5))
            self._impacts[term] = np.array(places), np.array(values) * rarity
        return self._impacts[term]


def fuse(rankings: Sequence[Ranking], offset: int = 60) -> Ranking:
    """Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): the sum of 1 / (offset + rank) over the rankings."""
    total: dict[str, float] = {}
    for ranking in rankings:
        for place, (name, _) in enumerate(ranking, 1):
            total[name] = total.get(name, 0.0) + 1 / (offset + place)
    return sorted(total.items(), key=lambda item: -item[1])


class Fusion:
    """Several retrievers as one; see `fuse`."""

    def __init__(self, retrievers: Iterable[Retriever]):
        self._retrievers = tuple(retrievers)

    def rank(self, text: str) -> Ranking:
        """The tools of all rankings."""
        return fuse([retriever.rank(text) for retriever in self._retrievers])


def _relative(scores: np.ndarray) -> np.ndarray:
    best = scores.max(initial=0.0)
    return scores / best if best > 0 else scores


def _is_a_name(name: str) -> bool:
    """Whether a word can only be a name: "sum" is a word, "set_timer" is none."""
    return any(not character.isalpha() for character in name) or not (name.islower() or name.istitle())


def _document(tool: Tool) -> dict[str, Counter[str]]:
    """How often each field of a tool has each term."""
    fields: dict[str, Counter[str]] = {name: Counter() for name in FIELDS}
    for name, text in (("name", tool.name), ("description", tool.description), *_described(tool.parameters)):
        for group in terms(text):
            fields[name].update(group)
    return fields


def _described(schema: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """(field, text) of everything that a schema says in words."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        yield "parameters", name
        yield from _described(inner, depth + 1)
    if depth and isinstance(schema.get("description"), str):
        yield "details", schema["description"]
    listed = schema.get("enum")
    for value in listed if isinstance(listed, list) else ():
        yield "details", str(value)
    for key in ("items", "additionalProperties"):
        yield from _described(schema.get(key), depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        options = schema.get(key)
        for option in options if isinstance(options, list) else ():
            yield from _described(option, depth + 1)


def _postings(documents: Sequence[Mapping[str, Counter[str]]]) -> dict[str, tuple[list[int], list[float]]]:
    """For each term the places of the documents that have it, and its saturated, weighed frequency there."""
    lengths = {field: [document[field].total() for document in documents] for field in FIELDS}
    means = {field: sum(counts) / len(counts) if any(counts) else 1.0 for field, counts in lengths.items()}
    found: dict[str, tuple[list[int], list[float]]] = {}
    for place, document in enumerate(documents):
        weighed: dict[str, float] = {}
        for field, weight in FIELDS.items():
            flat = FLATTENING[field]
            weight /= 1 - flat + flat * lengths[field][place] / means[field]
            for term, count in document[field].items():
                weighed[term] = weighed.get(term, 0.0) + weight * count
        for term, value in weighed.items():
            if term not in found:
                found[term] = ([], [])
            places, values = found[term]
            places.append(place)
            values.append(value / (SATURATION + value))
    return found
