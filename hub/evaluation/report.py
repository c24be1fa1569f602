"""What an evaluation found: one result for each case, scores for each category."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from .output import write_text
from .plot import bar_chart

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Subject:
    """What was evaluated: results of different subjects are not mixed.

    Attributes:
        preset: the model's name, with every setting that is not as usual.
        version: Ferrule's.
        weights: SHA-256 of the model's weights; empty where there are none.
    """

    preset: str
    version: str = ""
    weights: str = ""


@dataclass(frozen=True)
class Result:
    """One case.

    Attributes:
        id, category: of the case.
        preset, version, weights: see `Subject`.
        ok: the benchmark's checker is content.
        reason: why not: "no_call" (the model says that no tool fits), "withheld" (it was not sure enough), "missing_value" (a
            required number that nobody said), "stopped_…" (that budget ended the turn), "schema" (the grammar cannot guarantee
            a tool's schema), "context" (the prompt does not fit), or what is wrong with the calls, in the checker's words.
        detail: one line more.
        calls, withheld: ``{"name", "arguments"}`` each.
        reasoning, confidence: the model's, if it wrote anything.
        seconds, prompt_tokens, generated_tokens: what the turn cost; setting up the tools is in the seconds.
        progress: share of the turns of a conversation that were right before one was not; None for single decisions.
    """

    id: str
    category: str
    preset: str
    ok: bool
    reason: str = ""
    detail: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    withheld: list[dict[str, Any]] = field(default_factory=list)
    reasoning: str = ""
    confidence: float | None = None
    seconds: float = 0.0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    version: str = ""
    weights: str = ""
    progress: float | None = None

    @property
    def subject(self) -> Subject:
        return Subject(self.preset, self.version, self.weights)

    def is_sound(self) -> bool:
        """Whether the values are of their types, as they may not be when they come from a file."""
        texts = (self.id, self.category, self.preset, self.reason, self.detail, self.version, self.weights)
        numbers = (self.seconds, self.prompt_tokens, self.generated_tokens)
        return (
            all(isinstance(text, str) for text in texts)
            and isinstance(self.ok, bool)
            and all(isinstance(number, int | float) for number in numbers)
            and (self.progress is None or isinstance(self.progress, int | float))
            and isinstance(self.calls, list)
        )


@dataclass(frozen=True)
class Score:
    """Results counted.

    Attributes:
        cases, right: numbers of cases.
        failures: reason -> number of cases, the most frequent first.
        median_seconds, seconds: of one case, of all together.
        progress: mean over the conversations of the share of turns that were right before one was not; None without any.
        compared: cases that the baseline has, too.
        compared_right, baseline_right: of those, how many we and the baseline got right.
    """

    cases: int
    right: int
    failures: dict[str, int]
    median_seconds: float
    seconds: float
    compared: int = 0
    compared_right: int = 0
    baseline_right: int = 0
    progress: float | None = None

    @property
    def accuracy(self) -> float:
        return self.right / self.cases if self.cases else 0.0

    @property
    def baseline_accuracy(self) -> float | None:
        return self.baseline_right / self.compared if self.compared else None

    def to_json(self) -> dict[str, Any]:
        record = {"accuracy": round(self.accuracy, 4), **asdict(self)}
        if self.compared:
            record["compared_accuracy"] = round(self.compared_right / self.compared, 4)
            record["baseline_accuracy"] = round(self.baseline_right / self.compared, 4)
        return record


@dataclass(frozen=True)
class Report:
    """An evaluation.

    Attributes:
        benchmark, preset: what was run on what.
        results: in the order in which they were asked for.
        baseline: case id -> whether another engine's calls are right, by the same checker; empty without one.
        beside: what that engine is called.
        peer: its own report, where it is the plain loop.
    """

    benchmark: str
    preset: str
    results: list[Result]
    baseline: Mapping[str, bool] = field(default_factory=dict)
    beside: str = "baseline"
    peer: Report | None = None

    def beside_plain(self, plain: Report) -> Report:
        """This report with the plain loop's beside it."""
        return replace(self, baseline={result.id: result.ok for result in plain.results}, beside="plain loop", peer=plain)

    @property
    def scores(self) -> dict[str, Score]:
        """Category -> score, in the order of the results."""
        categories = dict.fromkeys(result.category for result in self.results)
        return {name: self._score(r for r in self.results if r.category == name) for name in categories}

    @property
    def overall(self) -> Score:
        """All cases alike, whatever their category."""
        return self._score(self.results)

    @property
    def mean_accuracy(self) -> float:
        """Mean over the categories, each counting the same."""
        scores = self.scores.values()
        return sum(score.accuracy for score in scores) / len(scores) if scores else 0.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the single results are in the output file of `evaluate`."""
        return {
            "benchmark": self.benchmark,
            "preset": self.preset,
            "mean_accuracy": round(self.mean_accuracy, 4),
            "overall": self.overall.to_json(),
            "categories": {name: score.to_json() for name, score in self.scores.items()},
            **({"plain": self.peer.to_json()} if self.peer is not None else {}),
        }

    def plot(self) -> str:
        """The accuracies as a bar chart, an SVG text."""
        shares: dict[str, dict[str, float]] = {}
        for name, score in self.scores.items():
            shares[name] = {"agent": score.accuracy}
            if score.baseline_accuracy is not None:
                shares[name][self.beside] = score.baseline_accuracy
        return bar_chart(f"{self.benchmark}, {self.preset}: cases right", shares)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the plot to an .svg file, or everything to a file of another name, as JSON; whole or not at all.

        Raises:
            EvaluationError: the file cannot be written.
        """
        target = Path(path)
        write_text(target, self.plot() if target.suffix == ".svg" else json.dumps(self.to_json(), indent=1) + "\n")

    def table(self) -> Table:
        """The same for people."""
        from rich.table import Table

        table = Table(title=f"{self.benchmark}, {self.preset}", title_justify="left")
        table.add_column("category")
        talks = any(result.progress is not None for result in self.results)
        beside = (*(("same cases",) if self.peer is None else ()), self.beside) if self.baseline else ()
        for name in ("cases", "accuracy", *beside, *(("turns right",) if talks else ()), "median s"):
            table.add_column(name, justify="right")
        table.add_column("failures")
        for name, score in [*self.scores.items(), ("all cases", self.overall)]:
            beside = ()
            if self.baseline:
                ours = f"{score.compared_right / score.compared:.4f}" if score.compared else "–"
                theirs = f"{score.baseline_accuracy:.4f}" if score.compared else "–"
                beside = (ours, theirs) if self.peer is None else (theirs,)  # the plain loop had all of our cases
            failures = ", ".join(f"{count} {reason}" for reason, count in score.failures.items())
            accuracy, seconds = f"{score.accuracy:.4f}", f"{score.median_seconds:.2f}"
            turns = ("–" if score.progress is None else f"{score.progress:.4f}",) if talks else ()
            table.add_row(name, str(score.cases), accuracy, *beside, *turns, seconds, failures)
        return table

    def _score(self, results: Iterable[Result]) -> Score:
        results = list(results)
        shared = [result for result in results if result.id in self.baseline]
        seconds = [result.seconds for result in results]
        turns = [result.progress for result in results if result.progress is not None]
        return Score(
            cases=len(results),
            right=sum(result.ok for result in results),
            failures=dict(Counter(result.reason for result in results if not result.ok).most_common()),
            median_seconds=round(median(seconds), 3) if seconds else 0.0,
            seconds=round(sum(seconds), 3),
            compared=len(shared),
            compared_right=sum(result.ok for result in shared),
            baseline_right=sum(self.baseline[result.id] for result in shared),
            progress=round(sum(turns) / len(turns), 4) if turns else None,
        )
