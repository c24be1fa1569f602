"""The grammar of calls: a list, `[]` or `[{"name":"…","arguments":{…}},…]` in compact JSON, or one call in a dialect's own way.

Level G0 holds because only declared names are written in it, level G1 because the arguments follow the tool's schema
(`schema_rules`). The text is Lark in llguidance's dialect; a dialect of a model puts its turn around it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..tools.tool import Tool
from .errors import SchemaError
from .lark import Rules, compact, is_possible, literal
from .names import WireNames
from .notation import Notation
from .schema_rules import SchemaRules

MAX_CALLS = 16
"""Most calls in one turn."""


def call_grammar(
    tools: Sequence[Tool], *, min_calls: int = 0, max_calls: int = MAX_CALLS, names: WireNames | None = None
) -> str:
    """Lark rules for the calls of `tools`; the rule to refer to is `calls`.

    Other rules are called `r0`, `r1`, … and terminals `T0`, `T1`, …; there is no `start`.

    Args:
        tools: The tools that may be called. With none, `[]` is all there is.
        min_calls: Fewest calls; with 0, `[]` is possible, no call at all.
        max_calls: Most calls.
        names: Names on the wire; without, the tools' own.

    Raises:
        SchemaError: A schema asks for something that the grammar cannot guarantee.
    """
    spelt = names.tools if names else {}
    properties = names.properties if names else {}
    declared = [[t.name, spelt.get(t.name, t.name), t.parameters, properties.get(t.name, {})] for t in tools]
    if not declared and min_calls:
        raise SchemaError("a call is asked for, but no tool is declared; declare one or allow the empty list")
    return _call_grammar(json.dumps(declared), min_calls, max_calls)


def call_rules(tools: Sequence[Tool], openings: Mapping[str, str], notation: Notation) -> str:
    """Lark rules for one call of any of the tools, through its arguments; the rule to refer to is `call`.

    Args:
        tools: The tools that may be called, at least one.
        openings: For each tool by name, Lark of what stands before its arguments.
        notation: How the arguments are spelt.

    Raises:
        SchemaError: A schema asks for something that the grammar cannot guarantee, or there is no tool.
    """
    if not tools:
        raise SchemaError("a call is asked for, but no tool is declared; declare one")
    return _call_rules(json.dumps([[tool.name, openings[tool.name], tool.parameters] for tool in tools]), notation)


@lru_cache(maxsize=32)
def _call_rules(declared: str, notation: Notation) -> str:
    rules = Rules()
    calls = []
    for name, opening, parameters in json.loads(declared):
        arguments = SchemaRules(parameters, f"tool {name!r}", rules, notation).compile()
        calls.append(rules.rule(f"{opening} {arguments}"))
    text = "\n".join([f"call: {' | '.join(calls)}", *rules.lines]) + "\n"
    _check(text, rules, "call")
    return text


@lru_cache(maxsize=32)
def _call_grammar(declared: str, min_calls: int, max_calls: int) -> str:
    rules = Rules()
    calls = [_call(rules, *tool) for tool in json.loads(declared)]
    options = [] if min_calls else ['"[]"']
    if calls:
        call = rules.rule(" | ".join(calls))
        more = f' ("," {call}){{{max(min_calls, 1) - 1},{max_calls - 1}}}' if max_calls > 1 else ""
        options.append(f'"[" {call}{more} "]"')
    text = "\n".join([f"calls: {' | '.join(options)}", *rules.lines]) + "\n"
    _check(text, rules, "calls")
    return text


def _call(rules: Rules, name: str, wire: str, parameters: dict[str, Any], properties: Mapping[str, str]) -> str:
    where = f"tool {name!r}"
    arguments = SchemaRules(parameters, where, rules, names=properties).compile()
    try:
        text = compact(wire)
        text.encode()
    except UnicodeEncodeError:
        raise SchemaError(f"{where}: the name is not valid Unicode; rename the tool") from None
    opening = f'{{"name":{text},"arguments":'
    return rules.rule(f'{literal(opening)} {arguments} "}}"')


def _check(text: str, rules: Rules, start: str) -> None:
    """What only the grammar engine can tell: whether it takes the rules, and whether terminals match anything."""
    import llguidance

    problem = llguidance.LLMatcher.validate_grammar(llguidance.LLMatcher.grammar_from_lark(f"start: {start}\n{text}"))
    if problem:
        raise SchemaError(f"the tools' grammar is refused: {_first_line(problem)}; simplify the schemas")
    lines = dict(line.split(": ", 1) for line in rules.lines if line.startswith("T"))
    for name, complaint in rules.combined:
        if not is_possible(lines[name]):
            raise SchemaError(complaint)


def _first_line(message: str) -> str:
    return message.strip().split("\n", 1)[0][:200]
