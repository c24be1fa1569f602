"""How often a tool that a request needs is among the first few that a ranking finds, with the functions of all cases pooled.

The request is a case's goal, and right is only what BFCL expects: all of its functions among the first `most`. Many functions
of the pool do the same under another name (there are dozens for the weather); finding one of those is no success here. Names
are unique in a catalogue, and several cases have other functions under the same name: each case is ranked in a catalogue that
has its own, and of every other name the first that was published.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...agents.retrieval import LexicalIndex, Ranking, Retriever, fuse
from ...agents.retrieval_embeddings import Embedder, EmbeddingIndex
from ...agents.retrieval_shortlist import SHOWN
from ...tools import Tool
from .bfcl import Case, EvaluationError, load_cases

if TYPE_CHECKING:
    from rich.table import Table

CATEGORIES = ("simple_python", "multiple", "parallel", "parallel_multiple")
LIVE_CATEGORIES = ("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple")


@dataclass(frozen=True)
class RetrievalReport:
    """What came of it.

    Attributes:
        tools: names in the pool.
        most: tools that count as found.
        cases: by category.
        found: for each ranking the cases whose functions are all among the first `most`, by category.
        missed: for each ranking the functions that were not found and their places (None: not ranked), by case.
    """

    tools: int
    most: int
    cases: dict[str, int] = field(default_factory=dict)
    found: dict[str, dict[str, int]] = field(default_factory=dict)
    missed: dict[str, dict[str, dict[str, int | None]]] = field(default_factory=dict)

    def share(self, ranking: str, category: str | None = None) -> float:
        """Of the cases of a category, or of all."""
        counted = [category] if category is not None else list(self.cases)
        return sum(self.found[ranking][name] for name in counted) / sum(self.cases[name] for name in counted)

    def to_json(self) -> dict[str, Any]:
        """A JSON object with its fields and the shares."""
        shares = {
            ranking: {"all": round(self.share(ranking), 4)} | {name: round(self.share(ranking, name), 4) for name in self.cases}
            for ranking in self.found
        }
        return {"shares": shares, **asdict(self)}

    def table(self) -> Table:
        """For a terminal."""
        from rich.table import Table

        table = Table(title=f"all functions in the first {self.most} of {self.tools} (BFCL)")
        table.add_column("category")
        table.add_column("cases", justify="right")
        for ranking in self.found:
            table.add_column(ranking, justify="right")
        for name, cases in self.cases.items():
            table.add_row(name, str(cases), *(f"{self.share(ranking, name):.1%}" for ranking in self.found))
        if len(self.cases) > 1:
            total = str(sum(self.cases.values()))
            table.add_row("all", total, *(f"{self.share(ranking):.1%}" for ranking in self.found), style="bold")
        return table


def evaluate_retrieval(
    categories: Iterable[str] = CATEGORIES,
    limit: int | None = None,
    *,
    most: int = SHOWN,
    model: Embedder | None = None,
    on_case: Callable[[int, int], None] | None = None,
) -> RetrievalReport:
    """Rank the functions of all cases of the categories by each case's goal.

    Args:
        categories: of BFCL's, with answers; their functions are the pool.
        limit: at most this many cases of each category; the pool is that of all cases.
        most: tools that count as found.
        model: gives embeddings; without one, only the lexical ranking is looked at.
        on_case: is told the number of cases that are done, and of all.

    Raises:
        EvaluationError: the benchmark's package is missing, or a category is not known or has no answers.
    """
    categories = list(dict.fromkeys(categories))
    pool = load_cases(categories)
    if without := [case.category for case in pool if case.answers is None]:
        raise EvaluationError(f"the cases of {without[0]} have no answers; leave it out")
    cases = pool if limit is None else load_cases(categories, limit)
    rankings = ("lexical",) if model is None else ("lexical", "embeddings", "fused")
    counts = {name: sum(case.category == name for case in cases) for name in categories}
    found = {ranking: dict.fromkeys(categories, 0) for ranking in rankings}
    missed: dict[str, dict[str, dict[str, int | None]]] = {ranking: {} for ranking in rankings}
    embedder = None if model is None else _Remembering(model)
    done, tools = 0, first_versions(pool)
    for catalogue, members in catalogues(cases, tools):
        indices: list[Retriever] = [LexicalIndex(catalogue.values())]
        if embedder is not None:
            indices.append(EmbeddingIndex(catalogue.values(), embedder))
        for case in members:
            ranked = [index.rank(case.goal) for index in indices]
            if len(ranked) > 1:
                ranked.append(fuse(ranked))
            for name, ranking in zip(rankings, ranked):
                lost = _lost(case, ranking, most)
                found[name][case.category] += not lost
                if lost:
                    missed[name][case.id] = lost
            done += 1
            if on_case is not None:
                on_case(done, len(cases))
    return RetrievalReport(len(tools), most, counts, found, missed)


def first_versions(cases: Iterable[Case]) -> dict[str, Tool]:
    """Of every name the function that was published first."""
    found: dict[str, Tool] = {}
    for case in cases:
        for name, tool in _tools(case).items():
            found.setdefault(name, tool)
    return found


def catalogues(cases: Iterable[Case], tools: dict[str, Tool]) -> list[tuple[dict[str, Tool], list[Case]]]:
    """The cases, in as few groups as come of themselves, with a catalogue for each that has the functions of all its cases.

    Args:
        tools: what a catalogue has under the names that its cases do not use.
    """
    groups: list[tuple[dict[str, str], dict[str, Tool], list[Case]]] = []
    for case in cases:
        own = _tools(case)
        versions = {doc["name"]: json.dumps(doc, sort_keys=True) for doc in case.functions}
        fitting = (group for group in groups if all(group[0].get(name, text) == text for name, text in versions.items()))
        group = next(fitting, None)
        if group is None:
            groups.append(group := ({}, {}, []))
        group[0].update(versions)
        group[1].update(own)
        group[2].append(case)
    return [(tools | catalogue, members) for _, catalogue, members in groups]


def _tools(case: Case) -> dict[str, Tool]:
    return {doc["name"]: _tool(json.dumps(doc)) for doc in case.functions}


@lru_cache(maxsize=4096)
def _tool(doc: str) -> Tool:
    return Tool.from_schema(json.loads(doc))


def _lost(case: Case, ranking: Ranking, most: int) -> dict[str, int | None]:
    """The functions of a case that are not among the first, with their places from 1."""
    places = {name: place for place, (name, _) in enumerate(ranking, 1)}
    wanted = {name for answer in case.answers or () for name in answer}
    return {name: places.get(name) for name in sorted(wanted) if places.get(name, most + 1) > most}


class _Remembering:
    """A model that embeds a text once."""

    def __init__(self, model: Embedder):
        self.name, self.framing, self._model = model.name, getattr(model, "framing", None), model
        self._found: dict[tuple[str, str], np.ndarray] = {}

    def embed(self, texts: Sequence[str], **options: str) -> np.ndarray:
        front = options.get("prompt", "")
        missing = list(dict.fromkeys(text for text in texts if (front, text) not in self._found))
        if missing:
            vectors = self._model.embed(missing, **options)
            self._found.update(((front, text), vector) for text, vector in zip(missing, vectors))
        return np.stack([self._found[front, text] for text in texts])
