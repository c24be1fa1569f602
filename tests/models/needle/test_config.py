from __future__ import annotations

import itertools

import pytest
from ferrule.models.needle.config import selection_order
from hypothesis import given
from hypothesis import strategies as st


def test_published_order():
    """Spec §3.9."""
    order = selection_order(20)
    assert order == (0, 19, 9, 14, 4, 6, 11, 16, 2, 7, 12, 17, 1, 3, 5, 8, 10, 13, 15, 18)
    assert sorted(order[:4]) == [0, 9, 14, 19]
    assert sorted(order[:12]) == [0, 2, 4, 6, 7, 9, 11, 12, 14, 16, 17, 19]


@given(count=st.integers(1, 64))
def test_every_layer_once_and_always_into_a_widest_gap(count):
    order = selection_order(count)
    assert sorted(order) == list(range(count))
    for i in range(2, count):
        known = sorted(order[:i])
        gaps = [right - left for left, right in itertools.pairwise(known)]
        left = max(layer for layer in known if layer < order[i])
        right = min(layer for layer in known if layer > order[i])
        assert right - left == max(gaps)
        assert gaps.index(max(gaps)) == known.index(left)
        assert order[i] == (left + right) // 2


def test_a_ladder_of_a_ladder_is_the_ladder(small_config):
    assert small_config.ladder(3).layers == (0, 1, 3)
    assert small_config.ladder(3).ladder(2) == small_config.ladder(2)
    assert small_config.ladder(4).layers == small_config.layers


@pytest.mark.parametrize("depth", [-1, 0, 1, 5])
def test_depths_that_there_are_not(small_config, depth):
    with pytest.raises(ValueError, match=f"2 to 4 layers, received depth={depth}"):
        small_config.ladder(depth)


def test_a_ladder_of_a_ladder_goes_no_deeper(small_config):
    with pytest.raises(ValueError, match="2 to 3 layers, received depth=4"):
        small_config.ladder(3).ladder(4)


def test_window(small_config):
    assert [small_config.window(layer) for layer in range(4)] == [6, 6, 0, 6]
