"""Pieces of Lark text: named rules and terminals, string and regular-expression literals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any


class Rules:
    """Collects the rules of one grammar; equal bodies share a name."""

    def __init__(self) -> None:
        self._names: dict[tuple[bool, str], str] = {}
        self.lines: list[str] = []
        # Terminals that combine several expressions, and what to say should they match nothing at all.
        self.combined: list[tuple[str, str]] = []

    def rule(self, body: str) -> str:
        """Name of a rule with this body."""
        return self._named(body, terminal=False)

    def terminal(self, body: str) -> str:
        """Name of a terminal with this body."""
        return self._named(body, terminal=True)

    def parametric(self, make: Callable[[str, str], Iterable[str]]) -> str:
        """Two rules that share a parameter: `make(item, after)` gives the lines of both; returns the name of `item`."""
        name = f"r{len(self._names)}"
        self._names[False, name] = name
        self.lines += make(f"{name}i", f"{name}a")
        return f"{name}i"

    def _named(self, body: str, terminal: bool) -> str:
        name = self._names.get((terminal, body))
        if name is None:
            name = self._names[terminal, body] = f"{'T' if terminal else 'r'}{len(self._names)}"
            self.lines.append(f"{name}: {body}")
        return name


@lru_cache(maxsize=1024)
def is_possible(body: str) -> bool:
    """Whether a terminal with this body matches any text, which only the grammar engine can tell."""
    import llguidance

    grammar = llguidance.LLMatcher.grammar_from_lark(f"start: T\nT: {body}\n")
    matcher = llguidance.LLMatcher(_byte_tokenizer(), grammar, log_level=0)
    matcher.compute_bitmask()
    return not matcher.is_error()


@lru_cache(maxsize=1)
def _byte_tokenizer() -> Any:
    import llguidance

    return llguidance.LLTokenizer("byte")


def literal(text: str) -> str:
    """A Lark string."""
    return json.dumps(text)


def expression(regex: str) -> str:
    """A Lark regular expression."""
    return "/" + regex.replace("/", "\\/") + "/"


def compact(value: Any) -> str:
    """Compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
