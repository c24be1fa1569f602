"""The agent: a goal in plain words becomes validated, executed tool calls.

The model writes a turn under a grammar compiled from the tools' schemas; its calls are validated, permitted and executed; what
comes of them is fed back; it ends when the model answers, when no tool fits, when a turn cannot be read, or when a budget is
used up. Wrong calls and the tools' failures become observations; the host's mistakes raise. The rules are in `controller.py`;
here is what a user holds, and what drives a run: `session.py` answers what it asks.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ..tools import Tool, Toolset
from .budget import Budget
from .confidence import MIN_CONFIDENCE, Calibration
from .controller import Controller
from .decision import Decision, ending
from .earlier import trace_from_json, trace_of, trace_to_json
from .errors import LogError, UsageError
from .log import LoggedRun, RunLog, RunRecord, check_weights, read_runs
from .model import AgentModel
from .permissions import Permissions
from .presets import door
from .replay import declaration, drive, next_event
from .requests import Approve, Choose
from .retrieval import Retriever
from .retrieval_shortlist import shown_at_most
from .secrets import Secrets
from .session import Answered, Session, World
from .settings import Settings
from .steps import Question, Refusal, Run, RunUsage, Step, Stop
from .writer import Writer


class Agent:
    """A model, its tools, and the rules of a run.

    Args:
        model: a `LanguageModel`, or anything else that offers `AgentModel`.
        tools: `Tool`s, or typed functions that become tools.
        instructions: system text in front of the tools, such as ``"date: 2026-11-22 Sun 14:30; locale: en-GB"``.
        budget: what one run may cost.
        min_confidence: the calls of a turn are withheld when each of them is less likely to be right than this (0 … 1; 0
            withholds none). Steps and decisions give the figure that is compared: calibrated where the model's preset comes
            with a calibration (`confidence.py`), which then also gives the default; otherwise the model's own account, of n
            calls that it gives c together c ** (1 / n), and 0.1.
        act_confidence: calls that change something are asked about when they are less likely to be right than this. Default:
            that of the calibration, or else 0, which asks about none.
        calibration: what makes a probability of the model's account (`confidence.py`); True: the model's own, False: none.
        grounding: whether values must rest on what was said: optional ones that do not are left out, and calls with required
            numbers that do not are withheld (see `grounding.py`). "strict": every string and number must, unless its tool says
            otherwise. Without, the model may work values out by itself.
        permissions: what may be done without being asked.
        approve: is asked for the rest, plain or async: gets an `Approve` (the call, the reasons, the evidence of each value)
            and says True or False. Without one, what would be asked about is not done.
        ask: is asked what is missing, plain or async: gets a question and gives the reply, or None. Without one, a question
            ends the run.
        secrets: values by name that tools need and the model and the log must not see; see `secrets.py`.
        dry_run: tools that change things are not executed; the steps tell what would have been.
        clock: when the runs take place, such as ``"2026-11-22T14:30"``, so that "tomorrow" is a date. Default: what the
            instructions say of it.
        retrieve: most tools that the model is shown in a turn, and may call: those that the goal is about. Default: all where
            they are few (16, in half of the model's context), or else 8.
        retriever: ranks the tools; default: by their words (`LexicalIndex`). See `retrieval_embeddings.py` for embeddings.
        planning: whether the goal is carried out clause by clause, and what a call needs and nobody said is looked up (see
            `planner.py`). Default: where the model does one thing at a time (`AgentModel.one_at_a_time`).
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
        min_confidence: float | None = None,
        act_confidence: float | None = None,
        calibration: Calibration | bool = True,
        grounding: bool | Literal["strict"] = True,
        permissions: Permissions | None = None,
        approve: Callable[[Approve], Any] | None = None,
        ask: Callable[[str], Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        dry_run: bool = False,
        clock: str | None = None,
        retrieve: int | None = None,
        retriever: Retriever | None = None,
        planning: bool | None = None,
        log: str | os.PathLike[str] | None = None,
    ):
        hidden = Secrets(secrets)
        fitted = _fitted(model) if calibration is True else calibration or None
        if min_confidence is None:
            min_confidence = MIN_CONFIDENCE if fitted is None else fitted.confirm
        if act_confidence is None:
            act_confidence = 0.0 if fitted is None else fitted.act
        self.settings = Settings(
            hidden.hide(instructions),
            Budget() if budget is None else budget,
            min_confidence,
            grounding,
            permissions or Permissions(),
            dry_run,
            clock,
            getattr(model, "one_at_a_time", False) if planning is None else planning,
            act_confidence=act_confidence,
            calibration=fitted,
        )
        self.model = model
        self.tools = tools if isinstance(tools, Toolset) else Toolset(tools)
        writer = Writer(model, self.tools, self.settings.instructions, self.settings.budget.reasoning_tokens, retriever)
        self.settings = replace(self.settings, retrieve=shown_at_most(writer, retrieve))
        self.world = World(writer, self.tools, hidden, approve, ask)
        self.settings.permissions.check_names(self.tools)
        if self.settings.retrieve is None:
            # Compiled here, so that a schema which no grammar can guarantee is found before the first goal.
            for after_results in (False, True):
                writer.grammar(self.tools.names, after_results)
        self.log = RunLog(log) if log is not None else None  # last: a faulty agent leaves no file behind

    @classmethod
    def from_preset(cls, name: str | os.PathLike[str], *, model: Any = None, backend: str | None = None, **given: Any) -> Agent:
        """The agent of a preset: its model is loaded and its tools are made.

        Args:
            name: of an agent preset (see `ferrule agents`), or the path of a file or folder that `save_preset` wrote.
            model: one that is loaded, or the name of a model preset; default: the preset's.
            backend: of the model; default: the preset's.
            given: arguments of `Agent`, and options of the tools (such as ``folder="notes"``), in place of the preset's. The
                clock, if nothing says otherwise, is now.

        Raises:
            HubError: there is no such preset, model or option, or one is missing; see `ferrule.hub.errors`.
            ToolDefinitionError: the tools cannot be made with these options.
            UsageError: an argument is not what it should be.

        >>> agent = Agent.from_preset("smart_home")  # doctest: +SKIP
        >>> agent.run("turn on the kitchen lights").answer  # doctest: +SKIP
        'Kitchen lights are now on.'
        """
        return door("load")(name, model=model, backend=backend, **given)

    def save_preset(self, path: str | os.PathLike[str], *, title: str = "", description: str = "") -> Path:
        """Write what `from_preset` makes this agent of again: the names of model and tools, and the rules of a run.

        Not the log, secrets, callbacks, `retriever`, `dry_run` and the clock, which belong to one use of it. A model that has
        no `source` is not named either, and has to be given again.

        Args:
            path: a `.json` file, or a folder, in which it is `agent.json`.
            title, description: for whoever reads it.

        Returns:
            The file.

        Raises:
            HubError: a tool cannot be named (it is no tool of the library, of a file, of an OpenAPI document or of an MCP
                server), or the file cannot be written.
        """
        return door("save")(self, path, title=title, description=description)

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the log, if there is one."""
        if self.log is not None:
            self.log.close()

    def run(self, goal: str, *, earlier: Run | None = None) -> Run:
        """Carry out a goal; what happened is in the run.

        Args:
            goal: in plain words.
            earlier: a run that this one goes on with, as in a conversation: the model reads what was said and done there, and
                values may rest on it. The budget is this run's own.
        """
        run = self._new(earlier)
        for _ in self._stream(goal, run):
            pass
        return run

    def stream(
        self, goal: str, usage: RunUsage | None = None, *, earlier: Run | None = None, execute: bool = True
    ) -> Iterator[Step]:
        """The steps of a run as they happen; what it costs is added up in `usage`, if given.

        Without `execute` the run ends with the first calls that it decides on: for tools that have no function to run.
        """
        return self._stream(goal, self._new(earlier, usage), execute)

    def _stream(self, goal: str, run: Run, execute: bool = True) -> Iterator[Step]:
        goal = self._checked(goal)
        record, controller = self._begin(run)
        return drive(controller, Session(self.world, record), record, goal, execute)

    async def arun(self, goal: str, *, earlier: Run | None = None) -> Run:
        """As `run`, from a coroutine: see `astream`."""
        run = self._new(earlier)
        async with contextlib.aclosing(self._astream(goal, run)) as steps:
            async for _ in steps:
                pass
        return run

    def astream(self, goal: str, usage: RunUsage | None = None, *, earlier: Run | None = None) -> AsyncIterator[Step]:
        """As `stream`, from a coroutine. The model writes in a thread; async tools run on the caller's event loop, plain ones
        in a thread.

        A run that is cancelled calls no more tools: the model stops at its next token, and an async tool is cancelled. A plain
        tool that is running cannot be stopped; what it gives is dropped.
        """
        return self._astream(goal, self._new(earlier, usage))

    async def _astream(self, goal: str, run: Run) -> AsyncGenerator[Step, None]:
        goal = self._checked(goal)
        record, controller = self._begin(run)
        session = Session(self.world, record)
        events, reply = controller.events(goal), None
        try:
            with record, contextlib.closing(events):
                while (event := next_event(events, reply)) is not None:
                    reply = None
                    if isinstance(event, Step):
                        session.step(event)
                        yield event
                        continue
                    async with contextlib.aclosing(session.aanswer(event)) as found:
                        async for item in found:
                            if isinstance(item, Answered):
                                reply = (item.value, session.at)
                            else:
                                yield item
        finally:
            session.cancelled.set()

    def resume(self, log: str | os.PathLike[str] | None = None) -> Run:
        """Go on with the last run of a log that did not get to its end, because the program was killed.

        Nothing that the log knows of is done again: the run takes its turns and results from there. A call that had begun and
        whose result is not in the log is surfaced as one whose outcome is unknown; only calls of tools that may be repeated
        (`Tool.may_repeat`) are made again, with the same `effect_key`. The log grows by the rest of the run.

        Args:
            log: the file; default: the agent's own.

        Returns:
            The whole run, what was logged included.

        Raises:
            LogError: there is no unfinished run, or it was one with other tools or rules.
        """
        path = log if log is not None else self.log.path if self.log is not None else None
        if path is None:
            raise UsageError("there is no log to go on from: name one, or give the agent one")
        logged = _unfinished(path)
        facts = self.facts()
        check_weights(logged, facts.get("source"), path)
        differing = [name for name, value in facts.items() if name != "source" and logged.facts.get(name) != value]
        if differing:
            raise LogError(f"the run in {path} cannot go on: its {', '.join(differing)} were others than this agent's")
        own = self.log if log is None and self.log is not None else RunLog(path)
        try:
            run = Run(earlier=trace_from_json(logged.facts.get("earlier", [])), model=self.model.name)
            record = RunRecord(own, facts, run, resumed=logged.name)
            controller = Controller(self.settings, self.tools, record.run)
            for _ in drive(controller, Session(self.world, record, logged.records), record, logged.goal):
                pass
        finally:
            if own is not self.log:
                own.close()
        return record.run

    def decide(self, goal: str) -> Decision:
        """What the first step towards a goal would be: the calls that `run` would make at once. Nothing is executed.

        Raises:
            UsageError: the goal is empty.
            ContextError: goal and tools do not fit the model's context.
        """
        goal = self._checked(goal)
        usage = RunUsage()
        if not len(self.tools):
            return Decision(usage=usage)
        record = RunRecord(None, {}, Run(usage=usage))
        session = Session(self.world, record)
        asked = Controller(self.settings, self.tools, record.run).decide_first(goal)
        reply = None
        while True:
            try:
                request = asked.send(reply)
            except StopIteration as end:
                usage.seconds = session.at
                return end.value
            (answered,) = session.answer(request)
            reply = (answered.value, session.at)

    def _checked(self, goal: object) -> str:
        """The goal, without secrets."""
        if not isinstance(goal, str) or not goal.strip():
            raise UsageError(f"a goal is a text in plain words, received {goal!r}")
        # Before anything is logged: a goal that is too long is no run.
        goal = self.world.secrets.hide(goal)
        if len(self.tools):
            writer, most = self.world.writer, self.settings.retrieve
            writer.check_room(goal, self.tools.names if most is None else writer.choose(Choose(goal, most)))
        return goal

    def _new(self, earlier: Run | None, usage: RunUsage | None = None) -> Run:
        before = trace_of(earlier, self.model.name)
        return Run(usage=RunUsage() if usage is None else usage, earlier=before, model=self.model.name)

    def _begin(self, run: Run) -> tuple[RunRecord, Controller]:
        facts = self.facts() if self.log is not None else {}
        if run.earlier:
            facts["earlier"] = trace_to_json(run.earlier)
        record = RunRecord(self.log, facts, run)
        return record, Controller(self.settings, self.tools, record.run)

    def ending(self, decision: Decision) -> Question | Refusal | Stop | None:
        """The step with which a run would end after such a decision; None where it has calls."""
        return ending(decision, self.settings.min_confidence)

    def facts(self) -> dict[str, Any]:
        """What the opening line of a run in a log says."""
        facts = {"model": self.model.name, "dialect": self.model.dialect, "tools": self._declared, **self.settings.to_json()}
        if source := getattr(self.model, "source", None):
            facts["source"] = source  # where its weights came from, so that they are found again
        return {name: value if name == "tools" else json.loads(json.dumps(value)) for name, value in facts.items()}

    @cached_property
    def _declared(self) -> list[dict[str, Any]]:
        """The tools as a log gives them back."""
        return json.loads(json.dumps([declaration(tool) for tool in self.tools]))


def _unfinished(path: str | os.PathLike[str]) -> LoggedRun:
    """The last run of a log that did not get to its end."""
    # without its goal in the log, nothing of a run has happened
    runs = [run for run in read_runs(path) if run.reason is None and run.records]
    if not runs:
        raise LogError(f"every run in {path} got to its end: there is nothing to go on with")
    return runs[-1]


def _fitted(model: AgentModel) -> Calibration | None:
    """The calibration that a model comes with."""
    found = getattr(model, "calibration", None)
    return None if found is None else Calibration.from_json(found)
