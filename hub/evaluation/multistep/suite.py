"""Running the suite: each task in worlds of its own, by our agent, by the plain loop, or by both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata

from ....agents.model import AgentModel
from .judge import Attempt, Expected, expected, judge
from .loops import LOOPS, Loop
from .report import Outcome, SuiteReport
from .tasks import Task, load_tasks
from .worlds import open_world

INSTRUCTIONS = "date: 2026-11-23 Mon 09:00; locale: en-GB"
"""What every task begins with: the time that "tomorrow" is counted from."""


def evaluate_multistep(
    model: AgentModel,
    split: str = "train",
    limit: int | None = None,
    loops: Iterable[str] = ("agent",),
    on_outcome: Callable[[Outcome, int], None] | None = None,
    *,
    preset: str | None = None,
    tasks: Sequence[Task] | None = None,
) -> SuiteReport:
    """How many goals are reached.

    Args:
        model: what both loops run on.
        split: "train", "held_out" or "all".
        limit: at most so many tasks, spread evenly over the split.
        loops: of `LOOPS`.
        on_outcome: told of each outcome as it is there, and of how many there will be; for a progress bar.
        preset: the name of the model in the report; its own by default.
        tasks: these, instead of those of the split.

    Raises:
        EvaluationError: the package of the simulated classes is missing, or there is no such split.
    """
    chosen = load_tasks(split, limit) if tasks is None else list(tasks)
    names = list(loops)
    outcomes: list[Outcome] = []
    for task in chosen:
        goal = expected(task)
        for name in names:
            outcomes.append(attempt_task(task, name, LOOPS[name], model, goal))
            if on_outcome is not None:
                on_outcome(outcomes[-1], len(chosen) * len(names))
    return SuiteReport(split, preset or model.name, metadata.version("ferrule"), outcomes)


def attempt_task(task: Task, name: str, loop: Loop, model: AgentModel, goal: Expected | None = None) -> Outcome:
    """One task by one loop."""
    goal = expected(task) if goal is None else goal
    with open_world(task.worlds) as worlds:
        tools = [tool for world in worlds for tool in world.tools]
        began = time.perf_counter()
        attempt: Attempt = loop(model, tools, task.goal, INSTRUCTIONS)
        seconds = time.perf_counter() - began
        verdict = judge(task, attempt, worlds, goal)
    return Outcome(
        task.id,
        task.kind,
        task.split,
        [world.name for world in task.worlds],
        name,
        verdict.ok,
        verdict.reason,
        verdict.detail,
        attempt.outcome,
        attempt.text,
        [
            {"name": result.call.name, "arguments": result.call.arguments, "ok": result.ok, "error": result.error}
            for result in attempt.results
        ],
        len(task.plans[0]),
        attempt.turns,
        attempt.prompt_tokens,
        attempt.generated_tokens,
        round(seconds, 3),
    )
