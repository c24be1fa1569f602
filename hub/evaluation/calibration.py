"""How well an agent's confidence says whether its calls are wanted, and the regression that makes it say so.

The cases are BFCL's, with a tool for the request (simple_python, multiple) and without one (irrelevance). The model decides on
each of them with nothing withheld; a call is wanted where the case has an answer. The fit is judged on cases that it has not
seen: each half by the regression of the other half.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.table import Table

from ...agents import Agent
from ...agents.confidence import Calibration, Signals
from ...agents.model import AgentModel
from .bfcl import EvaluationError, load_cases
from .checker import check

CATEGORIES = ("simple_python", "multiple", "irrelevance")
_UNWANTED = "irrelevance"
_RIDGE = 0.1  # pulls the weights to 0, so that a signal which says nothing gets none
_EDGES = (0.2, 0.4, 0.6, 0.8, 0.9)


@dataclass(frozen=True)
class Observed:
    """What the model wrote on one case.

    Attributes:
        id, category: of the case.
        signals: of its calls; None where it wrote none.
        right: whether the calls are what the case asks for; where it asks for none, whether there are none.
    """

    id: str
    category: str
    signals: Signals | None
    right: bool

    @property
    def wanted(self) -> bool:
        """Whether the case wants a call."""
        return self.category != _UNWANTED


@dataclass(frozen=True)
class Bin:
    """Calls of like confidence: how many, what was predicted on average, and the share of those that were wanted."""

    count: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class CalibrationReport:
    """What was fitted and how good it is.

    Attributes:
        calibration: fitted on all cases.
        bins: of confidences on cases that were not fitted.
        error: mean distance of predicted and observed over the bins, weighted by their counts (ECE).
        brier, brier_before: mean squared distance of confidence and outcome, with the fit (on cases not fitted) and of the
            model's own account.
        observed: case by case.
    """

    calibration: Calibration
    bins: list[Bin]
    error: float
    brier: float
    brier_before: float
    observed: list[Observed]

    def kept(self, threshold: float) -> dict[str, float]:
        """The share of right outcomes in each category, with calls below a confidence withheld."""
        found: dict[str, list[bool]] = {}
        for case in self.observed:
            called = case.signals is not None and self.calibration.confidence(case.signals) >= threshold
            found.setdefault(case.category, []).append(case.right and called if case.wanted else not called)
        return {category: sum(right) / len(right) for category, right in found.items()}

    def to_json(self) -> dict[str, Any]:
        return {
            "calibration": dict(vars(self.calibration)),
            "bins": [vars(found) for found in self.bins],
            "error": self.error,
            "brier": self.brier,
            "brier_before": self.brier_before,
            "kept": {str(threshold): self.kept(threshold) for threshold in (0.0, self.calibration.confirm)},
            "cases": len(self.observed),
        }

    def table(self) -> Table:
        title = f"Confidence of {len(self.observed)} cases, those of a bin by a fit that has not seen them"
        before = f"of the model's own account {self.brier_before:.3f}"
        caption = f"calibration error {self.error:.3f}; Brier score {self.brier:.3f}, {before}"
        table = Table(title=title, caption=caption)
        for name in ("calls", "predicted", "wanted"):
            table.add_column(name, justify="right")
        for found in self.bins:
            table.add_row(str(found.count), f"{found.predicted:.2f}", f"{found.observed:.2f}")
        return table


def evaluate_calibration(
    model: AgentModel,
    usual: Calibration,
    *,
    without: Collection[str] = (),
    limit: int | None = None,
    on_case: Callable[[int, int], None] | None = None,
) -> CalibrationReport:
    """Fit a model's calibration.

    Args:
        model: with a confidence of its own.
        usual: whose thresholds the fit gets.
        without: ids of cases that are kept for other figures.
        limit: at most this many cases of each category.
        on_case: told how many cases are done, and of how many.

    Raises:
        EvaluationError: the model has no confidence, or all of its calls are of one kind.
    """
    cases = []
    for category in CATEGORIES:
        left = [case for case in load_cases([category]) if case.id not in without]
        cases += left if limit is None or limit >= len(left) else [left[at * len(left) // limit] for at in range(limit)]
    observed = []
    for done, case in enumerate(cases, 1):
        agent = Agent(model, case.tools(), instructions=case.instructions, min_confidence=0.0)
        decision = agent.decide(case.goal)
        right = check(case, decision.calls or decision.withheld).ok
        observed.append(Observed(case.id, case.category, decision.signals, right))
        if on_case is not None:
            on_case(done, len(cases))
    called = [case for case in observed if case.signals is not None]
    if len({case.wanted for case in called[::2]}) < 2 or len({case.wanted for case in called[1::2]}) < 2:
        raise EvaluationError(f"nothing can be fitted: {len(called)} of {len(observed)} cases have calls with a confidence")
    halves = called[::2], called[1::2]
    judged = [(case, confidence) for a, b in (halves, halves[::-1]) for case, confidence in _judged(fit(a, usual), b)]
    wanted = np.array([case.wanted for case, _ in judged], float)
    confidences = np.array([confidence for _, confidence in judged])
    before = np.array([min(case.signals.account, case.signals.probability) for case, _ in judged if case.signals is not None])
    bins = reliability(confidences, wanted)
    return CalibrationReport(
        fit(called, usual),
        bins,
        sum(found.count * abs(found.predicted - found.observed) for found in bins) / len(judged),
        float(np.mean((confidences - wanted) ** 2)),
        float(np.mean((before - wanted) ** 2)),
        observed,
    )


def fit(observed: Sequence[Observed], usual: Calibration) -> Calibration:
    """The regression of cases with calls, by Newton's method, with the thresholds of another one."""
    features = np.array([case.signals.features() for case in observed if case.signals is not None])
    wanted = np.array([case.wanted for case in observed if case.signals is not None], float)
    weights = np.zeros(features.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-features @ weights))
        curvature = (features * (p * (1 - p))[:, None]).T @ features + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(curvature, features.T @ (wanted - p) - _RIDGE * weights)
        weights += step
        if np.abs(step).max() < 1e-10:
            break
    account, probability, mass, relevance, bias = (round(float(weight), 4) for weight in weights)
    return replace(usual, account=account, probability=probability, mass=mass, relevance=relevance, bias=bias)


def reliability(confidences: np.ndarray, wanted: np.ndarray) -> list[Bin]:
    """Confidences [N] in bins, with the share that was wanted [N] in each."""
    where = np.digitize(confidences, _EDGES)
    chosen = [where == at for at in range(len(_EDGES) + 1)]
    return [
        Bin(int(inside.sum()), float(confidences[inside].mean()), float(wanted[inside].mean()))
        for inside in chosen
        if inside.any()
    ]


def _judged(calibration: Calibration, observed: Sequence[Observed]) -> list[tuple[Observed, float]]:
    return [(case, calibration.confidence(case.signals)) for case in observed if case.signals is not None]
