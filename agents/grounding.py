"""What of a call rests on what was said, and what is left out because it does not.

Small models fill in optional arguments that nobody spoke of: an example from a description, a default, a guess. Leaving one out
means what the tool's author chose; filling it in means what the model happened to think of. So the policy is:

- An optional string or number without evidence is left out, and the call says so. Evidence is the goal, the instructions, or a
  successful result of this run; `Evidence` knows what follows from it (120 from "2 hours", "de" from "German").
- An optional code ("fi", "pt-BR") in place of a default that is one stays without evidence, unless it is an example from the
  description or the default was asked for: no table of codes is complete.
- Values that the schema lists (`enum`, `const`), booleans, arrays and objects stay: they need not be spelt out in words. So
  does required text, which may well be put in the model's words. Nothing is left out that the schema then misses.
- A required number without evidence is an invention, or a number that was copied wrong: the call is not made.
- Where the number that was said is one that the schema does not allow, the call is not made with another one in its place, nor
  without it.
- Whole numbers for a `number` become floats, so that equal values have one type.

A tool's own policies for its parameters go before that, and the strict policy goes for all others where it is asked for. Then
every string and number, also inside arrays and objects, needs a source, required text included; only what is marked "free" may
be the model's own words. Words inside longer words and dates that nothing confirms do not count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..tools import ArgumentError, Tool, ToolCall
from .evidence import Evidence
from .passages import IN_A_WORD, WEAK
from .quantities import numbers as read_numbers
from .steps import Source
from .subschemas import Leaf, Path, leaves, optional_part, removed, value_at
from .wording import lowered

_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z]{2,4})?")
_LIMITS = {
    "minimum": ("at least", lambda number, limit: number >= limit),
    "maximum": ("at most", lambda number, limit: number <= limit),
    "exclusiveMinimum": ("more than", lambda number, limit: number > limit),
    "exclusiveMaximum": ("less than", lambda number, limit: number < limit),
}


@dataclass(frozen=True)
class Grounded:
    """A call under the module's policy.

    Attributes:
        call: without the optional arguments that nothing said supports.
        dropped: those arguments, as ``name=value`` in JSON; parts of one by their JSON pointer, as ``at/lat=59.9``.
        missing: required values that nothing said supports, as ``tool.argument``; the call is not to be made.
        out_of_range: arguments for which a number was said that the schema does not allow, one clause each; likewise.
        evidence: where each value of the call comes from, by its JSON pointer into the arguments; of a name that the schema
            does not declare by the pointer with a ``#`` behind.
    """

    call: ToolCall
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    out_of_range: tuple[str, ...] = ()
    evidence: dict[str, Source] = field(default_factory=dict)


def ground(call: ToolCall, tool: Tool, evidence: Evidence, strict: bool = False) -> Grounded:
    """The call as far as it rests on what was said; see the module's policy."""
    properties = tool.parameters.get("properties", {})
    arguments = {name: _typed(value, properties.get(name)) for name, value in call.arguments.items()}
    sources = traced(ToolCall(call.name, arguments), tool, evidence)
    policies = {name: tool.policies.get(name, "derive" if strict else None) for name in arguments}
    unsupported = [
        leaf
        for leaf in leaves(arguments, tool.parameters)
        if leaf.path and not _is_enough(leaf, sources[leaf.at], policies[str(leaf.path[0])], properties, evidence)
    ]
    names = {str(leaf.path[0]) for leaf in unsupported}
    beyond = _all_beyond(call.name, arguments, properties, names, evidence) if names else {}
    kept, dropped, needed = _reduced(arguments, unsupported, tool, {name for name in names if policies[name]})
    needed = {name for name in needed if policies[name] or _is_free_number(arguments[name], properties.get(name))}
    missing = [name for name in arguments if name in needed and name not in beyond]
    made = ToolCall(call.name, kept, call.id)
    return Grounded(
        made,
        dropped,
        tuple(f"{call.name}.{name}" for name in missing),
        tuple(beyond.values()),
        traced(made, tool, evidence) if dropped else sources,
    )


def traced(call: ToolCall, tool: Tool, evidence: Evidence) -> dict[str, Source]:
    """Where each value of a call comes from, as in `Grounded.evidence`; what nothing supports is free."""
    found = (leaf for leaf in leaves(call.arguments, tool.parameters) if leaf.path)
    return {leaf.at: evidence.find(leaf.value, leaf.schema, leaf.name) or evidence.free() for leaf in found}


def _is_enough(leaf: Leaf, source: Source, policy: str | None, properties: Any, evidence: Evidence) -> bool:
    """Whether a value may stand in a call under a policy; None is the module's own."""
    if policy is None:
        return len(leaf.path) > 1 or _rests(leaf.value, properties.get(leaf.name), source, evidence)
    if policy == "free" or source.kind == "schema":
        return True
    if policy == "enum" or source.kind == "free":
        return False
    return source.rule == "" if policy == "copy" else source.rule not in WEAK


def _reduced(
    arguments: dict[str, Any], unsupported: list[Leaf], tool: Tool, firm: set[str]
) -> tuple[dict[str, Any], tuple[str, ...], set[str]]:
    """The arguments without what is optional and unsupported, what that was, and the unsupported ones that are required.

    Args:
        firm: arguments that must not stay without support, not even where the schema misses them.
    """
    kept = arguments
    dropped: list[str] = []
    needed: set[str] = set()
    for leaf in unsupported:
        if not _has(kept, leaf.path):
            continue  # it went with another one
        path = optional_part(kept, leaf.path, tool.parameters)
        if path is None:
            needed.add(str(leaf.path[0]))
            continue
        value = json.dumps(value_at(kept, path), ensure_ascii=False)
        dropped.append(f"{'/'.join(map(str, path))}={value}")
        kept = removed(kept, path)
    if dropped:
        try:
            tool.validate(kept)
        except ArgumentError:  # another keyword asks for one of them
            return arguments, (), needed | firm
    return kept, tuple(dropped), needed


def _has(arguments: Any, path: Path) -> bool:
    try:
        value_at(arguments, path)
    except (KeyError, IndexError):
        return False
    return True


def _rests(value: Any, schema: Any, source: Source, evidence: Evidence) -> bool:
    """Whether a value has evidence, or needs none."""
    if not _free_kinds(schema):
        return True
    if source.kind not in ("free", "schema") or source.rule == "date":
        return True
    if value is None or isinstance(value, bool):
        return True
    default = schema.get("default")
    if not all(isinstance(text, str) and _CODE.fullmatch(text) for text in (value, default)):
        return False
    meant = evidence.find(default)
    if value == default or (meant is not None and meant.rule != IN_A_WORD):
        return False
    return not re.search(rf"\b{re.escape(value)}\b", str(schema.get("description", "")))


def _all_beyond(
    tool: str, arguments: dict[str, Any], properties: Any, unsupported: set[str], evidence: Evidence
) -> dict[str, str]:
    """What to say of arguments for which a number was said that their limits forbid."""
    names = [name for name in arguments if name in unsupported and _is_free_number(arguments[name], properties.get(name))]
    if not names:
        return {}
    rest = json.dumps([value for name, value in arguments.items() if name not in unsupported])
    used = {float(r.value) for r in read_numbers(lowered(rest)) if r.rule in ("", "number in a word")}
    found = {name: next(_beyond(f"{tool}.{name}", properties.get(name), evidence.spoken - used), "") for name in names}
    return {name: clause for name, clause in found.items() if clause}


def _beyond(where: str, schema: Any, said: set[float]) -> Iterator[str]:
    """What to say of a number that was said and that the schema's limits forbid."""
    if not isinstance(schema, Mapping):
        return
    for keyword, (words, allows) in _LIMITS.items():
        limit = schema.get(keyword)
        wrong = sorted(number for number in said if _is_number(limit) and not allows(number, limit))
        if wrong:
            yield f"{wrong[0]:g} was said, and {where} must be {words} {limit:g}"
            return


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_free_number(value: Any, schema: Any) -> bool:
    return _is_number(value) and not {"integer", "number"}.isdisjoint(_free_kinds(schema))


def _free_kinds(schema: Any) -> set[str]:
    """Types of a schema whose values are free text or free numbers, which need evidence; empty for any other schema."""
    if not isinstance(schema, Mapping) or "enum" in schema or "const" in schema:
        return set()
    named = schema.get("type", ())
    kinds = {named} if isinstance(named, str) else set(named)
    return kinds if kinds <= {"string", "integer", "number", "null"} else set()


def _typed(value: Any, schema: Any) -> Any:
    """The value with whole numbers as floats where the schema says `number`."""
    if not isinstance(schema, Mapping):
        return value
    if _is_number(value) and isinstance(value, int):
        return float(value) if schema.get("type") == "number" and abs(value) < 1 << 53 else value
    if isinstance(value, list):
        return [_typed(item, schema.get("items")) for item in value]
    if isinstance(value, dict) and isinstance(schema.get("properties"), Mapping):
        return {name: _typed(item, schema["properties"].get(name)) for name, item in value.items()}
    return value
