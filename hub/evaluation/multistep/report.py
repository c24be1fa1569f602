"""What the suite found: one outcome for each task and loop, and figures for each kind of task and each world."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ..output import write_text
from ..plot import bar_chart

if TYPE_CHECKING:
    from rich.table import Table

_TITLE = "multi-step suite"


@dataclass(frozen=True)
class Outcome:
    """One task by one loop.

    Attributes:
        id, kind, split, worlds: of the task.
        loop: "agent" or "plain".
        ok: the goal was reached.
        reason, detail: if not, why (`judge.Verdict`).
        ended, text: how the loop ended, and its last words.
        calls: ``{"name", "arguments", "ok", "error"}`` each.
        planned: number of calls of the task's plan.
        turns, prompt_tokens, generated_tokens, seconds: what it cost.
    """

    id: str
    kind: str
    split: str
    worlds: list[str]
    loop: str
    ok: bool
    reason: str
    detail: str
    ended: str
    text: str
    calls: list[dict[str, Any]]
    planned: int
    turns: int
    prompt_tokens: int
    generated_tokens: int
    seconds: float


@dataclass(frozen=True)
class Figures:
    """Outcomes counted.

    Attributes:
        tasks, reached: numbers of tasks.
        calls, generated_tokens, seconds: means of one task.
        median_seconds: of one task.
        failures: reason -> number of tasks, the most frequent first.
    """

    tasks: int
    reached: int
    calls: float
    generated_tokens: float
    seconds: float
    median_seconds: float
    failures: dict[str, int]

    @property
    def completion(self) -> float:
        return self.reached / self.tasks if self.tasks else 0.0

    def to_json(self) -> dict[str, Any]:
        return {"completion": round(self.completion, 4), **asdict(self)}


@dataclass(frozen=True)
class SuiteReport:
    """An evaluation.

    Attributes:
        split, preset, version: which half was run on what, by which version of Ferrule.
        outcomes: in the order of the tasks.
    """

    split: str
    preset: str
    version: str
    outcomes: list[Outcome]

    @property
    def loops(self) -> list[str]:
        return list(dict.fromkeys(outcome.loop for outcome in self.outcomes))

    def overall(self, loop: str) -> Figures:
        return _figures(outcome for outcome in self.outcomes if outcome.loop == loop)

    def by_kind(self, loop: str) -> dict[str, Figures]:
        return self._grouped(loop, lambda outcome: [outcome.kind])

    def by_world(self, loop: str) -> dict[str, Figures]:
        """A task in two worlds counts in both."""
        return self._grouped(loop, lambda outcome: outcome.worlds)

    @property
    def ratio(self) -> float | None:
        """Goals that the agent reaches for each that the plain loop reaches; None where one of them was not run, or reached
        none."""
        if not {"agent", "plain"} <= set(self.loops) or not self.overall("plain").reached:
            return None
        return self.overall("agent").reached / self.overall("plain").reached

    def to_json(self) -> dict[str, Any]:
        """A JSON object with everything."""
        return {
            "benchmark": _TITLE,
            "split": self.split,
            "preset": self.preset,
            "version": self.version,
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "loops": {
                loop: {
                    "overall": self.overall(loop).to_json(),
                    "kinds": {name: figures.to_json() for name, figures in self.by_kind(loop).items()},
                    "worlds": {name: figures.to_json() for name, figures in self.by_world(loop).items()},
                }
                for loop in self.loops
            },
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }

    def table(self) -> Table:
        """The figures for people."""
        from rich.table import Table

        table = Table(title=f"{_TITLE}, {self.split}, {self.preset}", title_justify="left")
        for name in ("loop", "tasks"):
            table.add_column(name, no_wrap=True)
        for name in ("n", "ok", "share", "calls", "tokens", "s"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("failures")
        for loop in self.loops:
            for groups in (self.by_kind(loop), self.by_world(loop), {"all": self.overall(loop)}):
                for name, figures in groups.items():
                    table.add_row(loop, name, *_row(figures))
                table.add_section()
        return table

    def plot(self) -> str:
        """The completions as a bar chart, an SVG text."""
        shares: dict[str, dict[str, float]] = {}
        for loop in self.loops:
            for name, figures in {"all": self.overall(loop), **self.by_kind(loop), **self.by_world(loop)}.items():
                shares.setdefault(name, {})[loop] = figures.completion
        return bar_chart(f"{_TITLE}, {self.split}, {self.preset}: goals reached", shares)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the plot to an .svg file, or everything to a file of another name, as JSON; whole or not at all.

        Raises:
            EvaluationError: the file cannot be written.
        """
        target = Path(path)
        write_text(target, self.plot() if target.suffix == ".svg" else json.dumps(self.to_json(), indent=1) + "\n")

    def _grouped(self, loop: str, names: Callable[[Outcome], list[str]]) -> dict[str, Figures]:
        own = [outcome for outcome in self.outcomes if outcome.loop == loop]
        groups = dict.fromkeys(name for outcome in own for name in names(outcome))
        return {name: _figures(outcome for outcome in own if name in names(outcome)) for name in groups}


def _row(figures: Figures) -> list[str]:
    failures = ", ".join(f"{count} {reason}" for reason, count in figures.failures.items())
    numbers = f"{figures.completion:.1%}", f"{figures.calls:.1f}", f"{figures.generated_tokens:.0f}", f"{figures.seconds:.1f}"
    return [str(figures.tasks), str(figures.reached), *numbers, failures]


def _figures(outcomes: Iterable[Outcome]) -> Figures:
    found = list(outcomes)
    count = len(found) or 1
    return Figures(
        tasks=len(found),
        reached=sum(outcome.ok for outcome in found),
        calls=round(sum(len(outcome.calls) for outcome in found) / count, 2),
        generated_tokens=round(sum(outcome.generated_tokens for outcome in found) / count, 1),
        seconds=round(sum(outcome.seconds for outcome in found) / count, 3),
        median_seconds=round(median(outcome.seconds for outcome in found), 3) if found else 0.0,
        failures=dict(Counter(outcome.reason for outcome in found if not outcome.ok).most_common()),
    )
