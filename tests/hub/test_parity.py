from __future__ import annotations

import numpy as np
import pytest
from ferrule.core import available_backends
from ferrule.hub import parity
from ferrule.models.token_loop import Token


class Fixed:
    """A model whose logits and tokens are given, for the arithmetic of the comparison."""

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
    found = {"numpy": Fixed([[1, -4], [10, 2]], [7, 8, 9])}
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


def test_a_turn_that_ends_early_does_not_agree(models):
    models["jax"] = Fixed([[1, -4], [10, 2]], [7])
    (result,) = parity.measure_parity("any", ["jax"], tokens=2)
    assert (result.greedy_equal, result.greedy_tokens, result.agrees) == (3, 6, False)


@pytest.mark.skipif("torch" not in available_backends(), reason="compares with PyTorch")
def test_torch_with_the_published_weights(needle, monkeypatch):
    monkeypatch.setattr(parity, "from_preset", lambda name, backend="numpy": needle(backend))
    same, other = parity.measure_parity("needle_3", ["numpy", "torch"], tokens=3)
    assert (same.max_abs, same.agrees) == (0.0, True)
    assert other.max_rel < 1e-5
    assert (other.greedy_equal, other.greedy_tokens) == (9, 9)
