"""What a model wants to do next, before anything is done."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..tools import ToolCall
from .confidence import Signals
from .steps import Question, Refusal, RunUsage, Source, Stop


@dataclass(frozen=True)
class Decision:
    """One turn of the model, under the agent's rules.

    Attributes:
        calls: those that the agent would make, in the tools' own names; they satisfy the tools' schemas.
        withheld: calls that the model wrote and the agent would not make: the model is not sure enough of them, or values are
            missing.
        missing: required values of theirs that nothing said supports, as ``"tool.argument"``.
        out_of_range: what was said that a schema does not allow, one clause each.
        dropped: for each of `calls`, the optional arguments that were left out since nothing said supports them.
        evidence: for each of `calls`, where its values come from, by their JSON pointers into the arguments.
        condition: the user's words under which the calls are to be made ("if it is still open"); nobody has judged them.
        text: what it answers instead of calling (after results only).
        reasoning: what it wrote before, for people to read.
        confidence: probability that each of the calls is right, calibrated where the model comes with a calibration, or else by
            its own account; None where unknown. Of n calls that it gives c together, the account is c ** (1 / n).
        signals: what that rests on.
        stop: the turn did not get to its end, and why; there are no calls then.
        usage: what it cost.
    """

    calls: tuple[ToolCall, ...] = ()
    withheld: tuple[ToolCall, ...] = ()
    missing: tuple[str, ...] = ()
    text: str = ""
    reasoning: str = ""
    confidence: float | None = None
    stop: Stop | None = None
    usage: RunUsage = field(default_factory=RunUsage)
    out_of_range: tuple[str, ...] = ()
    dropped: tuple[tuple[str, ...], ...] = ()
    evidence: tuple[dict[str, Source], ...] = ()
    condition: str = ""
    signals: Signals | None = None


def ending(decision: Decision, needed: float) -> Question | Refusal | Stop | None:
    """The step that says why a decision has no calls, and what to do; None where it has some.

    Args:
        decision: of a turn.
        needed: confidence below which its calls were withheld.
    """
    if decision.calls or decision.stop is not None:
        return decision.stop
    rest = (decision.withheld, decision.reasoning, decision.confidence)
    if not decision.withheld:
        return Refusal("no_tool", "no tool fits this goal; say it in other words, or add a tool for it", *rest)
    if decision.out_of_range:
        text = f"not called, since {'; '.join(decision.out_of_range)}; say one that is allowed"
        return Question("out_of_range", text, *rest)
    if decision.missing:
        text = f"not called, since nothing that was said gives {', '.join(decision.missing)}; say it"
        return Question("missing_value", text, *rest)
    names = ", ".join(call.name for call in decision.withheld)
    each = " each" if len(decision.withheld) > 1 else ""
    text = f"not sure enough to call {names} (confidence {decision.confidence:.2g}{each}, {needed:.2g} needed)"
    return Refusal("low_confidence", f"{text}; say it in other words, or lower min_confidence", *rest)
