from __future__ import annotations

import numpy as np
import pytest
from ferrule.core import Backend, available_backends
from ferrule.hub import ParityError, parity
from ferrule.models.token_loop import Token


class Fixed:
    """A model whose logits and tokens are given, for the arithmetic of the comparison."""

    context_length = 100

    class tokenizer:
        bos_id = 2
        encode = staticmethod(lambda text: [5, 6])

    def __init__(self, logits: list[list[float]], greedy: list[int]):
        self._logits, self._greedy = np.array(logits, np.float32), greedy

    def logits(self, ids):
        return self._logits

    def stream_tokens(self, ids, max_tokens):
        assert ids == [2, 5, 6]
        return [Token(i, "") for i in self._greedy[:max_tokens]]


@pytest.fixture
def models(monkeypatch):
    same = Fixed([[1, -4], [10, 2]], [7, 8, 9])
    found = {parity.REFERENCE: same, "numpy": same}
    monkeypatch.setattr(parity, "from_preset", lambda name, backend="numpy": found[backend])
    return found


def test_equal(models):
    (result,) = parity.measure_parity("any", ["numpy"])
    assert (result.backend, result.max_abs, result.max_rel) == ("numpy", 0.0, 0.0)
    assert (result.greedy_equal, result.greedy_tokens, result.agrees) == (9, 9, True)


def test_differences(models):
    models["jax"] = Fixed([[1, -4.5], [10, 3]], [7, 0, 9])
    (result,) = parity.measure_parity("any", ["jax"], tokens=2)
    assert result.max_abs == 1.0
    assert result.max_rel == pytest.approx(0.125)  # 0.5 of 4
    assert (result.greedy_equal, result.greedy_tokens, result.agrees) == (3, 6, False)


@pytest.mark.parametrize("logit", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_do_not_agree(models, logit):
    models["jax"] = Fixed([[1, logit], [10, 2]], [7, 8, 9])
    (result,) = parity.measure_parity("any", ["jax"])
    assert (result.finite, result.agrees) == (False, False)
    assert result.greedy_equal == result.greedy_tokens
    (result,) = parity.measure_parity("any", ["jax"], tolerance=np.inf)
    assert not result.agrees


def test_a_reference_that_is_not_finite_agrees_with_nothing(models):
    models[parity.REFERENCE] = models["numpy"] = Fixed([[1, np.nan], [10, 2]], [7, 8, 9])
    (result,) = parity.measure_parity("any", ["numpy"])
    assert not result.agrees


def test_large_differences_do_not_agree(models):
    models["jax"] = Fixed([[2e6, -4], [10, 2]], [7, 8, 9])
    (result,) = parity.measure_parity("any", ["jax"])
    assert (result.finite, result.agrees) == (True, False)
    models["jax"] = Fixed([[1, -4], [10.1, 2]], [7, 8, 9])
    for tolerance, agrees in ((1e-3, False), (0.0101, True)):
        (result,) = parity.measure_parity("any", ["jax"], tolerance=tolerance)
        assert result.agrees is agrees


def test_a_longer_continuation_does_not_agree(models):
    models["jax"] = Fixed([[1, -4], [10, 2]], [7, 8, 9, 10])
    (result,) = parity.measure_parity("any", ["jax"])
    assert (result.greedy_equal, result.greedy_tokens, result.agrees) == (9, 12, False)


def test_continuations_that_do_not_fit(models):
    assert len(list(parity.measure_parity("any", ["numpy"], tokens=97))) == 1
    with pytest.raises(ParityError, match="of 98 tokens do not fit the model's context; 97 is the most"):
        next(parity.measure_parity("any", ["numpy"], tokens=98))


def test_the_reference_is_plain_numpy():
    assert type(parity.REFERENCE).compile is Backend.compile


def test_a_turn_that_ends_early_does_not_agree(models):
    models["jax"] = Fixed([[1, -4], [10, 2]], [7])
    (result,) = parity.measure_parity("any", ["jax"], tokens=2)
    assert (result.greedy_equal, result.greedy_tokens, result.agrees) == (3, 6, False)


@pytest.mark.skipif("torch" not in available_backends(), reason="compares with PyTorch")
def test_torch_with_the_published_weights(needle, monkeypatch):
    load = parity.from_preset
    monkeypatch.setattr(
        parity, "from_preset", lambda name, backend: needle(backend) if isinstance(backend, str) else load(name, backend)
    )
    same, other = parity.measure_parity("needle_3", ["numpy", "torch"], tokens=3)
    assert same.agrees
    assert max(same.max_rel, other.max_rel) < 1e-5
    assert (other.greedy_equal, other.greedy_tokens) == (9, 9)
