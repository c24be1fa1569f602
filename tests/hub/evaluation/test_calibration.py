from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from ferrule.agents import ScriptedModel
from ferrule.agents.confidence import Calibration, Signals
from ferrule.hub.evaluation import EvaluationError
from ferrule.hub.evaluation.calibration import Observed, evaluate_calibration, fit, reliability

USUAL = Calibration(1, 0, 0, 0, 0, 0.5, 0.8)


def drawn(count, truth, seed=0):
    """Cases whose outcomes are drawn with the probability that a calibration gives."""
    rng = np.random.default_rng(seed)
    found = []
    for at in range(count):
        signals = Signals(float(rng.uniform(0.02, 0.98)), float(rng.uniform(0.1, 1)), 1.0, float(rng.exponential(3)))
        wanted = rng.random() < truth.confidence(signals)
        found.append(Observed(str(at), "simple_python" if wanted else "irrelevance", signals, bool(wanted)))
    return found


def test_the_fit_finds_what_the_outcomes_were_drawn_with():
    truth = replace(USUAL, account=0.9, probability=0.3, relevance=2.0, bias=-2.0)
    found = fit(drawn(20_000, truth), USUAL)
    for name in ("account", "probability", "relevance", "bias"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), abs=0.15), name
    assert (found.mass, found.confirm, found.act) == (0.0, 0.5, 0.8)  # a signal that never varies gets no weight


def test_the_fit_is_the_smallest_loss():
    cases = drawn(300, replace(USUAL, relevance=1.0, bias=-1.0))

    def loss(calibration):
        weights = np.array([getattr(calibration, name) for name in ("account", "probability", "mass", "relevance", "bias")])
        p = [calibration.confidence(case.signals) for case in cases]
        return -sum(math.log(q if case.wanted else 1 - q) for q, case in zip(p, cases, strict=True)) + 0.05 * weights @ weights

    best = fit(cases, USUAL)
    for name in ("account", "probability", "relevance", "bias"):
        for step in (-0.05, 0.05):
            assert loss(replace(best, **{name: getattr(best, name) + step})) > loss(best)


def test_bins():
    confidences, wanted = np.array([0.1, 0.15, 0.5, 0.95, 0.99]), np.array([0, 1, 1, 1, 1.0])
    found = reliability(confidences, wanted)
    assert [(b.count, round(b.predicted, 3), b.observed) for b in found] == [(2, 0.125, 0.5), (1, 0.5, 1.0), (2, 0.97, 1.0)]


def test_a_model_without_an_opinion_cannot_be_fitted():
    pytest.importorskip("bfcl_eval")
    model = ScriptedModel.from_calls([[]] * 12)
    with pytest.raises(EvaluationError, match="nothing can be fitted: 0 of 6 cases"):
        evaluate_calibration(model, USUAL, limit=2)
