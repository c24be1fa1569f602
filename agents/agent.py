"""The agent: a goal in plain words becomes validated, executed tool calls.

The loop is one generator of typed steps. The model writes a turn under a grammar compiled from the tools' schemas; its calls
are validated and executed; what comes of them is fed back; it ends when the model answers, when no tool fits, or when a budget
is used up. The model's mistakes and the tools' failures become observations; the host's mistakes raise.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from ..tools import Tool, ToolCall, ToolResult, Toolset
from .budget import Budget
from .dialects import Dialect, Turn, get_dialect
from .errors import ContextError, ParseError
from .log import RunLog
from .model import AgentModel
from .steps import Answer, Call, Goal, Observation, Refusal, Run, RunUsage, Step, Stop

MIN_CONFIDENCE = 0.1


class Agent:
    """A model, its tools, and the rules of a run.

    Args:
        model: a `LanguageModel`, or anything else that offers `AgentModel`.
        tools: `Tool`s, or typed functions that become tools.
        instructions: system text in front of the tools, such as ``"date: 2026-11-22 Sun 14:30; locale: en-GB"``.
        budget: what one run may cost.
        min_confidence: calls that the model itself thinks less likely to be right are withheld (0 … 1; 0 for none).
        log: file that every run is appended to.

    Raises:
        ContextError: (when run) goal and tools do not fit the model's context.
        SchemaError: a tool's schema asks for something that the grammar cannot guarantee.
        ToolDefinitionError: a function is no tool, or two tools have one name.
    """

    def __init__(
        self,
        model: AgentModel,
        tools: Iterable[Tool | Callable[..., Any]],
        *,
        instructions: str = "",
        budget: Budget | None = None,
        min_confidence: float = MIN_CONFIDENCE,
        log: str | os.PathLike[str] | None = None,
    ):
        self.model = model
        self.tools = tools if isinstance(tools, Toolset) else Toolset(tools)
        self.instructions = instructions
        self.budget = budget or Budget()
        self.min_confidence = min_confidence
        self.log = RunLog(log) if log is not None else None
        self.dialect: Dialect = get_dialect(model.dialect)
        bos = model.tokenizer.bos_id
        prefix = self.dialect.render_prefix(instructions, list(self.tools))
        self._prefix = ([] if bos is None else [bos]) + model.tokenizer.encode(prefix)
        # Compiled here, so that a schema which no grammar can guarantee is found before the first goal.
        self._first, self._later = (
            self.dialect.grammar(list(self.tools), max_reasoning=self.budget.reasoning_tokens, after_results=after)
            for after in (False, True)
        )

    def run(self, goal: str) -> Run:
        """Carry out a goal; what happened is in the run."""
        run = Run()
        for step in self._steps(goal, run.usage):
            run.steps.append(step)
        return run

    def stream(self, goal: str, usage: RunUsage | None = None) -> Iterator[Step]:
        """The steps of a run as they happen; what it costs is added up in `usage`, if given."""
        return self._steps(goal, usage if usage is not None else RunUsage())

    async def arun(self, goal: str) -> Run:
        """As `run`, from a coroutine; the model and the tools run in a thread."""
        return await asyncio.to_thread(self.run, goal)

    async def astream(self, goal: str) -> AsyncIterator[Step]:
        """As `stream`, from a coroutine."""
        steps = self.stream(goal)
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            yield step

    def _steps(self, goal: str, usage: RunUsage) -> Iterator[Step]:
        if not isinstance(goal, str) or not goal.strip():
            raise ValueError(f"a goal is a text in plain words, received {goal!r}")
        began = time.monotonic()
        if self.log is not None:
            self.log.begin({"model": self.model.name, "tools": self.tools.schemas(), "budget": vars(self.budget)})
        for step in self._loop(goal, usage, began):
            if self.log is not None:
                self.log.step(step)
            usage.seconds = time.monotonic() - began
            yield step
        if self.log is not None:
            self.log.end({"usage": vars(usage)})

    def _loop(self, goal: str, usage: RunUsage, began: float) -> Iterator[Step]:
        yield Goal(goal)
        if not len(self.tools):
            yield Refusal("no_tool", "there are no tools, so there is nothing to call")
            return
        ids = self._prefix + self.model.tokenizer.encode(self.dialect.render_user(goal))
        done: dict[str, ToolResult] = {}
        while True:
            stop = self.budget.exceeded(usage, began)
            if stop is not None:
                yield stop
                return
            ids, turn, confidence = self._write(ids, usage, after_results=bool(done))
            if isinstance(turn, Stop):
                yield turn
                return
            if not turn.calls:
                yield self._ending(turn, confidence, done)
                return
            if confidence is not None and confidence < self.min_confidence:
                if done:
                    yield Answer("")
                else:
                    names = ", ".join(call.name for call in turn.calls)
                    text = f"not sure enough to call {names} (confidence {confidence:.2f}, {self.min_confidence:g} needed)"
                    yield Refusal("low_confidence", text, turn.calls, turn.reasoning or "", confidence)
                return
            fresh = [call for call in _distinct(turn.calls) if call.key() not in done]
            if not fresh:  # everything it wants has been done, and doing it again would change nothing
                yield Answer("")
                return
            results = []
            for call in fresh[: self.budget.calls - usage.calls]:
                yield Call(call, turn.reasoning or "", confidence)
                result = self.tools.execute(call)
                usage.calls += 1
                usage.tool_seconds += result.seconds
                done[call.key()] = result
                results.append(result)
                yield Observation(result)
            ids = ids + self.model.tokenizer.encode(self.dialect.render_results(results))

    def _write(self, ids: list[int], usage: RunUsage, after_results: bool) -> tuple[list[int], Turn | Stop, float | None]:
        """One turn of the model: the text so far with it, what it says, and how sure the model is of its calls."""
        if len(ids) + 1 >= self.model.context_length:
            text = f"{len(ids)} tokens do not fit the model's context of {self.model.context_length}"
            if not usage.turns:
                raise ContextError(f"goal and tools are too long: {text}; shorten the goal or pass fewer tools")
            return ids, Stop("context", f"stopped: {text}"), None
        usage.turns += 1
        stream = self.model.stream_tokens(
            ids,
            max_tokens=min(self.budget.turn_tokens, self.budget.tokens - usage.generated_tokens),
            constraint=self.model.grammar(self._later if after_results else self._first),
            pin=len(self._prefix),
        )
        tokens = list(stream)
        usage.prompt_tokens += stream.usage.prompt_tokens
        usage.reused_tokens += stream.usage.reused_tokens
        usage.generated_tokens += len(tokens)
        usage.model_seconds += stream.usage.prefill_seconds + stream.usage.decode_seconds
        ids = ids + [token.id for token in tokens]
        try:
            turn = self.dialect.parse_tokens(
                [token.id for token in tokens],
                self.model.tokenizer.decode,
                list(self.tools),
                truncated=stream.stop_reason == "length",
            )
        except ParseError as error:
            return ids, Stop("tokens", f"stopped: the turn was not finished within {len(tokens)} tokens ({error})"), None
        if after_results and not turn.calls:
            return ids, turn, None
        head = self.model.confidence(stream.state)
        return ids, turn, None if head is None else min(head, self.dialect.call_probability(tokens))

    def _ending(self, turn: Turn, confidence: float | None, done: dict[str, ToolResult]) -> Step:
        if done:
            return Answer(turn.text)
        return Refusal("no_tool", "no tool fits this goal", (), turn.reasoning or "", confidence)


def _distinct(calls: Iterable[ToolCall]) -> list[ToolCall]:
    """The calls without repetitions of one in the same turn."""
    return list({call.key(): call for call in calls}.values())
