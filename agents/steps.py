"""The typed steps of a run. A run is a list of these, in the order in which they happened, and nothing else.

Every step is a frozen dataclass that goes to a JSON object and back (`to_json`, `step_from_json`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from ..tools import ToolCall, ToolResult
from .errors import LogError, RunError


@dataclass(frozen=True)
class Goal:
    """What was asked, in the user's words."""

    kind: ClassVar[str] = "goal"
    text: str


@dataclass(frozen=True)
class Part:
    """A part of a goal that can be carried out by itself.

    Attributes:
        text: in the words of the goal, made complete where they lean on an earlier part.
        span: of those words in the goal: first character and the one behind the last.
        after: numbers of the parts (from 0) whose results it needs, all of them earlier ones.
    """

    text: str
    span: tuple[int, int]
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """How the goal is taken apart; a goal of one part has no plan."""

    kind: ClassVar[str] = "plan"
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Source:
    """Where a value of a call comes from.

    Attributes:
        kind: "goal", "instructions", "reply" (to a question), "observation", "schema" (a default, or a listed value), or "free"
            (the model's own words).
        at: for texts the span, as ``"12:18"``; for an observation the number of its call and a JSON pointer into its value, as
            ``"2#/items/0/name"``, and, where it is a part of that text, the span behind it; for a schema the keyword.
        text: the words that it rests on.
        rule: how it follows from them, where it is not there as it stands ("number word", "duration", "date", "code", …).
        trusted: whether whoever wrote these words may fill sensitive arguments.
    """

    kind: str
    at: str = ""
    text: str = ""
    rule: str = ""
    trusted: bool = True


@dataclass(frozen=True)
class Call:
    """A call that the model decided on; its arguments satisfy the tool's schema.

    Attributes:
        reasoning: what the model wrote before it, for people to read.
        confidence: probability, by the model's own account, that each call of this turn is right; None where unknown.
        dropped: optional arguments that the model wrote and that were left out, since nothing said supports them;
            ``name=value`` in JSON.
        turn: the model's turn that it belongs to, from 1; 0 where unknown.
        number: of the call in the run, from 1; 0 where unknown.
        evidence: where each value comes from, by its JSON pointer into the arguments.
    """

    kind: ClassVar[str] = "call"
    call: ToolCall
    reasoning: str = ""
    confidence: float | None = None
    dropped: tuple[str, ...] = ()
    turn: int = 0
    number: int = 0
    evidence: dict[str, Source] = field(default_factory=dict)


@dataclass(frozen=True)
class Approval:
    """Whether a call that needs permission may be made, these very arguments, once.

    Attributes:
        granted: if not, the call has no effect.
        reasons: why it needs permission.
        by: "user", or "policy" where nobody was asked.
    """

    kind: ClassVar[str] = "approval"
    call: ToolCall
    granted: bool
    reasons: tuple[str, ...] = ()
    by: Literal["user", "policy"] = "user"


@dataclass(frozen=True)
class Observation:
    """What came of a call.

    Attributes:
        number: of the call in the run; 0 where unknown.
    """

    kind: ClassVar[str] = "observation"
    result: ToolResult
    number: int = 0


@dataclass(frozen=True)
class Question:
    """Something that a call needs was never said, or cannot be.

    Attributes:
        reason: "missing_value" (a required value), or "out_of_range" (what was said is not allowed).
        text: one line for people.
        withheld: the calls that wait for the answer.
        reply: what was answered; None where nobody did, which ends the run.
    """

    kind: ClassVar[str] = "question"
    reason: Literal["missing_value", "out_of_range"]
    text: str
    withheld: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    confidence: float | None = None
    reply: str | None = None


@dataclass(frozen=True)
class Refusal:
    """The run ends without carrying out what was asked.

    Attributes:
        reason: "no_tool" (none fits the goal), "low_confidence" (calls were written, but the model is not sure enough of them)
            or "denied" (they need a permission that was not given).
        text: one line for people.
        withheld: the calls that were not made.
    """

    kind: ClassVar[str] = "refusal"
    reason: Literal["no_tool", "low_confidence", "denied"]
    text: str
    withheld: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    confidence: float | None = None


@dataclass(frozen=True)
class Answer:
    """The run ends with what the model has to say about the observations.

    Attributes:
        text: the model's own words; empty where it has none, and the observations speak for themselves. Where calls failed
            for good, it says so first.
        cites: numbers of the calls whose observations the text rests on.
    """

    kind: ClassVar[str] = "answer"
    text: str
    cites: tuple[int, ...] = ()


@dataclass(frozen=True)
class Stop:
    """A budget, or a turn that cannot be read, ended the run.

    Attributes:
        reason: which budget: "turns", "calls", "tokens", "seconds" or "context"; or "malformed".
        text: one line for people.
    """

    kind: ClassVar[str] = "stop"
    reason: Literal["turns", "calls", "tokens", "seconds", "context", "malformed"]
    text: str


Step = Goal | Plan | Call | Approval | Observation | Question | Refusal | Answer | Stop
_KINDS: dict[str, type] = {
    step.kind: step for step in (Goal, Plan, Call, Approval, Observation, Question, Refusal, Answer, Stop)
}


def to_json(step: Step) -> dict[str, Any]:
    """A JSON object with the step's `kind` and fields."""
    record: dict[str, Any] = {"kind": step.kind}
    for f in fields(step):
        record[f.name] = _plain(getattr(step, f.name))
    return record


def step_from_json(record: dict[str, Any]) -> Step:
    """The step of a JSON object.

    Raises:
        LogError: it is not that of a step.
    """
    try:
        values = {name: value for name, value in record.items() if name not in ("kind", "at")}
        kind = _KINDS[record["kind"]]
        for name in ("dropped", "reasons", "cites"):
            if name in values:
                values[name] = tuple(values[name])
        if "call" in values:
            values["call"] = ToolCall(**values["call"])
        if "withheld" in values:
            values["withheld"] = tuple(ToolCall(**call) for call in values["withheld"])
        if "evidence" in values:
            values["evidence"] = {pointer: Source(**source) for pointer, source in values["evidence"].items()}
        if kind is Plan:
            values["parts"] = tuple(
                Part(part["text"], tuple(part["span"]), tuple(part.get("after", ()))) for part in values["parts"]
            )
        elif kind is Observation:
            values["result"] = result_from_json(values["result"])
        return kind(**values)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise LogError(f"not a step of a run: {str(record)[:120]} ({type(error).__name__}: {error})") from None


def result_from_json(record: dict[str, Any]) -> ToolResult:
    """A tool's result of a JSON object."""
    return ToolResult(**{**record, "call": ToolCall(**record["call"])})


def _plain(value: Any) -> Any:
    if isinstance(value, ToolCall | ToolResult | Part | Source):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict) and any(isinstance(item, Source) for item in value.values()):
        return {key: _plain(item) for key, item in value.items()}
    return value


@dataclass
class RunUsage:
    """What a run cost.

    Attributes:
        turns: times the model was asked to write.
        calls: tools executed.
        prompt_tokens, generated_tokens: over all turns; reused_tokens of the prompts were not paid for again.
        model_seconds, tool_seconds, seconds: wall clock.
    """

    turns: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    reused_tokens: int = 0
    generated_tokens: int = 0
    model_seconds: float = 0.0
    tool_seconds: float = 0.0
    seconds: float = 0.0


@dataclass
class Run:
    """A finished run.

    Attributes:
        steps: everything that happened.
        usage: what it cost.
        trace: the steps with the turns of the model between them, for runs that go on from here (`earlier.py`).
        earlier: the trace of the runs before, where this one goes on with their conversation.
        model: name of the model whose turns these are; empty where unknown.
    """

    steps: list[Step] = field(default_factory=list)
    usage: RunUsage = field(default_factory=RunUsage)
    trace: list[Any] = field(default_factory=list, repr=False)
    earlier: tuple[Any, ...] = field(default=(), repr=False)
    model: str = ""

    @property
    def calls(self) -> list[ToolCall]:
        """Every call that was made."""
        return [step.call for step in self.steps if isinstance(step, Call)]

    @property
    def observations(self) -> list[ToolResult]:
        """What came of each call, in the order of the calls."""
        return [step.result for step in sorted(self._observed, key=lambda step: step.number)]

    @property
    def _observed(self) -> list[Observation]:
        return [step for step in self.steps if isinstance(step, Observation)]

    @property
    def answer(self) -> str:
        """The last word: the answer, or why there is none."""
        last = self.steps[-1] if self.steps else None
        return last.text if isinstance(last, Answer | Question | Refusal | Stop) else ""

    @property
    def status(self) -> str:
        """How it ended.

        "answered", "failed" (answered, but a call failed for good), "asked" (a question that nobody answered), "refused",
        "stopped", or "unfinished".
        """
        endings = {Answer: "answered", Question: "asked", Refusal: "refused", Stop: "stopped"}
        ending = endings.get(type(self.steps[-1]) if self.steps else None, "unfinished")
        return "failed" if ending == "answered" and self.failures else ending

    @property
    def failures(self) -> list[ToolResult]:
        """Calls that failed for good.

        A failure is made good when the same call succeeds later, or, where the tool asked for other arguments, when a call of
        that tool in a later turn does. Each call stands for one earlier one at most; if it fails, too, its own failure counts.
        """
        failed: list[tuple[int, ToolResult]] = []
        turns: dict[str, int] = {}  # of the latest call with that key
        for step in self.steps:
            if isinstance(step, Call):
                turns[step.call.key()] = step.turn
            elif isinstance(step, Observation):
                result = step.result
                turn = turns.get(result.call.key(), 0)
                same = [entry for entry in failed if entry[1].call.key() == result.call.key()]
                corrected = [
                    entry for entry in failed if entry[1].retry and entry[1].call.name == result.call.name and entry[0] < turn
                ]
                if replaced := same or corrected:
                    failed.remove(replaced[0])
                if not result.ok:
                    failed.append((turn, result))
        return [result for _, result in failed]

    def raise_for_status(self) -> Run:
        """The run itself, if it was answered and no tool failed for good.

        Raises:
            RunError: otherwise; one line says why.
        """
        if self.status == "failed":
            raise RunError(describe_failures(self.failures))
        if self.status != "answered":
            raise RunError(self.answer or "the run is not finished")
        return self


def describe_failures(failures: Iterable[ToolResult]) -> str:
    """Which calls failed and why, on one line."""
    return "; ".join(f"{result.call.name} failed: {result.error}" for result in failures)
