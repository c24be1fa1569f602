"""What rendering a template may cost, counted while it is done: steps, characters, processor time, nesting, sizes of numbers.

A template is foreign code. Every loop, call, filter and operator spends steps before it does its work, so that nothing which
it can write runs for long or takes much memory: one step pays for an operation, or for 32 characters looked at or written.
"""

from __future__ import annotations

import math
import time
from collections.abc import ItemsView, Iterable, KeysView, Mapping, ValuesView
from typing import Any

from .errors import ChatTemplateError

STEPS = 1_000_000
SECONDS = 2.0
CHARACTERS = 32
ITEMS = 4
DEPTH = 64
BITS = 4096
_CLOCK = 16  # steps between two looks at the clock


class Meter:
    """Counts one rendering.

    Args:
        given: what the template is given: it may do more with more.

    Every method raises ChatTemplateError where a limit is exceeded.
    """

    def __init__(self, given: Any = None):
        self._weights: dict[int, tuple[Any, int]] = {}
        self._depth = 0
        self._ends = time.thread_time() + SECONDS
        self.most: float = math.inf
        self.steps = self.left = STEPS + self.weigh(given)
        self.most = self.steps * CHARACTERS
        self._next_look = self.left - _CLOCK

    def spend(self, steps: int = 1) -> None:
        """Pay for work that is about to be done."""
        self.left -= steps
        if self.left < self._next_look:
            if self.left < 0:
                raise ChatTemplateError(f"the chat template takes more than {self.steps} steps of work: does it loop for ever?")
            if time.thread_time() > self._ends:
                raise ChatTemplateError(f"the chat template takes longer than {SECONDS:g} s: does it loop for ever?")
            self._next_look = self.left - _CLOCK

    def write(self, characters: int) -> None:
        """Pay for a text of that length."""
        if characters > CHARACTERS * max(self.left, 10_000):
            raise ChatTemplateError(f"the chat template makes texts of more than {self.most} characters")
        self.spend(1 + characters // CHARACTERS)

    def look(self, value: Any) -> None:
        """Pay for looking at the whole of a value: comparing, printing, hashing it."""
        self.write(self.weigh(value))

    def walk(self, value: Any) -> None:
        """Pay for going through a text, or the items of anything else."""
        if isinstance(value, str):
            self.write(len(value))
            return
        try:
            self.spend(1 + len(value) // ITEMS)
        except TypeError:
            self.spend()

    def enter(self) -> None:
        """One call deeper."""
        self._depth += 1
        if self._depth > DEPTH:
            raise ChatTemplateError(f"the chat template calls itself more than {DEPTH} deep")

    def leave(self) -> None:
        self._depth -= 1

    def made(self, value: Any) -> Any:
        """A value that an operation gave: paid for, and none that would be too large when it is written out."""
        self.walk(value)
        self.weigh(value)
        return value

    def text(self, value: Any) -> str:
        """A value as it is printed."""
        if isinstance(value, str):
            return value
        self.look(value)
        return str(value)

    def weigh(self, value: Any) -> int:
        """About how many characters a value has when it is written out.

        What shares parts counts them each time: a list of two lists of two lists … is small, and endless on paper. Lists and
        dictionaries do not change while a template is rendered, so each is weighed once.
        """
        if isinstance(value, str):
            return len(value) + 1
        if isinstance(value, bool) or value is None:
            return 1
        if isinstance(value, int):
            if value.bit_length() > BITS:
                raise ChatTemplateError(f"the chat template makes a number of more than {BITS} bits")
            return 1 + value.bit_length() // 3
        if isinstance(value, list | tuple | dict):
            known = self._weights.get(id(value))
            if known is None:
                weight = self._sum(value)
                self._weights[id(value)] = value, weight  # the value is kept, so that its id is not given to another
                return weight
            return known[1]
        if isinstance(value, KeysView | ValuesView | ItemsView):
            return self._sum(dict(value.mapping)) if hasattr(value, "mapping") else 1
        if isinstance(value, Drained):
            return value.weight
        return len(value) if isinstance(value, range) else 16

    def _sum(self, value: list[Any] | tuple[Any, ...] | dict[Any, Any]) -> int:
        weight = 2
        parts: Iterable[Any] = value
        if isinstance(value, Mapping):
            weight += sum(self.weigh(key) for key in value)
            parts = value.values()
        for part in parts:
            weight += self.weigh(part) + 1
        if weight > self.most:
            raise ChatTemplateError(f"the chat template makes a value of more than {self.most} characters")
        return weight


class Drained:
    """What a lazy filter gave: an iterator, as there, that fails where the filter failed."""

    def __init__(self, items: list[Any], error: Exception | None, weight: int):
        self._items, self._at, self._error = items, 0, error
        self.weight = weight

    def __iter__(self) -> Drained:
        return self

    def __length_hint__(self) -> int:
        return len(self._items) - self._at

    def __next__(self) -> Any:
        if self._at < len(self._items):
            self._at += 1
            return self._items[self._at - 1]
        if self._error is not None:
            raise self._error
        raise StopIteration
