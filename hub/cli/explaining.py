"""`--explain`: what the values of calls rest on, for people and machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from ...agents import Call, Goal, Observation, Question, Refusal, Run, Step
from ...agents.explanation import Explained, explain
from ...agents.settings import Settings
from ...agents.verification import audit
from ...tools import ToolResult, Toolset
from .console import printable

WHY_DROPPED = "nothing that was said supports it"
_WIDEST = 32  # cells of a name or a value in its column


class Explainer:
    """Follows the steps of a run, and says of each what it rests on.

    Args:
        run: its steps so far and those before it count.
    """

    def __init__(self, run: Run):
        self._results: dict[int, ToolResult] = {}
        for step in (*run.earlier, *run.steps):
            self.see(step)

    def see(self, step: Any) -> None:
        """A step happened."""
        if isinstance(step, Observation) and step.result.ok:
            self._results[step.number] = step.result

    def lines(self, step: Step) -> Iterator[Text]:
        """What belongs under a step, aligned."""
        if isinstance(step, Call):
            rows = [(item.name, _shown(item.value), item) for item in explain(step, self._results)]
            widths = [min(_WIDEST, max((cell_len(row[n]) for row in rows), default=0)) for n in (0, 1)]
            for name, value, item in rows:
                start = f"    {_padded(printable(name), widths[0])} = {_padded(value, widths[1])}  "
                yield Text.assemble(
                    start, (printable(item.because), _style(item)), ("" if item.trusted else "  not trusted", "red")
                )
        elif isinstance(step, Question | Refusal) and step.withheld:
            for call in step.withheld:
                arguments = ", ".join(f"{name}={_shown(value)}" for name, value in call.arguments.items())
                sure = "" if step.confidence is None else f"  confidence {step.confidence:.2f}"
                yield Text(f"    withheld: {printable(call.name)}({arguments}){sure}", "dim")

    def document(self, step: Call) -> dict[str, Any]:
        """The same of a call, as a JSON object."""
        return {
            "call": step.number,
            "name": step.call.name,
            "confidence": step.confidence,
            "arguments": [item.to_json() for item in explain(step, self._results)],
            "dropped": [{"argument": dropped, "reason": WHY_DROPPED} for dropped in step.dropped],
        }


def explained(run: Run, tools: Toolset, settings: Settings) -> dict[str, Any]:
    """All calls of a run explained, what was withheld, and the outcome of checking the evidence again; a JSON object."""
    explainer = Explainer(run)
    return {
        "calls": [explainer.document(step) for step in run.steps if isinstance(step, Call)],
        "withheld": [
            {"name": call.name, "arguments": call.arguments, "confidence": step.confidence, "reason": step.reason}
            for step in run.steps
            if isinstance(step, Question | Refusal)
            for call in step.withheld
        ],
        "checked": {"values": _count(run.steps), "wrong": audit(run, tools, settings)},
    }


def verdict(run: Run, tools: Toolset, settings: Settings) -> Text | None:
    """One line on the evidence of a run, checked again without its model; None where there is none."""
    count, wrong = _count(run.steps), audit(run, tools, settings)
    if wrong:
        return Text(f"the evidence does not hold: {printable('; '.join(wrong))}", "red")
    values = f"{count} value{'s' * (count != 1)}"
    return Text(f"evidence of {values} checked again: it holds", "dim") if count else None


def goal_line(step: Step) -> Text | None:
    """The goal, so that spans in it can be read."""
    return Text.assemble(("goal ", "dim"), printable(step.text)) if isinstance(step, Goal) else None


def _count(steps: Iterable[Step]) -> int:
    return sum(len(step.evidence) for step in steps if isinstance(step, Call))


def _style(item: Explained) -> str:
    return "yellow" if item.kind == "free" or not item.trusted else "green"


def _shown(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False))


def _padded(text: str, width: int) -> str:
    """Text of so many cells: filled up with spaces, or cut."""
    if cell_len(text) > width:
        while cell_len(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - cell_len(text))
