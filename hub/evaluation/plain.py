"""The peer of our agent: a plain loop of calls and observations on the same model.

It gets what every such loop gets: the same prompt, tools and dialect, calls under the same grammar, every result handed back.
It has no plan, no grounding and no thresholds, asks nobody anything, and does nothing about calls that it repeats.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from ...agents import Answer, Budget, Call, Decision, Goal, Observation, Run, Stop
from ...agents.earlier import conversation_of, trace_of
from ...agents.log import RunRecord
from ...agents.model import AgentModel
from ...agents.requests import Conversation, Said, Showed, Write, Written
from ...agents.steps import RunUsage
from ...agents.writer import Writer
from ...tools import Tool, Toolset


class PlainLoop:
    """Carries out goals as `Agent` does, without its help.

    Args:
        model: see `AgentModel`.
        tools: that may be called.
        instructions: system text in front of the tools.
        budget: what one run may cost.

    Raises:
        ContextError: (when run) goal and tools do not fit the model's context.
        SchemaError: (when run) a tool's schema asks for something that the grammar cannot guarantee.
    """

    def __init__(self, model: AgentModel, tools: Iterable[Tool], *, instructions: str = "", budget: Budget | None = None):
        self.model, self.tools, self.budget = model, Toolset(tools), Budget() if budget is None else budget
        self._writer = Writer(model, self.tools, instructions, self.budget.reasoning_tokens)

    def run(self, goal: str, *, earlier: Run | None = None) -> Run:
        """Call, observe, and again, until the model calls nothing more or the budget is used up."""
        self._writer.check_room(goal, self.tools.names)
        began, numbers = time.monotonic(), 0
        run = Run(earlier=trace_of(earlier, self.model.name), model=self.model.name)
        record = RunRecord(None, {}, run)
        numbers = max((step.number for step in run.earlier if isinstance(step, Call)), default=0)
        record.keep(Goal(goal))
        conversation: Conversation = (*conversation_of(run.earlier), Said(goal))
        while True:
            run.usage.seconds = time.monotonic() - began
            stop = self.budget.before_turn(run.usage)
            if stop is not None:
                record.keep(stop)
                return run
            written = self._turn(conversation, run.usage)
            record.keep_written(written)
            if written.turn is None or not written.turn.calls:
                text = written.turn.text if written.turn is not None else "stopped: the turn has no end"
                record.keep(Answer(text) if written.turn is not None else written.stop or Stop("malformed", text))
                return run
            results = []
            for call in written.turn.calls:
                numbers += 1
                record.keep(Call(call, turn=run.usage.turns, number=numbers))
                result = self.tools.execute(call, self.budget.seconds_left(run.usage))
                record.keep(Observation(result, numbers))
                results.append(result)
            run.usage.calls += len(results)
            conversation = (*conversation, written, Showed(tuple(results)))

    def decide(self, goal: str) -> Decision:
        """The calls of the first turn, as the model writes them."""
        self._writer.check_room(goal, self.tools.names)
        usage = RunUsage()
        written = self._turn((Said(goal),), usage)
        if written.turn is None:
            return Decision(stop=written.stop, usage=usage)
        turn = written.turn
        return Decision(turn.calls, text=turn.text, reasoning=turn.reasoning or "", confidence=written.confidence, usage=usage)

    def _turn(self, conversation: Conversation, usage: RunUsage) -> Written:
        most = min(self.budget.turn_tokens, self.budget.tokens - usage.generated_tokens)
        written = self._writer.write(Write(conversation, self.tools.names, most))
        usage.turns += 1
        usage.prompt_tokens += written.prompt_tokens
        usage.reused_tokens += written.reused_tokens
        usage.generated_tokens += written.generated_tokens
        usage.model_seconds += written.seconds
        return written
