"""A goal part by part: what a small model cannot carry, the controller does.

The goal is cut into clauses (`clauses`), and the model gets one at a time with the few tools it may be about (`relevance`).
What a call needs and nobody said is looked up with tools that only read (`lookups`), what was copied badly is put right
(`filling`), and what is then still missing is asked for. A part that points at the one before ("book it") goes on with its
conversation; parts that only read and point at nothing go side by side. A call that failed for the sake of a value is made
again with that value looked up; one that only read, with another tool.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..tools import ArgumentError, Tool, ToolCall, ToolResult
from .clauses import Clause, clauses, whole
from .confidence import MIN_CONFIDENCE
from .coverage import quotes, spans
from .decision import Decision, ending
from .filling import MOMENT, Filling
from .grounding import Grounded, ground, traced
from .lookups import choices, is_about, is_key, is_text, singular, subjects, suppliers, told
from .passages import IN_A_WORD
from .relevance import ranked
from .requests import Ask, Conversation, Events, Said, Showed
from .side_by_side import side_by_side
from .steps import Answer, Part, Plan, Question, Refusal, Step, Stop
from .wording import squashed

if TYPE_CHECKING:
    from .controller import Controller

OFFERED, NEAR = 4, 0.9
"""How many tools the model is shown for a part, and how near to the best they must be."""
WEAK = 0.5
"""Relevance below which words tell nothing, as in another language: the model is shown what it would be without a plan."""
STRONG = 1.5
"""Relevance from which a part is about a tool: it is called, though the model would rather not."""
DOUBT = 0.05
"""Confidence below which even such a call is not made."""
TEXTS = frozenset(("text", "message", "content", "body", "description", "note", "comment"))
"""Parameters for what somebody is to read; the user's words may name it instead of saying it ("the current price")."""
_KEYED_ERROR = re.compile(r"\b(?:code|id|symbol|ticker|identifier)\b", re.IGNORECASE)
_NAMES = re.compile(r"\b(?:the|my|our|its|their|everything|what|how|when|where|which)\b", re.IGNORECASE)
"""Words with which the user names what a text should say."""
_CONDITION = re.compile(
    r"(?<!check )(?<!see )(?<!me )(?<!know )(?<!out )(?<!ask )(?<!verify )(?<!tell )(?<!look )"
    r"\b(?:only\s+)?(?:if|unless|provided(?:\s+that)?|in\s+case|as\s+long\s+as)\b[^,.;!?]*",
    re.IGNORECASE,
)
"""Words under which something is wanted; "tell me if" is a question."""
_ROUNDS = 3  # times that a failed call is mended
_ASKED = 3  # tools that are asked for one value
_SUBJECTS = 4  # words that one tool is asked about

Ended = Generator[Any, Any, tuple[Conversation, Step]]


class _OverError(Exception):
    """A budget ended the run within a part."""


class Planner:
    """Carries out one goal.

    Args:
        controller: whose run it is.
        goal: what the user said.
    """

    def __init__(self, controller: Controller, goal: str):
        self._run, self._goal = controller, goal
        self._tools, self._said, self._judge = controller.tools, controller.said, controller.judge
        self._filling = Filling(goal, controller.said, controller.settings.now())
        self._topic = ""  # what earlier parts were about
        self._seen: list[ToolResult] = []  # results, the earliest first

    def events(self, before: Conversation) -> Events:
        """The run, one part after the other.

        Args:
            before: what was said in earlier runs.
        """
        parts = clauses(self._goal)
        if len(parts) == 1:
            parts = [whole(self._goal)]
        else:
            yield Plan(tuple(Part(part.text, (part.start, part.end)) for part in parts))
        thread = before
        ends: list[Step] = []
        for group in self._groups(parts):
            kept = thread if group[0].refers else before
            work = [self._part((*(before if at else kept), Said(part.text)), part) for at, part in enumerate(group)]
            try:
                found = yield from side_by_side(work)
            except _OverError:
                return
            thread = found[-1][0]
            for _, end in found:
                if isinstance(end, Stop | Question):
                    yield end
                    return
                ends.append(end)
            self._topic = " ".join([self._topic, *(part.text for part in group)])
        yield self._together(ends)

    def _groups(self, parts: Sequence[Clause]) -> list[list[Clause]]:
        """The parts in order, those together that come one behind the other, only read and point at nothing before them."""
        groups: list[list[Clause]] = []
        reading = False
        for part in parts:
            reads = not part.refers and self._only_reads(part)
            if reads and reading:
                groups[-1].append(part)
            else:
                groups.append([part])
            reading = reads
        return groups

    def _only_reads(self, part: Clause) -> bool:
        names = self._offered(part)
        return names is not None and all(self._tools[name].permission == "read" for name in names)

    def _together(self, ends: list[Step]) -> Step:
        """How the run ends, from how its parts did."""
        denied = self._run.last_word(Decision())
        if isinstance(denied, Refusal) and denied.reason == "denied":
            return denied
        if not any(isinstance(end, Answer) for end in ends):
            return ends[0]
        return self._run.answer(
            " ".join(dict.fromkeys(end.text for end in ends if isinstance(end, Answer | Refusal) and end.text))
        )

    def _ranked(self, part: Clause) -> list[tuple[str, float]]:
        return self._judge.ranked(part.text, self._topic if part.refers else "")

    def _offered(self, part: Clause) -> tuple[str, ...] | None:
        """Names of the tools that the model is shown for a part; None where its words do not tell."""
        found = self._ranked(part)
        if found[0][1] < WEAK:
            return None
        chosen = {name for name, score in found[:OFFERED] if score >= NEAR * found[0][1]}
        return tuple(name for name in self._tools.names if name in chosen)

    # -- one part -----------------------------------------------------------------------------------------------------

    def _part(self, before: Conversation, part: Clause, others: tuple[str, ...] | None = None, last_try: bool = False) -> Ended:
        """Carry out one part: the conversation behind it, and the step it ends with.

        Args:
            others: tools to offer in place of those that it is about.
        """
        run, names = self._run, others or self._offered(part)
        stop = run.settings.budget.before_turn(run.usage)
        if stop is not None:
            return before, stop
        strong = self._ranked(part)[0][1] >= STRONG
        conversation, decision = yield from run.decide(
            before, self._goal, (part.start, part.end), names, int(strong), self._topic if part.refers else ""
        )
        if decision.stop is not None:
            return conversation, decision.stop
        calls = decision.calls or decision.withheld
        if not calls:
            text = f"no tool fits {part.text!r}"
            return before, run.ending(decision) if part.text == self._goal else Refusal("no_tool", text, (), decision.reasoning)
        filled: list[Grounded] = []
        for call in calls:
            filled.append((yield from self._filled(call, part)))
        missing = tuple(dict.fromkeys(name for item in filled for name in item.missing))
        beyond = tuple(dict.fromkeys(clause for item in filled for clause in item.out_of_range))
        least = self._least(strong)
        unsure = not decision.calls and decision.confidence is not None and decision.confidence < least
        if missing or beyond or unsure:
            if unsure:
                missing = beyond = ()
            made = tuple(item.call for item in filled)
            asked = replace(decision, calls=(), withheld=made, missing=missing, out_of_range=beyond)
            question = ending(asked, least)
            if not isinstance(question, Question):
                return before, question
            return (yield from self._asked(question, conversation, part, names))
        condition = _CONDITION.search(part.text)
        decision = replace(decision, condition="" if condition is None else condition[0].strip())
        results = yield from self._made(_decided(decision, filled), part)
        instead = () if last_try else self._instead(results, names or ())
        if instead:
            after, end = yield from self._part(before, part, instead, True)
            if isinstance(end, Answer) and self._seen and self._seen[-1].call.name in instead:
                return after, end
        conversation = (*conversation, Showed(results))
        stop = run.settings.budget.before_turn(run.usage)
        if stop is not None:
            return conversation, stop
        after, closing = yield from run.turn(conversation, 0, names)
        if closing.stop is None and not closing.calls and not closing.withheld:
            return after, Answer(closing.text)
        return conversation, Answer("")

    def _least(self, strong: bool) -> float:
        """Confidence from which the call for a part is made; what a person asks for beyond the usual goes for every call."""
        settings = self._run.settings
        usual = MIN_CONFIDENCE if settings.calibration is None else settings.calibration.confirm
        return min(settings.min_confidence, DOUBT) if strong and settings.min_confidence <= usual else settings.min_confidence

    def _instead(self, results: Sequence[ToolResult], names: Sequence[str]) -> tuple[str, ...]:
        """Tools to try in place of one that failed, where all of them only read."""
        if len(results) != 1 or results[0].ok or self._tools[results[0].call.name].permission != "read":
            return ()
        return tuple(name for name in names if name != results[0].call.name and self._tools[name].permission == "read")

    def _asked(self, question: Question, conversation: Conversation, part: Clause, names: tuple[str, ...] | None) -> Ended:
        """What the part comes to with the user's reply."""
        run = self._run
        reply, run.usage.seconds = yield Ask(question.text)
        question = replace(question, reply=reply)
        if reply is None:
            return conversation, question
        yield question
        run.said.add("reply", reply)
        return (yield from self._part((*conversation, Said(reply)), part, names, True))

    def _made(self, decision: Decision, part: Clause) -> Generator[Any, Any, tuple[ToolResult, ...]]:
        """Results of the calls of a part, those that can be mended once more."""
        results = list((yield from self._carried_out(decision)))
        for at in range(len(results)):
            for _ in range(_ROUNDS):
                again = (yield from self._again(results[at], part)) if self._run.may_go_on(results[at]) else None
                if again is None:
                    break
                (results[at],) = yield from self._carried_out(replace(again, condition=decision.condition), True)
        return tuple(results)

    def _carried_out(self, decision: Decision, again: bool = False) -> Generator[Any, Any, tuple[ToolResult, ...]]:
        results = yield from self._run.carry_out(decision, again)
        if results is None:
            raise _OverError
        self._seen += [result for result in results if result.ok]
        return results

    def _again(self, result: ToolResult, part: Clause) -> Generator[Any, Any, Decision | None]:
        """What to do about a result: a search for one where there was none of several, a value looked up that was refused."""
        call, tool = result.call, self._tools[result.call.name]
        if result.ok:
            other = singular(call) if result.value in ([], {}, "") and tool.permission == "read" else None
            return None if other is None else _decided(Decision(), [ground(other, tool, self._said)])
        properties = tool.parameters.get("properties", {})
        for name, value in call.arguments.items():
            keyed = is_key(name, properties.get(name, {})) or _KEYED_ERROR.search(result.error)
            if not value or str(value) not in result.error or not keyed:
                continue
            known = yield from self._looked_up(tool, name, call.arguments, replace(part, refers=False))
            if known is not None and known[0] != value:
                found = ground(ToolCall(call.name, {**call.arguments, name: known[0]}, call.id), tool, self._said)
                return None if found.missing else _decided(Decision(), [found])
        return None

    # -- what a call needs --------------------------------------------------------------------------------------------

    def _filled(self, call: ToolCall, part: Clause) -> Generator[Any, Any, Grounded]:
        """The call with slips put right and what nobody said looked up; what is then missing is named."""
        if not self._run.settings.grounding:
            return self._judge.grounded(call)
        tool = self._tools[call.name]
        before = self._seen[-1] if self._seen else None
        arguments = self._filling.mended(call, tool, part, before, ground(call, tool, self._said, strict=True))
        found = ground(ToolCall(call.name, arguments), tool, self._said, strict=True)
        unknown = self._filling.unknown(arguments, tool, found)
        if part.refers:
            arguments = self._filling.referred(arguments, tool, part, before, unknown)
        arguments, unsaid = yield from self._quoted(arguments, tool, part)
        invented = [name for name in unknown if _is_moment(arguments[name]) and not part.refers]
        for name in [name for name in unknown if name not in invented]:
            known = yield from self._looked_up(tool, name, arguments, part)
            if known is not None:
                arguments = {**arguments, name: known[0]}
                unknown.remove(name)
        strict = self._run.settings.grounding == "strict"
        grounded = ground(ToolCall(call.name, arguments, call.id), tool, self._said, strict=strict)
        lacking = [name for name in unknown if name in invented or isinstance(arguments[name], int | float)] + unsaid
        required = tool.parameters.get("required", [])
        missing = [f"{call.name}.{name}" for name in lacking if name in required]
        return replace(grounded, missing=tuple(dict.fromkeys([*grounded.missing, *missing])))

    def _quoted(
        self, arguments: dict[str, Any], tool: Tool, part: Clause
    ) -> Generator[Any, Any, tuple[dict[str, Any], list[str]]]:
        """The arguments with texts that the user named and did not say as results have them, and those that nobody said."""
        found, unsaid = dict(arguments), []
        for name, value in arguments.items():
            if not isinstance(value, str) or name.lower() not in TEXTS or self._is_quoted(value):
                continue
            text = told(part.text, tool, self._seen, name) if part.refers else None
            if text is None and _NAMES.search(part.text):
                near = [
                    other for other in self._judge.near(part.text) if other.permission == "read" and other.name != tool.name
                ]
                for reader, _ in ranked(part.text, near)[:2]:
                    result = yield from self._read(self._tools[reader], part)
                    text = None if result is None else told(part.text, tool, [result], name)
                    if text is not None:
                        break
            if text is not None:
                found[name] = text
            elif squashed(value) not in squashed(part.text):
                unsaid.append(name)
        return found, unsaid

    def _is_quoted(self, value: str) -> bool:
        """Whether the user gave these words as they are."""
        source = self._said.find(value)
        if source is not None and source.kind == "reply":
            return True
        said = (self._goal[begin:end].strip("\"'“”‘’`").strip() for begin, end in quotes(self._goal))
        return not value or value.strip() in said

    def _looked_up(
        self, tool: Tool, name: str, arguments: dict[str, Any], part: Clause
    ) -> Generator[Any, Any, tuple[Any] | None]:
        """A value from earlier results, or from a tool that may tell it."""
        if part.refers:
            seen = choices(tool, name, [result.value for result in self._seen], part.text)
            if seen:
                return (seen[0],)
        known = {other for other in arguments if other != name}
        for supplier in suppliers(tool, name, self._judge.near(f"{part.text} {name}"), part.text, known)[:_ASKED]:
            for result in (yield from self._supplied(self._tools[supplier], tool, name, arguments, part)):
                found = choices(tool, name, [result.value], part.text)
                if found and (result.call.arguments or (len(found) == 1 and is_about(result, part.text))):
                    return (found[0],)
        return None

    def _supplied(
        self, supplier: Tool, tool: Tool, name: str, arguments: dict[str, Any], part: Clause
    ) -> Generator[Any, Any, list[ToolResult]]:
        """Results of a tool that only reads, called for the sake of a value."""
        required, properties = supplier.parameters.get("required", []), supplier.parameters.get("properties", {})
        words = self._subjects(tool, name, arguments, part)
        if not required:
            texts = [key for key, schema in properties.items() if is_text(schema) and not is_key(key, schema)]
            sought = [{texts[0]: word} for word in words[:1]] if len(texts) == 1 else []
            tried: Sequence[dict[str, Any]] = [*sought, {}]
        elif all(key in arguments and key != name for key in required):
            tried = [{key: arguments[key] for key in required}]
        elif len(required) == 1 and is_text(properties.get(required[0])):
            tried = [{required[0]: word} for word in words[:_SUBJECTS]]
        else:
            _, decision = yield from self._run.turn((Said(part.text),), 1, (supplier.name,))
            tried = [call.arguments for call in (decision.calls or decision.withheld)[:1]]
        results: list[ToolResult] = []
        for values in tried:
            result = yield from self._result(supplier, values)
            if result is None or not result.ok:
                continue
            results.append(result)
            if result.value not in ([], {}, "", None):
                return [result]
        return results

    def _result(self, tool: Tool, arguments: dict[str, Any]) -> Generator[Any, Any, ToolResult | None]:
        """What a tool that only reads gives; None where its arguments rest on nothing."""
        try:
            tool.validate(arguments)
        except ArgumentError:
            return None
        found = ground(ToolCall(tool.name, arguments), tool, self._said, strict=True)
        if found.missing or any(source.rule == IN_A_WORD for source in found.evidence.values()):
            return None
        (result,) = yield from self._carried_out(_decided(Decision(), [found]))
        return result

    def _read(self, tool: Tool, part: Clause) -> Generator[Any, Any, ToolResult | None]:
        """What a tool that only reads gives for a part, called as the model would."""
        _, decision = yield from self._run.turn((Said(part.text),), 1, (tool.name,))
        for call in (decision.calls or decision.withheld)[:1]:
            arguments = self._filling.copied(call.arguments, tool, part)
            found = ground(ToolCall(call.name, arguments), tool, self._said, strict=True)
            for name in self._filling.unknown(arguments, tool, found):
                known = yield from self._looked_up(tool, name, arguments, replace(part, refers=False))
                if known is None:
                    return None
                arguments = {**arguments, name: known[0]}
            result = yield from self._result(tool, arguments)
            return result if result is not None and result.ok else None
        return None

    def _subjects(self, tool: Tool, name: str, arguments: dict[str, Any], part: Clause) -> list[str]:
        """What to look for when a value of a call is not known."""
        others = {key: value for key, value in arguments.items() if key != name}
        used = [
            (max(0, begin - part.start), end - part.start)
            for source in traced(ToolCall(tool.name, others), tool, self._said).values()
            for begin, end in spans(source)
            if end > part.start and begin < part.end
        ]
        found = subjects(part.text, used, tool)
        given = arguments.get(name)
        source = self._said.find(given) if isinstance(given, str) else None
        if source is not None and source.kind in ("goal", "reply") and source.rule != IN_A_WORD:
            found = [given, *found]
        return list(dict.fromkeys(found))


def _decided(decision: Decision, filled: Sequence[Grounded]) -> Decision:
    """The decision with its calls as they are to be made."""
    return replace(
        decision,
        calls=tuple(item.call for item in filled),
        withheld=(),
        missing=(),
        out_of_range=(),
        dropped=tuple(item.dropped for item in filled),
        evidence=tuple(item.evidence for item in filled),
    )


def _is_moment(value: Any) -> bool:
    return isinstance(value, str) and MOMENT.fullmatch(value) is not None
