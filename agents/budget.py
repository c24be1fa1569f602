"""Budgets: what a run may cost. Every run ends, and says which budget ended it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import UsageError
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
        seconds: wall clock, looked at before each turn and each call. A tool may take what is left of it, or less where it has
            a time limit of its own.

    Raises:
        UsageError: a limit is not a number above 0, or one that counts something is no whole number.
    """

    turns: int = 16
    calls: int = 16
    tokens: int = 4096
    turn_tokens: int = 640
    reasoning_tokens: int = 192
    seconds: float = 120.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            kinds = (int, float) if name == "seconds" else (int,)
            if not isinstance(value, kinds) or isinstance(value, bool) or not value > 0:
                what = "number" if name == "seconds" else "whole number"
                raise UsageError(f"a budget is a {what} above 0, received {name}={value!r}")

    def before_turn(self, usage: RunUsage) -> Stop | None:
        """The step that ends the run before the model writes again, if a budget is used up."""
        return self._used_up(turns=usage.turns, tokens=usage.generated_tokens, seconds=usage.seconds)

    def before_call(self, usage: RunUsage, waiting: int = 0) -> Stop | None:
        """The step that ends the run before another tool is executed besides those waiting, if a budget is used up."""
        return self._used_up(calls=usage.calls + waiting, seconds=usage.seconds)

    def seconds_left(self, usage: RunUsage) -> float | None:
        """What a tool that is called now may take; None without a limit."""
        return None if math.isinf(self.seconds) else max(self.seconds - usage.seconds, 0.001)

    def _used_up(self, **spent: float) -> Stop | None:
        for name, amount in spent.items():
            limit = getattr(self, name)
            if amount >= limit:
                return Stop(name, f"stopped: the budget of {limit:g} {name} is used up; raise Budget({name}=...) to go on")
        return None
