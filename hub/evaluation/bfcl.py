"""BFCL's single-turn cases, read from the data files of the package `bfcl-eval` without importing its code.

The cases are for evaluation only: nothing is trained on them, nothing is tuned to single ones.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ...tools import Tool
from ..errors import HubError

VERSION = "2026.3.23"
INSTALL = f"pip install --no-deps bfcl-eval=={VERSION}"

CATEGORIES = (
    *("simple_python", "multiple", "parallel", "parallel_multiple"),
    *("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple"),
    *("irrelevance", "live_irrelevance", "live_relevance"),
)
"""What is run unless asked otherwise."""

ALL_CATEGORIES = (*CATEGORIES, "simple_java", "simple_javascript")

_UNANSWERED = ("irrelevance", "live_irrelevance", "live_relevance")
_LANGUAGES = {"simple_java": "Java", "simple_javascript": "JavaScript"}


class EvaluationError(HubError):
    """A benchmark cannot be run: its package is missing, or what was asked for is not in it."""


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        id: BFCL's.
        category: one of `ALL_CATEGORIES`.
        goal: the user's words. A few live cases hold a conversation: its turns, one after the other.
        instructions: the system text; mostly empty.
        functions: the function docs as published; the checker reads these.
        answers: for each call that is expected, ``{function: {argument: [accepted values]}}``; None where what counts is
            only whether there is a call.
    """

    id: str
    category: str
    goal: str
    instructions: str
    functions: list[dict[str, Any]]
    answers: list[dict[str, Any]] | None

    def tools(self) -> list[Tool]:
        """The functions as tools: type names become JSON Schema's (`Tool.from_schema`), nothing else changes.

        For Java and JavaScript every argument is a string, since the checker wants the text of a literal of that language;
        the benchmark's own runner does the same.

        Raises:
            ToolDefinitionError: a function doc is no tool.
        """
        language = _LANGUAGES.get(self.category)
        docs = self.functions if language is None else [_as_literals(doc, language) for doc in self.functions]
        return [Tool.from_schema(doc) for doc in docs]


def load_cases(
    categories: Iterable[str] = CATEGORIES, limit: int | None = None, ids: Collection[str] | None = None
) -> list[Case]:
    """Cases in the published order, category after category.

    Args:
        categories: of `ALL_CATEGORIES`.
        limit: at most this many of each category, the first ones.
        ids: only these; the limit applies after that.

    Raises:
        EvaluationError: the package is missing or another version, or a category or an id is not known.
    """
    chosen = list(dict.fromkeys(categories))
    unknown = [category for category in chosen if category not in ALL_CATEGORIES]
    if unknown:
        raise EvaluationError(f"BFCL has no category {unknown[0]!r} here; there are: {', '.join(ALL_CATEGORIES)}")
    if limit is not None and limit < 1:
        raise EvaluationError(f"the limit is a number of cases above 0, received {limit}")
    folder = _data_folder()
    cases: list[Case] = []
    missing = set(ids) if ids is not None else set()
    for category in chosen:
        found = [case for case in _read_category(folder, category) if ids is None or case.id in ids]
        missing.difference_update(case.id for case in found)
        cases += found[:limit]
    if missing:
        raise EvaluationError(f"{len(missing)} of the case ids are not in {', '.join(chosen)}; the first is {min(missing)!r}")
    return cases


def _read_category(folder: Path, category: str) -> Iterator[Case]:
    name = f"BFCL_v4_{category}.json"
    answers = {}
    if category not in _UNANSWERED:
        answers = {row["id"]: row["ground_truth"] for row in _rows(folder / "possible_answer" / name)}
    for row in _rows(folder / name):
        messages = row["question"][0]
        yield Case(
            row["id"],
            category,
            goal="\n".join(message["content"] for message in messages if message["role"] != "system"),
            instructions="\n".join(message["content"] for message in messages if message["role"] == "system"),
            functions=row["function"],
            answers=answers.get(row["id"]),
        )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise EvaluationError(f"{path} cannot be read ({reason}); reinstall it: {INSTALL} --force-reinstall") from None


def _data_folder() -> Path:
    try:
        distribution = metadata.distribution("bfcl-eval")
    except metadata.PackageNotFoundError:
        raise EvaluationError(f"package bfcl-eval is not installed ({INSTALL})") from None
    if distribution.version != VERSION:
        raise EvaluationError(f"package bfcl-eval is {distribution.version}, not {VERSION} ({INSTALL})")
    return Path(str(distribution.locate_file("bfcl_eval/data")))


def _as_literals(doc: dict[str, Any], language: str) -> dict[str, Any]:
    """The doc with every argument a string that holds a literal; what it was goes into the description."""
    doc = copy.deepcopy(doc)
    for argument in doc["parameters"]["properties"].values():
        kind = argument["type"]
        if kind == "any":
            text = f" This parameter can be of any type of {language} object in string representation."
        else:
            text = f" This is {language} {kind} type parameter in string representation."
        items, members = argument.pop("items", None), argument.pop("properties", None)
        if items is not None:
            text += f" The list elements are of type {items['type']}; they are not in string representation."
        if members is not None:
            text += " The dictionary entries have the following schema; they are not in string representation. "
            text += json.dumps(members)
        argument["description"] = argument.get("description", "") + text
        argument["type"] = "string"
    return doc
