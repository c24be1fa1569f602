"""What drives a run: answers its requests with a model, tools and a person, and writes everything down as it happens.

A run that goes on from its log gets the logged replies first; where the log ends, the world takes over.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import Any

from ..tools import ToolCall, ToolResult, Toolset
from ..tools.effects import effect
from .errors import LogEnds, LogError, UsageError
from .log import RunRecord
from .requests import Approve, Ask, Choose, Execute, Request, Write, Written, written_from_json
from .secrets import Secrets
from .steps import Call, Observation, Step, step_from_json, to_json
from .writer import Writer

UNKNOWN = "nobody knows whether this was carried out: the run was interrupted while it ran, and it is not repeated"
_MOST_AT_ONCE = 8
_UNHEARD = object()  # no reply in the log


class Cancelled(Exception):
    """Nobody waits for the run any more."""


@dataclass(frozen=True)
class World:
    """Where replies come from.

    Attributes:
        writer: asks the model.
        tools: carry out calls.
        secrets: kept from the model and the log.
        approve: is asked whether a call may be made, plain or async; None: nobody is there to ask.
        ask: is asked what is missing, plain or async; None: likewise.
    """

    writer: Writer
    tools: Toolset
    secrets: Secrets = field(default_factory=Secrets)
    approve: Callable[[Approve], Any] | None = None
    ask: Callable[[str], Any] | None = None


@dataclass
class Answered:
    """The reply to a request."""

    value: Any


class Session:
    """One run in the world.

    Args:
        world: where replies come from; None for a run that has nothing but its log.
        record: where steps and turns are written down.
        logged: the lines of the run that are there already, as JSON objects.
    """

    def __init__(self, world: World | None, record: RunRecord, logged: Iterable[dict[str, Any]] = ()):
        self._world, self._record = world, record
        self._logged = deque(logged)
        self._resumed_calls: set[int] = set()  # begun in the log
        self._at, self._began = 0.0, None if self._logged else time.monotonic()
        self.cancelled = threading.Event()

    @property
    def at(self) -> float:
        """Seconds that the run had taken when the last reply came, without those between an interruption and its end."""
        return self._at

    def _stamp(self) -> float:
        """Now."""
        assert self._began is not None
        self._at = round(time.monotonic() - self._began, 6)
        return self._at

    def step(self, step: Step) -> None:
        """Write a step down; where the log has it already, compare.

        Raises:
            LogError: the log has something else, or cannot be written.
        """
        if not self._logged:
            self._record.step(step, self._at)
            return
        logged = self._next()
        if logged != json.loads(json.dumps(to_json(step))):
            raise LogError(f"the run does not follow its log: {_short(to_json(step))} instead of {_short(logged)}")
        if isinstance(step, Call):
            self._resumed_calls.add(step.number)
        self._record.keep(step)

    def check_end(self) -> None:
        """LogError where the log has more than the run."""
        if self._logged:
            raise LogError(f"the run ends before its log, which goes on with {_short(self._logged[0])}")

    def answer(self, request: Request) -> Iterator[Step | Answered]:
        """What comes of a request: steps, and last the reply."""
        if isinstance(request, Execute):
            results = {}
            for step in self._heard_observations(request):
                results[step.number] = step.result
                yield step
            for number, result in self._execute_all(request, [n for n in request.calls if n not in results]):
                results[number] = result
                yield self._observed(number, result)
            yield Answered([results[number] for number in request.calls])
            return
        reply = self._heard(request)
        if reply is _UNHEARD and isinstance(request, Write | Choose):
            reply = self._write(request)
        elif reply is _UNHEARD:
            reply = self._asked(request)
            if inspect.isawaitable(reply):
                getattr(reply, "close", lambda: None)()
                raise UsageError("approve= and ask= are coroutines: await agent.arun(...), or pass plain functions")
            reply = self._settled(reply, request)
            self._stamp()
        yield Answered(reply)

    async def aanswer(self, request: Request) -> AsyncIterator[Step | Answered]:
        """As `answer`, from a coroutine."""
        if isinstance(request, Execute):
            results = {}
            for step in self._heard_observations(request):
                results[step.number] = step.result
                yield step
            tasks = [asyncio.ensure_future(self._aexecute(request, n)) for n in request.calls if n not in results]
            try:
                for task in asyncio.as_completed(tasks):
                    number, result = await task
                    results[number] = result
                    yield self._observed(number, result)
            finally:
                for task in tasks:
                    task.cancel()
            yield Answered([results[number] for number in request.calls])
            return
        reply = self._heard(request)
        if reply is _UNHEARD and isinstance(request, Write | Choose):
            reply = await self._write_in_thread(request)
        elif reply is _UNHEARD:
            reply = self._asked(request)
            reply = self._settled(await reply if inspect.isawaitable(reply) else reply, request)
            self._stamp()
        yield Answered(reply)

    # -- the log ------------------------------------------------------------------------------------------------------

    def _next(self) -> dict[str, Any]:
        logged = dict(self._logged.popleft())
        self._at = float(logged.pop("at", self._at))
        return logged

    def _heard(self, request: Write | Choose | Approve | Ask) -> Any:
        """The reply that the log has, if it goes on."""
        if not self._logged:
            return _UNHEARD
        kind = self._logged[0].get("kind")
        if isinstance(request, Write) and kind == "written":
            written = written_from_json(self._next())
            self._record.keep_written(written)
            return written
        if isinstance(request, Choose) and kind == "chosen":
            return tuple(str(name) for name in self._next().get("names", ()))
        step = self._logged[0]  # the step that follows says the reply, and when it came
        if isinstance(request, Approve) and kind == "approval":
            self._at = float(step.get("at", self._at))
            return None if step.get("by") == "policy" else step.get("granted")
        if isinstance(request, Ask) and kind == "question":
            self._at = float(step.get("at", self._at))
            return step.get("reply")
        raise LogError(f"the run does not follow its log, which goes on with {_short(self._logged[0])}")

    def _heard_observations(self, request: Execute) -> Iterator[Observation]:
        heard: set[int] = set()
        while self._logged and self._logged[0].get("kind") == "observation":
            step = step_from_json(self._next())
            if not isinstance(step, Observation) or step.number not in request.calls or step.number in heard:
                raise LogError(f"the run does not follow its log, which has {_short(to_json(step))}")
            heard.add(step.number)
            self._record.keep(step)
            yield step
        if self._logged and self._logged[0].get("number") in request.calls:
            raise LogError(f"the run does not follow its log, which goes on with {_short(self._logged[0])}")

    # -- the world ----------------------------------------------------------------------------------------------------

    def _live(self) -> World:
        if self._logged:  # the world takes over behind the end of the log, never before
            raise LogError(f"the run does not follow its log, which goes on with {_short(self._logged[0])}")
        if self._world is None:
            raise LogEnds("the log ends here, and there is nothing else that the run could go on with")
        if self._began is None:
            self._began = time.monotonic() - self._at
        return self._world

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled("nobody waits for the run any more")

    def _write(self, request: Write | Choose) -> Written | tuple[str, ...]:
        if isinstance(request, Choose):
            names = self._live().writer.choose(request)
            self._record.chosen(names, self._stamp())
            return names
        written = self._live().writer.write(request, self._check)
        self._record.written(written, self._stamp())
        return written

    async def _write_in_thread(self, request: Write | Choose) -> Written | tuple[str, ...]:
        task = asyncio.ensure_future(asyncio.to_thread(self._write, request))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self.cancelled.set()
            await asyncio.wait([task])  # the thread ends at the next token
            if not task.cancelled():
                task.exception()  # it was told to stop: what it says about that is of no use
            raise

    def _asked(self, request: Approve | Ask) -> Any:
        world = self._live()
        if isinstance(request, Approve):
            return world.approve(request) if world.approve is not None else None
        return world.ask(request.text) if world.ask is not None else None

    def _settled(self, reply: Any, request: Approve | Ask) -> Any:
        """The reply of a person, of the kind that it must be."""
        secrets = self._live().secrets
        if isinstance(request, Approve):
            return reply if reply is None else reply is True
        if reply is not None and not isinstance(reply, str):
            raise UsageError(f"ask= must give a text or None, received {reply!r}")
        return secrets.hide(reply) if secrets else reply

    def _execute_all(self, request: Execute, numbers: list[int]) -> Iterator[tuple[int, ToolResult]]:
        """Results as they come."""
        if len(numbers) < 2:
            for number in numbers:
                yield number, self._execute(request, number)
            return
        with ThreadPoolExecutor(min(len(numbers), _MOST_AT_ONCE), thread_name_prefix="calls") as pool:
            running = {
                pool.submit(contextvars.copy_context().run, self._execute, request, number): number for number in numbers
            }
            for future in as_completed(running):
                yield running[future], future.result()

    def _execute(self, request: Execute, number: int) -> ToolResult:
        world, call = self._live(), request.calls[number]
        known = self._without_executing(request, number)
        if known is not None:
            return known
        with effect(self._effect_key(number)):
            result = world.tools.execute(_filled(call, world.secrets), request.seconds)
        return _hidden(result, call, world.secrets)

    async def _aexecute(self, request: Execute, number: int) -> tuple[int, ToolResult]:
        world, call = self._live(), request.calls[number]
        known = self._without_executing(request, number)
        if known is not None:
            return number, known
        with effect(self._effect_key(number)):
            result = await world.tools.aexecute(_filled(call, world.secrets), request.seconds)
        return number, _hidden(result, call, world.secrets)

    def _without_executing(self, request: Execute, number: int) -> ToolResult | None:
        """The result of a call that must not be executed."""
        self._check()
        call, tools = request.calls[number], self._live().tools
        if request.dry:
            return ToolResult(call, True, {"dry_run": True, "not_called": call.name})
        if number in self._resumed_calls and call.name in tools and not tools[call.name].may_repeat:
            return ToolResult(call, False, error=UNKNOWN, unknown=True)
        return None

    def _effect_key(self, number: int) -> str:
        return f"{self._record.name}-{number}"

    def _observed(self, number: int, result: ToolResult) -> Observation:
        step = Observation(result, number)
        self._record.step(step, self._stamp())
        return step


def _filled(call: ToolCall, secrets: Secrets) -> ToolCall:
    return replace(call, arguments=secrets.fill(call.arguments)) if secrets else call


def _hidden(result: ToolResult, call: ToolCall, secrets: Secrets) -> ToolResult:
    result = replace(result, call=call)
    return replace(result, value=secrets.hide(result.value), error=secrets.hide(result.error)) if secrets else result


def _short(record: dict[str, Any]) -> str:
    text = json.dumps(record, default=repr)
    return text if len(text) <= 120 else text[:119] + "…"
