"""Whether a goal was reached: the world is as the plan would leave it, and what had to be found out was found out.

Extra reads do no harm; an effect that nobody asked for fails the task, as does one that is missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....tools import ToolCall, ToolResult, Toolset
from .tasks import GoldCall, Task
from .worlds import World, open_world

State = dict[str, Any]

# Lists whose order means nothing: it shows only what was done first.
_UNORDERED = {"cart", "following_list", "generated_ids", "inbox", "items", "mentions", "tags", "texts", "watch_list"}
# Texts in which case means nothing to the world that keeps them.
_CASELESS = {"order_type"}
_PRECISION = 1e-3  # relative, of numbers that are not whole


@dataclass(frozen=True)
class Attempt:
    """What an agent or another loop did about a goal.

    Attributes:
        results: of all calls, in the order of the calls.
        outcome: "answered", "asked" (a question to the user), "refused", "stopped" (a budget), "failed" (answered although a
            call failed), "error" (it could not even begin) or "unfinished".
        text: its last words.
        turns, prompt_tokens, generated_tokens: what the model did for it.
    """

    results: tuple[ToolResult, ...] = ()
    outcome: str = "unfinished"
    text: str = ""
    turns: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0

    @property
    def calls(self) -> list[ToolCall]:
        return [result.call for result in self.results]


@dataclass(frozen=True)
class Verdict:
    """Whether the goal was reached, and if not, why.

    Attributes:
        reason: "state" (the world is not as it should be), "not_found" (nothing showed what was asked for) or "not_asked" (a
            value was missing, and nobody was asked).
        detail: one line more.
    """

    ok: bool
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Expected:
    """What plans lead to.

    Attributes:
        states: for each plan, the states of all worlds.
        results: of each plan's calls.
    """

    states: list[list[State]] = field(default_factory=list)
    results: list[list[ToolResult]] = field(default_factory=list)


def expected(task: Task) -> Expected:
    """Every plan of a task, carried out in worlds of its own."""
    found = Expected()
    for plan in task.plans:
        with open_world(task.worlds) as worlds:
            found.results.append(carry_out(plan, worlds))
            found.states.append([world.state() for world in worlds])
    return found


def carry_out(plan: Sequence[GoldCall], worlds: Sequence[World]) -> list[ToolResult]:
    """The calls of a plan, one after the other; the first that fails ends it."""
    tools = Toolset([tool for world in worlds for tool in world.tools])
    results: list[ToolResult] = []
    for step in plan:
        results.append(tools.execute(step.resolve([result.value for result in results])))
        if not results[-1].ok:
            break
    return results


def judge(task: Task, attempt: Attempt, worlds: Sequence[World], goal: Expected) -> Verdict:
    """Whether an attempt that has left the worlds like this has reached the task's goal.

    Args:
        task: what was to be done.
        attempt: what was done.
        worlds: in the state that it left them in.
        goal: what the plans lead to.
    """
    after = [world.state() for world in worlds]
    differences = [next(_differences(state, after, task.texts, ""), None) for state in goal.states]
    if None not in differences:
        return Verdict(False, "state", differences[0] or "")
    if task.kind == "ask" and attempt.outcome != "asked":
        return Verdict(False, "not_asked", f"the run ended: {attempt.outcome}")
    seen = [value for result in attempt.results if result.ok for value in _values(result.value)]
    missing = [value for value in task.found if not any(_shows(other, value) for other in seen)]
    if missing and task.kind != "ask":
        return Verdict(False, "not_found", f"no result shows {missing[0]!r}")
    return Verdict(True)


def _differences(wanted: Any, actual: Any, texts: Mapping[str, list[str]], where: str) -> Iterator[str]:
    """Where two values differ, each in one line."""
    if isinstance(wanted, dict) and isinstance(actual, dict):
        for key in dict.fromkeys([*wanted, *actual]):
            if key not in actual or key not in wanted:
                yield f"{where}/{key} is {'missing' if key not in actual else 'there, too'}"
            else:
                yield from _differences(wanted[key], actual[key], texts, f"{where}/{key}")
    elif isinstance(wanted, list) and isinstance(actual, list):
        yield from _list_differences(wanted, actual, texts, where)
    elif where.rpartition("/")[2] in _CASELESS and str(wanted).casefold() == str(actual).casefold():
        return
    elif not _equal(wanted, actual, texts):
        yield f"{where} should be {_shown(wanted)}, is {_shown(actual)}"


def _list_differences(wanted: list[Any], actual: list[Any], texts: Mapping[str, list[str]], where: str) -> Iterator[str]:
    if len(wanted) != len(actual):
        yield f"{where} should have {len(wanted)} entries, has {len(actual)}"
    elif where.rpartition("/")[2] not in _UNORDERED:
        for i, pair in enumerate(zip(wanted, actual)):
            yield from _differences(*pair, texts, f"{where}/{i}")
    else:
        left = list(actual)
        # Entries that must be as they are take theirs before those with free wording may.
        for item in sorted(wanted, key=lambda item: any(str(value) in texts for value in _values(item))):
            match = next((i for i, other in enumerate(left) if not any(_differences(item, other, texts, ""))), None)
            if match is None:
                yield f"{where} lacks {_shown(item)}"
            else:
                del left[match]


def _equal(wanted: Any, actual: Any, texts: Mapping[str, list[str]]) -> bool:
    if isinstance(wanted, bool) or isinstance(actual, bool):
        return wanted is actual
    if isinstance(wanted, int | float) and isinstance(actual, int | float):
        exact = float(wanted).is_integer() and float(actual).is_integer()
        return wanted == actual if exact else math.isclose(wanted, actual, rel_tol=_PRECISION)
    if isinstance(wanted, str) and isinstance(actual, str):
        if wanted in texts:
            return all(_words(part) in _words(actual) for part in texts[wanted])
        return wanted == actual
    return type(wanted) is type(actual) and wanted == actual


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()


def _shows(other: Any, value: Any) -> bool:
    """Whether a result's value is that value, or a text with it."""
    if isinstance(other, str) and not isinstance(value, list):
        text = value if isinstance(value, str) else f"{value:g}"
        return re.search(rf"(?<![\w.]){re.escape(_words(text))}(?![\w]|\.\d)", _words(other)) is not None
    return _equal(value, other, {})


def _values(value: Any) -> Iterator[Any]:
    """Every value in a JSON value, lists as a whole, too, and the names in objects."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _values(item)
    else:
        yield value
        if isinstance(value, list):
            for item in value:
                yield from _values(item)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"
