"""BFCL's cases, read from the data files of the package `bfcl-eval` without importing its code.

The cases are for evaluation only: nothing is trained on them, nothing is tuned to single ones.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ...tools import Tool
from ..errors import HubError
from .simulated import SIMULATED

VERSION = "2026.3.23"
INSTALL = f"pip install --no-deps bfcl-eval=={VERSION}"

CATEGORIES = (
    *("simple_python", "multiple", "parallel", "parallel_multiple"),
    *("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple"),
    *("irrelevance", "live_irrelevance", "live_relevance"),
)
"""Calls from one message of the user, in Python or JSON."""

SINGLE_TURN = (*CATEGORIES, "simple_java", "simple_javascript")

MULTI_TURN = tuple(f"multi_turn_{kind}" for kind in ("base", "miss_func", "miss_param", "long_context"))
"""Conversations over simulated classes."""

ALL_CATEGORIES = (*SINGLE_TURN, *MULTI_TURN)

GROUPS = {
    "single_turn": SINGLE_TURN,
    "multi_turn": MULTI_TURN,
    "live": tuple(name for name in SINGLE_TURN if name.startswith("live_")),
    "non_live": tuple(name for name in SINGLE_TURN if not name.startswith("live_")),
    "java": ("simple_java",),
    "javascript": ("simple_javascript",),
    "all": ALL_CATEGORIES,
}
"""Names for several categories, or shorter ones."""

_MEMORY = "its score is an answer in prose from a memory that the model fills over days of talk before, and it needs {}"
LEFT_OUT = {
    **dict.fromkeys(("web_search", "web_search_base", "web_search_no_snippet"), "it needs the web"),
    "memory_kv": _MEMORY.format("the packages rank-bm25, overrides and filelock"),
    "memory_vector": _MEMORY.format("faiss and an embedding model from a model hub"),
    "memory_rec_sum": _MEMORY.format("the packages overrides and filelock"),
    "format_sensitivity": "it varies a prompt in words, where models have call syntaxes of their own here",
}
"""Why the other categories of the benchmark are not there."""

_UNANSWERED = ("irrelevance", "live_irrelevance", "live_relevance")
_LANGUAGES = {"simple_java": "Java", "simple_javascript": "JavaScript"}


class EvaluationError(HubError):
    """A benchmark cannot be run: its package is missing, or what was asked for is not in it."""


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        id: BFCL's.
        category: of `SINGLE_TURN`.
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


@dataclass(frozen=True)
class Dialogue:
    """One conversation.

    Attributes:
        id: BFCL's.
        category: of `MULTI_TURN`.
        goals: the user's words, turn after turn; empty where functions are added instead.
        functions: for each turn the docs of those that may be called.
        answers: for each turn the expected calls, as Python source; none where nothing can be done.
        entry: the row as published, with the state in which the simulated classes begin.
    """

    id: str
    category: str
    goals: tuple[str, ...]
    functions: tuple[list[dict[str, Any]], ...]
    answers: list[list[str]]
    entry: dict[str, Any]


def chosen_categories(names: Iterable[str]) -> tuple[str, ...]:
    """Categories by their names and those of `GROUPS`, each once.

    Raises:
        EvaluationError: there is none of a name; of those that are left out it says why.
    """
    found: dict[str, None] = {}
    for name in names:
        if name in LEFT_OUT:
            raise EvaluationError(f"BFCL's category {name} is left out: {LEFT_OUT[name]}")
        if name not in GROUPS and name not in ALL_CATEGORIES:
            raise EvaluationError(f"BFCL has no category {name!r} here; there are: {', '.join((*ALL_CATEGORIES, *GROUPS))}")
        found |= dict.fromkeys(GROUPS.get(name, (name,)))
    return tuple(found)


def load_cases(
    categories: Iterable[str] = CATEGORIES, limit: int | None = None, ids: Collection[str] | None = None
) -> list[Case]:
    """Cases in the published order, category after category.

    Args:
        categories: of `SINGLE_TURN`.
        limit: at most this many of each category: always the same ones, drawn from all over it.
        ids: only these; the limit applies after that.

    Raises:
        EvaluationError: the package is missing or another version, or a category or an id is not known.
    """
    return _load(categories, SINGLE_TURN, _read_category, limit, ids)


def load_dialogues(
    categories: Iterable[str] = MULTI_TURN, limit: int | None = None, ids: Collection[str] | None = None
) -> list[Dialogue]:
    """Conversations; as `load_cases`, for categories of `MULTI_TURN`."""
    return _load(categories, MULTI_TURN, _read_dialogues, limit, ids)


def _load(
    categories: Iterable[str],
    known: tuple[str, ...],
    read: Callable[[Path, str], Iterator[Any]],
    limit: int | None,
    ids: Collection[str] | None,
) -> list[Any]:
    chosen = list(dict.fromkeys(categories))
    unknown = [category for category in chosen if category not in known]
    if unknown:
        raise EvaluationError(f"BFCL has no category {unknown[0]!r} here; there are: {', '.join(known)}")
    if limit is not None and limit < 1:
        raise EvaluationError(f"the limit is a number of cases above 0, received {limit}")
    folder = data_folder()
    cases: list[Any] = []
    missing = set(ids) if ids is not None else set()
    for category in chosen:
        found = [case for case in read(folder, category) if ids is None or case.id in ids]
        missing.difference_update(case.id for case in found)
        drawn = {case.id for case in sorted(found, key=_lot)[:limit]}
        cases += [case for case in found if case.id in drawn]
    if missing:
        raise EvaluationError(f"{len(missing)} of the case ids are not in {', '.join(chosen)}; the first is {min(missing)!r}")
    return cases


def _lot(case: Case | Dialogue) -> str:
    return hashlib.sha256(case.id.encode()).hexdigest()


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


def _read_dialogues(folder: Path, category: str) -> Iterator[Dialogue]:
    name = f"BFCL_v4_{category}.json"
    answers = {row["id"]: row["ground_truth"] for row in _rows(folder / "possible_answer" / name)}
    for row in _rows(folder / name):
        docs = [doc for cls in row["involved_classes"] for doc in function_docs(cls)]
        held_back = {int(turn): set(names) for turn, names in row.get("missed_function", {}).items()}
        functions = []
        for turn in range(len(row["question"])):
            later = {name for at, names in held_back.items() if at > turn for name in names}
            functions.append([doc for doc in docs if doc["name"] not in later])
        goals = tuple("\n".join(message["content"] for message in messages) for messages in row["question"])
        yield Dialogue(row["id"], category, goals, tuple(functions), answers[row["id"]], row)


@cache
def function_docs(cls: str) -> list[dict[str, Any]]:
    """The docs of a simulated class's functions, as published."""
    return list(_rows(data_folder() / "multi_turn_func_doc" / f"{SIMULATED[cls].module}.json"))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise EvaluationError(f"{path} cannot be read ({reason}); reinstall it: {INSTALL} --force-reinstall") from None


def data_folder() -> Path:
    """Where the package's data files are.

    Raises:
        EvaluationError: the package is missing or another version.
    """
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
