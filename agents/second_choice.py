"""What a model writes instead, where its turn would only do again what was done.

A small model that has its answer asks for it once more. Any other turn leaves that one at some freely chosen token for another
token. These forks are taken from the likeliest on (the search for the k best of Lawler, Management Science 18(7), 1972), as far
as the model gives them a real share: where it is sure of its repetition, it has nothing else to say.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .model import TokenLike

LEAST = 0.02
"""Share of probability that another turn must have at its fork."""
TRIES = 4
"""Most forks that are taken for one turn."""


@dataclass(frozen=True)
class Chosen:
    """A token that was not the best; see `ferrule.models.token_loop.Token`. The others have forks of their own."""

    id: int
    logprob: float
    text: str = ""
    forced: bool = False
    mass: float = 1.0
    others: tuple[tuple[int, float], ...] = ()


class Forks:
    """Where turns may be left, the likeliest place first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, tuple[TokenLike, ...]]] = []
        self._numbers = itertools.count()  # of two that are as likely, the earlier
        self._taken = 0

    def add(self, tokens: Sequence[TokenLike], reasoning: int, kept: int) -> None:
        """Those of a turn.

        Args:
            tokens: of the turn.
            reasoning: how many of them are its reasoning, which says nothing of how likely its calls are.
            kept: how many of them it may not be left at, since its beginning is a fork itself.
        """
        likely = 0.0
        for at, token in enumerate(tokens):
            if at < reasoning:
                continue
            for other, logprob in token.others if at >= kept else ():
                if likely + logprob >= math.log(LEAST):
                    fork = (*tokens[:at], Chosen(other, logprob, mass=getattr(token, "mass", 1.0)))
                    heapq.heappush(self._heap, (-likely - logprob, next(self._numbers), fork))
            likely += token.logprob

    def take(self) -> tuple[TokenLike, ...] | None:
        """The beginning of another turn; None where there is none any more."""
        if not self._heap or self._taken == TRIES:
            return None
        self._taken += 1
        return heapq.heappop(self._heap)[2]


def ids_of(tokens: Iterable[TokenLike]) -> tuple[int, ...]:
    return tuple(token.id for token in tokens)
