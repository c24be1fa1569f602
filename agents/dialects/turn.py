"""What a model said in one turn, whatever its dialect."""

from __future__ import annotations

from dataclasses import dataclass

from ...tools.call import ToolCall


@dataclass(frozen=True)
class Turn:
    """An assistant turn.

    Attributes:
        reasoning: What the model wrote while thinking, stripped; None when it wrote nothing.
        calls: The calls, in order, in the caller's names. None of them and no text is a refusal: no tool fits.
        text: Prose of a turn that ends with an answer instead of calls.
    """

    reasoning: str | None
    calls: tuple[ToolCall, ...] = ()
    text: str = ""
