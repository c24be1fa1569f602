"""What a model wants to do next, before anything is done."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..tools import ToolCall
from .confidence import Signals
from .steps import RunUsage, Source, Stop


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
