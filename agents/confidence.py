"""How likely it is that a call is what the user wants, from all that is known of it when it is written.

A small model's own account is not calibrated: asked for something that no tool does, Needle is as sure of a wrong call as it
is of many right ones. What it lacks are the words: whether the goal is about the tool at all. So the account, the likelihood
of the tokens that it chose freely, the share of probability that the grammar had to take away, and the tool's relevance to
the goal (`relevance.py`) go into one logistic regression (Platt 1999). It is fitted once for a model, on cases with known
outcome (`ferrule eval calibration`), and comes with its preset.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .errors import UsageError

MIN_CONFIDENCE = 0.1
"""Where nothing is calibrated: what a call needs to be made, by the model's own account."""
UNTOLD = 2.0
"""Relevance of a call for words that may be of another language than the tools, so that they tell nothing."""
_SUREST = 6.0  # most that an account counts, as log odds
_UNLIKELIEST = 5.0  # most that a token, or what the grammar took away, counts, as negative log probability


@dataclass(frozen=True)
class Signals:
    """What is known of the calls of a turn when they are written.

    Attributes:
        account: probability that each is right, by the model's own head.
        probability: smallest one of a freely chosen token, among those that the grammar allowed.
        mass: smallest share of probability that the grammar left, where the model chose freely.
        relevance: how much the tool has to do with the words, 0 for nothing; of several tools the least.
    """

    account: float
    probability: float
    mass: float
    relevance: float

    def features(self) -> tuple[float, float, float, float, float]:
        """What a calibration weighs, in the order of its fields."""
        kept = min(max(self.account, 1e-9), 1 - 1e-9)
        odds = math.log(kept / (1 - kept))
        return (
            min(max(odds, -_SUREST), _SUREST),
            _log(self.probability),
            _log(self.mass),
            math.log1p(max(self.relevance, 0.0)),
            1.0,
        )


@dataclass(frozen=True)
class Calibration:
    """A fitted regression and what is done at which confidence.

    Attributes:
        account, probability, mass, relevance, bias: weights of the features.
        confirm: confidence below which a call is withheld.
        act: confidence below which a call that changes something is asked about.

    Raises:
        UsageError: a number is none, or confirm is above act.
    """

    account: float
    probability: float
    mass: float
    relevance: float
    bias: float
    confirm: float
    act: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise UsageError(f"{name} of a calibration is a number, received {value!r}")
        if not 0 <= self.confirm <= self.act <= 1:
            raise UsageError(f"of a calibration 0 <= confirm <= act <= 1, received {self.confirm!r} and {self.act!r}")

    def confidence(self, signals: Signals) -> float:
        """Probability that calls with these signals are what the user wants."""
        weights = (self.account, self.probability, self.mass, self.relevance, self.bias)
        total = sum(weight * feature for weight, feature in zip(weights, signals.features(), strict=True))
        return 1 / (1 + math.exp(-max(min(total, 500.0), -500.0)))

    @classmethod
    def from_json(cls, record: Any) -> Calibration:
        """Of a JSON object with its fields; UsageError where it has others."""
        names = [f.name for f in fields(cls)]
        if not isinstance(record, Mapping) or set(record) != set(names):
            raise UsageError(f"a calibration is an object with {', '.join(names)}, received {record!r:.120}")
        return cls(**record)


def _log(share: float) -> float:
    return max(math.log(max(share, 1e-9)), -_UNLIKELIEST)
