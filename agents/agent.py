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
from .decision import Decision
from .dialects import Dialect, Turn, get_dialect
from .errors import ContextError, ParseError
from .evidence import Evidence
from .grounding import grounded, inventions
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
        min_confidence: the calls of a turn are withheld when the model itself thinks each of them less likely to be right than
            this (0 … 1; 0 withholds none).
        grounding: whether values must rest on what was said: optional ones that do not are left out, and calls with required
            numbers that do not are withheld (see `grounding.py`). Without, the model may work values out by itself.
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
        grounding: bool = True,
        log: str | os.PathLike[str] | None = None,
    ):
        self.model = model
        self.tools = tools if isinstance(tools, Toolset) else Toolset(tools)
        self.instructions = instructions
        self.budget = budget or Budget()
        self.min_confidence = min_confidence
        self.grounding = grounding
        self.dialect: Dialect = get_dialect(model.dialect)
        bos = model.tokenizer.bos_id
        prefix = self.dialect.render_prefix(instructions, list(self.tools))
        self._prefix = ([] if bos is None else [bos]) + model.tokenizer.encode(prefix)
        # Compiled here, so that a schema which no grammar can guarantee is found before the first goal.
        self._first, self._later = (
            self.dialect.grammar(list(self.tools), max_reasoning=self.budget.reasoning_tokens, after_results=after)
            for after in (False, True)
        )
        self.log = RunLog(log) if log is not None else None  # last: a faulty agent leaves no file behind

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

    def decide(self, goal: str) -> Decision:
        """What the first step towards a goal would be: the calls that `run` would make at once. Nothing is executed.

        Raises:
            ContextError: goal and tools do not fit the model's context.
        """
        _check_goal(goal)
        usage = RunUsage()
        if not len(self.tools):
            return Decision(usage=usage)
        began = time.monotonic()
        _, decision = self._decide(self._opening(goal), usage, Evidence(self.instructions, goal), after_results=False)
        usage.seconds = time.monotonic() - began
        return decision

    def _opening(self, goal: str) -> list[int]:
        return self._prefix + self.model.tokenizer.encode(self.dialect.render_user(goal))

    def _steps(self, goal: str, usage: RunUsage) -> Iterator[Step]:
        _check_goal(goal)
        began = time.monotonic()
        run = ""
        if self.log is not None:
            run = self.log.begin({"model": self.model.name, "tools": self.tools.schemas(), "budget": vars(self.budget)})
        for step in self._loop(goal, usage, began):
            if self.log is not None:
                self.log.step(run, step)
            usage.seconds = time.monotonic() - began
            yield step
        if self.log is not None:
            self.log.end(run, {"usage": vars(usage)})

    def _loop(self, goal: str, usage: RunUsage, began: float) -> Iterator[Step]:
        yield Goal(goal)
        if not len(self.tools):
            yield Refusal("no_tool", "there are no tools, so there is nothing to call")
            return
        ids = self._opening(goal)
        said = Evidence(self.instructions, goal)
        done: dict[str, ToolResult] = {}
        while True:
            stop = self.budget.before_turn(usage, began)
            if stop is not None:
                yield stop
                return
            ids, decision = self._decide(ids, usage, said, after_results=bool(done))
            if not decision.calls:
                yield decision.stop or (Answer(decision.text) if done else self.refusal(decision))
                return
            if all(call.key() in done for call in decision.calls):  # doing it again would change nothing
                yield Answer("")
                return
            results: list[ToolResult] = []
            for call in decision.calls:
                result = done.get(call.key())
                if result is None:
                    stop = self.budget.before_call(usage, began)
                    if stop is not None:
                        yield stop
                        return
                    yield Call(call, decision.reasoning, decision.confidence)
                    result = self.tools.execute(call)
                    usage.calls += 1
                    usage.tool_seconds += result.seconds
                    yield Observation(result)
                    if self._changes_things(call):  # what earlier turns read may read differently now
                        done = {key: r for key, r in done.items() if r in results or self._changes_things(r.call)}
                    done[call.key()] = result
                results.append(result)
            text = self.dialect.render_results(results)
            ids = ids + self.model.tokenizer.encode(text)
            said.add(text)

    def _changes_things(self, call: ToolCall) -> bool:
        return call.name in self.tools and self.tools[call.name].permission != "read"

    def _decide(self, ids: list[int], usage: RunUsage, said: Evidence, after_results: bool) -> tuple[list[int], Decision]:
        """The next turn of the model, and what the agent makes of it; the text so far grows by the turn."""
        ids, turn, confidence = self._write(ids, usage, after_results)
        if isinstance(turn, Stop):
            return ids, Decision(stop=turn, usage=usage)
        written, missing = list(turn.calls), ()
        if self.grounding and all(call.name in self.tools for call in written):
            written = [grounded(call, self.tools[call.name], said) for call in written]
            missing = [f"{call.name}.{name}" for call in written for name in inventions(call, self.tools[call.name], said)]
        calls, withheld = _distinct(written), ()
        # The model's confidence is in all calls together, and several are right less often than one: the bar is for each.
        unsure = confidence is not None and confidence < self.min_confidence ** len(calls)
        if unsure or missing:
            calls, withheld = (), calls
        missing = () if unsure else tuple(dict.fromkeys(missing))
        return ids, Decision(calls, withheld, missing, turn.text, turn.reasoning or "", confidence, usage=usage)

    def _write(self, ids: list[int], usage: RunUsage, after_results: bool) -> tuple[list[int], Turn | Stop, float | None]:
        """One turn of the model: the text so far with it, what it says, and how sure the model is of its calls."""
        if len(ids) + 1 >= self.model.context_length:
            text = f"{len(ids)} tokens do not fit the model's context of {self.model.context_length}"
            if not usage.turns:
                raise ContextError(f"goal and tools are too long: {text}; shorten the goal or pass fewer tools")
            return ids, Stop("context", f"stopped: {text}"), None
        usage.turns += 1
        most = min(self.budget.turn_tokens, self.budget.tokens - usage.generated_tokens)
        stream = self.model.stream_tokens(
            ids,
            max_tokens=most,
            constraint=self.model.grammar(self._later if after_results else self._first),
            pin=len(self._prefix),
        )
        tokens = list(stream)
        usage.prompt_tokens += stream.usage.prompt_tokens
        usage.reused_tokens += stream.usage.reused_tokens
        usage.generated_tokens += len(tokens)
        usage.model_seconds += stream.usage.prefill_seconds + stream.usage.decode_seconds
        ids = ids + [token.id for token in tokens]
        truncated = stream.stop_reason == "length"
        try:
            turn = self.dialect.parse_tokens(
                [token.id for token in tokens], self.model.tokenizer.decode, list(self.tools), truncated=truncated
            )
        except ParseError as error:
            return ids, self._unfinished(len(tokens), most) if truncated else Stop("malformed", f"stopped: {error}"), None
        if after_results and not turn.calls:
            return ids, turn, None
        head = self.model.confidence(stream.state)
        return ids, turn, None if head is None else min(head, self.dialect.call_probability(tokens))

    def _unfinished(self, written: int, most: int) -> Stop:
        if written < most:
            return Stop("context", f"stopped: the turn does not fit the model's context of {self.model.context_length} tokens")
        name = "turn_tokens" if most == self.budget.turn_tokens else "tokens"
        return Stop("tokens", f"stopped: the turn was not finished within {most} tokens; raise Budget({name}=...) to go on")

    def refusal(self, decision: Decision) -> Refusal:
        """The step that says why a decision without calls is none."""
        if not decision.withheld:
            return Refusal("no_tool", "no tool fits this goal", (), decision.reasoning, decision.confidence)
        if decision.missing:
            text = f"not called, since nothing that was said gives the number for {', '.join(decision.missing)}; say it"
            return Refusal("missing_value", text, decision.withheld, decision.reasoning, decision.confidence)
        names = ", ".join(call.name for call in decision.withheld)
        needed = self.min_confidence ** len(decision.withheld)
        text = f"not sure enough to call {names} (confidence {decision.confidence:.2g}, {needed:.2g} needed)"
        return Refusal("low_confidence", text, decision.withheld, decision.reasoning, decision.confidence)


def _check_goal(goal: str) -> None:
    if not isinstance(goal, str) or not goal.strip():
        raise ValueError(f"a goal is a text in plain words, received {goal!r}")


def _distinct(calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    """The calls without repetitions of one in the same turn."""
    return tuple({call.key(): call for call in calls}.values())
