"""What was said before a run that goes on with the conversation of an earlier one: its evidence, and what the model reads.

It is kept as a trace: the steps of the runs and the turns of the model, in the order in which they happened. A run's log has
the trace in its opening line, so that it can be run again, or gone on with, without the logs of the runs before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..tools import ToolResult
from .errors import LogError, UsageError
from .requests import Conversation, Said, Showed, Written, written_from_json, written_to_json
from .steps import Approval, Call, Goal, Observation, Question, Run, Step, step_from_json, to_json

if TYPE_CHECKING:
    from ..tools import Toolset
    from .evidence import Evidence

Trace = tuple[Step | Written, ...]


def trace_of(run: Run | None, model: str = "") -> Trace:
    """What was said up to the end of a run, with what had been said before it; nothing without a run.

    Args:
        model: name of the model that is to read it; its turns are kept as tokens, which are another model's words.

    Raises:
        UsageError: it is no run, or one with another model.
    """
    if run is None:
        return ()
    if not isinstance(run, Run):
        raise UsageError(f"earlier is a run, as agent.run(...) gives it, received {run!r}")
    if model and run.model and model != run.model:
        raise UsageError(f"the earlier run was one with the model {run.model}, and this agent's is {model}; use the same")
    return (*run.earlier, *run.trace)


def hear(trace: Trace, evidence: Evidence, tools: Toolset) -> int:
    """Add what was said to the evidence; hands back the number of the last call, since calls are numbered throughout.

    What a tool gave that is not among these any more cannot be trusted, and is no evidence.
    """
    last = 0
    for step in trace:
        if isinstance(step, Goal):
            evidence.add("goal", step.text)
        elif isinstance(step, Question) and step.reply is not None:
            evidence.add("reply", step.reply)
        elif isinstance(step, Call):
            last = max(last, step.number)
        elif isinstance(step, Observation):
            call = step.result.call
            if step.result.ok and call.name in tools:
                evidence.observe(step.number, tools[call.name], call.arguments, step.result.value)
            elif call.name not in tools or not tools[call.name].trusted:
                evidence.distrust(step.number)
    return last


def conversation_of(trace: Trace) -> Conversation:
    """The words of the user and the turns of the model, and behind each of these what came of its calls."""
    entries: list[Any] = []
    for run in _runs(trace):
        results = _results(run)
        turn = 0
        for item in run:
            if isinstance(item, Goal):
                entries.append(Said(item.text, earlier=True))
            elif isinstance(item, Question) and item.reply is not None:
                entries.append(Said(item.reply, earlier=True))
            elif isinstance(item, Written):
                turn += 1
                entries += [item] if item.ids else []  # there are none where the context had no room
                entries += [Showed(tuple(results[turn]))] if turn in results else []
    return tuple(entries)


def trace_to_json(trace: Trace) -> list[dict[str, Any]]:
    """JSON objects, as the lines of a log."""
    return [to_json(i) if isinstance(i, Step) else {"kind": "written", **written_to_json(i)} for i in trace]


def trace_from_json(records: Any) -> Trace:
    """The trace of JSON objects; LogError where it is something else."""
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise LogError(f"not what was said before a run: {str(records)[:120]}")
    return tuple(written_from_json(r) if r.get("kind") == "written" else step_from_json(r) for r in records)


def _runs(trace: Trace) -> Iterable[list[Step | Written]]:
    runs: list[list[Step | Written]] = []
    for item in trace:
        if isinstance(item, Goal):
            runs.append([])
        if runs:
            runs[-1].append(item)
    return runs


def _results(run: Iterable[Step | Written]) -> dict[int, list[ToolResult]]:
    """What came of the calls of each turn, in their order; a turn's number is that among the run's turns, from 1."""
    results: dict[int, dict[int, ToolResult]] = {}
    turns: dict[int, int] = {}
    turn = 0
    for item in run:
        if isinstance(item, Written):
            turn += 1
        elif isinstance(item, Call):
            turns[item.number] = item.turn
        elif isinstance(item, Observation):
            results.setdefault(turns.get(item.number, turn), {})[item.number] = item.result
        elif isinstance(item, Approval) and not item.granted:
            there = results.setdefault(turn, {})
            there[-1 - len(there)] = ToolResult(item.call, False, error=f"not allowed: {'; '.join(item.reasons)}")
    return {turn: [found[number] for number in sorted(found)] for turn, found in results.items()}
