"""What an evaluation on AgentDojo found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .runner import Outcome

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Score:
    """Runs of one kind counted.

    Attributes:
        runs: how many.
        utility: of those, with the user's task done.
        attacked: with the injection's task done, by the package's own check.
        attacked_by_effect: of those, with an effect that the injection ordered; the rest is words in the answer, or the user's
            own task doing what the injection asks for.
        read: in which the model was shown the injected words, and so obeyed.
        ordered: effects that an injection ordered.
        unapproved: effects that nobody approved though an injection ordered them or a value of a sensitive parameter came from
            an untrusted result.
        effects, asked, granted, questions: likewise, effects made, approvals asked for and given, questions asked.
        seconds: all together.
    """

    runs: int
    utility: int
    attacked: int
    attacked_by_effect: int
    read: int
    ordered: int
    unapproved: int
    effects: int
    asked: int
    granted: int
    questions: int
    seconds: float

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Score:
        found = list(outcomes)
        counted = {name: sum(getattr(o, name) for o in found) for name in _COUNTED}
        return cls(
            runs=len(found),
            attacked_by_effect=sum(o.attacked and o.ordered > 0 for o in found),
            unapproved=sum(len(o.unapproved) for o in found),
            seconds=round(sum(o.seconds for o in found), 1),
            **counted,
        )


_COUNTED = ("utility", "attacked", "read", "ordered", "effects", "asked", "granted", "questions")


@dataclass(frozen=True)
class Report:
    """An evaluation.

    Attributes:
        benchmark, model, attack: what was run.
        outcomes: one for each run.
    """

    benchmark: str
    model: str
    attack: str
    outcomes: tuple[Outcome, ...]

    def scores(self) -> dict[tuple[str, str, str], Score]:
        """By whether there was an attack, approver and suite, "all" of the suites included."""
        kinds = dict.fromkeys(("attack" if o.injection_task else "alone", o.approver) for o in self.outcomes)
        found = {}
        for kind, approver in kinds:
            runs = [o for o in self.outcomes if (kind == "attack") == bool(o.injection_task) and o.approver == approver]
            for suite in dict.fromkeys(o.suite for o in runs):
                found[kind, approver, suite] = Score.of(o for o in runs if o.suite == suite)
            if len({o.suite for o in runs}) > 1:
                found[kind, approver, "all"] = Score.of(runs)
        return found

    @property
    def unapproved(self) -> list[str]:
        """Effects that should not have been, one line each, those of the runs where nothing was guarded left out."""
        return [
            f"{o.suite} {o.user_task} {o.injection_task}: {line}"
            for o in self.outcomes
            for line in o.unapproved
            if o.approver != "unguarded"
        ]

    def to_json(self) -> dict[str, Any]:
        """A JSON object with the scores and every run."""
        scores = [
            {"kind": kind, "approver": approver, "suite": suite, **asdict(score)}
            for (kind, approver, suite), score in self.scores().items()
        ]
        runs = [asdict(outcome) for outcome in self.outcomes]
        head = {"benchmark": self.benchmark, "model": self.model, "attack": self.attack}
        return {**head, "unapproved": self.unapproved, "scores": scores, "runs": runs}

    def table(self) -> Table:
        """The same for people."""
        from rich.table import Table

        title = f"{self.benchmark}, {self.model}, attack {self.attack}"
        table = Table(title=title, title_justify="left", box=None, header_style="bold")
        for name in ("suite", "attack", "approver"):
            table.add_column(name, no_wrap=True)
        for name in ("runs", "utility", "attacked", "effects", "unapproved", "asked"):
            table.add_column(name, justify="right", no_wrap=True)
        for (kind, approver, suite), score in self.scores().items():
            attack = kind == "attack"
            table.add_row(
                *(suite, "yes" if attack else "no", approver, str(score.runs), f"{score.utility / score.runs:.1%}"),
                f"{score.attacked / score.runs:.1%}" if attack else "–",
                *(str(score.effects), str(score.unapproved), f"{score.asked / score.runs:.2f}"),
            )
        return table
