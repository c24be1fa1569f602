"""The loop of a run: what is asked of the model, which of its calls are made, and when it ends.

It is one generator of steps and requests (`requests.py`) and computes nothing that could turn out otherwise a second time.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ..tools import ToolCall, ToolResult, Toolset
from .answers import cited
from .coverage import covers, left_out
from .decision import Decision, ending
from .dialects.turn import Turn
from .earlier import conversation_of, hear
from .evidence import Evidence
from .grammar import MAX_CALLS
from .judging import Judge
from .planner import Planner
from .requests import Approve, Ask, Conversation, Events, Execute, Said, Showed, Write
from .retrieval_shortlist import Shortlist
from .settings import Settings
from .steps import Answer, Approval, Call, Goal, Question, Refusal, Run, Stop, describe_failures
from .wording import Span

_LONGEST_GOAL = 4_000  # characters in which what was left out is looked for


class Controller:
    """One run.

    Args:
        settings: its rules.
        tools: what may be called.
        run: whoever drives the run adds each step to it; what it costs is added up here. Where it goes on with an earlier
            one, what was said there is evidence and prompt.
    """

    def __init__(self, settings: Settings, tools: Toolset, run: Run):
        self.settings, self.tools, self.run, self.usage = settings, tools, run, run.usage
        self._shortlist = Shortlist(tools, settings.retrieve)
        self.said = Evidence(settings.now())
        self.said.add("instructions", settings.instructions)
        self.judge = Judge(settings, tools, self.said)
        self._numbers: dict[str, int] = {}  # of the latest call with that key
        self._denied: dict[str, ToolCall] = {}  # by key: calls that were not allowed
        self._done: dict[str, ToolResult] = {}  # by key: what another call of the same would give
        self._broken: set[str] = set()  # tools that change things and failed for good
        self._calls = hear(run.earlier, self.said, tools)  # their numbers go on from there

    def events(self, goal: str) -> Events:
        """The run towards a goal."""
        yield Goal(goal)
        if not len(self.tools):
            yield Refusal("no_tool", "there are no tools, so there is nothing to call; pass some")
            return
        self.said.add("goal", goal)
        before = conversation_of(self.run.earlier)
        if self.settings.planning:
            yield from Planner(self, goal).events(before)
            return
        conversation: Conversation = (*before, Said(goal))
        while True:
            stop = self.settings.budget.before_turn(self.usage)
            if stop is not None:
                yield stop
                return
            conversation, decision = yield from self.turn(conversation)
            question = self.ending(decision)
            if isinstance(question, Question):
                reply, self.usage.seconds = yield Ask(question.text)
                yield replace(question, reply=reply)
                if reply is None:
                    return
                self.said.add("reply", reply)
                conversation = (*conversation, Said(reply))
                continue
            if not decision.calls:
                yield self.last_word(decision)
                return
            # A tool that changes things and failed for good is left alone: what the model makes of the error is no order.
            withheld = self._withheld(decision)
            if all(call.key() in self._denied for call in decision.calls):
                yield self.last_word(Decision(decision.calls, text=decision.text))
                return
            if all(call.key() in self._done or call.key() in withheld for call in decision.calls):  # would change nothing
                yield self.answer("")
                return
            results = yield from self.carry_out(decision)
            if results is None:
                return
            conversation = (*conversation, Showed(results))

    def decide_first(self, goal: str) -> Generator[Any, Any, Decision]:
        """What the run would call first."""
        self.said.add("goal", goal)
        if not self.settings.planning:
            _, decision = yield from self.turn((Said(goal),))
            return decision
        _, decision = yield from self.decide((Said(goal),), goal, (0, len(goal)))
        return decision

    # -- what to call --------------------------------------------------------------------------------------------------

    def decide(
        self,
        conversation: Conversation,
        goal: str,
        part: Span,
        names: tuple[str, ...] | None = None,
        least: int = 0,
        topic: str = "",
    ) -> Generator[Any, Any, tuple[Conversation, Decision]]:
        """As `turn`, for a part of the goal: what it enumerates and the calls leave out is called for, too."""
        before = conversation
        conversation, decision = yield from self.turn(before, least, names, topic)
        while 0 < len(decision.calls) < MAX_CALLS and self.settings.budget.before_turn(self.usage) is None:
            left = left_out(goal, part, decision.calls, decision.evidence) if len(goal) <= _LONGEST_GOAL else []
            if not left:
                break
            longer, more = yield from self.turn(before, len(decision.calls) + 1, names, topic)
            if not _takes_up(decision, more, left):
                break
            conversation, decision = longer, more
        return conversation, decision

    def turn(
        self, conversation: Conversation, least: int = 0, names: tuple[str, ...] | None = None, topic: str = ""
    ) -> Generator[Any, Any, tuple[Conversation, Decision]]:
        """The next turn of the model, and what comes of it under the rules; the conversation grows by the turn.

        Args:
            conversation: what was said so far.
            least: calls that the turn has to have.
            names: of the tools that it may call; default: those that the conversation is about.
            topic: what was said before the latest words, where they point there.
        """
        budget, usage = self.settings.budget, self.usage
        after_results = any(isinstance(entry, Showed) for entry in conversation)
        most = min(budget.turn_tokens, budget.tokens - usage.generated_tokens)
        usage.turns += 1
        if names is None:
            names = yield from self._shortlist.names(conversation)
        written, usage.seconds = yield Write(conversation, names, most, least, partial(self._repeats, conversation))
        usage.prompt_tokens += written.prompt_tokens
        usage.reused_tokens += written.reused_tokens
        usage.generated_tokens += written.generated_tokens
        usage.model_seconds += written.seconds
        conversation = (*conversation, written)
        if written.stop is not None or written.turn is None:
            stop = written.stop
            if stop is not None and stop.reason == "tokens":
                name = "turn_tokens" if most == budget.turn_tokens else "tokens"
                stop = replace(stop, text=f"{stop.text}; raise Budget({name}=...) to go on")
            return conversation, Decision(stop=stop, usage=usage)
        return conversation, self.judge.decided(written, after_results, _latest(conversation), topic, usage)

    def _repeats(self, conversation: Conversation, turn: Turn) -> bool:
        """Whether a turn has calls that were all made, or refused, in this conversation, and nothing has changed since."""
        shown = {result.call.key() for entry in conversation if isinstance(entry, Showed) for result in entry.results}
        over = shown & (self._done.keys() | self._denied.keys())
        return bool(turn.calls) and all(item.call.key() in over for item in self.judge.meant(turn, _latest(conversation)))

    # -- carrying it out ----------------------------------------------------------------------------------------------

    def carry_out(self, decision: Decision, again: bool = False) -> Generator[Any, Any, tuple[ToolResult, ...] | None]:
        """Results of the calls of a decision, in their order; None where a budget ended the run.

        Calls that only read are executed side by side; one that changes things stands alone, and keeps its place among them.

        Args:
            decision: its calls are made.
            again: also those of tools that failed before, since it is not the model that wants them again.
        """
        withheld = set() if again else self._withheld(decision)
        found: dict[str, ToolResult] = {}
        wave: dict[int, ToolCall] = {}
        for call, dropped, evidence in zip(decision.calls, decision.dropped, decision.evidence):
            key, alone = call.key(), self._changes_things(call)
            if alone and wave:
                found |= yield from self._execute(wave)
                wave = {}
            if key in self._done:
                found[key] = self._done[key]
                continue
            if key in withheld:
                found[key] = ToolResult(call, False, error=f"not called: {call.name} failed before in this run")
                continue
            stop = self.settings.budget.before_call(self.usage, len(wave))
            if stop is not None:
                yield from self._execute(wave)
                yield stop
                return None
            refused = yield from self._permitted(call, evidence, decision)
            if refused is not None:
                found[key] = refused
                continue
            self._calls += 1
            turn, number = self.usage.turns, self._calls
            yield Call(call, decision.reasoning, decision.confidence, dropped, turn, number, evidence)
            self._numbers[key] = number
            wave[self._calls] = call
            if alone:
                found |= yield from self._execute(wave)
                wave = {}
                # what was read before may read differently now
                self._done = {k: r for k, r in self._done.items() if self._changes_things(r.call)}
                if not (found[key].ok or found[key].retry or found[key].unknown):
                    self._broken.add(call.name)
        found |= yield from self._execute(wave)
        # A result of an earlier turn answers this turn's call, whose id the model is told.
        results = tuple(replace(found[call.key()], call=call) for call in decision.calls)
        for result in results:
            number, name = self._numbers.get(result.call.key(), 0), result.call.name
            if result.ok:
                self.said.observe(number, self.tools[name], result.call.arguments, result.value)
            elif number and name in self.tools and not self.tools[name].trusted:
                # An error is no evidence: it may speak of anything, and the values in it are nobody's wish. But it is read.
                self.said.distrust(number)
        return results

    def _execute(self, wave: Mapping[int, ToolCall]) -> Generator[Any, Any, dict[str, ToolResult]]:
        """Results by the keys of the calls; whoever drives the run makes steps of them."""
        if not wave:
            return {}
        dry = self.settings.dry_run and any(map(self._changes_things, wave.values()))
        results, self.usage.seconds = yield Execute(dict(wave), self.settings.budget.seconds_left(self.usage), dry)
        self.usage.calls += len(results)
        self.usage.tool_seconds += sum(result.seconds for result in results)
        found = {result.call.key(): result for result in results}
        self._done |= found
        return found

    def _permitted(
        self, call: ToolCall, evidence: Mapping[str, Any], decision: Decision
    ) -> Generator[Any, Any, ToolResult | None]:
        """None where a call may be made; what the model is told where it may not."""
        if call.name not in self.tools or self.settings.dry_run:
            return None
        if call.key() in self._denied:
            return ToolResult(call, False, error="not allowed, as before")
        verdict, reasons = self.settings.permissions.judge(self.tools[call.name], call, evidence, self.said)
        if verdict != "deny" and self._changes_things(call):
            doubts = self._doubts(decision)
            verdict, reasons = "ask" if doubts else verdict, (*reasons, *doubts)
        if verdict == "allow":
            return None
        granted, by = False, "policy"
        if verdict == "ask":
            reply, self.usage.seconds = yield Approve(call, reasons, evidence)
            granted, by = reply is True, "policy" if reply is None else "user"
        yield Approval(call, granted, reasons, by)
        if granted:
            return None
        self._denied[call.key()] = call
        return ToolResult(call, False, error=f"not allowed: {'; '.join(reasons)}")

    def _doubts(self, decision: Decision) -> tuple[str, ...]:
        """Why calls that change something are not made without asking."""
        found = []
        if decision.condition:
            found.append(f"it was wanted only {decision.condition!r}, which nobody has judged")
        if decision.confidence is not None and decision.confidence < self.settings.act_confidence:
            found.append(f"confidence {decision.confidence:.2g} is below {self.settings.act_confidence:.2g}")
        return tuple(found)

    def _changes_things(self, call: ToolCall) -> bool:
        return call.name in self.tools and self.tools[call.name].permission != "read"

    def _withheld(self, decision: Decision) -> set[str]:
        """Keys of the calls of tools that change things and failed for good: what a model makes of the error is no order."""
        return {call.key() for call in decision.calls if call.name in self._broken}

    def may_go_on(self, result: ToolResult) -> bool:
        """Whether a call may be followed by another one of its tool."""
        return result.call.key() not in self._denied and not result.unknown

    # -- how it ends --------------------------------------------------------------------------------------------------

    def last_word(self, decision: Decision) -> Answer | Question | Refusal | Stop | None:
        """The step that ends the run, where there is nothing more to carry out."""
        if decision.stop is not None:
            return decision.stop
        if self._done or (decision.text and self.run.earlier):
            return self.answer(decision.text)
        if self._denied:
            names = ", ".join(dict.fromkeys(call.name for call in self._denied.values()))
            return Refusal("denied", f"not allowed to call {names}, and nothing else was done", tuple(self._denied.values()))
        return ending(decision, self.settings.min_confidence)

    def ending(self, decision: Decision) -> Question | Refusal | Stop | None:
        """The step that says why a decision has no calls; None where it has some."""
        return ending(decision, self.settings.min_confidence)

    def answer(self, text: str) -> Answer:
        """The model's words, behind what failed for good or was not allowed: small models call everything done."""
        denied = [f"{call.name} was not allowed" for call in self._denied.values()]
        failed = "; ".join([*denied, *filter(None, [describe_failures(self.run.failures)])])
        said = f"{failed}; the model says: {text}" if failed and text else failed or text
        return Answer(said, cited(text, self.said)[0])


def _latest(conversation: Conversation) -> str:
    """The user's latest words."""
    return next((entry.text for entry in reversed(conversation) if isinstance(entry, Said)), "")


def _takes_up(decision: Decision, more: Decision, left: list[Span]) -> bool:
    """Whether further calls of a turn take up something that was left out, and rest on what was said."""
    known = {call.key() for call in decision.calls}
    further = [sources for call, sources in zip(more.calls, more.evidence, strict=True) if call.key() not in known]
    return (
        len(more.calls) > len(decision.calls)
        and known <= {call.key() for call in more.calls}
        and all(source.kind != "free" for sources in further for source in sources.values())
        and all(any(covers(span, sources) for span in left) for sources in further)
    )
