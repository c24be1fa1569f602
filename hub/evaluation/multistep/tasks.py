"""The tasks: goals in plain words, the worlds they are about, and plans that carry them out, read from JSON data files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ....tools import ToolCall
from ..bfcl import EvaluationError

SPLITS = ("train", "held_out")
KINDS = ("chain", "parallel", "lookup", "conditional", "refuse", "ask")
_REFERENCE = re.compile(r"\{(\d+)((?:/[^{}/]+)*)\}")


@dataclass(frozen=True)
class WorldSpec:
    """A world that a task takes place in.

    Attributes:
        name: of the class, or "Service".
        state: name of its initial state in `states.json`.
        parts: of the service, those whose operations are offered; empty for all.
    """

    name: str
    state: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class GoldCall:
    """A call of a plan.

    Texts in its arguments may refer to earlier results: ``"{1/user_id}"`` is the value at that JSON pointer of the first call's
    result; within a longer text it is put in.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def resolve(self, results: Sequence[Any]) -> ToolCall:
        """The call with the results so far put in."""
        return ToolCall(self.name, {key: _resolve(value, results) for key, value in self.arguments.items()})

    @property
    def needs(self) -> tuple[int, ...]:
        """Numbers (from 1) of the calls whose results it refers to."""
        return tuple(sorted({int(number) for number, _ in _REFERENCE.findall(json.dumps(self.arguments))}))


@dataclass(frozen=True)
class Task:
    """A goal and how to tell whether it was reached.

    Attributes:
        id: unique in the suite.
        split: of `SPLITS`.
        kind: of `KINDS`: "chain" (a later argument comes from an earlier result), "parallel" (independent calls), "lookup"
            (only to find something out, in steps), "conditional" (what is done depends on what is found), "refuse" (one part
            can be done, for another there is no tool), "ask" (a value is missing that nobody said).
        goal: what the user says, in one message.
        worlds: where it takes place; the tools of all of them are offered.
        plans: each a list of calls that reaches the goal; the first is the plan, others end in another state that is as good.
        texts: free wording: of a text that the plan writes, the parts that any other wording must contain, too.
        found: values that a result must have shown.
    """

    id: str
    split: str
    kind: str
    goal: str
    worlds: tuple[WorldSpec, ...]
    plans: tuple[tuple[GoldCall, ...], ...]
    texts: dict[str, list[str]] = field(default_factory=dict)
    found: tuple[Any, ...] = ()


def load_tasks(split: str = "all", limit: int | None = None) -> list[Task]:
    """The tasks of "train", "held_out" or "all", in the order of the files; with a limit, spread evenly over them.

    Raises:
        EvaluationError: there is no such split, or the limit is below 1.
    """
    if split not in (*SPLITS, "all"):
        raise EvaluationError(f"the multi-step suite has no split {split!r}; there are: {', '.join(SPLITS)}, all")
    if limit is not None and limit < 1:
        raise EvaluationError(f"the limit is a number of tasks above 0, received {limit}")
    tasks = [task for name in SPLITS if split in (name, "all") for task in _read(name)]
    if limit is None or limit >= len(tasks):
        return tasks
    return [tasks[i * len(tasks) // limit] for i in range(limit)]


@cache
def initial_states() -> dict[str, dict[str, Any]]:
    """World name -> state name -> state."""
    return json.loads((Path(__file__).parent / "states.json").read_text(encoding="utf-8"))


@cache
def _read(split: str) -> tuple[Task, ...]:
    path = Path(__file__).parent / f"{split}.json"
    return tuple(_task(split, record) for record in json.loads(path.read_text(encoding="utf-8")))


def _task(split: str, record: dict[str, Any]) -> Task:
    return Task(
        id=record["id"],
        split=split,
        kind=record["kind"],
        goal=record["goal"],
        worlds=tuple(WorldSpec(w["name"], w["state"], tuple(w.get("parts", ()))) for w in record["worlds"]),
        plans=tuple(tuple(GoldCall(c["name"], c["arguments"]) for c in plan) for plan in record["plans"]),
        texts=record.get("texts", {}),
        found=tuple(record.get("found", ())),
    )


def _resolve(value: Any, results: Sequence[Any]) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(item, results) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, results) for item in value]
    if not isinstance(value, str):
        return value
    if whole := _REFERENCE.fullmatch(value):
        return _at(results, whole)
    return _REFERENCE.sub(lambda match: _text(_at(results, match)), value)


def _at(results: Sequence[Any], match: re.Match[str]) -> Any:
    value = results[int(match[1]) - 1]
    for key in match[2].split("/")[1:]:
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
