"""What a run asks of the world outside it, and what it gets back.

The loop of a run (`controller.py`) computes nothing that could turn out otherwise a second time. Whatever could (what a model
writes, what a tool gives, what a person allows or says, how late it is) is a request that it hands out and a reply that it is
sent. So a run can be driven by a model and tools, or by its own log.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..tools import ToolCall, ToolResult
from .dialects.turn import Turn
from .errors import LogError
from .steps import Source, Step, Stop, step_from_json, to_json


@dataclass(frozen=True)
class Said:
    """Words of the user.

    Attributes:
        earlier: said in a run before this one; from such words up to the user's next ones, a conversation that does not fit the
            model's context is shortened.
    """

    text: str
    earlier: bool = False


@dataclass(frozen=True)
class Showed:
    """Results of the calls of the turn before, in call order."""

    results: tuple[ToolResult, ...]


@dataclass(frozen=True)
class Written:
    """A turn of the model.

    Attributes:
        turn: what it says; None where it could not be read, or did not get to its end.
        stop: why not.
        ids: its tokens, with what it lacked at its end.
        confidence: probability that its calls are right, by the model's own account; None where it has none.
        probability: smallest probability of a freely chosen token of the calls, among those that the grammar allowed.
        mass: smallest probability that the model gave to all allowed tokens together, where it chose freely in the calls.
        prompt_tokens, reused_tokens, generated_tokens, seconds: what it cost.
    """

    turn: Turn | None
    stop: Stop | None = None
    ids: tuple[int, ...] = ()
    confidence: float | None = None
    probability: float = 1.0
    mass: float = 1.0
    prompt_tokens: int = 0
    reused_tokens: int = 0
    generated_tokens: int = 0
    seconds: float = 0.0


def written_to_json(written: Written) -> dict[str, Any]:
    """A JSON object with its fields."""
    record = {f.name: getattr(written, f.name) for f in fields(written)}
    turn, stop = written.turn, written.stop
    calls = [vars(call) for call in turn.calls] if turn is not None else []
    record["turn"] = None if turn is None else {"reasoning": turn.reasoning, "calls": calls, "text": turn.text}
    record["stop"] = None if stop is None else to_json(stop)
    return {**record, "ids": list(written.ids)}


def written_from_json(record: Mapping[str, Any]) -> Written:
    """The turn of a JSON object; LogError where it is none."""
    try:
        values = {name: value for name, value in record.items() if name not in ("kind", "at")}
        turn, stop = values.pop("turn"), values.pop("stop")
        if turn is not None:
            turn = Turn(turn["reasoning"], tuple(ToolCall(**call) for call in turn["calls"]), turn["text"])
        stop = None if stop is None else step_from_json(stop)
        return Written(**{**values, "turn": turn, "stop": stop, "ids": tuple(values["ids"])})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise LogError(f"not a turn of a run: {str(record)[:120]} ({type(error).__name__}: {error})") from None


Conversation = tuple[Said | Written | Showed, ...]
"""What was said so far in one thread, behind instructions and tools."""


@dataclass(frozen=True)
class Write:
    """Asks for the model's next turn; the reply is a `Written`.

    Attributes:
        most: tokens that it may have.
        tools: names of the tools that it may call.
        least: calls that it has to have.
        repeats: whether a turn would only do again what was done; then the model's next choice is wanted, if it has one.
    """

    conversation: Conversation
    tools: tuple[str, ...]
    most: int
    least: int = 0
    repeats: Callable[[Turn], bool] = field(default=lambda _: False, compare=False)


@dataclass(frozen=True)
class Choose:
    """Asks which tools a text is about; the reply is a tuple of names, the best first.

    Attributes:
        text: what the user said.
        most: so many names at most.
    """

    text: str
    most: int


@dataclass(frozen=True)
class Execute:
    """Asks for the results of calls that do not depend on each other; the reply is a list of `ToolResult` in their order.

    Attributes:
        calls: by their numbers in the run.
        seconds: that each of them may take; None without a limit.
        dry: nothing is to happen; the results say so.
    """

    calls: Mapping[int, ToolCall]
    seconds: float | None
    dry: bool = False


@dataclass(frozen=True)
class Approve:
    """Asks whether a call may be made; the reply is True or False. It is given for these very arguments and once.

    Attributes:
        call: tool and arguments.
        reasons: why it is asked, in words.
        evidence: where each value comes from, by its JSON pointer.
    """

    call: ToolCall
    reasons: tuple[str, ...]
    evidence: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """Asks the user something; the reply is what is answered, or None where nobody answers."""

    text: str


Request = Write | Choose | Execute | Approve | Ask
Events = Generator[Step | Request, tuple[Any, float], None]
"""A run: gives out steps and requests, and is sent each request's reply with the seconds that the run has taken by then."""
