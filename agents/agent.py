"""The agent: a goal in plain words becomes validated, executed tool calls.

The loop is one generator of typed steps. The model writes a turn under a grammar compiled from the tools' schemas; its calls
are validated and executed; what comes of them is fed back; it ends when the model answers, when no tool fits, when a turn
cannot be read, or when a budget is used up. Wrong calls and the tools' failures become observations; the host's mistakes raise.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..tools import Tool, ToolCall, ToolResult, Toolset
from .budget import Budget
from .decision import Decision
from .dialects import Dialect, Turn, get_dialect
from .errors import ContextError, ParseError, UsageError
from .evidence import Evidence
from .grounding import Grounded, ground
from .lark import compact
from .log import RunLog, RunRecord
from .model import AgentModel
from .steps import Answer, Call, Goal, Observation, Refusal, Run, RunUsage, Step, Stop, describe_failures

MIN_CONFIDENCE = 0.1


@dataclass(frozen=True)
class _Execution:
    """What the loop asks of whoever drives it: the result of a call, within so many seconds."""

    call: ToolCall
    seconds: float | None


class _Cancelled(Exception):
    """Ends the loop in its thread."""


@dataclass
class _Progress:
    """Where a run is: what was said and what it cost so far, and whether it is still wanted."""

    usage: RunUsage
    said: Evidence
    run: Run = field(default_factory=Run)
    began: float = field(default_factory=time.monotonic)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raises where nobody waits for the run any more."""
        if self.cancelled.is_set():
            raise _Cancelled("nobody waits for the run any more")


_Events = Generator[Step | _Execution, ToolResult | None, None]


class Agent:
    """A model, its tools, and the rules of a run.

    Args:
        model: a `LanguageModel`, or anything else that offers `AgentModel`.
        tools: `Tool`s, or typed functions that become tools.
        instructions: system text in front of the tools, such as ``"date: 2026-11-22 Sun 14:30; locale: en-GB"``.
        budget: what one run may cost.
        min_confidence: the calls of a turn are withheld when each of them is less likely to be right than this, by the model's
            own account (0 … 1; 0 withholds none). Steps and decisions give the figure that is compared: of n calls that the
            model gives c together, c ** (1 / n).
        grounding: whether values must rest on what was said: optional ones that do not are left out, and calls with required
            numbers that do not are withheld (see `grounding.py`). Without, the model may work values out by itself.
        log: file that every run is appended to; `close`, or a `with` block around the agent, closes it.

    Raises:
        UsageError: an argument is not what it should be; (when run) a goal is empty.
        LogError: the log cannot be written, or is another file.
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
        _check_settings(instructions, budget, min_confidence)
        self.model = model
        self.tools = tools if isinstance(tools, Toolset) else Toolset(tools)
        self.instructions = instructions
        self.budget = budget or Budget()
        self.min_confidence = min_confidence
        self.grounding = grounding
        self.dialect: Dialect = get_dialect(model.dialect, model.tokenizer)
        bos = model.tokenizer.bos_id
        prefix = self.dialect.render_prefix(instructions, list(self.tools))
        self._prefix = ([] if bos is None else [bos]) + model.tokenizer.encode(prefix)
        # Compiled here, so that a schema which no grammar can guarantee is found before the first goal.
        self._first, self._later = (
            self.dialect.grammar(list(self.tools), max_reasoning=self.budget.reasoning_tokens, after_results=after)
            for after in (False, True)
        )
        self.log = RunLog(log) if log is not None else None  # last: a faulty agent leaves no file behind

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the log, if there is one."""
        if self.log is not None:
            self.log.close()

    def run(self, goal: str) -> Run:
        """Carry out a goal; what happened is in the run."""
        run = Run()
        for step in self.stream(goal, run.usage):
            run.steps.append(step)
        return run

    def stream(self, goal: str, usage: RunUsage | None = None) -> Iterator[Step]:
        """The steps of a run as they happen; what it costs is added up in `usage`, if given."""
        events, reply = self._events(goal, usage, threading.Event()), None
        with contextlib.closing(events):
            while (event := _resume(events, reply)) is not None:
                reply = None
                if not isinstance(event, _Execution):
                    yield event
                    continue
                try:
                    reply = self.tools.execute(event.call, event.seconds)
                except BaseException as error:
                    events.throw(error)  # so that the log says why the run ended

    async def arun(self, goal: str) -> Run:
        """As `run`, from a coroutine: see `astream`."""
        run = Run()
        async with contextlib.aclosing(self.astream(goal, run.usage)) as steps:
            async for step in steps:
                run.steps.append(step)
        return run

    async def astream(self, goal: str, usage: RunUsage | None = None) -> AsyncIterator[Step]:
        """As `stream`, from a coroutine. The model writes in a thread; async tools run on the caller's event loop, plain ones
        in a thread.

        A run that is cancelled calls no more tools: the model stops at its next token, and an async tool is cancelled. A plain
        tool that is running cannot be stopped; what it gives is dropped.
        """
        cancelled = threading.Event()
        events, reply = self._events(goal, usage, cancelled), None
        try:
            while (event := await _resume_in_thread(events, reply, cancelled)) is not None:
                reply = None
                if not isinstance(event, _Execution):
                    yield event
                    continue
                try:
                    reply = await self.tools.aexecute(event.call, event.seconds)
                except BaseException as error:
                    events.throw(error)  # so that the log says why the run ended
        finally:
            # A thread that was given up still runs in the generator, and ends it at the next token.
            cancelled.set()
            with contextlib.suppress(ValueError):
                events.close()

    def decide(self, goal: str) -> Decision:
        """What the first step towards a goal would be: the calls that `run` would make at once. Nothing is executed.

        Raises:
            UsageError: the goal is empty.
            ContextError: goal and tools do not fit the model's context.
        """
        _check_goal(goal)
        progress = _Progress(RunUsage(), Evidence(self.instructions, goal))
        if not len(self.tools):
            return Decision(usage=progress.usage)
        _, decision = self._decide(self._opening(goal), progress, after_results=False)
        progress.usage.seconds = time.monotonic() - progress.began
        return decision

    def _opening(self, goal: str) -> list[int]:
        ids = self._prefix + self.model.tokenizer.encode(self.dialect.render_user(goal))
        if len(ids) + 1 >= self.model.context_length:
            raise ContextError(f"goal and tools are too long: {self._too_long(ids)}; shorten the goal or pass fewer tools")
        return ids

    def _too_long(self, ids: list[int]) -> str:
        return f"{len(ids)} tokens do not fit the model's context of {self.model.context_length}"

    def _events(self, goal: str, usage: RunUsage | None, cancelled: threading.Event) -> _Events:
        """The loop, with every step in the log before it is handed out; the log tells how the run ended, however it ends."""
        _check_goal(goal)
        # Before anything is logged: a goal that is too long is no run.
        ids = self._opening(goal) if len(self.tools) else []
        usage = usage if usage is not None else RunUsage()
        progress = _Progress(usage, Evidence(self.instructions, goal), cancelled=cancelled)
        facts = {"model": self.model.name, "tools": self.tools.schemas(), "budget": vars(self.budget)}
        with RunRecord(self.log, facts, progress.run, usage) as record:
            events, reply = self._loop(goal, ids, progress), None
            while (event := _resume(events, reply)) is not None:
                if not isinstance(event, _Execution):
                    record.step(event)
                usage.seconds = time.monotonic() - progress.began
                reply = yield event

    def _loop(self, goal: str, ids: list[int], progress: _Progress) -> _Events:
        usage, began = progress.usage, progress.began
        yield Goal(goal)
        if not len(self.tools):
            yield Refusal("no_tool", "there are no tools, so there is nothing to call; pass some")
            return
        done: dict[str, ToolResult] = {}
        broken: set[str] = set()
        while True:
            stop = self.budget.before_turn(usage, began)
            if stop is not None:
                yield stop
                return
            ids, decision = self._decide(ids, progress, after_results=bool(done))
            if not decision.calls:
                yield decision.stop or (_answer(progress.run, decision.text) if done else self.refusal(decision))
                return
            # A tool that changes things and failed for good is left alone: what the model makes of the error is no order.
            withheld = {call.key() for call in decision.calls if call.name in broken}
            if all(call.key() in done or call.key() in withheld for call in decision.calls):  # again would change nothing
                yield _answer(progress.run, "")
                return
            results: list[ToolResult] = []
            for call, dropped in zip(decision.calls, decision.dropped):
                result = done.get(call.key())
                if result is None and call.key() in withheld:
                    result = ToolResult(call, False, error=f"not called: {call.name} failed before in this run")
                if result is None:
                    stop = self.budget.before_call(usage, began)
                    if stop is not None:
                        yield stop
                        return
                    progress.check()
                    yield Call(call, decision.reasoning, decision.confidence, dropped, usage.turns)
                    result = yield _Execution(call, self.budget.seconds_left(began))
                    usage.calls += 1
                    usage.tool_seconds += result.seconds
                    yield Observation(result)
                    if self._changes_things(call):  # what earlier turns read may read differently now
                        done = {key: r for key, r in done.items() if r in results or self._changes_things(r.call)}
                        if not result.ok and not result.retry:
                            broken.add(call.name)
                    done[call.key()] = result
                results.append(result)
            # A result of an earlier turn answers this turn's call, whose id the model is told.
            results = self._fitting(ids, [replace(result, call=call) for call, result in zip(decision.calls, results)])
            ids = ids + self.model.tokenizer.encode(self.dialect.render_results(results))
            # An error is no evidence: it may speak of anything, and the values in it are nobody's wish.
            if succeeded := [result for result in results if result.ok]:
                progress.said.add(self.dialect.render_results(succeeded))

    def _changes_things(self, call: ToolCall) -> bool:
        return call.name in self.tools and self.tools[call.name].permission != "read"

    def _fitting(self, ids: list[int], results: list[ToolResult]) -> list[ToolResult]:
        """The results as the model gets to see them: those that its context has no room for are cut, and say so."""
        encode, left = self.model.tokenizer.encode, self.model.context_length - len(ids)
        room = left - min(self.budget.turn_tokens, left // 4)  # the rest is for the next turn
        if len(encode(self.dialect.render_results(results))) <= room:
            return results
        around = len(encode(self.dialect.render_results([])))
        return [self._cut(result, (room - around) // len(results)) for result in results]

    def _cut(self, result: ToolResult, room: int) -> ToolResult:
        """The beginning of a result, with a note, in so many tokens."""
        tokenizer = self.model.tokenizer
        ids = tokenizer.encode(compact(result.value if result.ok else result.error))
        if len(ids) <= room:
            return result
        kept = max(room, 0)
        while True:
            beginning = tokenizer.decode(ids[:kept])
            note = f"too long for the model's context: the first {kept} of {len(ids)} tokens"
            if result.ok:
                cut = replace(result, value={"note": note, "beginning": beginning})
            else:
                cut = replace(result, error=f"{beginning} ({note})")
            if not kept or len(tokenizer.encode(compact(cut.value if cut.ok else cut.error))) <= room:
                return cut
            kept //= 2

    def _decide(self, ids: list[int], progress: _Progress, after_results: bool) -> tuple[list[int], Decision]:
        """The next turn of the model, and what the agent makes of it; the text so far grows by the turn."""
        usage = progress.usage
        ids, turn, confidence = self._write(ids, progress, after_results)
        if isinstance(turn, Stop):
            return ids, Decision(stop=turn, usage=usage)
        written = [Grounded(call) for call in turn.calls]
        if self.grounding and all(call.name in self.tools for call in turn.calls):
            written = [ground(call, self.tools[call.name], progress.said) for call in turn.calls]
        distinct = _distinct(written).values()
        calls, dropped = tuple(item.call for item in distinct), tuple(item.dropped for item in distinct)
        if confidence is not None and calls:
            # The model's opinion is of all calls together, and several are right less often than one.
            confidence = confidence ** (1 / len(calls))
        missing = tuple(dict.fromkeys(name for item in written for name in item.missing))
        beyond = tuple(dict.fromkeys(clause for item in written for clause in item.out_of_range))
        unsure = confidence is not None and confidence < self.min_confidence
        withheld: tuple[ToolCall, ...] = ()
        if unsure or missing or beyond:
            calls, withheld, dropped = (), calls, ()
        if unsure:
            missing = beyond = ()
        reasoning = turn.reasoning or ""
        return ids, Decision(
            calls, withheld, missing, turn.text, reasoning, confidence, usage=usage, out_of_range=beyond, dropped=dropped
        )

    def _write(self, ids: list[int], progress: _Progress, after_results: bool) -> tuple[list[int], Turn | Stop, float | None]:
        """One turn of the model: the text so far with it, what it says, and how sure the model is of its calls."""
        if len(ids) + 1 >= self.model.context_length:
            return ids, Stop("context", f"stopped: {self._too_long(ids)}; use fewer tools, or tools that return less"), None
        usage = progress.usage
        usage.turns += 1
        most = min(self.budget.turn_tokens, self.budget.tokens - usage.generated_tokens)
        stream = self.model.stream_tokens(
            ids,
            max_tokens=most,
            constraint=self.model.grammar(self._later if after_results else self._first),
            pin=len(self._prefix),
        )
        tokens = []
        for token in stream:
            progress.check()
            tokens.append(token)
        usage.prompt_tokens += stream.usage.prompt_tokens
        usage.reused_tokens += stream.usage.reused_tokens
        usage.generated_tokens += len(tokens)
        usage.model_seconds += stream.usage.prefill_seconds + stream.usage.decode_seconds
        written = [token.id for token in tokens]
        ids = ids + written + self.dialect.closing(written)
        truncated = stream.stop_reason == "length"
        try:
            turn = self.dialect.parse_tokens(written, self.model.tokenizer.decode, list(self.tools), truncated=truncated)
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
        """The step that says why a decision without calls is none, and what to do."""
        rest = (decision.withheld, decision.reasoning, decision.confidence)
        names = ", ".join(call.name for call in decision.withheld)
        if not decision.withheld:
            return Refusal("no_tool", "no tool fits this goal; say it in other words, or add a tool for it", *rest)
        if decision.out_of_range:
            text = f"not called, since {'; '.join(decision.out_of_range)}; say one that is allowed"
            return Refusal("out_of_range", text, *rest)
        if decision.missing:
            text = f"not called, since nothing that was said gives the number for {', '.join(decision.missing)}; say it"
            return Refusal("missing_value", text, *rest)
        each = " each" if len(decision.withheld) > 1 else ""
        text = f"not sure enough to call {names} (confidence {decision.confidence:.2g}{each}, {self.min_confidence:.2g} needed)"
        return Refusal("low_confidence", f"{text}; say it in other words, or lower min_confidence", *rest)


def _resume(events: _Events, reply: ToolResult | None) -> Step | _Execution | None:
    """What comes next; None at the end."""
    try:
        return events.send(reply)
    except StopIteration:
        return None


async def _resume_in_thread(events: _Events, reply: ToolResult | None, cancelled: threading.Event) -> Step | _Execution | None:
    task = asyncio.ensure_future(asyncio.to_thread(_resume, events, reply))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        cancelled.set()
        await asyncio.wait([task])  # the thread ends at the next token
        if not task.cancelled():
            task.exception()  # it was told to stop: what it says about that is of no use
        raise


def _answer(run: Run, text: str) -> Answer:
    """The model's words, behind what failed for good: small models call everything done."""
    failed = describe_failures(run.failures)
    return Answer(f"{failed}; the model says: {text}" if failed and text else failed or text)


def _check_settings(instructions: object, budget: object, min_confidence: object) -> None:
    if not isinstance(instructions, str):
        raise UsageError(f"instructions are a text, received {instructions!r}; leave them out where there are none")
    if budget is not None and not isinstance(budget, Budget):
        raise UsageError(f"budget is a Budget, such as Budget(turns=3), received {budget!r}")
    number = isinstance(min_confidence, int | float) and not isinstance(min_confidence, bool)
    if not number or not 0 <= min_confidence <= 1:
        raise UsageError(f"min_confidence is a number from 0 to 1, received {min_confidence!r}")


def _check_goal(goal: object) -> None:
    if not isinstance(goal, str) or not goal.strip():
        raise UsageError(f"a goal is a text in plain words, received {goal!r}")


def _distinct(written: Iterable[Grounded]) -> dict[str, Grounded]:
    """The calls without repetitions of one in the same turn, by key; what was left out of any of them is kept."""
    found: dict[str, Grounded] = {}
    for item in written:
        key = item.call.key()
        earlier = found.get(key)
        dropped = tuple(dict.fromkeys(earlier.dropped + item.dropped)) if earlier else item.dropped
        found[key] = replace(earlier or item, dropped=dropped)
    return found
