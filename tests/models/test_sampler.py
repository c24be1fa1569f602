from __future__ import annotations

import numpy as np
import pytest
from ferrule.models import OptionError, RandomSampler, greedy, make_sampler
from hypothesis import given
from hypothesis import strategies as st

LOGITS = np.log(np.array([0.4, 0.05, 0.3, 0.2, 0.05], np.float32))


def frequencies(sampler, logits=LOGITS, draws=4000):
    return np.bincount([sampler(logits) for _ in range(draws)], minlength=len(logits)) / draws


def test_greedy():
    assert greedy(np.array([1, 3, 3, 2], np.float32)) == 1
    assert greedy(np.array([-np.inf, -5, -np.inf], np.float32)) == 1
    assert make_sampler() is greedy
    assert make_sampler(0.0, top_k=3, seed=7) is greedy
    assert make_sampler(np.float32(0), top_k=np.int64(3)) is greedy


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        *(("temperature", value, "a number from 0 on") for value in (-1, float("nan"), float("inf"), "hot", None, True)),
        *(("top_k", value, "a whole number from 0 on") for value in (-1, 1.5, float("nan"), 2**63)),
        *(("top_p", value, "a number above 0 and at most 1") for value in (2, 0, -0.1, float("nan"), "0.5")),
        *(("min_p", value, "a number from 0 to 1") for value in (2, -0.1, float("nan"))),
        *(("seed", value, "a whole number from 0 on") for value in (-1, 2**64, 0.5)),
    ],
)
def test_options_that_cannot_be(option, value, wanted):
    """They are refused whether a sampler would use them or not."""
    for others in ({}, {"temperature": 1.0}):
        with pytest.raises(OptionError) as caught:
            make_sampler(**{**others, option: value})
        assert str(caught.value) == f"{option} must be {wanted}, received {value!r}"
    with pytest.raises(OptionError):
        RandomSampler(**{option: value})


def test_draws_follow_the_softmax():
    np.testing.assert_allclose(frequencies(RandomSampler()), np.exp(LOGITS), atol=0.025)
    sharper = np.exp(2 * LOGITS) / np.exp(2 * LOGITS).sum()
    np.testing.assert_allclose(frequencies(RandomSampler(temperature=0.5)), sharper, atol=0.025)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"top_k": 1}, {0}),
        ({"top_k": 3}, {0, 2, 3}),
        ({"top_k": 99}, {0, 1, 2, 3, 4}),
        ({"top_p": 0.39}, {0}),
        ({"top_p": 0.69}, {0, 2}),
        ({"top_p": 0.71}, {0, 2, 3}),
        ({"min_p": 0.4}, {0, 2, 3}),
        ({"min_p": 1.0}, {0}),
        ({"top_k": 3, "top_p": 0.5, "min_p": 0.6}, {0, 2}),
    ],
)
def test_rules_cut_the_unlikely_off(options, kept):
    found = frequencies(RandomSampler(seed=1, **options), draws=1500)
    assert set(np.flatnonzero(found)) == kept
    p = np.where([i in kept for i in range(5)], np.exp(LOGITS), 0)
    np.testing.assert_allclose(found, p / p.sum(), atol=0.05)


def test_masked_tokens_are_never_drawn():
    masked = np.where([True, False, True, False, False], -np.inf, LOGITS)
    assert set(np.flatnonzero(frequencies(RandomSampler(temperature=100.0), masked, 500))) == {1, 3, 4}
    only = np.full(300, -np.inf, np.float32)
    only[299] = -80
    assert RandomSampler()(only) == 299


def test_the_same_seed_draws_the_same():
    draws = [[RandomSampler(seed=seed)(LOGITS) for _ in range(1)] for seed in range(40)]
    assert draws == [[RandomSampler(seed=seed)(LOGITS)] for seed in range(40)]
    assert len({draw for (draw,) in draws}) > 2
    one, other = RandomSampler(seed=5), RandomSampler(seed=5)
    assert [one(LOGITS) for _ in range(50)] == [other(LOGITS) for _ in range(50)]


@given(
    logits=st.lists(st.floats(-1e4, 1e4, width=32) | st.just(-np.inf), min_size=1, max_size=40).filter(
        lambda x: max(x) > -np.inf
    ),
    temperature=st.floats(1e-300, 1e6),
    top_k=st.integers(0, 50),
    top_p=st.floats(1e-6, 1.0),
    min_p=st.floats(0, 1),
    seed=st.integers(0, 2**64 - 1),
)
def test_every_draw_is_an_allowed_token(logits, temperature, top_k, top_p, min_p, seed):
    logits = np.array(logits, np.float32)
    token = RandomSampler(temperature, top_k, top_p, min_p, seed)(logits)
    assert np.isfinite(logits[token])


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"min_p": 1.5},
        {"top_k": -1},
    ],
)
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match=r"received .*" + str(next(iter(options.values())))):
        RandomSampler(**options)


def test_misspelt_options_are_not_swallowed():
    with pytest.raises(TypeError, match="top_q"):
        make_sampler(0.0, top_q=1)
