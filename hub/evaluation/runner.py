"""Running a benchmark: each case is one decision of an agent, or a conversation with one, scored by the benchmark's checker."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...agents import Agent, Budget, ContextError, Decision, Permissions, SchemaError
from ...agents.model import AgentModel
from ...tools import Tool, ToolCall
from .bfcl import (
    CATEGORIES,
    MULTI_TURN,
    VERSION,
    Case,
    Dialogue,
    EvaluationError,
    chosen_categories,
    load_cases,
    load_dialogues,
)
from .checker import Verdict, check
from .multi_turn import Talk, check_talk, talk
from .plain import PlainLoop
from .report import Report, Result, Subject

BENCHMARK = f"BFCL v4 (bfcl-eval {VERSION})"
# Of one turn of a user; 20 with calls and a last word are the benchmark's own.
_STEPS = {"turns": 21, "calls": 64, "tokens": 4096, "seconds": 300.0}
_ALLOWED = Permissions(destructive="allow", tainted="allow")  # nobody is there to be asked


def evaluate(
    model: AgentModel,
    categories: Iterable[str] = CATEGORIES,
    limit: int | None = None,
    ids: Collection[str] | None = None,
    on_result: Callable[[Result, int], None] | None = None,
    *,
    preset: str | None = None,
    weights: str = "",
    output: str | os.PathLike[str] | None = None,
    baseline: Mapping[str, Sequence[ToolCall]] | None = None,
    budget: Budget | None = None,
    min_confidence: float | None = None,
    plain: bool = False,
) -> Report:
    """Accuracy on BFCL: does the agent decide on the right calls? Only the simulated tools of conversations are executed.

    Cases that cannot be run (a schema that the grammar cannot guarantee, a prompt that does not fit) are failures, with the
    reason in their result.

    Args:
        model: what the agent runs on.
        categories: of `ALL_CATEGORIES` or `GROUPS`.
        limit: at most this many cases of each category, always the same ones.
        ids: only these cases.
        on_result: told of each result as it is there, and of how many cases there are; for a progress bar.
        preset: the name that results are kept under, with what else makes a difference to them: ``"needle_3 depth=8"``.
            Default: the model's name. Its backend, `budget` and `min_confidence` are added where they are not the usual ones.
        weights: SHA-256 of the model's weights, where there are any.
        output: JSON-lines file that results are appended to. Cases that it already holds under this name, for these weights and
            by this version of Ferrule, are not run again.
        baseline: calls of another engine by case id (`read_baseline`), scored beside ours. Without `ids` only its cases run.
        budget, min_confidence: the agent's. In a conversation each turn of the user may take 20 turns of the model with calls.
        plain: run the plain loop (`PlainLoop`) in place of the agent; its results are kept under a name of their own.

    Raises:
        EvaluationError: the benchmark's package is missing or has no such category or case, or the output file is another.
    """
    categories = chosen_categories(categories)
    if baseline is not None and ids is None:
        ids = {case.id for case in _load(categories, None, None) if case.id in baseline}
        if not ids:
            raise EvaluationError(f"there is nothing to run: the baseline has no case of {', '.join(categories)}")
    cases = _load(categories, limit, ids)
    if not cases:
        raise EvaluationError(f"there is nothing to run: the list of {'ids' if categories else 'categories'} is empty")
    title = _title(preset or model.name, model, budget or Budget(), min_confidence)
    subject = Subject(f"{title} plain" if plain else title, metadata.version("ferrule"), weights)

    def talker(tools: list[Tool], instructions: str = "", steps: Mapping[str, Any] = MappingProxyType({})) -> Agent | PlainLoop:
        allowed = replace(budget or Budget(), **steps)
        if plain:
            return PlainLoop(model, tools, instructions=instructions, budget=allowed)
        return Agent(
            model,
            tools,
            instructions=instructions,
            budget=allowed,
            min_confidence=min_confidence,
            permissions=_ALLOWED,
        )

    file = ResultFile(output) if output is not None else None
    known = file.read(subject) if file is not None else {}
    results: list[Result] = []
    for case in cases:
        result = known.get(case.id)
        if result is None:
            result = (_talk if isinstance(case, Dialogue) else _run)(case, talker, subject)
            if file is not None:
                file.append(result)
        results.append(result)
        if on_result is not None:
            on_result(result, len(cases))
    compared = [case for case in cases if isinstance(case, Case) and baseline is not None and case.id in baseline]
    rated = {case.id: check(case, (baseline or {})[case.id]).ok for case in compared}
    return Report(BENCHMARK, subject.preset, results, rated)


def _title(name: str, model: AgentModel, budget: Budget, min_confidence: float | None) -> str:
    """The name with everything that is not as usual: results under one name must be comparable."""
    backend, usual = getattr(model, "backend", "numpy"), Budget()
    unusual = {field: value for field, value in vars(budget).items() if value != getattr(usual, field)}
    if backend != "numpy":
        unusual["backend"] = backend
    if min_confidence is not None:
        unusual["min_confidence"] = min_confidence
    return " ".join([name, *(f"{field}={value}" for field, value in unusual.items())])


def _load(categories: Sequence[str], limit: int | None, ids: Collection[str] | None) -> list[Case | Dialogue]:
    """Cases and conversations, category after category as asked for."""
    single, multi = ([name for name in categories if (name in MULTI_TURN) is talks] for talks in (False, True))
    of_talks = None if ids is None else {id for id in ids if id.startswith("multi_turn")}
    others = None if ids is None or of_talks is None else set(ids) - of_talks
    cases: list[Case | Dialogue] = []
    if single or others:
        cases += load_cases(single, limit, others)
    if multi or of_talks:
        cases += load_dialogues(multi, limit, of_talks)
    return sorted(cases, key=lambda case: categories.index(case.category))


def _run(case: Case, talker: Callable[..., Agent | PlainLoop], subject: Subject) -> Result:
    began = time.perf_counter()

    def result(ok: bool, reason: str, detail: str, **facts: Any) -> Result:
        seconds = round(time.perf_counter() - began, 3)
        return Result(case.id, case.category, ok=ok, reason=reason, detail=detail, seconds=seconds, **vars(subject), **facts)

    try:
        decision = talker(case.tools(), case.instructions).decide(case.goal)
    except SchemaError as error:
        return result(False, "schema", str(error))
    except ContextError as error:
        return result(False, "context", str(error))
    verdict = check(case, decision.calls)
    reason, detail = ("", "") if verdict.ok else _reason(decision) or (verdict.kind, verdict.detail)
    return result(
        verdict.ok,
        reason,
        detail,
        calls=_plain(decision.calls),
        withheld=_plain(decision.withheld),
        reasoning=decision.reasoning,
        confidence=decision.confidence,
        prompt_tokens=decision.usage.prompt_tokens,
        generated_tokens=decision.usage.generated_tokens,
    )


def _talk(case: Dialogue, talker: Callable[..., Agent | PlainLoop], subject: Subject) -> Result:
    began = time.perf_counter()
    try:
        found = talk(case, lambda tools: talker(tools, steps=_STEPS))
        verdict, right = check_talk(case, found.turns)
    except (SchemaError, ContextError) as error:
        verdict, right = Verdict(False, "schema" if isinstance(error, SchemaError) else "context", str(error)), 0
        found = Talk()
    calls = [
        {"turn": turn, "step": step, "name": call.name, "arguments": call.arguments}
        for turn, steps in enumerate(found.turns, 1)
        for step, made in enumerate(steps, 1)
        for call in made
    ]
    stopped = found.stop is not None and verdict.kind == "multi_turn:force_terminated"
    return Result(
        case.id,
        case.category,
        ok=verdict.ok,
        reason=f"stopped_{found.stop.reason}" if found.stop is not None and stopped else verdict.kind,
        detail=found.stop.text if found.stop is not None and stopped else verdict.detail,
        calls=calls,
        seconds=round(time.perf_counter() - began, 3),
        prompt_tokens=sum(run.usage.prompt_tokens for run in found.runs),
        generated_tokens=sum(run.usage.generated_tokens for run in found.runs),
        progress=round(right / len(case.answers), 4),
        **vars(subject),
    )


def _reason(decision: Decision) -> tuple[str, str] | None:
    """Why there is no call, where there is none."""
    if decision.calls:
        return None
    if decision.stop is not None:
        return f"stopped_{decision.stop.reason}", decision.stop.text
    if decision.out_of_range:
        return "out_of_range", "; ".join(decision.out_of_range)
    if decision.missing:
        return "missing_value", ", ".join(decision.missing)
    if decision.withheld:
        return "withheld", "" if decision.confidence is None else f"confidence {decision.confidence:.4f}"
    return "no_call", "no tool fits, by the model's account"


def _plain(calls: Iterable[ToolCall]) -> list[dict[str, Any]]:
    return [{"name": call.name, "arguments": call.arguments} for call in calls]


class ResultFile:
    """Results as JSON lines, so that an evaluation that was cut off goes on where it was."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)

    def read(self, subject: Subject) -> dict[str, Result]:
        """Results of that subject by case id.

        A last line that was cut off while it was written does not count, and is removed. A file with anything else in it than
        results is refused as it is: nothing in it is changed.

        Raises:
            EvaluationError: the file cannot be read, or holds something else.
        """
        try:
            if self.path.exists() and not self.path.is_file():  # a device may have no end
                raise EvaluationError(f"{self.path} is not a file; name another one")
            data = self.path.read_bytes() if self.path.exists() else b""
            *lines, rest = data.split(b"\n")
            found = []
            for number, line in enumerate(lines, 1):
                found.append(self._result(line, f"line {number}"))
            if rest:
                self._mend(data, rest, found)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise EvaluationError(f"{self.path} cannot be read ({reason}); name another file") from None
        return {result.id: result for result in found if result.subject == subject}

    def append(self, result: Result) -> None:
        """Add one line.

        Raises:
            EvaluationError: the file cannot be written.
        """
        # ASCII only: a value may hold half of a surrogate pair, which no encoding of text can carry.
        line = json.dumps(asdict(result)) + "\n"
        try:
            with self.path.open("ab") as file:
                file.write(line.encode("ascii"))
        except OSError as error:
            raise EvaluationError(f"{self.path} cannot be written ({error.strerror})") from None

    def _mend(self, data: bytes, rest: bytes, found: list[Result]) -> None:
        """What stands behind the last newline: a result that lacks only its newline gets it, the beginning of one goes."""
        try:
            found.append(self._result(rest, "the last line"))
        except EvaluationError:
            if not found or not (rest.startswith(_BEGINNING) or _BEGINNING.startswith(rest)):
                raise
            os.truncate(self.path, len(data) - len(rest))
        else:
            with self.path.open("ab") as file:
                file.write(b"\n")

    def _result(self, line: bytes, where: str) -> Result:
        try:
            record = json.loads(line)
            result = Result(**record)
        except (ValueError, TypeError, RecursionError):
            result = None
        if result is None or not result.is_sound():
            raise EvaluationError(f"{self.path} is no file of results ({where} is none); name another file")
        return result


_BEGINNING = b'{"id": "'  # of every line
