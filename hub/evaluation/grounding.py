"""How often grounding refuses what is right, and how often it catches what is wrong, on the gold answers of BFCL: no model.

Each gold call is the first accepted value of every argument. It is refused where `ground` withholds the call or leaves out one
of its arguments. Wrong values are gold values changed in one place: a number by one, a text for the same argument's of another
case; they count as caught where the changed argument is left out or its call withheld.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ...agents.evidence import Evidence
from ...agents.grounding import ground
from ...tools import Tool, ToolCall
from .bfcl import Case, EvaluationError, load_cases
from .checker import check

CATEGORIES = ("simple_python", "multiple")


@dataclass(frozen=True)
class GroundingReport:
    """What came of it.

    Attributes:
        cases: with gold calls.
        refused: cases with a call that was withheld or lost an argument, with what was wrong.
        wrong: of those, the cases whose calls the benchmark's checker then finds wrong: the others lack nothing that it wants.
        numbers, texts: changed gold values, each a call of its own.
        caught_numbers, caught_texts: of those.
    """

    cases: int
    refused: dict[str, list[str]] = field(default_factory=dict)
    wrong: int = 0
    numbers: int = 0
    caught_numbers: int = 0
    texts: int = 0
    caught_texts: int = 0

    @property
    def false_refusals(self) -> float:
        """The share of cases that were refused."""
        return len(self.refused) / self.cases if self.cases else 0.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object with its fields and the shares."""
        shares = {
            "false_refusals": round(self.false_refusals, 4),
            "caught_number_share": round(self.caught_numbers / self.numbers, 4) if self.numbers else None,
            "caught_text_share": round(self.caught_texts / self.texts, 4) if self.texts else None,
        }
        return {**shares, **asdict(self)}


def evaluate_grounding(
    categories: Iterable[str] = CATEGORIES, limit: int | None = None, strict: bool = True
) -> GroundingReport:
    """False refusals and caught mistakes of a policy on gold calls.

    Args:
        categories: of `ALL_CATEGORIES`, with answers.
        limit: at most this many cases of each category.
        strict: the policy; see `agents.grounding`.

    Raises:
        EvaluationError: the benchmark's package is missing, or a category is not known or has no answers.
    """
    cases = load_cases(categories, limit)
    if without := [case.category for case in cases if case.answers is None]:
        raise EvaluationError(f"the cases of {without[0]} have no answers; leave it out")
    refused: dict[str, list[str]] = {}
    wrong = 0
    caught = {int: [0, 0], str: [0, 0]}
    texts = _texts(cases)
    for case in cases:
        evidence, tools = _evidence(case), {tool.name: tool for tool in case.tools()}
        gold = list(gold_calls(case))
        grounded = [ground(call, tools[call.name], evidence, strict) for call in gold]
        found = [what for item in grounded for what in (*item.missing, *item.out_of_range, *item.dropped)]
        if found:
            refused[case.id] = found
            withheld = any(item.missing or item.out_of_range for item in grounded)
            wrong += withheld or not check(case, [item.call for item in grounded]).ok
        for call in gold:
            tool = tools[call.name]
            before = ground(call, tool, evidence, strict)
            for name, value in _changed(call, tool, texts, _accepted(case, call.name)):
                if name not in before.call.arguments or before.missing or before.out_of_range:
                    continue
                item = ground(ToolCall(call.name, {**call.arguments, name: value}), tool, evidence, strict)
                count = caught[str if isinstance(value, str) else int]
                count[0] += 1
                count[1] += name not in item.call.arguments or bool(item.missing or item.out_of_range)
    return GroundingReport(len(cases), refused, wrong, *caught[int], *caught[str])


def gold_calls(case: Case) -> Iterator[ToolCall]:
    """The calls that a case expects, with the first accepted value of every argument; "" stands for none."""
    for answer in case.answers or ():
        for name, accepted in answer.items():
            yield ToolCall(name, {key: _first(values[0]) for key, values in accepted.items() if values and values[0] != ""})


def _first(value: Any) -> Any:
    """A value with the first accepted one of each property; inside objects, and only there, accepted values are lists."""
    if isinstance(value, dict):
        return {
            key: _first(item[0]) if isinstance(item, list) and item else _first(item)
            for key, item in value.items()
            if item != [""] and not (isinstance(item, list) and item and item[0] == "")
        }
    return [_first(item) for item in value] if isinstance(value, list) else value


def _evidence(case: Case) -> Evidence:
    evidence = Evidence()
    evidence.add("instructions", case.instructions)
    evidence.add("goal", case.goal)
    return evidence


def _accepted(case: Case, function: str) -> dict[str, list[Any]]:
    """Every accepted value by argument."""
    found: dict[str, list[Any]] = {}
    for answer in case.answers or ():
        for name, values in answer.get(function, {}).items():
            found.setdefault(name, []).extend(values)
    return found


def _texts(cases: Iterable[Case]) -> dict[str, list[str]]:
    """The gold texts of each argument name over all cases."""
    found: dict[str, list[str]] = {}
    for case in cases:
        for answer in case.answers or ():
            for accepted in answer.values():
                for name, values in accepted.items():
                    if values and isinstance(values[0], str) and values[0] and values[0] not in found.setdefault(name, []):
                        found[name].append(values[0])
    return found


def _changed(
    call: ToolCall, tool: Tool, texts: Mapping[str, list[str]], accepted: Mapping[str, list[Any]]
) -> Iterator[tuple[str, Any]]:
    """Wrong values for the arguments of a call, one at a time; what the schema lists is not changed."""
    properties = tool.parameters.get("properties", {})
    for name, value in call.arguments.items():
        right = [item.casefold() if isinstance(item, str) else item for item in accepted.get(name, ())]
        if "enum" in properties.get(name, {}) or isinstance(value, bool):
            continue
        if isinstance(value, int | float):
            yield from ((name, value + step) for step in (1, -1) if value + step not in right)
        elif isinstance(value, str):
            others = texts.get(name, [])
            at = others.index(value) if value in others else 0
            other = others[(at + 1) % len(others)] if others else ""
            if other and other.casefold() not in right:
                yield name, other
