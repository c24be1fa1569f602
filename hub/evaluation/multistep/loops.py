"""Two ways to carry out a goal: our agent, and its peer, the plain loop of calls and observations on the same model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ....agents import Agent, Budget, ContextError, Run, SchemaError
from ....agents.model import AgentModel
from ....tools import Tool
from ..plain import PlainLoop
from .judge import Attempt

BUDGET = Budget(turns=20, calls=20, tokens=8192, seconds=600.0)
"""Of the agent: wide, so that no goal of the suite needs more."""

PLAIN_BUDGET = replace(BUDGET, turns=10)
"""Of the plain loop, which has at most one turn for each call that a goal needs, and five at most."""

Loop = Callable[[AgentModel, Sequence[Tool], str, str], Attempt]


def agent_loop(model: AgentModel, tools: Sequence[Tool], goal: str, instructions: str) -> Attempt:
    """Our agent as it comes; whoever is asked for approval says yes, and nobody answers questions."""

    def run() -> Run:
        agent = Agent(model, list(tools), instructions=instructions, budget=BUDGET, approve=lambda request: True)
        return agent.run(goal)

    return _attempt(run)


def plain_loop(model: AgentModel, tools: Sequence[Tool], goal: str, instructions: str) -> Attempt:
    """The peer. It cannot ask, but a last word that ends in a question mark counts as a question."""
    attempt = _attempt(lambda: PlainLoop(model, tools, instructions=instructions, budget=PLAIN_BUDGET).run(goal))
    asks = attempt.outcome in ("answered", "failed") and attempt.text.rstrip().endswith("?")
    return replace(attempt, outcome="asked") if asks else attempt


LOOPS: dict[str, Loop] = {"agent": agent_loop, "plain": plain_loop}


def _attempt(carry_out: Callable[[], Run]) -> Attempt:
    try:
        run = carry_out()
    except (ContextError, SchemaError) as error:
        return Attempt(outcome="error", text=str(error))
    usage = run.usage
    return Attempt(tuple(run.observations), run.status, run.answer, usage.turns, usage.prompt_tokens, usage.generated_tokens)
