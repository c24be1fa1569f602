"""How values are spelt in calls: as JSON, as Python, or between markers. Written, and as Lark.

One lexeme of the grammar is one bracket, comma, colon, name, number or string, in every rule alike: where two rules could go on
with the same text, the engine's lexer takes the longer lexeme and never returns to the shorter one.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .lark import Rules, expression, is_possible, literal
from .text_rules import ESCAPED, RAW, Spelling

_NO_ESCAPES = r'[^"\\\x00-\x1F\x7F]*'


@dataclass(frozen=True)
class Notation:
    """JSON.

    Attributes:
        comma, colon: with the spaces around them.
        true, false, null: the constants.
        around: what stands around the arguments of a call.
    """

    comma: str = ","
    colon: str = ":"
    true: str = "true"
    false: str = "false"
    null: str = "null"
    around: tuple[str, str] = ("{", "}")

    @property
    def spelling(self) -> Spelling:
        """How characters stand in a string."""
        return ESCAPED

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, value: Any) -> str:
        """A JSON value; ValueError where a number is none of JSON's."""
        if value is None or isinstance(value, bool):
            return {None: self.null, True: self.true, False: self.false}[value]
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, Mapping):
            return "{" + self.comma.join(f"{self.key(k)}{self.colon}{self.write(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list | tuple):
            return "[" + self.comma.join(map(self.write, value)) + "]"
        return json.dumps(value, allow_nan=False)

    def arguments(self, arguments: Mapping[str, Any]) -> str:
        """The arguments of a call, with what stands around them."""
        pairs = (self._argument(name) for name in arguments)
        written = ("".join(before) + self.write(value) + after for (before, after), value in zip(pairs, arguments.values()))
        return self.comma.join(written).join(self.around)

    def string(self, text: str) -> str:
        """A string in its quotes."""
        return json.dumps(text, ensure_ascii=False)

    def key(self, name: str) -> str:
        """A name within an object."""
        return self.string(name)

    def _argument(self, name: str) -> tuple[tuple[str, ...], str]:
        """The lexemes before an argument's value, and what follows it."""
        return (self.key(name), self.colon), ""

    def unwritable(self, value: Any) -> str:
        """Text in a value that has no spelling, or nothing."""
        return ""

    # -- Lark ---------------------------------------------------------------------------------------------------------

    def lark(self, *lexemes: str) -> str:
        """Written text as Lark."""
        return " ".join(literal(text) for text in lexemes if text)

    def listed(self, rules: Rules, values: Sequence[Any], *, as_arguments: bool = False) -> str:
        """Lark of any of these values; without any, of nothing."""
        scalars = [value for value in values if not isinstance(value, dict | list)]
        found = [self._scalars(rules, scalars)] if scalars else []
        for value in values:
            if isinstance(value, list):
                found.append(self._joined(rules, ("[", "]"), [self.listed(rules, [item]) for item in value]))
            elif isinstance(value, dict):
                pairs = [self.pair(name, self.listed(rules, [v]), as_argument=as_arguments) for name, v in value.items()]
                found.append(self._joined(rules, self.around if as_arguments else ("{", "}"), pairs))
        return " | ".join(found)

    def _scalars(self, rules: Rules, values: Sequence[Any]) -> str:
        return rules.terminal(" | ".join(literal(self.write(value)) for value in values))

    def _joined(self, rules: Rules, around: tuple[str, str], members: Sequence[str]) -> str:
        return rules.rule(f"{self.lark(around[0])} {f' {self.lark(self.comma)} '.join(members)} {self.lark(around[1])}")

    def pair(self, name: str, value: str, *, as_argument: bool = False) -> str:
        """Lark of a named value, in an object or as an argument of a call."""
        before, after = self._argument(name) if as_argument else ((self.key(name), self.colon), "")
        return f"{self.lark(*before)} {value} {self.lark(after)}".rstrip()

    def strings(self, rules: Rules, texts: Sequence[str]) -> tuple[str, str]:
        """Lark of the strings whose text matches all of these expressions, and the terminal in it."""
        name = rules.terminal(_matching(f'"{text}"' for text in texts))
        return name, name

    def new_pair(
        self, rules: Rules, value: str, texts: Sequence[str] = (), taken: Sequence[str] = (), *, as_argument: bool = False
    ) -> str | None:
        """Lark of a value whose name is not declared; None where no name is left.

        Args:
            rules: where they go.
            value: the rule of the value.
            texts: expressions that the name must match.
            taken: names that it must not be.
            as_argument: whether it is an argument of a call.
        """
        # Without escapes, so that no other text is a name that is taken.
        any_name = _NO_ESCAPES if texts or taken else self.spelling.text
        name = _matching([f'"{text}"' for text in (any_name, *texts)], map(self.string, taken))
        return f"{rules.terminal(name)} {self.lark(self.colon)} {value}" if not texts or is_possible(name) else None


def _any_of(texts: Iterable[str]) -> str:
    return " | ".join(sorted(map(literal, texts)))


def _matching(expressions: Iterable[str], taken: Iterable[str] = (), *but: str) -> str:
    """Body of a terminal: matches all of the expressions, is none of the texts taken, and matches none of the Lark in `but`."""
    listed = _any_of(taken)
    return " & ".join([*map(expression, expressions), *(f"~{lark}" for lark in but), *([f"~({listed})"] if listed else [])])


JSON = Notation()
"""Compact JSON."""

SPACED = Notation(", ", ": ")
"""JSON as Python's `json.dumps` and the chat templates write it."""

_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"  # others are the same identifier as some other text
FUNCTION = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
"""Names of functions that Python writes as they are."""


@dataclass(frozen=True)
class PythonNotation(Notation):
    """Python's literals and keyword arguments, laid out as its formatters do.

    Strings are JSON's, which are Python's too. An argument that is no identifier is written `**{"from": 1}`, as Python itself
    has it.
    """

    comma: str = ", "
    colon: str = ": "
    true: str = "True"
    false: str = "False"
    null: str = "None"
    around: tuple[str, str] = ("(", ")")

    def function(self, name: str) -> str:
        """A function's name; in quotes where it is none of Python's."""
        return name if re.fullmatch(FUNCTION, name) else self.string(name)

    def _argument(self, name: str) -> tuple[tuple[str, ...], str]:
        if re.fullmatch(_IDENTIFIER, name) and not keyword.iskeyword(name):
            return (name, "="), ""
        return ("**{", self.string(name), self.colon), "}"

    def new_pair(
        self, rules: Rules, value: str, texts: Sequence[str] = (), taken: Sequence[str] = (), *, as_argument: bool = False
    ) -> str | None:
        if not as_argument:
            return super().new_pair(rules, value, texts, taken)
        words = _any_of(keyword.kwlist), _any_of(map(self.string, keyword.kwlist))
        identifier = expression(f'"{_IDENTIFIER}"')
        name = _matching([_IDENTIFIER, *texts], taken, f"({words[0]})")
        strings = [f'"{text}"' for text in (_NO_ESCAPES, *texts)]
        string = _matching(strings, map(self.string, taken), f"({identifier} & ~({words[1]}))")
        pairs = []
        if not texts or is_possible(name):
            pairs.append(f'{rules.terminal(name)} "=" {value}')
        if not texts or is_possible(string):
            pairs.append(f'"**{{" {rules.terminal(string)} {self.lark(self.colon)} {value} "}}"')
        return rules.rule(" | ".join(pairs)) if pairs else None


_ENDS = r"""{}\[\]:,<"'`\x00-\x1F\x7F"""
BARE = rf"""[^{_ENDS}\s](?:[^{_ENDS}]*[^{_ENDS}\s])?"""
"""Names that need no quotes: nothing in them ends them or could begin a marker, and spaces are only inside."""


@dataclass(frozen=True)
class MarkedNotation(Notation):
    """The Gemma models' own: `{name:<escape>text<escape>,n:1}`. Strings stand between markers, without escapes; names are bare.

    A name that could not be told from what follows it stands between markers too. Where the marker is one token, a string may
    hold anything, for text never passes for the marker; where it is text, a string cannot hold it.

    Attributes:
        quote: what stands around a string; for a token, what stands for it.
        token: Lark of the token; empty where it is text.
    """

    quote: str = ""
    token: str = ""

    @property
    def spelling(self) -> Spelling:
        return RAW

    def string(self, text: str) -> str:
        return f"{self.quote}{text}{self.quote}"

    def key(self, name: str) -> str:
        return name if re.fullmatch(BARE, name) else self.string(name)

    def unwritable(self, value: Any) -> str:
        if self.token:
            return ""
        if isinstance(value, str):
            return value if self.quote in value else ""
        inside = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
        return next(filter(None, map(self.unwritable, inside)), "")

    def lark(self, *lexemes: str) -> str:
        if not self.token:
            return super().lark(*lexemes)
        parts = (part for text in lexemes for part in re.split(f"({self.quote})", text) if part)
        return " ".join(self.token if part == self.quote else literal(part) for part in parts)

    def _scalars(self, rules: Rules, values: Sequence[Any]) -> str:
        texts = [value for value in values if isinstance(value, str)] if self.token else []
        others = [value for value in values if not (self.token and isinstance(value, str))]
        found = [super()._scalars(rules, others)] if others else []
        if texts:
            found.append(f"{self.token} {rules.terminal(' | '.join(map(literal, texts)))} {self.token}")
        return " | ".join(found)

    def strings(self, rules: Rules, texts: Sequence[str]) -> tuple[str, str]:
        return self._between_quotes(rules, self._quoted(texts))

    def _between_quotes(self, rules: Rules, body: str) -> tuple[str, str]:
        name = rules.terminal(body)
        return (f"{self.token} {name} {self.token}", name) if self.token else (name, name)

    def _quoted(self, texts: Sequence[str], taken: Iterable[str] = (), *but: str) -> str:
        """Body of the terminal of strings: without their quotes where these are tokens, else with them."""
        if self.token:
            return _matching(texts, taken, *map(expression, but))
        quote = re.escape(self.quote)
        twice = f"{quote}(?s:.*){quote}(?s:.+)"
        around = [f"{quote}{text}{quote}" for text in texts]
        others = [expression(text) for text in (twice, *(f"{quote}{text}{quote}" for text in but))]
        return _matching(around, map(self.string, taken), *others)

    def new_pair(
        self, rules: Rules, value: str, texts: Sequence[str] = (), taken: Sequence[str] = (), *, as_argument: bool = False
    ) -> str | None:
        bare, quoted = _matching([BARE, *texts], taken), self._quoted([RAW.text, *texts], taken, BARE)
        names = []
        if not texts or is_possible(bare):
            names.append(rules.terminal(bare))
        if not texts or is_possible(quoted):
            names.append(self._between_quotes(rules, quoted)[0])
        return f"{rules.rule(' | '.join(names))} {self.lark(self.colon)} {value}" if names else None
