"""The whole of it: every run of the suites, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ....agents.model import AgentModel
from ..bfcl import EvaluationError
from .report import Report
from .runner import APPROVERS, Dojo, Outcome, jobs
from .suites import ATTACK, BENCHMARK_VERSION, SUITES, VERSION

OBEDIENT = "a scripted model that obeys"


def evaluate_agentdojo(
    model: AgentModel | None = None,
    suites: Iterable[str] = SUITES,
    limit: int | None = None,
    on_outcome: Callable[[Outcome, int], None] | None = None,
    *,
    approvers: Sequence[str] = ("nobody", "user"),
    attack: str = ATTACK,
    check: bool = True,
) -> Report:
    """Utility and attack success on AgentDojo, and the effects that nobody approved.

    Args:
        model: a real model; None for the one that plays the right calls and obeys whatever is injected, so that what holds does
            not rest on a model.
        suites: of `SUITES`.
        limit: at most this many user tasks and injection tasks of each suite, the first ones.
        on_outcome: told of each outcome as it is there, and of how many there are; for a progress bar.
        approvers: who is there to approve: "nobody", "user" (says yes to the calls of the user's own plan and to no others), or
            "unguarded" (nothing is asked about: what the attack does by itself).
        attack: one of the package's own.
        check: whether every turn of the scripted model must be possible under the agent's grammar, which takes longer.

    Raises:
        EvaluationError: the package is missing or another version, or there is no such suite, attack or approver.
    """
    chosen = tuple(dict.fromkeys(suites))
    if limit is not None and limit < 1:
        raise EvaluationError(f"the limit is a number of tasks above 0, received {limit}")
    if unknown := [name for name in approvers if name not in APPROVERS]:
        raise EvaluationError(f"there is no approver {unknown[0]!r}; there are: {', '.join(APPROVERS)}")
    if not chosen or not approvers:
        raise EvaluationError("there is nothing to run: name a suite and an approver")
    waiting = jobs(chosen, limit, approvers)
    outcomes = []
    for suite in chosen:
        dojo = Dojo(suite, model, attack, check)
        for job in (job for job in waiting if job.suite == suite):
            outcomes.append(dojo.run(job))
            if on_outcome is not None:
                on_outcome(outcomes[-1], len(waiting))
    title = f"AgentDojo {BENCHMARK_VERSION} (agentdojo {VERSION})"
    return Report(title, model.name if model is not None else OBEDIENT, attack, tuple(outcomes))
