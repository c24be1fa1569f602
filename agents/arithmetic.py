"""Numbers that are worked out from a few others, where it was asked for: "the total", "half of", "15 percent of".

The search is small on purpose: among many numbers nearly every value is the sum of some of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations
from math import isclose, prod

MOST = 8  # numbers among which single ones are put together
_MOST_IN_A_GROUP = 200
_MOST_SUMMED = 3

_WORDS = {
    "sum": r"total|sum|add|adds|added|adding|plus|altogether|combined|together|in all|overall|both",
    "difference": r"difference|minus|subtract\w*|remain\w*|left|leftover|change|how (?:much|many) (?:more|less)",
    "product": r"times|multipl\w+|product|per|each|every|apiece|total",
    "quotient": r"divided?|dividing|per|split|ratio|quotient|each|evenly|shares?|half",
    "average": r"average|mean|avg",
    "half": r"half",
    "double": r"twice|double|doubled",
    "triple": r"three times|triple|tripled|thrice",
    "percentage": r"percent|per cent|%",
    "increase": r"percent|per cent|%",
    "decrease": r"percent|per cent|%",
}
_ASKS = {name: re.compile(rf"%|\b(?:{words})\b" if "%" in words else rf"\b(?:{words})\b") for name, words in _WORDS.items()}
_OPERATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "difference": lambda n: n[0] - n[1],
    "product": prod,
    "quotient": lambda n: n[0] / n[1],
    "average": lambda n: sum(n) / len(n),
    "half": lambda n: n[0] / 2,
    "double": lambda n: n[0] * 2,
    "triple": lambda n: n[0] * 3,
    "percentage": lambda n: n[0] * n[1] / 100,
    "increase": lambda n: n[1] * (1 + n[0] / 100),
    "decrease": lambda n: n[1] * (1 - n[0] / 100),
}
_OPERANDS = {"half": 1, "double": 1, "triple": 1}
_ORDERED = ("quotient", "increase", "decrease")
PREFIX = "arithmetic: "
"""Of every rule of this module; the name of the operation follows."""


def asked(low: str) -> frozenset[str]:
    """The operations that words in lower case ask for."""
    return frozenset(name for name, words in _ASKS.items() if words.search(low))


def derives(rule: str, numbers: Sequence[float], value: float) -> bool:
    """Whether the operation of a rule makes a value of the numbers; it may be rounded to two places or more."""
    operation = _OPERATIONS.get(rule.removeprefix(PREFIX))
    try:
        return operation is not None and _is_written(abs(value), abs(operation(numbers)))
    except (ArithmeticError, IndexError, TypeError):
        return False


def combined(
    value: float, single: Sequence[float], groups: Sequence[Sequence[int]], operations: frozenset[str]
) -> tuple[str, tuple[int, ...]] | None:
    """How a value is made of numbers.

    Args:
        value: what is sought.
        single: the numbers.
        groups: places in `single` of numbers that belong together, such as the prices in a list; taken as a whole.
        operations: those that were asked for.

    Returns:
        The rule, and the places of the operands in `single`.
    """
    for name in (name for name in _OPERATIONS if name in operations):
        for operands in _operands(name, len(single), groups):
            if derives(name, [single[at] for at in operands], value):
                return PREFIX + name, operands
    return None


def _operands(name: str, count: int, groups: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
    few = range(count if count <= MOST else 0)
    if name in ("sum", "average"):
        yield from (tuple(group) for group in groups if 1 < len(group) <= _MOST_IN_A_GROUP)
        for size in (*range(2, _MOST_SUMMED + 1), *([count] if count > _MOST_SUMMED else [])):
            yield from combinations(few, size)
    elif name in _OPERANDS:
        yield from ((at,) for at in few)
    elif name in _ORDERED:
        yield from permutations(few, 2)
    else:
        yield from combinations(few, 2)


def _is_written(value: float, exact: float) -> bool:
    return isclose(value, exact, rel_tol=1e-9) or any(value and value == round(exact, places) for places in (2, 3, 4))
