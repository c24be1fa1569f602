"""Budgets: what a run may cost. Every run ends, and says which budget ended it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .steps import RunUsage, Stop


@dataclass(frozen=True)
class Budget:
    """Limits of one run.

    Attributes:
        turns: times the model is asked to write.
        calls: tools executed.
        tokens: generated tokens over all turns.
        turn_tokens: generated tokens of one turn.
        reasoning_tokens: of those, tokens before the calls.
        seconds: wall clock, looked at before each turn and each call; a tool has a time limit of its own.
    """

    turns: int = 6
    calls: int = 16
    tokens: int = 2048
    turn_tokens: int = 640
    reasoning_tokens: int = 192
    seconds: float = 120.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"a budget is above 0, received {name}={value}")

    def before_turn(self, usage: RunUsage, began: float) -> Stop | None:
        """The step that ends the run before the model writes again, if a budget is used up; `began` by `time.monotonic`."""
        return self._used_up(began, turns=usage.turns, tokens=usage.generated_tokens)

    def before_call(self, usage: RunUsage, began: float) -> Stop | None:
        """The step that ends the run before another tool is executed, if a budget is used up."""
        return self._used_up(began, calls=usage.calls)

    def _used_up(self, began: float, **spent: float) -> Stop | None:
        for name, amount in {**spent, "seconds": time.monotonic() - began}.items():
            limit = getattr(self, name)
            if amount >= limit:
                return Stop(name, f"stopped: the budget of {limit:g} {name} is used up; raise Budget({name}=...) to go on")
        return None
